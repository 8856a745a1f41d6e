"""Cuts and budgets: who is flagged, and what that gives.

A cut is chosen on validation rows, frozen and applied; a budget is a stated number of rows.
A row is flagged when its score is at or above the cut.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.metrics import NotEstimable, check_labels_and_scores, counts_at_cuts

__all__ = ["Budget", "Counts", "at_budget", "choose_threshold", "count_flagged", "youden_cut"]

Floats = NDArray[np.float64]

_ROUNDING = 1e-12


class Counts(NamedTuple):
    """The four cells at a cut, and the shares they make; None where a denominator is 0."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n(self) -> int:
        """All rows."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def sensitivity(self) -> float | None:
        """Share of the positives that are flagged."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float | None:
        """Share of the negatives that are not flagged."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float | None:
        """Share of the flagged that are positive."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> float | None:
        """Share of those not flagged that are negative."""
        return _share(self.tn, self.tn + self.fn)

    @property
    def accuracy(self) -> float | None:
        """Share of all rows that are right; at a low event rate nearly that of flagging nobody."""
        return _share(self.tp + self.tn, self.n)

    @property
    def lr_pos(self) -> float | None:
        """Likelihood ratio of being flagged."""
        return _ratio(self.tp * (self.fp + self.tn), self.fp * (self.tp + self.fn))

    @property
    def lr_neg(self) -> float | None:
        """Likelihood ratio of not being flagged."""
        return _ratio(self.fn * (self.fp + self.tn), self.tn * (self.tp + self.fn))

    def cells_and_shares(self) -> dict[str, float | None]:
        """The four cells and the four shares by name, as they stand in a table."""
        return {
            **self._asdict(),
            "sensitivity": self.sensitivity,
            "specificity": self.specificity,
            "ppv": self.ppv,
            "npv": self.npv,
        }

    @property
    def missed_per_1000(self) -> float | None:
        """Positives among 1,000 rows that are ruled out."""
        share = _share(self.fn, self.fn + self.tn)
        return None if share is None else 1000 * share


def _share(x: int, n: int) -> float | None:
    return x / n if n else None


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def count_flagged(labels: ArrayLike, flagged: ArrayLike) -> Counts:
    """Count the four cells.

    Parameters
    ----------
    labels, flagged : arrays of shape (n,)
        0 and 1, or bool.
    """
    positives, flags = np.asarray(labels) == 1, np.asarray(flagged).astype(bool)
    tp, fp = int((positives & flags).sum()), int((~positives & flags).sum())
    return Counts(tp, fp, int(positives.sum()) - tp, int((~positives).sum()) - fp)


def choose_threshold(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    specificity: float | None = None,
    sensitivity: float | None = None,
    ppv: float | None = None,
) -> float:
    """Cut that reaches one target on these rows; call it on validation rows, never on test rows.

    Parameters
    ----------
    labels, scores : arrays of shape (n,)
        As in `metrics.auroc`.
    specificity, ppv : float, optional
        The smallest observed score that has it: as many positives found as the target allows.
    sensitivity : float, optional
        The largest observed score that has it: as many rows ruled out as the target allows.

    Raises
    ------
    NotEstimable
        When no observed score reaches the target, or as `metrics.auroc`.
    ValueError
        Unless exactly one target is given.
    """
    targets = {"specificity": specificity, "sensitivity": sensitivity, "ppv": ppv}
    asked = {name: value for name, value in targets.items() if value is not None}
    if len(asked) != 1:
        raise ValueError(f"Give one target of {', '.join(targets)}, not {len(asked)}.")
    ((name, target),) = asked.items()
    hits, false_alarms, cuts = counts_at_cuts(*check_labels_and_scores(labels, scores))
    reached = {
        "specificity": 1 - false_alarms / false_alarms[-1],
        "sensitivity": hits / hits[-1],
        "ppv": hits / (hits + false_alarms),
    }[name]
    good = np.flatnonzero(reached >= target - _ROUNDING)
    if not len(good):
        raise NotEstimable(f"no validation score has a {name} of {target:g}")
    return float(cuts[good[0] if name == "sensitivity" else good[-1]])


def youden_cut(labels: ArrayLike, scores: ArrayLike) -> float:
    """Cut of the largest sensitivity + specificity, the highest of several (Youden 1950)."""
    hits, false_alarms, cuts = counts_at_cuts(*check_labels_and_scores(labels, scores))
    return float(cuts[np.argmax(hits / hits[-1] - false_alarms / false_alarms[-1])])


class Budget(NamedTuple):
    """Flagging exactly k rows, highest scores first; ties at the cut by chance.

    Attributes
    ----------
    k : int
    cut : float
        Score of the last row flagged.
    n_above, n_tied : int
        Rows above the cut, and at it.
    expected_tp : float
        Mean of the true positives over all orders of the ties.
    worst_tp, best_tp : int
        Fewest and most over all orders.
    n_positive : int
    """

    k: int
    cut: float
    n_above: int
    n_tied: int
    expected_tp: float
    worst_tp: int
    best_tp: int
    n_positive: int

    @property
    def ppv(self) -> float:
        """Share of positives among the flagged, expected over the order of ties."""
        return self.expected_tp / self.k

    @property
    def sensitivity(self) -> float:
        """Share of the positives that are flagged, expected over the order of ties."""
        return self.expected_tp / self.n_positive


def at_budget(
    labels: ArrayLike, scores: ArrayLike, *, k: int | None = None, share: float | None = None
) -> Budget:
    """Flag the k highest scores, or a share of the rows rounded up.

    Raises
    ------
    NotEstimable
        As `metrics.auroc`.
    ValueError
        When k is not between 1 and the number of rows, or unless one of k and share is given.
    """
    positives, numbers = check_labels_and_scores(labels, scores)
    n = len(positives)
    if (k is None) == (share is None):
        raise ValueError("Give one of k and share.")
    if share is not None:
        k = math.ceil(round(share * n, 9))  # 0.07 * 100 is 7.000000000000001
    if k is None or not 1 <= k <= n:
        raise ValueError(f"A budget of {k} rows is not between 1 and {n:,}.")
    hits, false_alarms, cuts = counts_at_cuts(positives, numbers)
    flagged = hits + false_alarms
    at = int(np.searchsorted(flagged, k))
    n_above, hits_above = (int(flagged[at - 1]), int(hits[at - 1])) if at else (0, 0)
    n_tied, tied_hits = int(flagged[at]) - n_above, int(hits[at]) - hits_above
    taken = k - n_above
    return Budget(
        k=k,
        cut=float(cuts[at]),
        n_above=n_above,
        n_tied=n_tied,
        expected_tp=hits_above + taken * tied_hits / n_tied,
        worst_tp=hits_above + max(0, taken - (n_tied - tied_hits)),
        best_tp=hits_above + min(taken, tied_hits),
        n_positive=int(hits[-1]),
    )
