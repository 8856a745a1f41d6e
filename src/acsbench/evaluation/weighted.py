"""Statistics of rows that count several times: what a resample of patients is.

Each function here sorts or adds up the rows once and returns a `Statistic`, which takes how often
each patient was drawn in each of r resamples, (n_patients, r), and returns its values, (r, k). No
statistic ever repeats rows or holds rows x resamples beyond one block, except `repeated_rows`,
the road for metrics of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.metrics import NotEstimable

__all__ = [
    "Cumulated",
    "Metric",
    "Statistic",
    "cumulated_statistic",
    "rank_statistic",
    "repeated_rows",
    "weighted_sums",
]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Statistic = Callable[[Floats], Floats]
Metric = Callable[[Any, Any], float]

_CHUNK_CELLS = 1 << 17
"""Rows x resamples of a chunk: 1 MB of float64, which stays in the cache of one core."""
_MANY_ROWS = 10_000
_TINY = 1e-300
"""Rows flagged where a resample has flagged none yet: a precision of 0, not of 0 / 0."""


def weighted_sums(values: ArrayLike, patients: Ints, n_patients: int) -> Statistic:
    """Sums of the rows' values, (n, k), over a resample: one matrix product for all resamples."""
    matrix = np.asarray(values, dtype=np.float64)
    sums = np.empty((n_patients, matrix.shape[1]))
    for column in range(matrix.shape[1]):
        sums[:, column] = np.bincount(patients, weights=matrix[:, column], minlength=n_patients)

    def statistic(drawn: Floats) -> Floats:
        product: Floats = drawn.T @ sums
        return product

    return statistic


class _Step(NamedTuple):
    """Whose rows stand at one score that positives have, from the highest score down."""

    above: Ints  # negatives between the last such score and this one
    tied: Ints
    hits: Ints


