"""Figures of a submission: the judge's own, paired, and the same in every run."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest
from boards import csv, make_truth, make_version, many_ids, model_scores, shuffled
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from acsbench.evaluation.board_metrics import METRICS
from acsbench.evaluation.bootstrap import patient_draws
from acsbench.evaluation.intervals import clustered_delong
from acsbench.leaderboard.check import check_content
from acsbench.leaderboard.definition import Release
from acsbench.leaderboard.scoring import (
    Truth,
    delong_interval,
    differences,
    paired_se,
    panel,
    provenance,
    same,
    score,
    with_resamples,
)

TRUTH = make_truth()
VERSION = make_version(many_ids(300), release=Release(n_resamples=300))
SCORES = model_scores(TRUTH)


@given(seed=st.integers(0, 10**6))
def test_any_permutation_of_the_rows_is_scored_the_same(seed):
    content = csv(shuffled(zip(VERSION.ids, SCORES.tolist(), strict=True), seed))
    aligned = check_content(content, VERSION).scores
    assert score(aligned, TRUTH, VERSION).values == score(SCORES, TRUTH, VERSION).values


@given(seed=st.integers(0, 10**6), n_levels=st.integers(1, 40))
def test_the_auroc_is_that_of_scikit_learn_with_ties(seed, n_levels):
    scores = np.random.default_rng(seed).integers(n_levels, size=300) / n_levels
    found = score(scores, TRUTH, VERSION).values
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(TRUTH.labels, scores), abs=1e-12)
    assert found["auprc"] == pytest.approx(
        sk.average_precision_score(TRUTH.labels, scores), abs=1e-12
    )


def test_the_panel_is_that_of_the_task_with_counts():
    scored = score(SCORES, TRUTH, VERSION)
    assert tuple(scored.values) == VERSION.task.panel
    assert (scored.n_rows, scored.n_positive) == (300, int(TRUTH.labels.sum()))
    assert scored.n_patients == len(np.unique(TRUTH.patients))
    for one in panel(scored, VERSION):
        assert one.reason == "intervals follow"
        assert one.value == METRICS[one.metric].function(TRUTH.labels, SCORES)
    for one in panel(with_resamples(scored, TRUTH, VERSION), VERSION):
        assert one.low < one.value < one.high
        assert one.reason is None


def test_resamples_equal_a_loop_over_repeated_rows_with_scikit_learn():
    scored = with_resamples(score(SCORES, TRUTH, VERSION), TRUTH, VERSION)
    (drawn,) = patient_draws(TRUTH.n_patients, n_resamples=300, seed=VERSION.seed)
    for resample in range(0, 300, 25):
        rows = np.repeat(np.arange(300), drawn[TRUTH.patients, resample].astype(int))
        expected = sk.roc_auc_score(TRUTH.labels[rows], SCORES[rows])
        assert scored.resamples["auroc"][resample] == pytest.approx(expected, abs=1e-12)


def test_every_submission_sees_the_same_resamples():
    a, b = (with_resamples(score(s, TRUTH, VERSION), TRUTH, VERSION) for s in (SCORES, SCORES / 2))
    np.testing.assert_array_equal(differences(a, b, "auroc"), 0)


def test_resampling_and_delong_agree_on_the_interval():
    scored = with_resamples(score(SCORES, TRUTH, VERSION), TRUTH, VERSION)
    (auroc, *_), delong = panel(scored, VERSION), delong_interval(scored, TRUTH)
    assert auroc.low == pytest.approx(delong.low, abs=0.02)
    assert auroc.high == pytest.approx(delong.high, abs=0.02)


def test_the_paired_error_is_clustered_and_nearly_that_of_the_resamples():
    other = np.clip(SCORES + 0.2 * np.random.default_rng(2).normal(size=300), 0, 1)
    a, b = (with_resamples(score(s, TRUTH, VERSION), TRUTH, VERSION) for s in (SCORES, other))
    se = paired_se(a, b, TRUTH, VERSION)
    covariance = clustered_delong(
        TRUTH.labels, np.column_stack([SCORES, other]), TRUTH.patients
    ).covariance
    assert se**2 == pytest.approx(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert se == pytest.approx(differences(a, b, "auroc").std(ddof=1), rel=0.15)
    by_precision = make_version(many_ids(300), primary="auprc", release=Release(n_resamples=300))
    assert paired_se(a, b, TRUTH, by_precision) == pytest.approx(
        differences(a, b, "auprc").std(ddof=1)
    )
    assert paired_se(a, a, TRUTH, VERSION) is None
    assert paired_se(a, a, TRUTH, by_precision) is None


def test_what_cannot_be_computed_is_none_with_a_reason():
    truth = Truth(np.ones(8, np.int8), np.arange(8))
    version = make_version()
    scored = with_resamples(score(np.linspace(0, 1, 8), truth, version), truth, version)
    assert panel(scored, version)[0] == ("auroc", None, None, None, "one class")


def test_parts_of_a_split_hold_all_rows_of_their_patients():
    version = make_version(many_ids(300), release=Release(policy="split", n_resamples=100))
    feedback = with_resamples(score(SCORES, TRUTH, version), TRUTH, version)
    rest = score(SCORES, TRUTH, version, part="rest")
    assert (feedback.part, rest.part) == ("feedback", "rest")
    assert feedback.n_rows + rest.n_rows == 300
    assert feedback.n_patients + rest.n_patients == TRUTH.n_patients
    members = TRUTH.split_part
    assert feedback.values["auroc"] == pytest.approx(
        sk.roc_auc_score(TRUTH.labels[members], SCORES[members]), abs=1e-12
    )
    assert not np.isnan(feedback.resamples["auroc"]).any()


def test_scoring_again_finds_no_difference_and_finds_one_that_is_there():
    a = with_resamples(score(SCORES, TRUTH, VERSION), TRUTH, VERSION)
    b = with_resamples(score(SCORES.copy(), TRUTH, VERSION), TRUTH, VERSION)
    assert same(a, b) == []
    flipped = Truth(1 - TRUTH.labels, TRUTH.patients)
    other = with_resamples(score(SCORES, flipped, VERSION), flipped, VERSION)
    assert {"value of auroc", "resamples of auroc", "n_positive"} <= set(same(a, other))
    assert same(a, score(np.array(shuffled(SCORES)), TRUTH, VERSION))


def test_a_result_says_what_made_it():
    made = provenance(VERSION)
    assert made["task_version"] == "acs-v1"
    assert made["seed"] == str(VERSION.seed)
    assert made["numpy"] == np.__version__
    assert made["acsbench"] == version("acsbench")
    assert all(isinstance(value, str) for value in made.values())


def test_nothing_hidden_is_in_a_repr():
    assert repr(TRUTH) == "Truth of 300 rows"
    assert repr(score(SCORES, TRUTH, VERSION)) == "Scored on 300 rows"
