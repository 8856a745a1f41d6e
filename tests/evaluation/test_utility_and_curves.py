"""Decision curves, reliability curves and what resamples make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from acsbench.evaluation.bootstrap import patient_draws
from acsbench.evaluation.calibration import consistency_band, smooth_errors
from acsbench.evaluation.calibration_sample import smooth_statistic
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.metrics import NotEstimable
from acsbench.evaluation.utility import interventions_avoided, net_benefit, net_benefit_of_all
from acsbench.results import Results

N = 600
RNG = np.random.default_rng(5)
PATIENTS = np.repeat(np.arange(N // 2), 2)
RISK = 1 / (1 + np.exp(-(RNG.normal(size=N) + RNG.normal(size=N // 2)[PATIENTS])))
LABEL = (RNG.random(N) < RISK).astype(int)
FINDING = (RNG.random(N) < 0.1 + 0.2 * LABEL).astype(int)


@pytest.fixture(scope="module")
def results() -> Results:
    labels = pl.DataFrame(
        {
            "ecg_id": [f"e{i:03}" for i in range(N)],
            "patient_id": [f"p{i:03}" for i in PATIENTS],
            "label": LABEL,
            "has_depress": FINDING,
        }
    )
    scores = labels.select("ecg_id", task=pl.lit("acs"), score=pl.Series(RISK))
    config = EvaluateConfig(n_resamples=300, sections=("calibration", "utility"))
    return evaluate(scores, labels, config=config)


def curve(results: Results, model: str, kind: str) -> pl.DataFrame:
    frame = results.curves.frame
    return frame.filter((pl.col("model") == model) & (pl.col("curve") == kind))


def test_decision_curves_are_net_benefit_at_each_risk(results: Results) -> None:
    share = LABEL.mean()
    for row in curve(results, "predictions", "decision").iter_rows(named=True):
        assert row["y"] == pytest.approx(net_benefit(LABEL, RISK, row["x"]), abs=1e-12)
        assert row["low"] <= row["y"] <= row["high"]
    for row in curve(results, "treat_all", "decision").iter_rows(named=True):
        assert row["y"] == pytest.approx(net_benefit_of_all(share, row["x"]), abs=1e-12)
    assert (curve(results, "treat_none", "decision")["y"] == 0).all()


def test_a_finding_is_the_strategy_of_acting_on_those_who_have_it(results: Results) -> None:
    hits, alarms = (FINDING * LABEL).mean(), (FINDING * (1 - LABEL)).mean()
    for row in curve(results, "flag:has_depress", "decision").iter_rows(named=True):
        expected = hits - alarms * row["x"] / (1 - row["x"])
        assert row["y"] == pytest.approx(expected, abs=1e-12)


def test_the_difference_is_to_the_best_simple_strategy(results: Results) -> None:
    model = curve(results, "predictions", "decision")["y"].to_numpy()
    simple = [
        curve(results, name, "decision")["y"].to_numpy()
        for name in ("treat_all", "treat_none", "flag:has_depress")
    ]
    difference = curve(results, "predictions", "decision_difference")["y"].to_numpy()
    np.testing.assert_allclose(difference, model - np.max(simple, axis=0), atol=1e-12)


def test_interventions_avoided_are_those_of_the_formula(results: Results) -> None:
    row = curve(results, "predictions", "interventions_avoided").row(20, named=True)
    benefit = net_benefit(LABEL, RISK, row["x"])
    assert row["y"] == pytest.approx(interventions_avoided(benefit, LABEL.mean(), row["x"]))


def test_a_threshold_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not in \[0, 1\)"):
        net_benefit(LABEL, RISK, 1.0)
    with pytest.raises(NotEstimable, match="not a probability"):
        net_benefit(LABEL, RISK * 2, 0.5)


def test_a_calibrated_model_lies_in_its_consistency_band(results: Results) -> None:
    points = curve(results, "predictions", "reliability")
    inside = ((points["low"] <= points["y"]) & (points["y"] <= points["high"])).mean()
    assert inside > 0.85
    assert (points["y"].diff().drop_nulls() >= 0).all()
    assert points["n"].sum() == N


def test_an_overconfident_model_leaves_its_consistency_band() -> None:
    extreme = RISK**3 / (RISK**3 + (1 - RISK) ** 3)
    at = np.array([0.05, 0.95])
    low, high = consistency_band(extreme, at, n_draws=200, seed=0, level=0.95)
    near = [LABEL[np.abs(extreme - x) < 0.05].mean() for x in at]
    assert near[0] > high[0]
    assert near[1] < low[1]


def test_histograms_hold_every_row_once(results: Results) -> None:
    for kind, n in (("positive", LABEL.sum()), ("negative", N - LABEL.sum())):
        bins = curve(results, "predictions", f"histogram_{kind}")
        assert bins["n"].sum() == n
        assert bins["y"].sum() == pytest.approx(1)


def test_the_smooth_error_of_a_resample_is_near_that_of_its_repeated_rows() -> None:
    drawn = next(patient_draws(N // 2, n_resamples=5, seed=1))
    found = smooth_statistic(LABEL == 1, RISK, PATIENTS)(drawn)
    for resample in range(5):
        rows = np.repeat(np.arange(N), drawn[PATIENTS, resample].astype(int))
        known = smooth_errors(LABEL[rows], RISK[rows])
        # fixed bandwidths and 200 bins: shortcuts, not another definition
        assert found[resample, :3] == pytest.approx(known[:3], abs=0.006)


def test_calibration_slope_and_intercept_cover_their_truth(results: Results) -> None:
    for metric, truth in (("cal_slope", 1.0), ("cal_intercept", 0.0)):
        low, high = results.interval("predictions", metric)
        assert low < truth < high


def test_ranks_of_models_are_written_only_for_entries() -> None:
    labels = pl.DataFrame(
        {"ecg_id": [f"e{i:03}" for i in range(N)], "label": LABEL, "has_depress": FINDING}
    ).with_columns(patient_id="ecg_id")

    def scored(noise: float, name: str) -> Any:
        from acsbench.predictions import Predictions

        values = np.clip(RISK + noise * RNG.normal(size=N), 0, 1)
        table = labels.select("ecg_id", task=pl.lit("acs"), score=pl.Series(values))
        return Predictions(table, name)

    results = evaluate(
        [scored(0, "best"), scored(0.05, "near"), scored(2, "noise")],
        labels,
        config=EvaluateConfig(n_resamples=200, sections=("comparisons",)),
    )
    ranks = results.table("ranks")
    assert ranks["model"].to_list() == ["best", "near", "noise"]
    assert ranks["rank"].to_list() == [1, 2, 3]
    assert ranks["separable_from_first"].to_list()[2] is True
    assert ranks["share_first"].sum() == pytest.approx(1)
    assert results.table("pairwise").filter("in_family")["p_holm"].null_count() == 0
    brier = results.frame.filter((pl.col("compared_with") != "") & (pl.col("metric") == "brier"))
    assert len(brier) == 3
