"""What an entrant can learn of the labels within the default limits: next to nothing.

Each attack is shown to work first, where nothing is held back.
"""

from __future__ import annotations

import numpy as np
import pytest
from attacks import (
    advantage,
    climb,
    count_by_auroc,
    count_by_brier,
    read_out_by_brier,
)
from boards import make_truth, make_version, many_ids, model_scores

from acsbench.evaluation.metrics import auroc, brier
from acsbench.leaderboard.definition import Limits, Release
from acsbench.leaderboard.release import feedback, released
from acsbench.leaderboard.scoring import score

N = 1295
TRUTH = make_truth(N, 883, prevalence=0.388)
LABELS = TRUTH.labels
IDS = many_ids(N)
PLACES = Limits().valid_total


def team(policy="ladder", truth=TRUTH):
    """What a team sees: the feedback of each submission, by the default release."""
    version = make_version(IDS, release=Release(policy=policy))
    best = None

    def submit(scores):
        nonlocal best
        scored = score(scores, truth, version)
        found = feedback(scored, best, truth, version)
        best = scored if found.improved else best
        return None if found.shown is None else float(found.shown)

    return submit


def picks(metric):
    """What three picks show: the panel of an entry, rounded."""
    version = make_version(IDS, panel=("auroc", metric))
    left = version.task.limits.picks_per_30d

    def submit(scores):
        nonlocal left
        if not left:
            return None
        left -= 1
        found = released(score(scores, TRUTH, version), version)
        return float(found["panel"][1]["value"])

    return submit


def test_the_brier_score_at_full_precision_gives_every_label_away():
    guesses = read_out_by_brier(lambda s: brier(LABELS, s), N, uploads=44, rows_each=30)
    assert (guesses == LABELS).all()


def test_the_auroc_at_full_precision_gives_blocks_away():
    guesses = count_by_auroc(
        lambda s: auroc(LABELS, s), N, uploads=N + 1, rows_each=1, n_positive=int(LABELS.sum())
    )
    assert (guesses == LABELS).all()


@pytest.mark.parametrize("rows_each", [5, 10, 20, 40])
def test_the_brier_score_of_entries_gives_nothing_away(rows_each):
    for attack in (read_out_by_brier, count_by_brier):
        guesses = attack(picks("brier"), N, uploads=PLACES, rows_each=rows_each)
        assert advantage(guesses, LABELS) < 0.02


@pytest.mark.parametrize("rows_each", [5, 10, 20, 40])
def test_even_shown_each_time_a_rounded_brier_score_gives_little_away(rows_each):
    for attack in (read_out_by_brier, count_by_brier):
        guesses = attack(
            lambda s: round(brier(LABELS, s), 3), N, uploads=PLACES, rows_each=rows_each
        )
        assert advantage(guesses, LABELS) < 0.02


@pytest.mark.parametrize("policy", ["ladder", "split", "full"])
@pytest.mark.parametrize("rows_each", [5, 10, 20, 40])
def test_the_auroc_of_feedback_gives_nothing_away(policy, rows_each):
    guesses = count_by_auroc(
        team(policy), N, uploads=PLACES, rows_each=rows_each, n_positive=int(LABELS.sum())
    )
    assert advantage(guesses, LABELS) < 0.02


def inflation(policy, *, uploads, step=0.3, n_teams=12):
    """Mean of what climbing adds to a shown value. The changes know nothing of the labels."""
    gains = []
    for seed in range(n_teams):
        start = model_scores(TRUTH, seed=seed)
        best = climb(team(policy), start, uploads=uploads, step=step, seed=seed)
        gains.append(best - round(auroc(LABELS, start), 3))
    return float(np.mean(gains))


@pytest.mark.parametrize("step", [0.05, 0.2, 0.5])
def test_climbing_gains_less_than_five_thousandths_on_the_ladder(step):
    assert inflation("ladder", uploads=PLACES, step=step) < 0.005


def test_climbing_gains_where_the_places_are_many_and_every_value_is_shown():
    assert inflation("full", uploads=100, step=0.05, n_teams=3) > 0.005
