from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from acsbench.evaluation.bootstrap import patient_bootstrap, percentile_interval
from acsbench.evaluation.intervals import (
    clustered_delong,
    delong,
    logit_interval,
    paired_difference,
    placements,
)
from acsbench.evaluation.metrics import NotEstimable, auprc, auroc, brier, log_loss, roc_curve


def sample(seed: int, *, n: int = 120, tied: bool = True) -> tuple[Any, Any, Any]:
    """Labels, two models' scores, and patients with several rows each."""
    rng = np.random.default_rng(seed)
    patients = rng.integers(40, size=n)
    labels = (rng.random(n) < 0.4).astype(int)
    scores = rng.normal(size=(n, 2)) + labels[:, np.newaxis] + rng.normal(size=40)[patients, None]
    return labels, np.round(scores, 1) if tied else scores, patients


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tied", [True, False])
def test_metrics_agree_with_scikit_learn(seed: int, tied: bool) -> None:
    labels, scores, _ = sample(seed, tied=tied)
    x = scores[:, 0]
    p = 1 / (1 + np.exp(-x))
    assert auroc(labels, x) == pytest.approx(sk.roc_auc_score(labels, x), abs=1e-12)
    assert auprc(labels, x) == pytest.approx(sk.average_precision_score(labels, x), abs=1e-12)
    assert brier(labels, p) == pytest.approx(sk.brier_score_loss(labels, p), abs=1e-12)
    assert log_loss(labels, p) == pytest.approx(sk.log_loss(labels, p), abs=1e-12)
    fpr, tpr, cut = sk.roc_curve(labels, x, drop_intermediate=False)
    curve = roc_curve(labels, x)
    np.testing.assert_allclose(curve.fpr, fpr)
    np.testing.assert_allclose(curve.tpr, tpr)
    np.testing.assert_allclose(curve.cut, cut)


def test_increasing_maps_change_nothing() -> None:
    labels, scores, _ = sample(0)
    mapped = np.exp(3 * scores[:, 0]) + 7
    assert auroc(labels, mapped) == auroc(labels, scores[:, 0])
    assert auprc(labels, mapped) == auprc(labels, scores[:, 0])


def test_swapped_labels_and_negated_scores_keep_the_auroc() -> None:
    labels, scores, _ = sample(1)
    assert auroc(1 - labels, -scores[:, 0]) == pytest.approx(auroc(labels, scores[:, 0]), abs=1e-15)


def test_the_mean_placement_is_the_auroc_of_either_class() -> None:
    labels, scores, _ = sample(2)
    placed = placements(labels, scores[:, 0])
    assert placed.positives.mean() == pytest.approx(auroc(labels, scores[:, 0]), abs=1e-14)
    assert placed.negatives.mean() == pytest.approx(auroc(labels, scores[:, 0]), abs=1e-14)


def test_one_ecg_per_patient_makes_the_clustered_variance_that_of_delong() -> None:
    labels, scores, _ = sample(3)
    clustered = clustered_delong(labels, scores, np.arange(len(labels)))
    np.testing.assert_allclose(clustered.covariance, delong(labels, scores).covariance, rtol=1e-12)


def test_rows_doubled_inside_their_patient_leave_the_clustered_variance_unchanged() -> None:
    labels, scores, patients = sample(4)
    once = clustered_delong(labels, scores, patients).covariance
    twice = clustered_delong(
        np.tile(labels, 2), np.tile(scores, (2, 1)), np.tile(patients, 2)
    ).covariance
    np.testing.assert_allclose(twice, once, rtol=1e-12)
    ratio = (
        delong(np.tile(labels, 2), np.tile(scores, (2, 1))).covariance
        / delong(labels, scores).covariance
    )
    assert ratio[0, 0] == pytest.approx(0.5, abs=0.02)


def test_models_of_equal_ranking_have_no_test() -> None:
    labels, scores, patients = sample(5)
    same = np.column_stack([scores[:, 0], np.exp(scores[:, 0])])
    found = paired_difference(clustered_delong(labels, same, patients), 0, 1)
    assert found.delta == 0
    assert found.p_value is None
    assert "zero variance" in str(found.reason)


def test_the_logit_interval_stays_inside_0_and_1() -> None:
    low, high, reason = logit_interval(0.98, 0.02**2)
    assert reason is None
    assert low is not None
    assert high is not None
    assert 0 < low < 0.98 < high < 1


@pytest.mark.parametrize("variance", [0.0, float("nan")])
def test_no_variance_means_no_interval(variance: float) -> None:
    assert logit_interval(0.7, variance).low is None
    assert logit_interval(0.7, variance).reason


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_auroc_at_its_bound_has_no_logit_interval(value: float) -> None:
    assert logit_interval(value, 0.01) == (
        None,
        None,
        f"no logit interval at a value of {value:.0f}",
    )


def test_weights_equal_repeated_rows() -> None:
    labels, scores, patients = sample(6)
    fast = {"auroc": auroc, "auprc": auprc}
    # a wrapped metric is a stranger to the fast path
    slow = {"auroc": functools.partial(auroc), "auprc": functools.partial(auprc)}
    quick = patient_bootstrap(labels, scores, patients, fast, n_resamples=100, seed=3)
    plain = patient_bootstrap(labels, scores, patients, slow, n_resamples=100, seed=3)
    for name in fast:
        np.testing.assert_allclose(quick.values[name], plain.values[name], atol=1e-12)


def test_resamples_of_one_class_are_counted_and_left_empty() -> None:
    labels, scores, patients = [0, 1, 0], [0.1, 0.9, 0.3], ["a", "b", "c"]
    found = patient_bootstrap(labels, scores, patients, {"auroc": auroc, "auprc": auprc})
    assert found.n_degenerate > 0
    for values in found.values.values():
        assert np.isnan(values).sum() == found.n_degenerate
        assert "resamples gave no value" in str(percentile_interval(values[:, 0]).reason)


def test_resamples_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, scores, patients = sample(7)
    whole = patient_bootstrap(labels, scores, patients, {"auroc": auroc}, n_resamples=150)
    monkeypatch.setattr("acsbench.evaluation.bootstrap._BLOCK_CELLS", 500)
    small = patient_bootstrap(labels, scores, patients, {"auroc": auroc}, n_resamples=150)
    np.testing.assert_array_equal(small.values["auroc"], whole.values["auroc"])


def test_one_patient_gives_no_clustered_variance() -> None:
    result = clustered_delong([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], ["a"] * 4)
    assert result.auroc[0] == 0.75
    assert result.reason is not None


@pytest.mark.parametrize("metric", [auroc, auprc, brier, log_loss])
def test_no_rows_and_one_class_are_not_estimable(metric: Any) -> None:
    with pytest.raises(NotEstimable, match="no rows"):
        metric([], [])
    with pytest.raises(NotEstimable, match="one class"):
        metric([1, 1], [0.1, 0.2])


def test_arrays_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        auroc([0, 1], [0.1, 0.2, 0.3])


def test_infinite_scores_are_ranks_but_no_probabilities() -> None:
    assert auroc([0, 1], [-np.inf, np.inf]) == 1
    with pytest.raises(NotEstimable, match="not a probability"):
        brier([0, 1], [-np.inf, np.inf])
