"""The documented answer at every edge: a value, or null with its reason; no hang, no warning."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl
import pytest

from acsbench.errors import InputError, PredictionsError, TableError
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.further_tables import FURTHER_TABLES
from acsbench.results import Results

QUICK = EvaluateConfig(n_resamples=100)
RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 2, 60)
FLAGS = {
    name: RNG.integers(0, 2, 60)
    for name in ("has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal")
}
SPLIT = ["val", "test"] * 30


def inputs(
    label: Any, score: Any, *, patients: Any = None, **columns: Any
) -> tuple[pl.DataFrame, pl.DataFrame]:
    n = len(label)
    table = pl.DataFrame(
        {
            "ecg_id": [f"e{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in (range(n) if patients is None else patients)],
            "label": label,
            **columns,
        }
    )
    scores = table.select("ecg_id", task=pl.lit("acs"), score=pl.Series(np.asarray(score, float)))
    return scores, table


def judge(given: tuple[pl.DataFrame, pl.DataFrame], **options: Any) -> Results:
    scores, table = given
    val = None
    if "split" in table.columns:
        val = scores.filter(table["split"] == "val")
    return evaluate(scores, table, val=val, **{"config": QUICK, **options})


EDGES = {
    "all tied": (inputs(LABEL, np.full(60, 0.5), split=SPLIT, **FLAGS), 0.5),
    "perfect": (inputs(LABEL, LABEL * 0.8 + 0.1, split=SPLIT, **FLAGS), 1.0),
    "exactly 0 and 1": (inputs(LABEL, LABEL, **FLAGS), 1.0),
    "perfectly wrong": (inputs(LABEL, 1 - LABEL * 0.9, **FLAGS), 0.0),
    "two rows": (inputs([0, 1], [0.2, 0.3]), 1.0),
    "a subgroup of one": (inputs([0, 1, 1], [0.3, 0.3, 0.9], sex=["F", "M", "M"]), 0.75),
    "all 0": (inputs(LABEL, np.zeros(60)), 0.5),
    "all 1": (inputs(LABEL, np.ones(60)), 0.5),
    "findings that never vary": (
        inputs(LABEL, LABEL / 2, has_st_eleva=[0] * 60, has_depress=[1] * 60),
        1.0,
    ),
    "a finding that is the label": (inputs(LABEL, np.full(60, 0.3), has_depress=LABEL), 0.5),
}


@pytest.mark.parametrize("name", EDGES)
def test_every_edge_is_answered_and_every_null_has_its_reason(name: str) -> None:
    given, expected = EDGES[name]
    results = judge(given)
    assert results.value("predictions", "auroc") == expected
    nulls = results.frame.filter(
        (pl.col("value").is_null() | pl.col("low").is_null()) & pl.col("reason").is_null()
    )
    assert nulls.is_empty(), nulls.select("model", "metric", "value", "reason")
    for table in (results.frame, results.curves.frame, *results.tables.values()):
        for column, dtype in table.schema.items():
            if dtype == pl.Float64:
                assert table[column].drop_nulls().is_finite().all(), column


def test_one_patient_has_values_and_no_intervals() -> None:
    results = judge(inputs(LABEL, RNG.random(60), patients=[0] * 60))
    assert results.value("predictions", "auroc") is not None
    rows = results.overall.filter(pl.col("metric").is_in(["auroc", "auprc", "brier"]))
    assert rows["low"].is_null().all()
    assert any("at least 2 patients" in reason for reason in rows["reason"])
    assert "all resamples gave the same value" in rows["reason"].to_list()


def test_one_positive_has_a_value_and_no_interval() -> None:
    results = judge(inputs([0] * 20 + [1], RNG.random(21)))
    assert results.value("predictions", "auroc") is not None
    assert results.interval("predictions", "auroc") is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_refused_and_named(bad: float) -> None:
    scores = np.full(60, 0.5)
    scores[7] = bad
    with pytest.raises((PredictionsError, TableError), match=r"e7|row 8"):
        judge(inputs(LABEL, scores))


def test_one_class_of_a_single_task_is_refused() -> None:
    with pytest.raises(InputError, match="needs both classes"):
        judge(inputs(np.ones(60, dtype=int), RNG.random(60)))


def test_one_class_of_several_tasks_is_null_with_its_reason() -> None:
    first, labels = inputs(LABEL, RNG.random(60))
    scores = pl.concat([first, first.with_columns(task=pl.lit("other"))])
    labels = pl.concat(
        [
            labels.with_columns(task=pl.lit("acs")),
            labels.with_columns(task=pl.lit("other"), label=pl.lit(0, dtype=pl.Int64)),
        ]
    )
    results = evaluate(scores, labels, config=QUICK)
    assert results.value("predictions", "auroc", task="acs") is not None
    other = results.overall.filter(pl.col("task") == "other")
    assert other.select("metric", "value", "reason").rows() == [
        ("auroc", None, "one class"),
        ("auprc", None, "one class"),
    ]
    assert results.value("predictions", "macro_auroc") is None


def test_empty_tables_are_refused() -> None:
    scores, labels = inputs(LABEL, RNG.random(60))
    with pytest.raises(InputError, match="no labelled row"):
        evaluate(scores, labels.clear(), "acs", config=QUICK)
    with pytest.raises(InputError, match=r"lack 60 of 60|no row of task"):
        evaluate(scores.clear(), labels, "acs", config=QUICK)


def test_doubled_missing_and_unknown_ids_and_strange_labels_are_refused() -> None:
    scores, labels = inputs(LABEL, RNG.random(60))
    with pytest.raises(PredictionsError, match="e0"):
        evaluate(pl.concat([scores, scores[:1]]), labels, config=QUICK)
    with pytest.raises(PredictionsError, match="lack 1 of 60"):
        evaluate(scores[1:], labels, config=QUICK)
    with pytest.raises(PredictionsError, match="do not hold"):
        evaluate(scores, labels[1:], config=QUICK)
    doubled = pl.concat([scores[1:], scores[1:2]])  # one missing, one twice: as many rows
    with pytest.raises(PredictionsError, match="e1"):
        evaluate(doubled, labels, config=QUICK)
    with pytest.raises(TableError, match="0, 1"):
        evaluate(scores, labels.with_columns(label=pl.lit(2)), config=QUICK)
    with pytest.raises(TableError, match="label"):
        evaluate(scores, labels.with_columns(label=pl.lit("yes")), config=QUICK)


def test_a_board_shows_no_subgroup_below_its_floor_nor_its_complement() -> None:
    sex = ["F" if i < 45 else "M" for i in range(60)]
    given = inputs(LABEL, RNG.random(60), sex=sex)
    shown = judge(given, config=QUICK.model_copy(update={"min_class": 10}))
    board = judge(given, config=QUICK.model_copy(update={"min_class": 10, "min_complement": True}))
    women = (pl.col("subgroup") == "sex=F") & (pl.col("metric") == "auroc")
    assert shown.frame.row(by_predicate=women, named=True)["value"] is not None
    row = board.frame.row(by_predicate=women, named=True)
    assert row["value"] is None
    assert row["reason"].startswith("outside the group: fewer than 10")
    many = judge(given, config=QUICK.model_copy(update={"min_patients": 50}))
    assert many.frame.row(by_predicate=women, named=True)["reason"] == "fewer than 50 patients"


def test_every_further_table_has_its_declared_columns() -> None:
    results = judge(EDGES["all tied"][0])
    for name, table in results.tables.items():
        assert table.columns == ["task", "split", *FURTHER_TABLES[name].split()]


def test_an_evaluation_of_a_small_file_takes_about_a_second() -> None:
    given = inputs(LABEL, RNG.random(60), split=SPLIT)
    judge(given)
    start = time.process_time()
    judge(given, config=EvaluateConfig())
    assert time.process_time() - start < 3


def test_many_rows_get_fewer_resamples_and_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acsbench.evaluation.evaluate._MAX_ROW_DRAWS", 60 * 150)
    config = EvaluateConfig(n_resamples=2000, sections=())
    results = judge(inputs(LABEL, RNG.random(60)), config=config)
    assert results.table("evaluated")["n_resamples"].to_list() == [150]
    assert any("150 resamples instead of 2,000" in remark for remark in results.remarks)


@pytest.mark.slow
def test_a_million_rows_are_judged() -> None:
    rng = np.random.default_rng(1)
    n = 1_000_000
    label = rng.integers(0, 2, n)
    score = np.clip(label * 0.2 + rng.random(n) * 0.8, 0, 1)
    given = inputs(label, score, patients=rng.integers(0, 400_000, n))
    results = evaluate(*given, config=EvaluateConfig(n_resamples=100, sections=()))
    low, high = results.interval("predictions", "auroc")
    assert low < results.value("predictions", "auroc") < high