def _steps(positives: Flags, scores: Floats, patients: Ints) -> Iterator[_Step]:
    # negatives first within a score, so that each step's rows are one stretch of the order
    order = np.lexsort((positives, -scores))
    ordered, is_hit, who = scores[order], positives[order], patients[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ends = np.r_[starts[1:], len(ordered)]
    n_hits = np.add.reduceat(is_hit.astype(np.intp), starts)
    last = 0
    for start, end, n in zip(starts[n_hits > 0], ends[n_hits > 0], n_hits[n_hits > 0], strict=True):
        yield _Step(who[last:start], who[start : end - n], who[end - n : end])
        last = end


def rank_statistic(positives: Flags, scores: Floats, patients: Ints) -> Statistic:
    """AUROC and average precision, (r, 2), ties counting half; NaN in a resample of one class.

    Few rows are walked through once for all resamples, many rows once for each resample: what is
    at hand stays in the cache of one core.
    """
    if len(scores) < _MANY_ROWS:
        return _ranks_by_step(positives, scores, patients)
    return _ranks_by_resample(positives, scores, patients)


def _ranks_by_step(positives: Flags, scores: Floats, patients: Ints) -> Statistic:
    """Walk down the distinct scores of the positives: memory is a few vectors of r."""
    steps = list(_steps(positives, scores, patients))
    n_patients = int(patients.max()) + 1
    of_negatives = np.bincount(patients[~positives], minlength=n_patients).astype(np.float64)

    def statistic(drawn: Floats) -> Floats:
        drawn = np.ascontiguousarray(drawn)  # a patient's draws side by side
        total = of_negatives @ drawn[:n_patients]
        hits, false_alarms, lost, precision, product = np.zeros((5, drawn.shape[1]))
        false_alarms += _TINY
        for above, tied, here in steps:
            if len(above):
                false_alarms += _added(drawn, above)
            found = _added(drawn, here)
            hits += found
            np.multiply(found, false_alarms, out=product)
            lost += product
            if len(tied):
                level = _added(drawn, tied)
                lost += found * level / 2
                false_alarms += level
            np.add(hits, false_alarms, out=product)
            np.divide(hits, product, out=product)
            product *= found
            precision += product
        known = (hits > 0) & (total > 0)
        values = np.full((drawn.shape[1], 2), np.nan)
        values[known, 0] = 1 - lost[known] / (hits * total)[known]
        values[known, 1] = precision[known] / hits[known]
        return values

    return statistic


def _ranks_by_resample(positives: Flags, scores: Floats, patients: Ints) -> Statistic:
    """Cumulate each resample's weights down the scores: memory is a few vectors of n."""
    order = np.argsort(-scores, kind="stable")
    is_hit = positives[order]
    of_hits, of_misses = patients[order[is_hit]], patients[order[~is_hit]]
    depth_of_hits, depth_of_misses = -scores[order[is_hit]], -scores[order[~is_hit]]
    above = np.searchsorted(depth_of_misses, depth_of_hits, side="left")
    up_to = np.searchsorted(depth_of_misses, depth_of_hits, side="right")
    has_ties = not np.array_equal(above, up_to)
    last = np.flatnonzero(np.r_[depth_of_hits[1:] != depth_of_hits[:-1], True])
    misses = np.zeros(len(of_misses) + 1, dtype=np.int32)

    def one(weights: NDArray[np.int32]) -> tuple[float, float]:
        np.cumsum(weights.take(of_misses), out=misses[1:])
        found = weights.take(of_hits)
        hits = np.cumsum(found, dtype=np.float64)
        if hits[-1] == 0 or misses[-1] == 0:
            return np.nan, np.nan
        false_alarms = misses.take(up_to).astype(np.float64)
        lost = found @ false_alarms
        if has_ties:
            lost = (lost + found @ misses.take(above).astype(np.float64)) / 2
        if len(last) < len(hits):  # positives of one score are one step
            hits, false_alarms = hits[last], false_alarms[last]
        flagged = np.maximum(hits + false_alarms, _TINY)
        precision = np.diff(hits, prepend=0.0) @ (hits / flagged)
        return 1 - lost / (hits[-1] * misses[-1]), precision / hits[-1]

    def statistic(drawn: Floats) -> Floats:
        return np.array([one(weights.astype(np.int32)) for weights in drawn.T])

    return statistic


def _added(drawn: Floats, patients: Ints) -> Floats:
    sums: Floats = drawn[patients[0]] if len(patients) == 1 else drawn[patients].sum(axis=0)
    return sums


class Cumulated(NamedTuple):
    """True positives and rows flagged at each distinct score, (cuts + 1, r), from (0, 0)."""

    hits: Floats
    flagged: Floats


def cumulated_statistic(
    positives: Flags,
    scores: Floats,
    patients: Ints,
    function: Callable[[Cumulated, Floats], Floats],
) -> Statistic:
    """Any function of the counts at the cuts and of the draws, to (r, k), in chunks of r."""
    order = np.argsort(-scores, kind="stable")
    ordered, who = scores[order], patients[order]
    misses = np.flatnonzero(~positives[order])
    ends = np.r_[0, np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True]) + 1]

    def counts(drawn: Floats) -> Cumulated:
        weights = np.zeros((len(order) + 1, drawn.shape[1]))
        weights[1:] = drawn[who]
        flagged = np.cumsum(weights, axis=0)[ends]
        weights[misses + 1] = 0
        return Cumulated(np.cumsum(weights, axis=0)[ends], flagged)

    def statistic(drawn: Floats) -> Floats:
        size = max(1, _CHUNK_CELLS // len(order))
        chunks = [drawn[:, i : i + size] for i in range(0, drawn.shape[1], size)]
        return np.concatenate(
            [function(counts(np.ascontiguousarray(chunk)), chunk) for chunk in chunks]
        )

    return statistic


def repeated_rows(metric: Metric, positives: Flags, scores: Floats, patients: Ints) -> Statistic:
    """Any metric ``(labels, scores) -> float`` of k models, (r, k), on rows repeated as drawn.

    NaN in a resample of one class, and where the metric has no answer.
    """
    labels = positives.astype(np.int64)

    def statistic(drawn: Floats) -> Floats:
        values = np.full((drawn.shape[1], scores.shape[1]), np.nan)
        for resample in range(drawn.shape[1]):
            repeats = drawn[patients, resample].astype(np.intp)
            rows = np.repeat(np.arange(len(labels)), repeats)
            mine = labels[rows]
            if mine.size == 0 or mine.min() == mine.max():
                continue
            for model in range(scores.shape[1]):
                try:
                    values[resample, model] = metric(mine, scores[rows, model])
                except NotEstimable:
                    continue
        return values

    return statistic
