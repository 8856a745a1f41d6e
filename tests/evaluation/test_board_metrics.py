"""The metrics of a board against scikit-learn and naive definitions, and on resamples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from acsbench.evaluation.board_metrics import (
    METRICS,
    board_statistics,
    sens_at_spec_roc,
    spec_at_sens_roc,
)
from acsbench.evaluation.bootstrap import bootstrap
from acsbench.evaluation.metrics import NotEstimable
from acsbench.evaluation.weighted import _ranks_by_resample, _ranks_by_step


@st.composite
def rows(draw):
    n = draw(st.integers(2, 40))
    labels = draw(
        st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda x: len(set(x)) == 2)
    )
    scores = draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))
    patients = draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n))
    return np.array(labels), np.array(scores) / 8, np.unique(patients, return_inverse=True)[1]


@given(rows())
def test_ranks_and_brier_equal_scikit_learn_with_ties(made):
    labels, scores, _ = made
    for name, reference in (
        ("auroc", sk.roc_auc_score),
        ("auprc", sk.average_precision_score),
        ("brier", sk.brier_score_loss),
    ):
        assert METRICS[name].function(labels, scores) == pytest.approx(
            reference(labels, scores), abs=1e-12
        )


@given(rows(), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_the_roc_polygon_is_read_where_scikit_learn_draws_it(made, target):
    labels, scores, _ = made
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    # the highest point of the polygon over every false positive rate up to the target
    best = max(
        np.interp(x, fpr, tpr) for x in np.r_[fpr[fpr <= 1 - target + 1e-12] - 1e-13, 1 - target]
    )
    at_corner = tpr[fpr <= 1 - target + 1e-12].max()
    assert sens_at_spec_roc(labels, scores, specificity=target) == pytest.approx(
        max(best, at_corner), abs=1e-9
    )
    # sensitivity at a specificity, with the classes and the order turned round
    assert spec_at_sens_roc(labels, scores, sensitivity=target) == pytest.approx(
        sens_at_spec_roc(1 - labels, 1 - scores, specificity=target), abs=1e-12
    )


@settings(max_examples=50)
@given(rows(), st.integers(0, 5))
def test_weights_over_sorted_rows_equal_the_metric_on_repeated_rows(made, seed):
    labels, scores, patients = made
    n = int(patients.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=3).T.astype(float)
    for statistic, names in board_statistics(list(METRICS), labels == 1, scores, patients).values():
        values = statistic(drawn)
        for resample, repeats in enumerate(drawn[patients].T.astype(int)):
            again = np.repeat(np.arange(len(labels)), repeats)
            for column, name in enumerate(names):
                found = values[resample, column]
                try:
                    expected = METRICS[name].function(labels[again], scores[again])
                except NotEstimable:
                    continue
                assert found == pytest.approx(expected, abs=1e-9), name


def test_every_metric_is_sampled_once():
    labels, scores, patients = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.5, 0.9]), np.arange(4)
    made = board_statistics(list(METRICS), labels == 1, scores, patients)
    names = [name for _, columns in made.values() for name in columns]
    assert sorted(names) == sorted(METRICS)
    values = bootstrap(
        {key: statistic for key, (statistic, _) in made.items()},
        n_patients=4,
        n_resamples=50,
        seed=0,
    )
    assert {len(one) for one in values.values()} == {50}


def test_one_class_has_no_value():
    for metric in METRICS.values():
        with pytest.raises(NotEstimable):
            metric.function([1, 1], [0.1, 0.2])


@settings(max_examples=50)
@given(rows(), st.integers(0, 5))
def test_both_ways_to_resample_ranks_agree(made, seed):
    labels, scores, patients = made
    n = int(patients.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=5).T.astype(float)
    by_step, by_resample = (
        make(labels == 1, scores, patients)(drawn) for make in (_ranks_by_step, _ranks_by_resample)
    )
    np.testing.assert_allclose(by_resample, by_step, rtol=0, atol=1e-12)
