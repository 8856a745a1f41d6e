"""What is shown: the ladder, the split, rounding, and its price in bits."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from boards import make_truth, make_version, many_ids, model_scores
from hypothesis import given
from hypothesis import strategies as st

from acsbench.leaderboard.definition import Release
from acsbench.leaderboard.leak_budget import leak, number_bits
from acsbench.leaderboard.release import (
    decimal_string,
    entry_bits,
    feedback,
    pair_bits,
    released,
)
from acsbench.leaderboard.scoring import Truth, paired_se, score, with_resamples

TRUTH = make_truth()
IDS = many_ids(300)


def version_of(policy="ladder", **release):
    return make_version(IDS, release=Release(policy=policy, n_resamples=100, **release))


def scored_of(version, quality, seed=0):
    return score(model_scores(TRUTH, quality=quality, seed=seed), TRUTH, version)


def test_the_first_submission_shows_its_value():
    version = version_of()
    scored = scored_of(version, 1.0)
    found = feedback(scored, None, TRUTH, version)
    assert found.shown == decimal_string(scored.values["auroc"], 3)
    assert found.improved
    assert found.text == f"AUROC {found.shown}."


def test_the_ladder_shows_a_better_value_and_hides_every_other():
    version = version_of()
    best = scored_of(version, 1.0)
    shown = decimal_string(best.values["auroc"], 3)
    better = feedback(scored_of(version, 2.0), best, TRUTH, version)
    assert better.improved
    assert float(better.shown) > float(shown)
    for quality in (1.0, 0.98, 0.2, -1.0):  # the same, a little worse, much worse
        found = feedback(scored_of(version, quality), best, TRUTH, version)
        assert (found.shown, found.improved) == (None, False)
        assert found.text == f"Not above, or not distinguishable from your best ({shown})."


@given(st.floats(1.0, 1.6), st.floats(0, 3))
def test_the_ladder_is_k_paired_standard_errors_high(quality, k):
    version = version_of(ladder_k=k)
    best, new = scored_of(version, 1.0), scored_of(version, quality)
    gain = new.values["auroc"] - best.values["auroc"]
    se = paired_se(new, best, TRUTH, version)
    expected = gain > 0 and se is not None and gain > k * se
    assert feedback(new, best, TRUTH, version).improved is expected


def test_full_and_split_show_every_value_rounded():
    for policy, note in (("full", ""), ("split", " on the part that gives feedback")):
        version = version_of(policy)
        best, worse = scored_of(version, 1.0), scored_of(version, 0.2)
        found = feedback(worse, best, TRUTH, version)
        assert found.shown == decimal_string(worse.values["auroc"], 3)
        assert not found.improved
        assert found.text == f"AUROC {found.shown}{note}."


def test_a_value_that_cannot_be_computed_says_why():
    truth, version = Truth(np.ones(8, np.int8), np.arange(8)), make_version()
    found = feedback(score(np.linspace(0, 1, 8), truth, version), None, truth, version)
    assert (found.shown, found.improved) == (None, False)
    assert found.text == "AUROC cannot be computed: one class."


@given(st.floats(-1, 1), st.integers(1, 6))
def test_a_decimal_string_is_the_nearest_and_never_minus_zero(value, decimals):
    text = decimal_string(value, decimals)
    assert abs(float(text) - value) <= 0.5 * 10**-decimals + 1e-12
    assert len(text.partition(".")[2]) == decimals
    assert not text.startswith("-0") or float(text) < 0


def test_an_entry_is_released_as_decimal_strings_alone():
    version = version_of()
    full = released(with_resamples(scored_of(version, 1.0), TRUTH, version), version)
    assert [row["metric"] for row in full["panel"]] == list(version.task.panel)
    numbers = [row[name] for row in full["panel"] for name in ("value", "low", "high")]
    assert all(isinstance(n, str) and len(n) == 5 for n in numbers)
    assert (full["n_rows"], full["part"]) == (300, "all")
    assert "." not in json.dumps({k: v for k, v in full.items() if k != "panel"})


def test_bits_are_counted_and_the_states_follow_from_their_share():
    assert number_bits(3) == pytest.approx(math.log2(1000))
    version = version_of()
    assert entry_bits(version) == pytest.approx(4 * 3 * math.log2(1000))
    assert pair_bits(version) == pytest.approx(2 * math.log2(2000))
    best = scored_of(version, 1.0)
    assert feedback(best, None, TRUTH, version).bits == pytest.approx(math.log2(1000))
    assert feedback(best, best, TRUTH, version).bits == 1
    states = [leak([share * 1000], n_rows=1000).state for share in (0, 0.24, 0.25, 0.49, 0.5, 2)]
    assert states == ["fine", "fine", "warn", "warn", "pause", "pause"]
    assert leak([3, 2], n_rows=10).share == 0.5
