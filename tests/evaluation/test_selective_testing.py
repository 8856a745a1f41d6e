"""Selective testing: the generated truth is known, and the estimates come nearer to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from acsbench.errors import InputError
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.selective_testing import (
    cross_fit,
    design_matrix,
    doubly_robust_labels,
    inverse_weights,
    shifted_risk,
    soft_auroc,
    soft_shares,
)
from acsbench.results import Results

FOLDER = Path(__file__).parents[1] / "golden" / "evaluation"
KNOWN = json.loads((FOLDER / "05_verification.json").read_text(encoding="utf-8"))["expected"]
CONFIG = EvaluateConfig(n_resamples=100, sections=("selective_testing",))


def tables(*, every_score: bool = True) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = pl.read_csv(FOLDER / "05_verification.csv")
    logit = (pl.col("p_tested") / (1 - pl.col("p_tested"))).log()
    labels = rows.select(
        ecg_id=pl.format("e{}", "row_id"),
        patient_id=pl.format("p{}", "row_id"),
        label="label_if_tested",
        is_tested=pl.col("tested") == 1,
        age=logit,
    )
    scores = labels.select("ecg_id", task=pl.lit("acs"), score=rows["score"])
    return (scores if every_score else scores.filter(labels["is_tested"])), labels


def judge(**options: Any) -> Results:
    scores, labels = tables(**options)
    return evaluate(scores, labels, config=CONFIG)


@pytest.fixture(scope="module")
def results() -> Results:
    return judge()


def value(results: Results, analysis: str, metric: str) -> Any:
    table = results.table("selective_testing")
    wanted = (pl.col("analysis") == analysis) & (pl.col("metric") == metric)
    return table.row(by_predicate=wanted, named=True)


def test_the_tested_alone_are_the_figure_of_the_evaluation(results: Results) -> None:
    row = value(results, "tested_only", "auroc")
    assert row["value"] == pytest.approx(KNOWN["naive_tested_only"]["auroc"], abs=1e-12)
    assert row["value"] == results.value("predictions", "auroc")


def test_weighting_and_predicting_come_nearer_to_the_prevalence_of_everybody(
    results: Results,
) -> None:
    truth = KNOWN["oracle_all"]["prevalence"]
    naive = abs(value(results, "tested_only", "prevalence")["value"] - truth)
    for analysis in ("ipw", "doubly_robust", "bound_fitted"):
        row = value(results, analysis, "prevalence")
        assert abs(row["value"] - truth) < naive / 4
        assert row["low"] < truth < row["high"]


def test_the_true_area_is_within_the_weighted_interval_and_the_bounds(results: Results) -> None:
    truth = KNOWN["oracle_all"]["auroc"]
    for analysis in ("ipw", "doubly_robust"):
        row = value(results, analysis, "auroc")
        assert row["low"] < truth < row["high"]
    bounds = [
        value(results, f"bound_{name}", "auroc")["value"]
        for name in ("odds_2", "odds_0.5", "negative")
    ]
    assert bounds == sorted(bounds)
    assert bounds[0] < truth < bounds[-1]


def test_effective_size_and_overlap_stand_beside_it(results: Results) -> None:
    row = value(results, "ipw", "auroc")
    assert row["ess"] < row["n_tested"] == KNOWN["n_tested"]
    assert row["n_all"] == KNOWN["n"]
    assert row["max_weight"] == row["truncated_at"]
    overlap = results.table("selective_overlap")
    assert overlap["n_records"].sum() == KNOWN["n"]


def test_without_scores_of_the_untested_only_weighting_is_left() -> None:
    results = judge(every_score=False)
    assert value(results, "ipw", "auroc")["value"] is not None
    row = value(results, "doubly_robust", "auroc")
    assert row["value"] is None
    assert row["reason"] == "the untested have no scores of this model"
    assert value(results, "ipw", "sensitivity")["value"] is None
    assert "no validation predictions" in value(results, "ipw", "sensitivity")["reason"]


def test_labels_of_the_tested_alone_have_no_such_table() -> None:
    scores, labels = tables()
    results = evaluate(
        scores.filter(labels["is_tested"]), labels.filter("is_tested"), config=CONFIG
    )
    assert results.table("selective_testing").is_empty()


def test_a_column_that_is_not_there_is_refused() -> None:
    scores, labels = tables()
    config = CONFIG.model_copy(update={"testing_columns": ("agee",)})
    with pytest.raises(InputError, match="Did you mean 'age'"):
        evaluate(scores, labels, config=config)


def test_the_doubly_robust_labels_are_the_labels_when_everybody_is_tested() -> None:
    labels = np.array([0.0, 1.0, 1.0])
    everybody = np.ones(3, dtype=bool)
    found = doubly_robust_labels(labels, everybody, np.ones(3), np.array([0.2, 0.5, 0.9]))
    assert found.tolist() == labels.tolist()


def test_odds_are_multiplied() -> None:
    risk = np.array([0.1, 0.5, 0.9])
    odds = risk / (1 - risk)
    shifted = shifted_risk(risk, 2.0)
    np.testing.assert_allclose(shifted / (1 - shifted), 2 * odds)


def test_soft_labels_of_half_give_an_area_of_half() -> None:
    assert soft_auroc(np.full(6, 0.5), np.arange(6.0)) == pytest.approx(0.5)
    shares = soft_shares(np.full(4, 0.25), np.array([True, False, False, False]))
    assert shares == pytest.approx((0.25, 0.75, 0.25, 0.75, 0.25))


def test_weights_are_cut_off_at_the_quantile() -> None:
    weights, limit = inverse_weights(np.linspace(0.001, 1, 1000))
    assert weights.max() == limit < 1000


def test_a_fit_never_sees_the_patient_it_predicts() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(50), 4)
    design = np.column_stack([np.ones(200), rng.normal(size=200)])
    outcome = rng.random(200) < 0.5
    base = cross_fit(design, outcome, patients, seed=1)
    changed = outcome.copy()
    changed[patients == 7] = ~changed[patients == 7]
    again = cross_fit(design, changed, patients, seed=1)
    assert np.array_equal(base[patients == 7], again[patients == 7])
    assert not np.array_equal(base, again)


def test_a_design_leaves_out_what_repeats_or_is_rare_and_marks_what_is_missing() -> None:
    n = 60
    age = np.where(np.arange(n) % 5 == 0, None, 50.0 + np.arange(n))
    rows = pl.DataFrame(
        {
            "age": pl.Series(age.tolist(), dtype=pl.Float64),
            "years": pl.Series(age.tolist(), dtype=pl.Float64),
            "sex": [(None, "F", "M")[i % 3] for i in range(n)],
            "same": [1] * n,
            "rare": [int(i < 4) for i in range(n)],
        }
    )
    tested = np.arange(n) % 2 == 0
    columns = ["age", "years", "sex", "same", "rare"]
    design = design_matrix(rows, columns, tested=tested)
    assert design.shape == (n, 5)  # ones, age, age is missing, two of three sexes
    assert np.linalg.matrix_rank(design) == 5


def test_a_column_that_is_constant_where_a_fold_looks_does_not_stop_the_others() -> None:
    rng = np.random.default_rng(0)
    patients = np.arange(100)
    only_one = (patients == 3) * 1.0
    design = np.column_stack([np.ones(100), rng.normal(size=100), only_one])
    chance = cross_fit(design[:, :2], outcome := rng.random(100) < 0.5, patients, seed=1)
    fold = np.random.default_rng(1).permutation(100) % 5
    without = fold == fold[3]  # the fit for these rows saw no one with it
    again = cross_fit(design, outcome, patients, seed=1, among=without | (patients != 3))
    assert again[without] == pytest.approx(chance[without])
