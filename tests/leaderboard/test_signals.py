"""Signals to the host: copies and probing files raise one, honest files none."""

from __future__ import annotations

import numpy as np
import pytest
from boards import make_truth, model_scores
from hypothesis import given
from hypothesis import strategies as st

from acsbench.leaderboard.signals import Peer, signals

TRUTH = make_truth(1295, 900)
HONEST = model_scores(TRUTH)


def kinds(scores, *, rule_based=False, peers=(), sha256="a"):
    found = signals(np.asarray(scores, float), sha256=sha256, rule_based=rule_based, peers=peers)
    return [one.kind for one in found]


@given(st.integers(0, 10**6), st.floats(0, 3))
def test_an_honest_file_raises_nothing(seed, quality):
    scores = model_scores(TRUTH, quality=quality, seed=seed)
    other = Peer("b", "b", model_scores(TRUTH, quality=quality, seed=seed + 1))
    assert kinds(scores, peers=[other]) == []
    assert kinds(scores.round(2), peers=[other]) == []


def test_the_same_bytes_and_a_near_copy_of_another_team_are_seen():
    peers = [
        Peer("team-b", "a", HONEST),
        Peer("team-c", "c", HONEST**2),
        Peer("team-d", "d", 1 - HONEST),
    ]
    found = signals(HONEST, sha256="a", rule_based=False, peers=peers)
    assert [(one.kind, one.team) for one in found] == [
        ("same_bytes", "team-b"),
        ("near_copy", "team-c"),
    ]
    assert kinds(HONEST, peers=[Peer("team-e", "e", np.full(1295, 0.5))]) == []


def test_few_values_are_fine_for_a_rule():
    scores = (HONEST > 0.5).astype(float)
    assert kinds(scores) == ["few_values"]
    assert kinds(scores, rule_based=True) == []


def test_powers_of_two_are_seen_scaled_and_shifted_too():
    powers = 2.0 ** -np.arange(40)
    background = np.full(1295, 0.0)
    background[:40] = powers
    for scores in (powers, powers / 3, 0.25 + powers[:20] / 4, background):
        assert "powers_of_two" in kinds(scores)


@pytest.mark.parametrize("n_far", [1, 10, 100])
def test_a_few_rows_out_of_a_constant_background_are_seen(n_far):
    scores = np.full(1295, 0.4)
    scores[:n_far] = np.linspace(0.9, 1, n_far)
    found = signals(scores, sha256="a", rule_based=True)
    assert [one.kind for one in found] == ["probing"]
    assert found[0].detail.startswith(f"{n_far} rows stand out")


def test_a_detail_names_no_row():
    scores = np.full(1295, 0.4)
    scores[7] = 0.987654
    assert "0.98" not in " ".join(
        one.detail for one in signals(scores, sha256="a", rule_based=False)
    )
