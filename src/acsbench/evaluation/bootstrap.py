"""The patient bootstrap: second opinion on every interval, and the only one of most metrics.

Patients are drawn with replacement, each with all of their rows. Scores are sorted once; a
resample is a weight per row, so a metric of order costs two cumulative sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.intervals import Interval, as_columns
from acsbench.evaluation.metrics import NotEstimable, auprc, auroc, check_labels_and_scores

__all__ = ["Bootstrap", "Metric", "patient_bootstrap", "percentile_interval"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Metric = Callable[[Any, Any], float]

_MAX_DEGENERATE_SHARE = 0.05
_BLOCK_CELLS = 1 << 18
"""Rows x resamples held at a time: 2 MB of float64, which stays in the cache of one core."""


class Bootstrap(NamedTuple):
    """Values of each metric, (n_resamples, k), NaN where a resample gave none.

    ``n_degenerate`` counts the resamples that held one class only.
    """

    values: dict[str, Floats]
    n_degenerate: int


@dataclass(frozen=True)
class _Ranking:
    """Rows of one model from its highest score down: all that resampling needs to know of it."""

    patients: Ints  # (n,) whose row
    negatives: Ints  # rows without the outcome
    ends: Ints | None  # last row of each distinct score; None when all are distinct

    @classmethod
    def of(cls, positives: Flags, scores: Floats, patients: Ints) -> Self:
        order = np.argsort(-scores, kind="stable")
        ordered = scores[order]
        ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
        distinct = len(ends) == len(scores)
        return cls(patients[order], np.flatnonzero(~positives[order]), None if distinct else ends)

    def counts(self, drawn: Floats) -> tuple[Floats, Floats]:
        """Weighted true positives and rows flagged at each cut, (cuts, resamples)."""
        weights = drawn[self.patients]  # (n, resamples)
        flagged = np.cumsum(weights, axis=0)
        weights[self.negatives] = 0
        hits = np.cumsum(weights, axis=0)
        return (hits, flagged) if self.ends is None else (hits[self.ends], flagged[self.ends])


def _steps(values: Floats) -> Floats:
    return np.diff(values, axis=0, prepend=0.0)


def _auroc_of_counts(hits: Floats, flagged: Floats) -> Floats:
    """Trapezoids between the cuts, as mid-ranks count ties: half."""
    added = _steps(hits)
    false_alarms = _steps(flagged) - added
    areas = np.einsum("cr,cr->r", false_alarms, hits - added / 2)
    totals: Floats = hits[-1] * (flagged[-1] - hits[-1])
    values: Floats = np.divide(areas, totals, out=np.full_like(areas, np.nan), where=totals > 0)
    return values


def _auprc_of_counts(hits: Floats, flagged: Floats) -> Floats:
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    sums = np.einsum("cr,cr->r", _steps(hits), precision)
    estimable = (hits[-1] > 0) & (flagged[-1] > hits[-1])
    values: Floats = np.divide(sums, hits[-1], out=np.full_like(sums, np.nan), where=estimable)
    return values


_FAST: dict[Metric, Callable[[Floats, Floats], Floats]] = {
    auroc: _auroc_of_counts,
    auprc: _auprc_of_counts,
}


def patient_bootstrap(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike,
    metrics: Mapping[str, Metric],
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    drawn_from: ArrayLike | None = None,
) -> Bootstrap:
    """Resample patients, with all their rows; every model and metric sees the same resamples.

    Parameters
    ----------
    labels : array of shape (n,)
    scores : array of shape (n,) or (n, k)
    patients : array of shape (n,)
    metrics : mapping of str to function
        ``(labels, scores) -> float``. `auroc` and `auprc` are done by weights on scores sorted
        once; any other function is called on repeated rows.
    n_resamples, seed : int
        Equal seeds and patients give equal resamples, whatever the rows.
    drawn_from : array, optional
        The patients to draw from, where these rows are a part of theirs (one of several tasks).

    Returns
    -------
    Bootstrap
        A resample of one class gives NaN and is counted.

    Raises
    ------
    NotEstimable, ValueError
        As `metrics.auroc`, for the rows themselves.
    """
    matrix = as_columns(scores)
    names = np.unique(np.asarray(patients if drawn_from is None else drawn_from))
    codes = np.searchsorted(names, np.asarray(patients))
    checked = [check_labels_and_scores(labels, column) for column in matrix.T]
    flags = checked[0][0]
    rankings = [_Ranking.of(flags, column, codes) for _, column in checked]
    shape = (n_resamples, matrix.shape[1])
    values = {name: np.full(shape, np.nan) for name in metrics}
    slow = {name: metric for name, metric in metrics.items() if metric not in _FAST}
    n_degenerate = 0
    for block, drawn in _draws(len(names), len(codes), n_resamples=n_resamples, seed=seed):
        n_degenerate += _count_one_class(flags, codes, drawn)
        for model, ranking in enumerate(rankings):
            if len(slow) < len(metrics):
                counts = ranking.counts(drawn)
            for name, metric in metrics.items():
                if metric in _FAST:
                    values[name][block, model] = _FAST[metric](*counts)
        for name, metric in slow.items():
            values[name][block] = _by_repeated_rows(metric, flags, matrix, drawn[codes])
    return Bootstrap(values, n_degenerate)


def _draws(
    n_patients: int, n_rows: int, *, n_resamples: int, seed: int
) -> Iterator[tuple[slice, Floats]]:
    """How often each patient is drawn, (n_patients, resamples), a block of resamples at a time."""
    rng = np.random.default_rng(seed)
    size = max(1, min(n_resamples, _BLOCK_CELLS // max(n_rows, n_patients)))
    for start in range(0, n_resamples, size):
        n = min(size, n_resamples - start)
        drawn = rng.integers(n_patients, size=(n, n_patients))
        cells = (drawn * n + np.arange(n)[:, np.newaxis]).ravel()
        counts = np.bincount(cells, minlength=n_patients * n).astype(np.float64)
        yield slice(start, start + n), counts.reshape(n_patients, n)


def _count_one_class(positives: Flags, codes: Ints, drawn: Floats) -> int:
    n_patients = len(drawn)
    n_positive = np.bincount(codes[positives], minlength=n_patients) @ drawn
    n_negative = np.bincount(codes[~positives], minlength=n_patients) @ drawn
    return int(((n_positive == 0) | (n_negative == 0)).sum())


def _by_repeated_rows(metric: Metric, positives: Flags, scores: Floats, weights: Floats) -> Floats:
    """Values of a metric, (resamples, k), on rows repeated as often as they were drawn."""
    labels = positives.astype(np.int64)
    values = np.full((weights.shape[1], scores.shape[1]), np.nan)
    for resample, repeats in enumerate(weights.T.astype(np.int64)):
        rows = np.repeat(np.arange(len(labels)), repeats)
        drawn = labels[rows]
        if drawn.size == 0 or drawn.min() == drawn.max():
            continue
        for model in range(scores.shape[1]):
            try:
                values[resample, model] = metric(drawn, scores[rows, model])
            except NotEstimable:
                continue
    return values


def percentile_interval(values: Floats, *, level: float = 0.95) -> Interval:
    """Central share of the resampled values; None with a reason where too many are missing.

    Parameters
    ----------
    values : array of shape (n_resamples,)
        NaN where a resample gave none. Above 5 % of those the rest is no longer a picture of the
        sampling, and there is no interval.
    level : float
    """
    known = values[~np.isnan(values)]
    n_missing = len(values) - len(known)
    if n_missing > _MAX_DEGENERATE_SHARE * len(values):
        return Interval(None, None, f"{n_missing:,} of {len(values):,} resamples gave no value")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    if low == high:
        return Interval(None, None, "all resamples gave the same value")
    return Interval(float(low), float(high))
