"""The page: well formed, alone, the same bytes each time, honest, and silent about ids."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from synthetic_cohort import make_cohort
from synthetic_results import synthetic_results

from acsbench.recording import Recording
from acsbench.report.page import ReportConfig, write_report
from acsbench.report.section_people import Example
from acsbench.results import RESULT_COLUMNS, Curves, Results

VOID = {"meta", "br", "hr", "img", "input", "link"}
HOSTILE = "<script>alert(1)</script> & $\\frac{$"


class Walker(HTMLParser):
    """Fails on tags that do not nest; keeps what else the tests ask for."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def walk(text: str) -> Walker:
    walker = Walker()
    walker.feed(text)
    walker.close()
    assert walker.open == []
    return walker


def svgs(text: str) -> list[ET.Element]:
    found = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    return [ET.fromstring(one) for one in found]


def words_of(text: str) -> str:
    body = text.split("<body>")[1]
    body = re.sub(r"<(script|style).*?</\1>", " ", body, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def build(folder: Path, results: Results, **more: Any) -> str:
    options = {"title": "Demo", "facts": {"Seed": "0"}} | more
    return write_report(results, folder, **options).read_text(encoding="utf-8")


def renamed(results: Results, names: dict[str, str], task: str = "acs") -> Results:
    """The same results with other names of models and of the task."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        columns = [c for c in ("model", "compared_with", "feature") if c in frame.columns]
        return frame.with_columns(
            *(pl.col(c).replace(names) for c in columns), pl.lit(task).alias("task")
        )

    return replace(
        results,
        frame=change(results.frame),
        curves=Curves(change(results.curves.frame)),
        tables={name: change(frame) for name, frame in results.tables.items()},
    )


@pytest.fixture(scope="session")
def bare(small: Results) -> Results:
    """Without curves and most tables: quick to write."""
    return Results(small.frame, tables={"ranks": small.tables["ranks"]})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, recording: Recording) -> Path:
    """A report of two tasks with cohort and examples."""
    folder = tmp_path_factory.mktemp("report")
    small = synthetic_results(n_models=2, n=400)
    both = Results.concat([small, renamed(small, {}, task="mace")])
    examples = [
        Example("Label positive", recording, "Positive"),
        Example("Label negative", recording, "Negative"),
    ]
    build(folder, both, cohort=make_cohort(), examples=examples, min_count=10)
    return folder


@pytest.fixture(scope="module")
def page(whole: Path) -> str:
    return (whole / "report.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_no_id_stands_twice(page: str) -> None:
    walker = walk(page)
    assert len(walker.ids) == len(set(walker.ids))


def test_the_page_needs_no_network(page: str) -> None:
    walker = walk(page)
    assert not {"link", "img", "iframe"} & set(walker.tags)
    assert all(link.startswith("#") for link in walker.links)
    assert {link[1:] for link in walker.links} <= {*walker.ids, ""}
    assert "url(http" not in page
    assert not re.search(r"(?:src|href)=\"?https?:", page)


def test_the_page_is_whole_without_script(page: str) -> None:
    """What only a script fills is hidden until one has run; all tables have their rows."""
    without = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    for box in re.findall(r'<div class="slider"[^>]*>', without):
        assert "hidden" in box
    for button in re.findall(r"<button[^>]*>", without):
        assert "hidden" in button
    for body in re.findall(r"<table class.*?</table>", without, flags=re.DOTALL):
        assert body.count("<tr>") > 1


def test_every_picture_has_a_role_and_a_title(page: str) -> None:
    pictures = svgs(page)
    assert len(pictures) > 20
    for picture in pictures:
        assert picture.get("role") == "img"
        assert picture.get("aria-label")
        title = picture.find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert title.text


def test_sections_follow_the_order_of_a_reader(page: str) -> None:
    keys = [
        key.removeprefix("acs-") for key in re.findall(r'<section id="([^"]+)"', page)
        if not key.startswith("mace-")
    ]  # fmt: skip
    assert keys == [
        "verdict",
        "roc",
        "calibration",
        "decision",
        "budget",
        "operating",
        "pairs",
        "subgroups",
        "robustness",
        "findings",
        "testing",
        "original",
        "examples",
        "people",
        "checklist",
        "methods",
        "facts",
    ]


def test_the_contents_stand_once_after_the_first_verdict(page: str) -> None:
    assert page.count("<nav") == 1
    assert page.index('id="acs-verdict"') < page.index("<nav") < page.index('id="acs-roc"')


def test_styles_of_a_picture_do_not_reach_the_page(page: str) -> None:
    assert page.count("<style") == 1


def test_charts_take_the_colours_of_the_page(page: str) -> None:
    text = page.split("<body>")[1].lower()
    assert "#ffffff" not in text
    assert "#000000" not in text
    assert "#0072b2" not in text
    assert "currentcolor" in text
    assert "var(--s1)" in text


def test_equal_input_gives_equal_bytes(tmp_path: Path, bare: Results) -> None:
    some = replace(bare, curves=Curves(synthetic_results(n_models=1, n=200).curves.frame))
    build(tmp_path / "a", some)
    build(tmp_path / "b", some)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(files) > 20
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_no_id_is_on_the_page_or_in_a_file_unless_asked_for(
    whole: Path, tmp_path: Path, recording: Recording
) -> None:
    for path in whole.rglob("*.*"):
        assert "SECRET" not in path.read_text(encoding="utf-8")
    empty = Results(pl.DataFrame(schema=RESULT_COLUMNS))
    shown = build(tmp_path, empty, examples=[("One", recording)], with_ids=True)
    assert "ECGSECRET001" in shown
    assert "PATSECRET" not in shown


def test_hostile_names_are_shown_and_not_run(tmp_path: Path, recording: Recording) -> None:
    small = synthetic_results(n_models=2, n=200)
    names = {"s4": HOSTILE, "resnet18": "_hidden", "flag:has_depress": f"flag:{HOSTILE}x"}
    text = build(
        tmp_path,
        renamed(small, names, task="<b>t</b>"),
        title=HOSTILE,
        facts={HOSTILE: HOSTILE},
        examples=[(HOSTILE, recording)],
    )
    walker = walk(text)
    assert "b" not in walker.tags
    assert walker.tags.count("script") == 2  # the page's own, and the slider's data
    assert "<script>alert" not in text
    written = "".join("".join(one.itertext()) for one in svgs(text))
    assert HOSTILE in written
    assert "_hidden" in written


@pytest.mark.slow
def test_ten_models_stay_below_two_megabytes(
    tmp_path: Path, rich: Results, recording: Recording
) -> None:
    examples = [(f"ECG {i}", recording) for i in range(4)]
    text = build(tmp_path / "report.html", rich, examples=examples, cohort=make_cohort())
    assert len(text.encode()) < 2_000_000


def test_the_verdict_says_what_is_uncertain_first(page: str) -> None:
    lead = re.search(r'<p class="lead">(.*?)</p>', page, flags=re.DOTALL)
    assert lead is not None
    words = re.sub(r"<[^>]*>", "", lead[1])
    assert words.startswith("These data do not single out one best model: resnet18 cannot be told")
    assert re.search(r"s4 has the highest AUROC, 0\.\d{3} \(0\.\d{3}-0\.\d{3}\)", words)
    assert "The best classical finding, ST elevation" in words
    assert "whom a doctor sent to be tested" in words


def test_a_model_no_better_than_chance_is_said_to_show_nothing(
    tmp_path: Path, bare: Results
) -> None:
    frame = bare.frame.with_columns(low=pl.lit(0.4))
    text = build(tmp_path / "report.html", replace(bare, frame=frame))
    assert "Nothing is shown yet: the 95 % interval of the best model includes chance." in text


def test_every_header_says_the_level_that_was_used(tmp_path: Path, bare: Results) -> None:
    text = build(tmp_path / "report.html", replace(bare, level=0.9))
    assert "90 % interval" in text
    assert "95 %" not in words_of(text)


def test_a_reading_of_the_ecg_is_never_called_an_outcome_or_acs(
    tmp_path: Path, small: Results
) -> None:
    results = renamed(small, {}, task="ptbxl_mi")
    tables = {k: v for k, v in results.tables.items() if k != "selective_testing"}
    text = build(tmp_path / "report.html", replace(results, tables=tables))
    words = words_of(text.split('id="checklist"')[0]).lower()
    assert "reading of the ecg" in words
    assert "acute coronary" not in words
    assert re.search(r"(?<!not an )\boutcome", words) is None


def test_the_page_stands_without_models_cohort_and_examples(tmp_path: Path) -> None:
    text = build(tmp_path, Results(pl.DataFrame(schema=RESULT_COLUMNS)))
    walk(text)
    assert "No results" in text


def test_a_section_is_there_only_when_its_data_are(tmp_path: Path, small: Results) -> None:
    bare = Results(small.frame.filter(pl.col("metric") == "auroc"))
    text = build(tmp_path / "report.html", bare)
    keys = re.findall(r'<section id="acs-([^"]+)"', text)
    assert keys == ["verdict", "subgroups"]


def test_a_model_without_estimate_is_listed_with_its_reason(tmp_path: Path) -> None:
    row = dict.fromkeys(RESULT_COLUMNS, None) | {
        "model": "resnet18",
        "task": "acs",
        "metric": "auroc",
        "reason": "one class only",
        "n_records": 400,
    }
    text = build(tmp_path, Results(pl.DataFrame([row], schema=RESULT_COLUMNS)))
    assert "not estimable: one class only" in text


def test_a_file_name_is_taken_as_the_file(tmp_path: Path, bare: Results) -> None:
    written = write_report(bare, str(tmp_path / "x.html"), title="Demo")
    assert written == tmp_path / "x.html"
    assert [p.name for p in tmp_path.iterdir()] == ["x.html"]


@pytest.mark.parametrize("bad", [-1, 5])
def test_the_number_of_examples_is_bounded(bad: int) -> None:
    with pytest.raises(ValueError, match="n_examples"):
        ReportConfig(n_examples=bad)
