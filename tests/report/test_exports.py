"""Numbers as files: every figure's picture and data, tables for LaTeX, one JSON of everything."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import polars as pl
import pytest

from acsbench.report.exports import METRICS_SCHEMA_VERSION
from acsbench.report.page import write_report
from acsbench.results import Results


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, small: Results) -> Path:
    path = tmp_path_factory.mktemp("exports")
    write_report(small, path, title="T", facts={"Seed": "0"})
    return path


def test_every_figure_has_a_picture_and_its_numbers(folder: Path) -> None:
    pictures = {p.stem for p in (folder / "figures").glob("*.svg")}
    numbers = {p.stem for p in (folder / "figures").glob("*.csv")}
    assert pictures == numbers
    assert {"acs-roc", "acs-forest", "acs-decision", "acs-upset", "acs-calibration-s4"} <= pictures
    for path in (folder / "figures").glob("*.csv"):
        assert len(pl.read_csv(path)) > 0, path


def test_a_picture_stands_alone_in_its_own_colours(folder: Path) -> None:
    for path in (folder / "figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        ET.fromstring(text.encode())
        assert "var(--" not in text
        assert "#010203" not in text


def test_text_of_pictures_is_text(folder: Path) -> None:
    forest = (folder / "figures" / "acs-forest.svg").read_text(encoding="utf-8")
    assert ">resnet18<" in forest
    assert ">ST elevation<" in forest


def test_the_numbers_of_a_figure_are_those_of_the_judge(folder: Path, small: Results) -> None:
    drawn = pl.read_csv(folder / "figures" / "acs-forest.csv")
    truth = small.overall.filter(pl.col("method") == "clustered_delong_logit")
    for name, value in drawn.select("model", "value").iter_rows():
        assert value == pytest.approx(truth.filter(pl.col("model") == name)["value"][0])


def test_metrics_json_holds_every_estimate_with_method_and_counts(
    folder: Path, small: Results
) -> None:
    body = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert body["schema"] == "acsbench-metrics"
    assert body["schema_version"] == METRICS_SCHEMA_VERSION
    assert body["level"] == 0.95
    assert len(body["estimates"]) == len(small.frame)
    first = body["estimates"][0]
    assert {"estimate", "low", "high", "method", "n_records", "n_positive", "n_patients"} <= set(
        first
    )
    assert first["estimate"] == small.frame["value"][0]
    assert set(body["tables"]) == set(small.tables)


def test_latex_tables_escape_what_latex_would_read(folder: Path) -> None:
    files = sorted((folder / "latex").glob("*.tex"))
    assert "acs-models.tex" in [p.name for p in files]
    for path in files:
        text = path.read_text(encoding="utf-8")
        body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
        for line in body.splitlines():
            unescaped = line.replace(r"\%", "").replace(r"\_", "").replace(r"\#", "")
            assert not set("%_#$~^<>") & set(unescaped.replace(r"\textless{}", "")), line
