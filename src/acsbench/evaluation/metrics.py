"""Metrics: pure functions of labels and scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

__all__ = ["NotEstimableError", "RocCurve", "auprc", "auroc", "roc_curve"]


class NotEstimableError(ValueError):
    """A metric has no value on these rows; the message is the reason that results show."""


class RocCurve(NamedTuple):
    """Points of a ROC curve, one per distinct score, from (0, 0) to (1, 1).

    Attributes
    ----------
    fpr, tpr : ndarray, shape (points,)
    cut : ndarray, shape (points,)
        A row is flagged when its score is at least this; infinity at the first point.
    """

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    cut: NDArray[np.float64]


def _both_classes(
    labels: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    y, x = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if y.shape != x.shape or y.ndim != 1:
        raise ValueError(f"labels {y.shape} and scores {x.shape} are not two vectors of one length")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("labels are 0 and 1; leave rows with a missing label out")
    if not np.isfinite(x).all():
        raise ValueError("scores are finite numbers; NaN and infinity have no rank")
    if not y.size:
        raise NotEstimableError("no rows")
    if not y.any():
        raise NotEstimableError("no positives")
    if y.all():
        raise NotEstimableError("no negatives")
    return y.astype(bool), x


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Probability that a positive scores higher than a negative, ties counting half.

    Parameters
    ----------
    labels : array_like of 0 and 1, shape (n,)
    scores : array_like, shape (n,)
        Any finite numbers; only their order counts.

    Raises
    ------
    NotEstimableError
        When a class is absent.
    """
    positive, x = _both_classes(labels, scores)
    m = int(positive.sum())
    n = positive.size - m
    ranks = rankdata(x)
    return float((ranks[positive].sum() - m * (m + 1) / 2) / (m * n))


def auprc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision: one step per distinct score, no interpolation.

    A model that knows nothing gets the prevalence.

    Raises
    ------
    NotEstimableError
        When a class is absent.
    """
    positive, x = _both_classes(labels, scores)
    true_positives, flagged = _counts(positive, x)
    precision = true_positives / flagged
    return float(np.diff(true_positives, prepend=0) @ precision / positive.sum())


def _counts(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True positives and rows flagged at each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    true_positives = np.cumsum(positive[order])[last_of_tie]
    flagged = np.arange(1, scores.size + 1)[last_of_tie]
    return true_positives.astype(np.float64), flagged.astype(np.float64)


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Points of the ROC curve.

    Raises
    ------
    NotEstimableError
        When a class is absent.
    """
    positive, x = _both_classes(labels, scores)
    true_positives, flagged = _counts(positive, x)
    m = positive.sum()
    return RocCurve(
        fpr=np.append(0.0, (flagged - true_positives) / (positive.size - m)),
        tpr=np.append(0.0, true_positives / m),
        cut=np.append(np.inf, np.unique(x)[::-1]),
    )
