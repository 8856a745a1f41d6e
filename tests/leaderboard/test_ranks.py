"""Ranks of rounded values, ranges that contain them, ties, words."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from boards import make_truth, make_version, many_ids, model_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from acsbench.errors import BoardError
from acsbench.leaderboard.definition import Release
from acsbench.leaderboard.ranks import Contender, compare_pair, rank_board
from acsbench.leaderboard.scoring import Truth, score, with_resamples

TRUTH = make_truth()
VERSION = make_version(many_ids(300), release=Release(n_resamples=100))
NOON = datetime(2027, 1, 2, 12, tzinfo=UTC)


def contender(key, scores, *, minutes=0, version=VERSION, **changes):
    scored = with_resamples(score(scores, TRUTH, version), TRUTH, version)
    return Contender(key, scored, NOON + timedelta(minutes=minutes), **changes)


def value_of(row, metric="auroc"):
    return next(one["value"] for one in row.released["panel"] if one["metric"] == metric)


qualities = st.lists(st.tuples(st.floats(-1, 3), st.integers(0, 2)), min_size=1, max_size=5)


@settings(max_examples=40)
@given(qualities, st.sampled_from(["auroc", "auprc"]))
def test_rank_intervals_contain_the_rank_and_words_agree_with_the_order(made, primary):
    version = make_version(many_ids(300), primary=primary, release=Release(n_resamples=100))
    entries = [
        contender(f"s{at}", model_scores(TRUTH, quality=q, seed=seed), version=version)
        for at, (q, seed) in enumerate(made)
    ]
    board = rank_board(entries, TRUTH, version)
    shown = {row.key: Decimal(value_of(row, primary)) for row in board.rows}
    assert list(shown.values()) == sorted(shown.values(), reverse=True)
    words = {(p.a, p.b): p.word for p in board.pairs}
    assert len(words) == len(made) * (len(made) - 1) // 2
    for (a, b), word in words.items():  # the better stands first
        assert word == "tied" or (word == "higher" and shown[a] > shown[b])
    for row in board.rows:
        assert row.rank == 1 + sum(other > shown[row.key] for other in shown.values())
        assert row.rank_low <= row.rank <= row.rank_high
        above = sum(words.get((other, row.key)) == "higher" for other in shown)
        below = sum(words.get((row.key, other)) == "higher" for other in shown)
        assert (row.rank_low, row.rank_high) == (1 + above, len(made) - below)


def test_equal_shown_values_share_a_rank_and_stand_by_time_then_key():
    scores = model_scores(TRUTH)
    order = np.argsort(scores)
    nearly = scores.copy()
    nearly[order[:2]] = scores[order[1::-1]]  # a change beyond three decimals, if any
    entries = [
        contender("c", scores, minutes=1),
        contender("b", nearly, minutes=0),
        contender("a", scores / 2, minutes=1),
    ]
    board = rank_board(entries, TRUTH, VERSION)
    assert [row.key for row in board.rows] == ["b", "a", "c"]
    assert [row.rank for row in board.rows] == [1, 1, 1]
    assert {p.word for p in board.pairs} == {"tied"}
    assert board.n_tied_with_leader == 3


def test_the_order_of_the_entries_given_does_not_matter():
    entries = [contender(f"s{q}", model_scores(TRUTH, quality=q)) for q in (0.1, 0.5, 1, 2)]
    boards = [rank_board(order, TRUTH, VERSION) for order in itertools.permutations(entries)]
    assert all(board == boards[0] for board in boards)


def test_a_clear_board_has_groups_from_the_top():
    entries = [
        contender("best", model_scores(TRUTH, quality=6)),
        contender("next", model_scores(TRUTH, quality=1.0)),
        contender("near", model_scores(TRUTH, quality=0.95, seed=1)),
        contender("chance", model_scores(TRUTH, quality=0), is_baseline=True),
    ]
    board = rank_board(entries, TRUTH, VERSION)
    assert [(row.key, row.tie_group) for row in board.rows] == [
        ("best", 1),
        ("next", 2),
        ("near", 2),
        ("chance", 3),
    ]
    assert [row.tied_with_leader for row in board.rows] == [True, False, False, False]
    assert [row.is_baseline for row in board.rows] == [False, False, False, True]
    assert board.n_tied_with_leader == 1
    assert [(row.rank_low, row.rank_high) for row in board.rows] == [(1, 1), (2, 3), (2, 3), (4, 4)]


def test_a_pair_reads_the_same_from_both_sides():
    entries = [contender(f"s{q}", model_scores(TRUTH, quality=q)) for q in (0, 2)]
    board = rank_board(entries, TRUTH, VERSION)
    one, other = compare_pair(board, "s2", "s0"), compare_pair(board, "s0", "s2")
    assert (one.word, other.word) == ("higher", "lower")
    assert float(one.difference) == -float(other.difference) > 0
    assert (float(one.low), float(one.high)) == (-float(other.high), -float(other.low))
    shown = {row.key: Decimal(value_of(row)) for row in board.rows}
    assert Decimal(one.difference) == shown["s2"] - shown["s0"]
    for pair in (("s0", "s0"), ("s0", "nobody")):
        with pytest.raises(BoardError, match="Only two different entries"):
            compare_pair(board, *pair)


def test_a_value_that_cannot_be_computed_stands_last_and_has_no_rank():
    one_class = Truth(np.ones(8, np.int8), np.arange(8))
    version = make_version()
    scored = score(np.linspace(0, 1, 8), one_class, version)
    board = rank_board([Contender("a", scored, NOON)], one_class, version)
    assert board.rows[0].rank is None
    assert board.rows[0].released["panel"][0]["reason"] == "one class"
    assert board.n_tied_with_leader == 0


def test_a_board_without_entries_has_its_counts():
    board = rank_board([], TRUTH, VERSION)
    assert (board.rows, board.pairs, board.n_rows) == ((), (), 300)


def test_a_board_holds_no_unrounded_number():
    entries = [contender(f"s{q}", model_scores(TRUTH, quality=q)) for q in (0, 1, 2)]
    text = json.dumps(rank_board(entries, TRUTH, VERSION).as_dict())

    def no_float(text):
        raise AssertionError(text)

    json.loads(text, parse_float=no_float)
