"""The order of a board, and which neighbours are tied. A rank is a claim: it comes with its range.

Ranks follow the rounded values, so that nothing unrounded orders anything public. What is called
higher or lower is so after Holm's adjustment over all pairs, and only where the shown values
differ too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from acsbench.errors import BoardError
from acsbench.evaluation.bootstrap import percentile_interval
from acsbench.evaluation.comparisons import holm, rank_intervals
from acsbench.evaluation.intervals import clustered_delong, paired_difference, two_sided_p
from acsbench.leaderboard.definition import TaskVersion
from acsbench.leaderboard.release import decimal_string, released, released_decimal
from acsbench.leaderboard.scoring import Scored, Truth, default_part, differences

__all__ = ["Board", "Contender", "Pair", "Row", "Word", "compare_pair", "rank_board"]

Word = Literal["higher", "tied", "lower"]
PValues = dict[tuple[int, int], float | None]

_ALPHA = 0.05
_OPPOSITE: dict[Word, Word] = {"higher": "lower", "tied": "tied", "lower": "higher"}


@dataclass(frozen=True)
class Contender:
    """An entry before it is ranked: its public id, its figures with resamples, its time."""

    key: str
    scored: Scored
    since: datetime
    is_baseline: bool = False


@dataclass(frozen=True)
class Row:
    """One entry on a board.

    Attributes
    ----------
    key : str
    rank : int or None
        Of the rounded value, equal values sharing one; None where there is no value.
    rank_low, rank_high : int or None
        Ranks that the tests leave open.
    tie_group : int or None
        Entries that are not told apart from the first of their group, from the top.
    tied_with_leader : bool
    is_baseline : bool
    released : dict
        See `release.released`.
    """

    key: str
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    tie_group: int | None
    tied_with_leader: bool
    is_baseline: bool
    released: dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """Entry ``a`` against ``b``: difference of the shown values, interval, and a word."""

    a: str
    b: str
    difference: str | None
    low: str | None
    high: str | None
    word: Word
    reason: str | None = None


@dataclass(frozen=True)
class Board:
    """Entries in their order and all pairs: decimal strings alone, for anybody to see."""

    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    n_tied_with_leader: int
    n_rows: int
    n_patients: int
    n_positive: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def rank_board(contenders: Sequence[Contender], truth: Truth, version: TaskVersion) -> Board:
    """Rank entries and test every pair.

    Parameters
    ----------
    contenders : sequence of Contender
        Scored on one part, with resamples.
    truth : Truth
    version : TaskVersion
    """
    metric = version.task.primary
    shown = {c.key: released_decimal(c.scored.values[metric], version) for c in contenders}
    ranked = sorted(
        (c for c in contenders if shown[c.key] is not None),
        key=lambda c: (-Decimal(shown[c.key] or 0), c.since, c.key),
    )
    unranked = sorted(
        (c for c in contenders if shown[c.key] is None), key=lambda c: (c.since, c.key)
    )
    values = [Decimal(shown[c.key] or 0) for c in ranked]
    p_values = _adjusted(ranked, truth, version)
    words = _words(values, p_values)
    rows = [*_rows(ranked, values, p_values, words, version)]
    rows += [_unranked(one, version) for one in unranked]
    part = contenders[0].scored.part if contenders else default_part(version)
    mine = truth.of(part)
    return Board(
        rows=tuple(rows),
        pairs=tuple(_pairs(ranked, values, words, version)),
        n_tied_with_leader=sum(row.tied_with_leader for row in rows),
        n_rows=len(mine.labels),
        n_patients=mine.n_patients,
        n_positive=mine.n_positive,
    )


def _adjusted(ranked: Sequence[Contender], truth: Truth, version: TaskVersion) -> PValues:
    """Holm-adjusted p-value of every pair, in the order of the ranks."""
    pairs = list(itertools.combinations(range(len(ranked)), 2))
    if not pairs:
        return {}
    metric = version.task.primary
    if metric == "auroc":
        part = ranked[0].scored.part
        members, mine = truth.members(part), truth.of(part)
        scores = np.column_stack([c.scored.scores[members] for c in ranked])
        found = clustered_delong(mine.labels, scores, mine.patients)
        raw = [paired_difference(found, *pair).p_value for pair in pairs]
    else:
        raw = [_p_of_resamples(ranked[a].scored, ranked[b].scored, metric) for a, b in pairs]
    return dict(zip(pairs, holm(raw), strict=True))


def _p_of_resamples(a: Scored, b: Scored, metric: str) -> float | None:
    value, other = a.values[metric], b.values[metric]
    se = float(np.nanstd(differences(a, b, metric), ddof=1))
    if value is None or other is None or not se > 0:
        return None
    return two_sided_p((value - other) / se)


def _words(values: Sequence[Decimal], p_values: PValues) -> dict[tuple[int, int], Word]:
    """Word of each pair, the better of the two first."""
    return {
        (a, b): "higher" if p is not None and p < _ALPHA and values[a] > values[b] else "tied"
        for (a, b), p in p_values.items()
    }


def _rows(
    ranked: Sequence[Contender],
    values: Sequence[Decimal],
    p_values: PValues,
    words: dict[tuple[int, int], Word],
    version: TaskVersion,
) -> list[Row]:
    open_ranks = rank_intervals([float(value) for value in values], p_values, alpha=_ALPHA)
    groups = _tie_groups(len(ranked), words)
    return [
        Row(
            key=one.key,
            rank=1 + sum(other > values[at] for other in values),
            rank_low=open_ranks[at].low,
            rank_high=open_ranks[at].high,
            tie_group=groups[at],
            tied_with_leader=groups[at] == 1,
            is_baseline=one.is_baseline,
            released=released(one.scored, version),
        )
        for at, one in enumerate(ranked)
    ]


def _tie_groups(n: int, words: dict[tuple[int, int], Word]) -> list[int]:
    """Number of each entry's group: the first without one opens the next, from the top."""
    groups = [0] * n
    for at in range(n):
        if groups[at]:
            continue
        number = max(groups) + 1
        groups[at] = number
        for other in range(at + 1, n):
            if not groups[other] and words[at, other] == "tied":
                groups[other] = number
    return groups


