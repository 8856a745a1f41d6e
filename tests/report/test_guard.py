"""One door hides small counts: nothing behind it, page or file, knows an exact one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_results import synthetic_results

from acsbench.report.counts import rounded
from acsbench.report.guard import HIDDEN, hide_small_counts
from acsbench.report.page import write_report
from acsbench.results import RESULT_COLUMNS, Results

MIN_COUNT = 10
STEP = 20
NO_COUNTS = {"n_models", "n_groups", "n_resamples", "n_records_for_002"}
COUNTS = re.compile(r"n|n_\w+|tp|fp|fn|tn|k|numerator|denominator|ess|feature_tp|model_tp\w*")


def counts_in(frame: pl.DataFrame) -> set[int]:
    names = [
        n
        for n, dtype in frame.schema.items()
        if COUNTS.fullmatch(n) and n not in NO_COUNTS and dtype.is_numeric()
    ]
    return {int(v) for n in names for v in frame[n].drop_nulls()}


def test_without_a_limit_nothing_changes(small: Results) -> None:
    assert hide_small_counts(small, 0) is small


def test_every_count_of_every_table_is_hidden_or_rounded(rich: Results) -> None:
    shown = hide_small_counts(rich, MIN_COUNT)
    frames = {"estimates": shown.frame, "curves": shown.curves.frame, **shown.tables}
    for name, frame in frames.items():
        assert all(v == HIDDEN or v % STEP == 0 for v in counts_in(frame)), name
    # and there was something to hide
    assert any(0 < v <= MIN_COUNT for v in counts_in(rich.tables["operating_points"]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000), st.integers(0, 2000))
def test_no_share_stands_beside_a_hidden_count(tp: int, fp: int) -> None:
    frame = pl.DataFrame({"tp": [tp], "fp": [fp], "ppv": [0.123456], "low": [0.1], "high": [0.2]})
    results = Results(pl.DataFrame(schema=RESULT_COLUMNS), tables={"operating_points": frame})
    row = hide_small_counts(results, MIN_COUNT).tables["operating_points"].row(0, named=True)
    hides = any(0 < n <= MIN_COUNT for n in (tp, fp))
    assert (row["ppv"] is None) == hides
    assert (row["low"] is None) == hides
    assert row["tp"] == (HIDDEN if rounded(tp, MIN_COUNT) is None else rounded(tp, MIN_COUNT))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.integers(0, 400))
def test_no_share_leaves_a_hidden_count(part: int, rest: int) -> None:
    """A sensitivity of 0.92 among 50 tells the 4 who were missed."""
    frame = pl.DataFrame(
        {"numerator": [part], "denominator": [part + rest], "value": [0.5], "low": [0.4]}
        | {"high": [0.6], "wilson_low": [0.4]}
    )
    results = Results(pl.DataFrame(schema=RESULT_COLUMNS), tables={"operating_intervals": frame})
    row = hide_small_counts(results, MIN_COUNT).tables["operating_intervals"].row(0, named=True)
    hides = any(0 < n <= MIN_COUNT for n in (part, rest, part + rest))
    for column in ("value", "low", "high", "wilson_low"):
        assert (row[column] is None) == hides


def test_shares_that_no_count_stands_beside_are_left_out(rich: Results) -> None:
    assert "matched_specificity" in rich.tables
    assert "matched_specificity" not in hide_small_counts(rich, MIN_COUNT).tables


@settings(max_examples=80, deadline=None)
@given(st.integers(11, 400), st.integers(11, 400), st.integers(0, 400))
def test_a_sensitivity_that_tells_a_small_count_is_empty(
    n_positive: int, n_negative: int, found: int
) -> None:
    found = min(found, n_positive)
    row = dict.fromkeys(RESULT_COLUMNS, None) | {
        "model": "m",
        "task": "t",
        "metric": "sens_at_spec_90",
        "value": found / n_positive,
        "n_records": n_positive + n_negative,
        "n_positive": n_positive,
    }
    shown = hide_small_counts(Results(pl.DataFrame([row], schema=RESULT_COLUMNS)), MIN_COUNT)
    hides = any(0 < n <= MIN_COUNT for n in (found, n_positive - found))
    assert (shown.frame["value"][0] is None) == hides
    assert (shown.frame["reason"][0] is not None) == hides


@pytest.mark.parametrize(
    ("metric", "value", "is_shown"),
    [
        ("ppv_at_budget_05", 0.5, True),  # 20 of 40
        ("ppv_at_budget_05", 0.9, False),  # 36 of 40 leave 4
        ("ppv_at_budget_05", 0.1, False),
        ("ppv_at_budget_01", 0.5, False),  # 4 of 8
        ("sens_at_budget_05", 0.5, True),
    ],
)
def test_the_yield_of_a_budget_is_judged_by_the_records_it_flags(
    metric: str, value: float, is_shown: bool
) -> None:
    row = dict.fromkeys(RESULT_COLUMNS, None) | {
        "model": "m",
        "task": "t",
        "metric": metric,
        "value": value,
        "n_records": 800,
        "n_positive": 300,
    }
    shown = hide_small_counts(Results(pl.DataFrame([row], schema=RESULT_COLUMNS)), MIN_COUNT)
    assert (shown.frame["value"][0] is not None) == is_shown


@pytest.mark.parametrize(("n_positive", "is_shown"), [(10, False), (11, True), (390, False)])
def test_an_estimate_on_few_of_either_class_is_not_shown(n_positive: int, is_shown: bool) -> None:
    row = dict.fromkeys(RESULT_COLUMNS, None) | {
        "model": "m",
        "task": "t",
        "metric": "auroc",
        "value": 0.7,
        "n_records": 400,
        "n_positive": n_positive,
    }
    shown = hide_small_counts(Results(pl.DataFrame([row], schema=RESULT_COLUMNS)), MIN_COUNT)
    assert (shown.frame["value"][0] is not None) == is_shown


def test_curves_are_too_coarse_to_count_the_positives(small: Results) -> None:
    shown = hide_small_counts(small, MIN_COUNT).curves.frame
    for kind in ("roc", "budget", "reliability"):
        points = shown.filter(pl.col("curve") == kind)
        for axis in ("x", "y"):
            assert ((points[axis] * 100).round() - points[axis] * 100).abs().max() < 1e-9
    few = shown.filter(pl.col("curve").str.starts_with("histogram") & (pl.col("n") == HIDDEN))
    assert few.height > 0
    assert few["y"].null_count() == few.height


def test_no_exact_count_reaches_a_file(tmp_path: Path) -> None:
    results = synthetic_results(n_models=1, n=613)
    n_positive = int(results.tables["evaluated"]["n_positive"][0])
    bare = replace(
        results,
        curves=type(results.curves).empty(),
        remarks=("7 records of 613 ECGs have no label",),
    )
    write_report(bare, tmp_path, title="T", min_count=MIN_COUNT)
    for path in tmp_path.rglob("*.*"):
        text = re.sub(
            r"0\.\d+|<style.*?</style>|<[^>=]+>|<[^>]*>", "", path.read_text(), flags=re.S
        )
        for exact in (613, n_positive, 613 - n_positive):
            assert not re.search(rf"(?<![\d.#-]){exact}(?![\d.])", text), (path.name, exact)
    body = json.loads((tmp_path / "metrics.json").read_text())
    assert body["counts"] == {"hidden_up_to": 10, "rounded_to": 20}
    assert body["remarks"] == ["<= 10 records of 620 ECGs have no label"]
    assert "<= 10" in {row["fn"] for row in body["tables"]["operating_points"]}
