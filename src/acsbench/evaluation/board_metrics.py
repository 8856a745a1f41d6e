"""The metrics that a board of hidden labels may show, and their values on resamples of patients.

No cut may be chosen on hidden labels, so sensitivity and specificity are read off the ROC polygon
(names that end in ``_roc``), and a budget is a stated share of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.metrics import auprc, auroc, brier, roc_curve
from acsbench.evaluation.operating_points import at_budget
from acsbench.evaluation.weighted import (
    Cumulated,
    Metric,
    Statistic,
    cumulated_statistic,
    rank_statistic,
    weighted_sums,
)

__all__ = ["METRICS", "BoardMetric", "board_statistics", "sens_at_spec_roc", "spec_at_sens_roc"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_ROUNDING = 1e-12


def _height(x: Floats, y: Floats, at: float) -> float:
    """Height of a rising polygon, the upper end where it is vertical."""
    last = int(np.searchsorted(x, at + _ROUNDING, side="right")) - 1
    if last == len(x) - 1 or x[last] >= at:
        return float(y[last])
    share = (at - x[last]) / (x[last + 1] - x[last])
    return float(y[last] + share * (y[last + 1] - y[last]))


def sens_at_spec_roc(labels: ArrayLike, scores: ArrayLike, *, specificity: float) -> float:
    """Sensitivity where the ROC polygon has a specificity. Errors as in `metrics.auroc`.

    Examples
    --------
    >>> sens_at_spec_roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], specificity=0.5)
    1.0
    """
    curve = roc_curve(labels, scores)
    return _height(curve.fpr, curve.tpr, 1 - specificity)


def spec_at_sens_roc(labels: ArrayLike, scores: ArrayLike, *, sensitivity: float) -> float:
    """Specificity where the ROC polygon has a sensitivity. Errors as in `metrics.auroc`."""
    curve = roc_curve(labels, scores)
    return _height(1 - curve.tpr[::-1], 1 - curve.fpr[::-1], 1 - sensitivity)


def _ppv_at_budget(labels: ArrayLike, scores: ArrayLike, *, share: float) -> float:
    return at_budget(labels, scores, share=share).ppv


class BoardMetric(NamedTuple):
    """A metric ``(labels, scores) -> float`` and, of one read off the curve, its column by cuts."""

    function: Metric
    at_cuts: Callable[[Floats, Floats], float] | None = None
    higher_is_better: bool = True


def _sens_of_counts(hits: Floats, flagged: Floats, *, specificity: float) -> float:
    misses = flagged - hits
    if hits[-1] == 0 or misses[-1] == 0:
        return np.nan
    return _height(misses / misses[-1], hits / hits[-1], 1 - specificity)


def _spec_of_counts(hits: Floats, flagged: Floats, *, sensitivity: float) -> float:
    misses = flagged - hits
    if hits[-1] == 0 or misses[-1] == 0:
        return np.nan
    left, spared = 1 - hits[::-1] / hits[-1], 1 - misses[::-1] / misses[-1]
    return _height(left, spared, 1 - sensitivity)


def _ppv_of_counts(hits: Floats, flagged: Floats, *, share: float) -> float:
    k = np.ceil(np.round(share * flagged[-1], 9))
    return float(np.interp(k, flagged, hits) / k)


METRICS: dict[str, BoardMetric] = {
    "auroc": BoardMetric(auroc),
    "auprc": BoardMetric(auprc),
    "brier": BoardMetric(brier, higher_is_better=False),
    **{
        f"sens_at_spec_{at}_roc": BoardMetric(
            partial(sens_at_spec_roc, specificity=at / 100),
            partial(_sens_of_counts, specificity=at / 100),
        )
        for at in (80, 90, 95)
    },
    **{
        f"spec_at_sens_{at}_roc": BoardMetric(
            partial(spec_at_sens_roc, sensitivity=at / 100),
            partial(_spec_of_counts, sensitivity=at / 100),
        )
        for at in (90, 95, 98)
    },
    **{
        f"ppv_at_budget_{at:02}": BoardMetric(
            partial(_ppv_at_budget, share=at / 100), partial(_ppv_of_counts, share=at / 100)
        )
        for at in (1, 5, 10, 20)
    },
}


def board_statistics(
    metrics: Sequence[str], positives: Flags, scores: Floats, patients: Ints
) -> dict[str, tuple[Statistic, tuple[str, ...]]]:
    """Statistics of `bootstrap` that give these metrics, each with the names of its columns.

    Parameters
    ----------
    metrics : sequence of str
        Names in `METRICS`.
    positives, scores, patients : arrays of shape (n,)
    """
    found: dict[str, tuple[Statistic, tuple[str, ...]]] = {}
    if {"auroc", "auprc"} & set(metrics):
        found["ranks"] = rank_statistic(positives, scores, patients), ("auroc", "auprc")
    if "brier" in metrics:
        squares = np.column_stack([(scores - positives) ** 2, np.ones(len(scores))])
        sums = weighted_sums(squares, patients, int(patients.max()) + 1)
        found["brier"] = partial(_mean, sums), ("brier",)
    of_curve = tuple(name for name in metrics if METRICS[name].at_cuts is not None)
    if of_curve:
        readings = [reading for name in of_curve if (reading := METRICS[name].at_cuts)]
        function = partial(_read_off, readings)
        found["cuts"] = cumulated_statistic(positives, scores, patients, function), of_curve
    return found


def _mean(sums: Statistic, drawn: Floats) -> Floats:
    found = sums(drawn)
    mean: Floats = found[:, :1] / found[:, 1:]
    return mean


def _read_off(
    readings: Sequence[Callable[[Floats, Floats], float]], counts: Cumulated, _: Floats
) -> Floats:
    """Each reading of each resample, (r, k)."""
    hits, flagged = np.ascontiguousarray(counts.hits.T), np.ascontiguousarray(counts.flagged.T)
    return np.array(
        [[read(*one) for read in readings] for one in zip(hits, flagged, strict=True)]
    ).reshape(len(hits), len(readings))
