"""What holds for any labels and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from acsbench.evaluation.bootstrap import bootstrap, patient_draws
from acsbench.evaluation.calibration import brier_parts, calibration_line, ece10, smooth_errors
from acsbench.evaluation.calibration_sample import score_statistic
from acsbench.evaluation.comparisons import holm, rank_intervals
from acsbench.evaluation.guideline_features import flagged_shares, yield_at
from acsbench.evaluation.intervals import clustered_delong, delong, patient_influence
from acsbench.evaluation.metrics import (
    NotEstimable,
    auprc,
    auroc,
    brier,
    log_loss,
    oe_ratio,
    pauroc_fpr10,
    pauroc_tpr90,
    scaled_brier,
)
from acsbench.evaluation.operating_points import at_budget, choose_threshold, count_flagged
from acsbench.evaluation.ranking import partial_areas
from acsbench.evaluation.recalibration import fit_map
from acsbench.evaluation.selective_testing import soft_auroc
from acsbench.evaluation.smoothing import fit_isotonic
from acsbench.evaluation.utility import net_benefit
from acsbench.evaluation.weighted import cumulated_statistic, rank_statistic

SETTINGS = settings(max_examples=60, deadline=None)


@st.composite
def cases(draw: st.DrawFn, *, tied: bool = True) -> tuple[Any, Any, Any]:
    """Labels of both classes, scores in [0, 1] and patients with several rows."""
    n = draw(st.integers(4, 60))
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    labels[:2] = 0, 1
    scores = rng.integers(1, 20, n) / 20 if tied and draw(st.booleans()) else rng.random(n)
    return labels, scores, rng.integers(0, max(2, n // 2), n)


@SETTINGS
@given(cases())
def test_strictly_increasing_maps_leave_order_figures_unchanged(case: Any) -> None:
    labels, scores, _ = case
    for mapped in (np.exp(3 * scores), scores**3 + scores, 7 * scores - 100):
        for metric in (auroc, auprc, pauroc_fpr10, pauroc_tpr90):
            assert metric(labels, mapped) == metric(labels, scores)
        for k in (1, len(labels) // 2, len(labels)):
            first, second = at_budget(labels, scores, k=k), at_budget(labels, mapped, k=k)
            assert first._replace(cut=0) == second._replace(cut=0)


@SETTINGS
@given(cases())
def test_swapping_labels_and_negating_scores_keeps_auroc(case: Any) -> None:
    labels, scores, patients = case
    assert auroc(1 - labels, -scores) == pytest.approx(auroc(labels, scores), abs=1e-12)
    first = clustered_delong(labels, scores, patients).covariance
    second = clustered_delong(1 - labels, -scores, patients).covariance
    np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-15)


@SETTINGS
@given(cases())
def test_duplicating_every_row_inside_its_patient_changes_nothing_clustered(case: Any) -> None:
    labels, scores, patients = case
    once = clustered_delong(labels, scores, patients)
    assume(once.reason is None)
    twice = clustered_delong(*(np.tile(one, 2) for one in (labels, scores, patients)))
    assert twice.auroc[0] == pytest.approx(once.auroc[0], abs=1e-12)
    np.testing.assert_allclose(twice.covariance, once.covariance, rtol=1e-9, atol=1e-15)
    plain, doubled = delong(labels, scores), delong(np.tile(labels, 2), np.tile(scores, 2))
    assume(plain.reason is None and plain.covariance[0, 0] > 0)
    ratio = doubled.covariance[0, 0] / plain.covariance[0, 0]
    # (n - 1) / (2 n - 1) of each class
    assert 0.33 <= ratio < 0.5


@SETTINGS
@given(cases())
def test_one_row_a_patient_makes_clustered_delong_plain(case: Any) -> None:
    labels, scores, _ = case
    plain = delong(labels, scores)
    assume(plain.reason is None)
    patients = np.arange(len(labels))
    clustered = clustered_delong(labels, scores, patients)
    np.testing.assert_allclose(clustered.covariance, plain.covariance, rtol=1e-9, atol=1e-15)


@SETTINGS
@given(cases(), st.integers(0, 100))
def test_the_order_of_rows_changes_no_pure_figure(case: Any, seed: int) -> None:
    labels, scores, patients = case
    order = np.random.default_rng(seed).permutation(len(labels))
    for metric in (auroc, auprc, pauroc_fpr10, pauroc_tpr90, brier, log_loss, oe_ratio, ece10):
        assert metric(labels[order], scores[order]) == pytest.approx(
            metric(labels, scores), abs=1e-12
        )
    assert brier_parts(labels[order], scores[order]).mcb == pytest.approx(
        brier_parts(labels, scores).mcb, abs=1e-12
    )
    first = clustered_delong(labels, scores, patients).covariance
    second = clustered_delong(labels[order], scores[order], patients[order]).covariance
    np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-15)


@SETTINGS
@given(cases(), st.integers(0, 100))
def test_whole_weights_are_repeated_rows(case: Any, seed: int) -> None:
    labels, scores, patients = case
    n_patients = int(patients.max()) + 1
    drawn = next(patient_draws(n_patients, n_resamples=3, seed=seed))
    positives = labels == 1
    ranks = rank_statistic(positives, scores, patients)(drawn)
    sums = score_statistic(positives, scores, patients, n_patients)(drawn)
    areas = cumulated_statistic(positives, scores, patients, lambda c, _: partial_areas(c))(drawn)
    for resample in range(3):
        weights = drawn[patients, resample]
        rows = np.repeat(np.arange(len(labels)), weights.astype(int))
        y, p = labels[rows], scores[rows]
        if y.size == 0 or y.min() == y.max():
            assert np.isnan(ranks[resample]).all()
            assert np.isnan(areas[resample]).all()
            continue
        assert ranks[resample] == pytest.approx((auroc(y, p), auprc(y, p)), abs=1e-12)
        assert soft_auroc(positives * 1.0, scores, weights) == pytest.approx(auroc(y, p), abs=1e-12)
        assert areas[resample, ::2] == pytest.approx(
            (pauroc_fpr10(y, p), pauroc_tpr90(y, p)), abs=1e-12
        )
        known = (brier(y, p), scaled_brier(y, p), log_loss(y, p), oe_ratio(y, p))
        assert sums[resample] == pytest.approx(known, abs=1e-10)


@SETTINGS
@given(cases())
def test_order_figures_are_those_of_scikit_learn(case: Any) -> None:
    labels, scores, _ = case
    assert auroc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert auprc(labels, scores) == pytest.approx(
        sk.average_precision_score(labels, scores), abs=1e-12
    )
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    reach = np.interp(0.1, fpr, tpr)
    x, y = np.r_[fpr[fpr <= 0.1], 0.1], np.r_[tpr[fpr <= 0.1], reach]
    assert pauroc_fpr10(labels, scores) == pytest.approx(sk.auc(x, y), abs=1e-12)


@SETTINGS
@given(cases())
def test_net_benefit_of_acting_at_no_risk_is_the_prevalence(case: Any) -> None:
    labels, scores, _ = case
    assert net_benefit(labels, scores, 0.0) == pytest.approx(labels.mean(), abs=1e-12)
    assert net_benefit(labels, scores, 1e-12) == pytest.approx(labels.mean(), abs=1e-9)


@SETTINGS
@given(cases())
def test_miscalibration_is_never_negative_and_none_after_isotonic_recalibration(case: Any) -> None:
    labels, scores, _ = case
    parts = brier_parts(labels, scores)
    assert parts.mcb >= -1e-12
    assert parts.mcb - parts.dsc + parts.unc == pytest.approx(brier(labels, scores), abs=1e-12)
    again = fit_map("isotonic", labels, scores).apply(scores)
    assert brier_parts(labels, again).mcb == pytest.approx(0, abs=1e-12)


@SETTINGS
@given(cases())
def test_isotonic_regression_is_that_of_scikit_learn(case: Any) -> None:
    from sklearn.isotonic import IsotonicRegression

    labels, scores, _ = case
    known = IsotonicRegression().fit(scores, labels).predict(scores)
    np.testing.assert_allclose(fit_isotonic(scores, labels).at(scores), known, atol=1e-12)


@SETTINGS
@given(cases(), st.floats(0.05, 0.99))
def test_a_chosen_cut_reaches_its_target_and_the_next_one_does_not(
    case: Any, target: float
) -> None:
    labels, scores, _ = case
    cuts = np.unique(scores)
    try:
        cut = choose_threshold(labels, scores, specificity=target)
    except NotEstimable:
        specificity = count_flagged(labels, scores >= cuts[-1]).specificity
        assert specificity is not None
        assert specificity < target
    else:
        lower = [c for c in cuts if c < cut]
        assert count_flagged(labels, scores >= cut).specificity >= target - 1e-9
        assert all(count_flagged(labels, scores >= c).specificity < target for c in lower)
    cut = choose_threshold(labels, scores, sensitivity=target)
    assert count_flagged(labels, scores >= cut).sensitivity >= target - 1e-9
    higher = [c for c in cuts if c > cut]
    assert all(count_flagged(labels, scores >= c).sensitivity < target for c in higher)


@SETTINGS
@given(cases(), st.integers(1, 60))
def test_a_budget_is_the_mean_over_orders_of_the_ties(case: Any, k: int) -> None:
    labels, scores, _ = case
    assume(k <= len(labels))
    found = at_budget(labels, scores, k=k)
    shares = flagged_shares(scores, k)
    assert shares.sum() == pytest.approx(k)
    assert shares @ labels == pytest.approx(found.expected_tp)
    assert found.worst_tp <= found.expected_tp + 1e-9
    assert found.expected_tp <= found.best_tp + 1e-9
    everybody = np.ones(len(labels), dtype=bool)
    assert yield_at(labels, scores, everybody, k=k).share_without_feature == 0


@SETTINGS
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_at_least_as_large_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(a is not None and a >= p for a, p in zip(adjusted, p_values, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff([adjusted[i] for i in order]) >= 0)


@SETTINGS
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.integers(0, 2**31))
def test_a_rank_lies_in_its_interval(values: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = len(values)
    p_values = {(i, j): float(rng.random() / 8) for i in range(n) for j in range(i + 1, n)}
    for value, interval in zip(values, rank_intervals(values, p_values), strict=True):
        rank = 1 + sum(other > value for other in values)
        assert 1 <= interval.low <= rank <= interval.high <= n


def test_influences_add_up_to_the_clustered_variance() -> None:
    rng = np.random.default_rng(0)
    n = 4000
    patients = rng.integers(0, 2000, n)
    labels = rng.integers(0, 2, n)
    scores = rng.normal(size=n) + labels + rng.normal(size=2000)[patients]
    influence = patient_influence(labels, scores, patients, n=2000)
    variance = clustered_delong(labels, scores, patients).covariance[0, 0]
    assert float(influence[:, 0] @ influence[:, 0]) == pytest.approx(variance, rel=0.01)


def test_equal_seeds_give_equal_draws_whatever_the_statistic() -> None:
    first = bootstrap({"a": lambda d: d.T}, n_patients=7, n_resamples=20, seed=3)["a"]
    second = bootstrap(
        {"x": lambda d: d.T * 2, "a": lambda d: d.T}, n_patients=7, n_resamples=20, seed=3
    )["a"]
    assert np.array_equal(first, second)
    assert (first.sum(axis=1) == 7).all()


def test_fits_agree_with_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(2)
    n = 500
    patients = rng.integers(0, 200, n)
    p = 1 / (1 + np.exp(-(rng.normal(size=n) + rng.normal(size=200)[patients])))
    labels = (rng.random(n) < p).astype(int)
    fit = calibration_line(labels, p, patients=patients)
    design = sm.add_constant(np.log(p / (1 - p)))
    known = sm.GLM(labels, design, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": patients, "use_correction": False}
    )
    n_groups = len(np.unique(patients))
    np.testing.assert_allclose(fit.coefficients, known.params, rtol=1e-6)
    assert fit.clustered is not None
    np.testing.assert_allclose(
        fit.clustered, known.cov_params() * n_groups / (n_groups - 1), rtol=1e-5
    )
    smooth = sm.nonparametric.lowess(labels, p, frac=2 / 3, it=0, return_sorted=False)
    assert smooth_errors(labels, p).ici == pytest.approx(np.abs(smooth - p).mean(), abs=1e-8)
