"""Sections say what the judge's tables hold, in words and in order."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from acsbench.report.checklist import AUTHORS, STARD_AI, TRIPOD_AI, checklist_section
from acsbench.report.guard import hide_small_counts
from acsbench.report.methods import methods_text
from acsbench.report.parts import Section, Table
from acsbench.report.section_findings import findings_section
from acsbench.report.section_groups import subgroup_section
from acsbench.report.section_models import pairs_section, verdict_section, verdict_sentences
from acsbench.report.section_operating import operating_section, slider_data
from acsbench.report.section_original import original_section
from acsbench.report.section_selection import selection_section
from acsbench.report.view import TaskView
from acsbench.results import Results


@pytest.fixture(scope="module")
def view(small: Results) -> TaskView:
    return TaskView(small, "acs")


def table(section: Section | None, name: str) -> Table:
    assert section is not None
    return next(p for p in section.parts if isinstance(p, Table) and p.name == f"acs-{name}")


def column(one: Table, title: str) -> list[str]:
    place = list(one.header).index(title)
    return [row[place] for row in one.rows]


def test_the_best_model_stands_first_and_findings_are_among_the_models(view: TaskView) -> None:
    models = table(verdict_section(view), "models")
    assert models.rows[0][0] == "s4"
    assert {"ST elevation", "T-wave abnormality"} <= {row[0] for row in models.rows}
    values = [float(cell[:5]) for cell in column(models, "AUROC (95 % interval)")]
    assert values == sorted(values, reverse=True)


def test_a_model_without_an_estimate_stands_last(small: Results) -> None:
    gone = pl.when(pl.col("model") == "s4").then(None).otherwise(pl.col("value")).alias("value")
    view = TaskView(replace(small, frame=small.frame.with_columns(gone)), "acs")
    assert view.ordered[-1] == "s4"
    assert "s4" not in " ".join(verdict_sentences(view))


def test_a_model_that_is_told_apart_from_all_is_said_to_be(small: Results) -> None:
    ranks = small.tables["ranks"].with_columns(separable_from_first=pl.col("rank") > 1)
    view = TaskView(replace(small, tables={**small.tables, "ranks": ranks}), "acs")
    assert verdict_sentences(view)[0] == "s4 is told apart from every other model."


def test_many_models_that_cannot_be_told_apart_are_counted(rich: Results) -> None:
    ranks = rich.tables["ranks"].with_columns(separable_from_first=False)
    view = TaskView(replace(rich, tables={**rich.tables, "ranks": ranks}), "acs")
    assert "and 6 others cannot be told apart from s4." in verdict_sentences(view)[0]


def test_differences_carry_their_sign_and_both_p_values(view: TaskView) -> None:
    pairs = table(pairs_section(view), "pairs")
    (row,) = pairs.rows
    assert row[0] == "s4 minus resnet18"
    assert row[1].startswith(("+", "-"))
    assert "found four times in five" in (pairs_section(view) or Section(key="", title="")).lead


def test_the_first_model_is_always_the_first_of_its_pairs(small: Results) -> None:
    pairs = small.tables["pairwise"]
    other_way = pairs.with_columns(
        model=pl.col("compared_with"),
        compared_with=pl.col("model"),
        delta=-pl.col("delta"),
        low=-pl.col("high"),
        high=-pl.col("low"),
    )
    turned = TaskView(replace(small, tables={**small.tables, "pairwise": other_way}), "acs")
    straight = TaskView(small, "acs")
    assert (
        table(pairs_section(turned), "pairs").rows == table(pairs_section(straight), "pairs").rows
    )


def test_what_differs_from_the_original_is_said_once(view: TaskView) -> None:
    original = table(original_section(view), "original-auroc")
    assert "What differs" not in original.header
    assert original.note == "What differs: patients, not rows, are independent."


def test_subgroups_are_in_order_and_say_why_one_has_no_estimate(view: TaskView) -> None:
    section = subgroup_section(view)
    groups = [row[0] for row in table(section, "subgroups").rows]
    assert groups[:2] == ["Sex: Female", "Sex: Male"]
    ages = [g for g in groups if g.startswith("Age")]
    assert ages == ["Age: under 50", "Age: 50 to 64", "Age: 65 to 79", "Age: 80 and over"]
    assert "fewer than 10 positives" in table(section, "subgroups").note


def test_operating_points_show_cells_and_the_base_rate(view: TaskView) -> None:
    ruled_in = table(operating_section(view), "operating-spec-90")
    tp, fp, fn, tn = map(int, column(ruled_in, "TP / FP / FN / TN")[0].split(" / "))
    assert tp + fp + fn + tn == 400
    assert column(ruled_in, "Sensitivity")[0].startswith(f"{tp / (tp + fn):.3f}")
    assert f"{1 - (tp + fn) / 400:.3f}" in ruled_in.note


def test_the_slider_has_all_cuts_of_every_model(view: TaskView) -> None:
    data = slider_data(view)
    assert list(data) == ["s4", "resnet18"]
    assert [row[0] for row in data["s4"]] == pytest.approx([i / 100 for i in range(101)])


def test_findings_are_compared_at_their_own_budget(view: TaskView) -> None:
    matched = table(findings_section(view), "matched")
    heads = [h for h in matched.header if h.startswith("ST elevation")]
    assert len(heads) == 1
    assert "flagged, PPV" in heads[0]


def test_regions_name_their_sets(view: TaskView) -> None:
    regions = [row[0] for row in table(findings_section(view), "regions").rows]
    assert "Model and T-wave finding and ST finding" in regions
    assert "ST finding only" in regions
    assert "None of them" in regions


def test_selective_testing_stands_beside_the_tested_only(view: TaskView) -> None:
    section = selection_section(view)
    assumptions = [row[0] for row in table(section, "testing").rows]
    assert assumptions[0] == "Tested only, as above"
    assert "never in their place" in (section or Section(key="", title="")).lead


def test_hidden_counts_are_written_as_such(small: Results) -> None:
    points = small.tables["operating_points"].with_columns(fn=pl.lit(-1))
    view = TaskView(replace(small, tables={**small.tables, "operating_points": points}), "acs", 10)
    cell = column(table(operating_section(view), "operating-spec-90"), "TP / FP / FN / TN")[0]
    assert cell.split(" / ")[2] == "<= 10"


def test_a_hidden_estimate_is_not_called_impossible(small: Results) -> None:
    few = small.frame.with_columns(n_positive=pl.lit(7))
    view = TaskView(hide_small_counts(replace(small, frame=few), 10), "acs", 10)
    models = table(verdict_section(view), "models")
    assert set(column(models, "AUROC (95 % interval)")) == {"not shown"}


def test_methods_speak_of_what_was_done_alone(small: Results) -> None:
    view = TaskView(small, "acs")
    full = " ".join(methods_text(small, [view], cohort=None, facts={"Seed": "7"}))
    assert "Holm's correction" in full
    assert "2,000 resamples" in full
    assert "The seed was 7." in full
    bare = Results(small.frame.filter(pl.col("metric") == "auroc"))
    less = " ".join(methods_text(bare, [TaskView(bare, "acs")], cohort=None, facts={}))
    for words in ("Holm", "Calibration", "net benefit", "inverse probability", "seed"):
        assert words not in less


@pytest.mark.parametrize("items", [TRIPOD_AI, STARD_AI])
def test_a_checklist_names_no_section_that_is_not_there(items: object) -> None:
    nothing = checklist_section([], has_facts=False)
    for part in nothing.parts:
        assert isinstance(part, Table)
        where = {row[2].split(";")[0] for row in part.rows}
        assert where == {AUTHORS, "Methods, ready to paste"}


def test_the_checklists_hold_all_numbers() -> None:
    tripod = {item.number.rstrip("abcdefg-") for item in TRIPOD_AI}
    assert {str(n) for n in range(1, 28)} == {n.removesuffix("a-b") for n in tripod}
    stard = {item.number.rstrip("ab") for item in STARD_AI if item.number[0].isdecimal()}
    assert {str(n) for n in range(1, 28)} | {"28-30"} == stard