def _unranked(one: Contender, version: TaskVersion) -> Row:
    return Row(
        key=one.key,
        rank=None,
        rank_low=None,
        rank_high=None,
        tie_group=None,
        tied_with_leader=False,
        is_baseline=one.is_baseline,
        released=released(one.scored, version),
    )


def _pairs(
    ranked: Sequence[Contender],
    values: Sequence[Decimal],
    words: dict[tuple[int, int], Word],
    version: TaskVersion,
) -> list[Pair]:
    decimals, metric = version.task.release.decimals, version.task.primary
    found = []
    for (a, b), word in words.items():
        deltas = differences(ranked[a].scored, ranked[b].scored, metric)
        interval = percentile_interval(deltas)
        low, high = (
            None if bound is None else decimal_string(bound, decimals) for bound in interval[:2]
        )
        shown = decimal_string(float(values[a] - values[b]), decimals)
        found.append(Pair(ranked[a].key, ranked[b].key, shown, low, high, word, interval.reason))
    return found


def compare_pair(board: Board, a: str, b: str) -> Pair:
    """The pair of two entries, seen from ``a``.

    Raises
    ------
    BoardError
        When the board does not hold both: only entries can be compared.
    """
    for pair in board.pairs:
        if (pair.a, pair.b) == (a, b):
            return pair
        if (pair.b, pair.a) == (a, b):
            return Pair(
                a,
                b,
                difference=_negated(pair.difference),
                low=_negated(pair.high),
                high=_negated(pair.low),
                word=_OPPOSITE[pair.word],
                reason=pair.reason,
            )
    raise BoardError("Only two different entries of one board can be compared.")


def _negated(text: str | None) -> str | None:
    if text is None or Decimal(text) == 0:
        return text
    return text.removeprefix("-") if text.startswith("-") else f"-{text}"
