"""Signals to a host about a file. They are never a punishment: a person looks, and decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.metrics import mid_ranks
from acsbench.leaderboard.check import is_few

__all__ = ["Peer", "Signal", "Signals", "signals"]

Signals = Literal["same_bytes", "near_copy", "few_values", "powers_of_two", "probing"]
Floats = NDArray[np.float64]

_COPY_FROM = 0.9999
_MIN_POWERS = 8
_BACKGROUND_SHARE = 0.5
_FAR_SHARE = 0.1
_MIN_ROWS = 20
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Peer:
    """A submission of another team to the same task version."""

    team: str
    sha256: str
    scores: Floats


@dataclass(frozen=True)
class Signal:
    """What was seen, in words, and the other team where there is one."""

    kind: Signals
    detail: str
    team: str | None = None


def signals(
    scores: Floats, *, sha256: str, rule_based: bool, peers: Iterable[Peer] = ()
) -> tuple[Signal, ...]:
    """Everything about a file that a host may want to look at.

    Parameters
    ----------
    scores : array of shape (n,)
    sha256 : str
        Of the decompressed file.
    rule_based : bool
        What the model card says.
    peers : iterable of Peer
    """
    return (*_of_peers(scores, sha256, peers), *_of_values(scores, rule_based=rule_based))


def _of_peers(scores: Floats, sha256: str, peers: Iterable[Peer]) -> Iterator[Signal]:
    ranks = _standard_ranks(scores)
    for peer in peers:
        if peer.sha256 == sha256:
            yield Signal("same_bytes", "The same file was sent by another team.", peer.team)
            continue
        theirs = _standard_ranks(peer.scores)
        if ranks is None or theirs is None or len(theirs) != len(ranks):
            continue
        if float(ranks @ theirs) >= _COPY_FROM:
            detail = f"Rank correlation with another team's file is at least {_COPY_FROM}."
            yield Signal("near_copy", detail, peer.team)


def _standard_ranks(scores: Floats) -> Floats | None:
    """Ranks, centred and of length 1, so that a product is Spearman's correlation."""
    centred = mid_ranks(scores) - (len(scores) + 1) / 2
    length = float(np.linalg.norm(centred))
    return centred / length if length > 0 else None


def _of_values(scores: Floats, *, rule_based: bool) -> Iterator[Signal]:
    if is_few(scores) and not rule_based:
        yield Signal(
            "few_values",
            f"Only {len(np.unique(scores)):,} different scores, not declared rule-based.",
        )
    if _is_powers_of_two(scores):
        yield Signal("powers_of_two", "Scores are powers of two: each row can be told by a sum.")
    n_far = _far_from_background(scores)
    if n_far:
        yield Signal(
            "probing", f"{n_far:,} rows stand out of a constant background, as in label probing."
        )


def _is_powers_of_two(scores: Floats) -> bool:
    """Many different powers of two, up to one factor; or the steps between the scores are."""
    values = np.unique(scores)
    for candidate in (values[values > 0], np.diff(values)):
        if len(candidate) < _MIN_POWERS:
            continue
        exponents = np.log2(candidate / candidate.max())
        is_whole = np.allclose(exponents, np.round(exponents), rtol=0, atol=_ROUNDING)
        if is_whole and len(np.unique(np.round(exponents))) >= _MIN_POWERS:
            return True
    return False


def _far_from_background(scores: Floats) -> int:
    """Rows away from the commonest score, where most rows share it and few do not."""
    if len(scores) < _MIN_ROWS:
        return 0
    counts = np.unique(scores, return_counts=True)[1]
    n_far = len(scores) - int(counts.max())
    if counts.max() < _BACKGROUND_SHARE * len(scores) or n_far > _FAR_SHARE * len(scores):
        return 0
    return n_far
