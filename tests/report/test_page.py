"""The page: complete, self-contained, repeatable, and silent about individuals."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest

from acsbench.recording import Recording
from acsbench.report.page import ReportConfig, write_report
from acsbench.results import CURVE_COLUMNS, RESULT_COLUMNS, Curves, Results
from acsbench.signal.leads import PAGE_LEADS
from acsbench.tables import Cohort

VOID = {"meta", "br", "hr", "img", "input", "link"}
HOSTILE = "<script>alert(1)</script> & $\\frac{$"


def row(model: str, auroc: float, **more: Any) -> dict[str, Any]:
    base = dict.fromkeys(RESULT_COLUMNS, None) | {
        "model": model,
        "task": "acs",
        "task_version": 1,
        "split": "test",
        "unit": "record",
        "metric": "auroc",
        "value": auroc,
        "low": auroc - 0.05,
        "high": auroc + 0.04,
        "n_records": 400,
        "n_positive": 7,
        "n_patients": 200,
        "method": "clustered_delong_logit",
    }
    return base | more


def some_results(
    *, models: tuple[str, ...] = ("resnet18", "logistic", "flag:has_st_eleva"), task: str = "acs"
) -> Results:
    rows = []
    for number, model in enumerate(models):
        value = 0.742 - 0.1 * number
        rows += [
            row(model, value, task=task),
            row(model, value, task=task, method="patient_bootstrap"),
            row(model, 0.2, task=task, metric="auprc", method="patient_bootstrap"),
            row(model, value, task=task, subgroup="sex=Female", n_records=9),
        ]
    rows.append(row(models[0], 0.1, task=task, compared_with=models[1], p_value=0.0004))
    grid = np.linspace(0, 1, 50)
    points = [
        {"model": m, "task": task, "split": "test", "subgroup": "", "curve": "roc", "n": 400}
        | {"x": float(x), "y": float(np.sqrt(x)), "low": None, "high": None}
        for m in models
        for x in (grid if not m.startswith("flag:") else (0.0, 0.2, 1.0))
    ]
    return Results(
        pl.DataFrame(rows, schema=RESULT_COLUMNS),
        Curves(pl.DataFrame(points, schema=CURVE_COLUMNS)),
        ("Limited to 400 ECGs: these figures are not reportable.",),
    )


def some_cohort() -> Cohort:
    n = 40
    tested = [i % 2 == 0 for i in range(n)]
    frame = pl.DataFrame(
        {
            "ecg_id": [f"ECGSECRET{i:03}" for i in range(n)],
            "patient_id": [f"PATSECRET{i // 2:03}" for i in range(n)],
            "encounter_id": [f"VISITSECRET{i // 2:03}" for i in range(n)],
            "split": ["train" if i < 20 else "test" for i in range(n)],
            "is_included": [True] * n,
            "exclusion": [None] * n,
            "is_tested": tested,
            "is_untested": [not t for t in tested],
            "ecg_order": [i % 2 + 1 for i in range(n)],
            "stent_or_cabg_010_day": [i % 10 == 0 if tested[i] else None for i in range(n)],
            "age": [40.0 + i for i in range(n)],
            "sex": ["Female" if i % 8 < 4 else "Male" for i in range(n)],
        },
        schema_overrides={"exclusion": pl.String},
    )
    flow = pl.DataFrame(
        {
            "order": [0, 1, 2, 3, 4, 5],
            "step": ["all", "ECG unreadable", "remaining", "tested", "untested", "missing"],
            "kind": ["start", "dropped", "kept", "branch", "branch", "branch"],
            "n_encounters": [1023, 3, 1020, 800, 220, 0],
            "n_patients": [900, 3, 897, 700, 197, 0],
            "n_records": [2040, 5, 2035, 1600, 435, 0],
        }
    )
    return Cohort(
        frame=frame,
        flow=flow,
        source="synthetic",
        scheme="patient",
        outcomes=("stent_or_cabg_010_day",),
        min_count=10,
    )


def some_recording() -> Recording:
    times = np.arange(5000) / 500
    beat = np.exp(-(((times % 0.8) - 0.4) ** 2) / 0.0004)
    signal = np.full((15, 5000), np.nan)
    for lead in range(15):
        start = 0 if lead >= 12 else lead // 3 * 1250
        stop = 5000 if lead >= 12 else start + 1250
        signal[lead, start:stop] = beat[start:stop] * (0.5 + 0.05 * lead)
    return Recording(
        ecg_id="ECGSECRET001",
        signal=signal,
        lead_names=PAGE_LEADS,
        sampling_rate=500.0,
        units="mV",
    )


def page(folder: Path, results: Results | None = None, **more: Any) -> str:
    options: dict[str, Any] = {
        "title": "Demo",
        "cohort": some_cohort(),
        "examples": [("Label positive", some_recording())],
        "facts": {"Seed": "0"},
        "min_count": 10,
    } | more
    return write_report(results or some_results(), folder, **options).read_text(encoding="utf-8")


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


def test_the_page_is_well_formed_and_no_id_stands_twice(tmp_path: Path) -> None:
    both = pl.concat([some_results().frame, some_results(task="mace").frame])
    points = pl.concat([some_results().curves.frame, some_results(task="mace").curves.frame])
    examples = [("One", some_recording()), ("Two", some_recording())]
    walker = walk(page(tmp_path, Results(both, Curves(points)), examples=examples))
    assert len(walker.ids) == len(set(walker.ids))


def test_the_page_needs_neither_network_nor_script(tmp_path: Path) -> None:
    walker = walk(page(tmp_path))
    assert not {"script", "link", "img", "iframe"} & set(walker.tags)
    assert all(link.startswith("#") for link in walker.links)
    assert "url(http" not in page(tmp_path)


def test_every_picture_has_a_role_and_a_title(tmp_path: Path) -> None:
    pictures = svgs(page(tmp_path))
    assert len(pictures) == 4
    for picture in pictures:
        assert picture.get("role") == "img"
        assert picture.get("aria-label")
        title = picture.find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert title.text


def test_styles_of_a_picture_do_not_reach_the_page(tmp_path: Path) -> None:
    assert page(tmp_path).count("<style") == 1


def test_charts_have_no_paper_of_their_own_and_take_the_ink_of_the_page(tmp_path: Path) -> None:
    text = page(tmp_path, examples=()).split("<body>")[1].lower()
    assert "#ffffff" not in text
    assert "#000000" not in text
    assert "currentcolor" in text


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    assert page(tmp_path / "a") == page(tmp_path / "b")


def test_no_id_is_on_the_page_unless_asked_for(tmp_path: Path) -> None:
    assert "SECRET" not in page(tmp_path)
    shown = page(tmp_path, with_ids=True)
    assert "ECGSECRET001" in shown
    assert "PATSECRET" not in shown


def test_hostile_names_are_shown_and_not_run(tmp_path: Path) -> None:
    names = (HOSTILE, "_hidden", f"flag:{HOSTILE}")
    text = page(
        tmp_path,
        some_results(models=names, task="<b>t</b>"),
        title=HOSTILE,
        facts={HOSTILE: HOSTILE},
        examples=[(HOSTILE, some_recording())],
    )
    walker = walk(text)
    assert "script" not in walker.tags
    assert "b" not in walker.tags
    written = "".join("".join(one.itertext()) for one in svgs(text))
    assert HOSTILE in written
    assert "_hidden" in written


def test_the_page_is_below_two_megabytes_with_ten_models(tmp_path: Path) -> None:
    many = some_results(models=tuple(f"model{i}" for i in range(6)))
    text = page(tmp_path, many, examples=[(f"ECG {i}", some_recording()) for i in range(4)])
    assert len(text.encode()) < 2_000_000


def test_small_counts_are_hidden_and_cannot_be_computed_back(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert "&lt;= 10" in text
    assert "0.018" not in text  # 7 of 400
    # 1,023 visits less 1,020 would be the 3 who left
    assert "1,023" not in text


def test_the_verdict_is_said_in_words(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert "Of 2 models, resnet18 has the highest AUROC" in text
    assert "0.742 (0.692-0.782)" in text
    assert "ST elevation" in text
    assert "not reportable" in text


def test_a_reading_of_the_ecg_is_never_called_an_outcome_or_acs(tmp_path: Path) -> None:
    text = page(tmp_path, some_results(task="ptbxl_mi"), cohort=None)
    assert "reading of the ECG" in text
    words = re.sub(r"<[^>]*>", " ", text.split("<body>")[1]).lower()
    assert "acute coronary" not in words
    assert re.search(r"(?<!not an )\boutcome", words) is None


def test_the_page_stands_without_models_cohort_and_examples(tmp_path: Path) -> None:
    empty = Results(pl.DataFrame(schema=RESULT_COLUMNS))
    text = page(tmp_path, empty, cohort=None, examples=())
    walk(text)
    assert "No results" in text


def test_a_model_without_estimate_is_listed_with_its_reason(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        [row("resnet18", 0.0, value=None, low=None, high=None, reason="one class only")],
        schema=RESULT_COLUMNS,
    )
    text = page(tmp_path, Results(frame))
    assert "not estimable: one class only" in text


def test_a_file_name_is_taken_as_the_file(tmp_path: Path) -> None:
    written = write_report(some_results(), tmp_path / "x.html", title="Demo")
    assert written == tmp_path / "x.html"
    assert written.is_file()


@pytest.mark.parametrize("bad", [-1, 5])
def test_the_number_of_examples_is_bounded(bad: int) -> None:
    with pytest.raises(ValueError, match="n_examples"):
        ReportConfig(n_examples=bad)
