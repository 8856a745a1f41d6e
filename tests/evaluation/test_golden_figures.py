"""Goldens: brute-force pair counting and R; see tests/golden/evaluation/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from acsbench.evaluation.bootstrap import patient_bootstrap, percentile_interval
from acsbench.evaluation.intervals import (
    AurocCovariance,
    clustered_delong,
    delong,
    logit_interval,
    normal_interval,
    paired_difference,
)
from acsbench.evaluation.metrics import (
    NotEstimable,
    auprc,
    auroc,
    brier,
    log_loss,
    pauroc_fpr10,
    pauroc_fpr10_mcclish,
)

FOLDER = Path(__file__).parents[1] / "golden" / "evaluation"
CASES = ("01_tiny_ties", "02_small_clusters", "03_acs_like")
SCORES = [
    (case, score)
    for case in CASES
    for score in ("score_a", "score_b", "score_c")
    if (case, score) != ("01_tiny_ties", "score_c")
]


def read(case: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    frame = pl.read_csv(FOLDER / f"{case}.csv")
    if "split" in frame.columns:
        frame = frame.filter(pl.col("split") == "test")
    return frame, json.loads((FOLDER / f"{case}.json").read_text(encoding="utf-8"))


def arrays(frame: pl.DataFrame, *scores: str) -> tuple[Any, Any, Any]:
    rows = frame.drop_nulls(list(scores))
    return rows["label"].to_numpy(), rows.select(scores).to_numpy(), rows["patient_id"].to_numpy()


@pytest.mark.parametrize(("case", "score"), SCORES)
def test_discrimination_is_that_of_pair_counting(case: str, score: str) -> None:
    frame, golden = read(case)
    labels, matrix, _ = arrays(frame, score)
    expected, column = golden["expected"][score], matrix[:, 0]
    assert auroc(labels, column) == pytest.approx(expected["auroc"], abs=1e-12)
    assert auprc(labels, column) == pytest.approx(expected["average_precision"], abs=1e-12)
    assert pauroc_fpr10(labels, column) == pytest.approx(expected["pauc_fpr_0_10_raw"], abs=1e-12)
    mcclish = pauroc_fpr10_mcclish(labels, column)
    assert mcclish == pytest.approx(expected["pauc_fpr_0_10_mcclish"], abs=1e-12)


@pytest.mark.parametrize(("case", "score"), SCORES)
def test_variances_and_intervals_are_those_of_the_goldens(case: str, score: str) -> None:
    frame, golden = read(case)
    labels, matrix, patients = arrays(frame, score)
    expected = golden["expected"][score]
    found = {
        "delong": delong(labels, matrix),
        "clustered": clustered_delong(labels, matrix, patients),
    }
    for method, result in found.items():
        value, variance = float(result.auroc[0]), float(result.covariance[0, 0])
        assert variance == pytest.approx(expected[f"{method}_var"], rel=1e-9)
        normal = normal_interval(value, variance)
        assert normal[:2] == pytest.approx(expected[f"{method}_ci95"], abs=1e-9)
        logit = logit_interval(value, variance)
        assert logit[:2] == pytest.approx(expected[f"{method}_logit_ci95"], abs=1e-9)


def pairs() -> list[tuple[str, str, str]]:
    small = [("02_small_clusters", f"score_{a}", f"score_{b}") for a, b in ("ab", "ac", "bc")]
    large = [("03_acs_like", f"score_{a}", f"score_{b}") for a, b in ("ab", "ac", "bc")]
    return [("01_tiny_ties", "score_a", "score_b"), *small, *large]


@pytest.mark.parametrize(("case", "first", "second"), pairs())
def test_paired_differences_are_those_of_the_goldens(case: str, first: str, second: str) -> None:
    frame, golden = read(case)
    labels, matrix, patients = arrays(frame, first, second)
    known = golden["expected"]
    short = f"pair_{first[-1]}_{second[-1]}"
    expected = known[short] if short in known else known["pairs"][f"{first}__{second}"]
    found = {
        "delong": delong(labels, matrix),
        "clustered": clustered_delong(labels, matrix, patients),
    }
    for method, result in found.items():
        check_difference(result, expected["delta"], expected[method])


def check_difference(result: AurocCovariance, delta: float, expected: dict[str, Any]) -> None:
    difference = paired_difference(result, 0, 1)
    assert difference.delta == pytest.approx(delta, abs=1e-12)
    assert result.covariance[0, 1] == pytest.approx(expected["cov"], rel=1e-9)
    assert difference.se == pytest.approx(expected["se"], rel=1e-9)
    assert difference.z == pytest.approx(expected["z"], abs=1e-8)
    assert difference.p_value == pytest.approx(expected["p"], abs=1e-8)
    assert (difference.low, difference.high) == pytest.approx(tuple(expected["ci95"]), abs=1e-9)


@pytest.mark.parametrize("case", ["02_small_clusters", "03_acs_like"])
def test_subgroups_are_those_of_the_goldens(case: str) -> None:
    frame, golden = read(case)
    for name, scores in golden["expected"]["subgroups"].items():
        if "score_a" not in scores:  # a subgroup of one class
            continue
        column, _, value = name.partition("=")
        labels, matrix, patients = arrays(frame.filter(pl.col(column) == value), "score_a")
        expected = scores["score_a"]
        result = clustered_delong(labels, matrix, patients)
        assert result.auroc[0] == pytest.approx(expected["auroc"], abs=1e-12)
        assert result.covariance[0, 0] == pytest.approx(expected["clustered_var"], rel=1e-9)


@pytest.mark.parametrize("case", ["02_small_clusters", "03_acs_like"])
def test_the_patient_bootstrap_agrees_with_20000_resamples(case: str) -> None:
    frame, golden = read(case)
    labels, matrix, patients = arrays(frame, "score_a", "score_b")
    expected = golden["expected_cluster_bootstrap"]
    tolerance = expected["mc_tolerance_for_2000_resamples"]
    sampled = patient_bootstrap(labels, matrix, patients, {"auroc": auroc}, seed=1)
    values = sampled.values["auroc"]
    assert sampled.n_degenerate == 0
    columns = {
        "score_a": values[:, 0],
        "score_b": values[:, 1],
        "delta_score_a_score_b": values[:, 0] - values[:, 1],
    }
    for name, column in columns.items():
        se = expected[name]["se"]
        assert column.std(ddof=1) == pytest.approx(se, rel=tolerance["se_rel"])
        reach = tolerance["percentile_abs_in_se"] * se
        interval = percentile_interval(column)
        assert interval.low == pytest.approx(expected[name]["p2_5"], abs=reach)
        assert interval.high == pytest.approx(expected[name]["p97_5"], abs=reach)


def test_brier_and_log_loss_are_those_of_the_goldens() -> None:
    frame, golden = read("03_acs_like")
    labels, matrix, _ = arrays(frame, "score_a")
    expected = golden["expected_R"]["calibration_score_a"]["logloss_clip1e_7"]
    assert brier(labels, matrix[:, 0]) == pytest.approx(
        golden["expected"]["brier_score_a"], abs=1e-12
    )
    assert log_loss(labels, matrix[:, 0]) == pytest.approx(expected, abs=1e-9)


EDGES = json.loads((FOLDER / "07_edges.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", EDGES, ids=lambda case: case["name"])
def test_edges_give_the_documented_answer(case: dict[str, Any]) -> None:
    labels, expected = np.array(case["label"]), case["expected"]
    scores = np.array([float(score) for score in case["score"]])
    if expected.get("error") == "label":
        with pytest.raises(ValueError, match="neither 0 nor 1"):
            auroc(labels, scores)
        return
    if np.isnan(scores).any():
        with pytest.raises(ValueError, match="NaN"):
            auroc(labels, scores)
        labels, scores = labels[~np.isnan(scores)], scores[~np.isnan(scores)]
    if expected["auroc"] is None:
        with pytest.raises(NotEstimable) as refusal:
            auroc(labels, scores)
        assert refusal.value.reason == expected["reason"]
        return
    assert auroc(labels, scores) == pytest.approx(expected["auroc"], abs=1e-12)
    if "average_precision" in expected:
        assert auprc(labels, scores) == pytest.approx(expected["average_precision"], abs=1e-12)
    if "brier" in expected:
        with pytest.raises(NotEstimable, match=expected["reason"]):
            brier(labels, scores)
    if expected.get("delong_var", 0) is None:
        assert delong(labels, scores).reason == expected["reason"]
    elif "delong_var" in expected:
        assert delong(labels, scores).covariance[0, 0] == expected["delong_var"]
        assert logit_interval(expected["auroc"], 0.0).low is None
    if "clustered_var" in expected:
        result = clustered_delong(labels, scores, np.array(case["patient_id"]))
        assert np.isnan(result.covariance).all()
        assert "at least 2 patients" in str(result.reason)
