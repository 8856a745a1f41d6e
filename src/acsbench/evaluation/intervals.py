"""Intervals that count patients: clustered DeLong and the patient bootstrap.

Sources: DeLong, DeLong & Clarke-Pearson, Biometrics 44:837 (1988); Obuchowski, Biometrics 53:567
(1997); specification 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import rankdata

from acsbench.evaluation.metrics import NotEstimableError, auprc, auroc

__all__ = [
    "Bootstrap",
    "Covariance",
    "Difference",
    "clustered_delong",
    "delong",
    "logit_interval",
    "normal_interval",
    "paired_difference",
    "patient_bootstrap",
]

Metric: TypeAlias = Callable[[NDArray[np.int64], NDArray[np.float64]], float]
_BLOCK = 64
"""Resamples handled at once, so that memory does not grow with their number."""


class Covariance(NamedTuple):
    """AUROCs of k score columns on the same rows, and their covariance.

    Attributes
    ----------
    auroc : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
    """

    auroc: NDArray[np.float64]
    covariance: NDArray[np.float64]


class Difference(NamedTuple):
    """A paired difference of two AUROCs, with interval, z and two-sided p."""

    value: float
    se: float
    low: float
    high: float
    z: float
    p_value: float


def _placements(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Placement values by mid-ranks: (m, k) of the positives, (n, k) of the negatives."""
    m = int(positive.sum())
    n = positive.size - m
    ranks = rankdata(scores, axis=0)
    of_positives = (ranks[positive] - rankdata(scores[positive], axis=0)) / n
    of_negatives = 1 - (ranks[~positive] - rankdata(scores[~positive], axis=0)) / m
    return of_positives, of_negatives


def _columns(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    positive = np.asarray(labels).astype(bool)
    columns = np.asarray(scores, dtype=np.float64)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if not np.isfinite(columns).all():
        raise ValueError("scores are finite numbers; NaN and infinity have no rank")
    if not positive.any() or positive.all():
        raise NotEstimableError("no positives" if not positive.any() else "no negatives")
    return positive, columns


def delong(labels: ArrayLike, scores: ArrayLike) -> Covariance:
    """DeLong's covariance, as if every row were a patient of its own.

    Parameters
    ----------
    labels : array_like of 0 and 1, shape (n,)
    scores : array_like, shape (n,) or (n, k)

    Raises
    ------
    NotEstimableError
        When a class is absent or has one row only.
    """
    positive, columns = _columns(labels, scores)
    v, w = _placements(positive, columns)
    if min(len(v), len(w)) < 2:
        raise NotEstimableError("a class has one row only")
    covariance = np.atleast_2d(np.cov(v.T)) / len(v) + np.atleast_2d(np.cov(w.T)) / len(w)
    return Covariance(v.mean(axis=0), covariance)


def clustered_delong(labels: ArrayLike, scores: ArrayLike, patients: ArrayLike) -> Covariance:
    """Obuchowski's covariance for rows that come in patients.

    With one row per patient it equals DeLong's.

    Parameters
    ----------
    labels : array_like of 0 and 1, shape (n,)
    scores : array_like, shape (n,) or (n, k)
    patients : array_like, shape (n,)
        Who each row belongs to.

    Raises
    ------
    NotEstimableError
        When a class is absent, or all positives (or all negatives) are of one patient.
    """
    positive, columns = _columns(labels, scores)
    v, w = _placements(positive, columns)
    value = v.mean(axis=0)
    _, cluster = np.unique(np.asarray(patients), return_inverse=True)
    n_clusters = int(cluster.max()) + 1
    a = _sum_by(cluster[positive], v - value, n_clusters)
    b = _sum_by(cluster[~positive], w - value, n_clusters)
    with_positive = len(np.unique(cluster[positive]))
    with_negative = len(np.unique(cluster[~positive]))
    if min(with_positive, with_negative) < 2:
        raise NotEstimableError("a class comes from one patient only")
    m, n = len(v), len(w)
    cross = a.T @ b
    covariance = (
        with_positive / (with_positive - 1) / m**2 * (a.T @ a)
        + with_negative / (with_negative - 1) / n**2 * (b.T @ b)
        + n_clusters / (n_clusters - 1) / (m * n) * (cross + cross.T)
    )
    return Covariance(value, covariance)


def _sum_by(
    cluster: NDArray[np.int64], values: NDArray[np.float64], n_clusters: int
) -> NDArray[np.float64]:
    sums = np.zeros((n_clusters, values.shape[1]))
    np.add.at(sums, cluster, values)
    return sums


def logit_interval(value: float, variance: float, *, level: float = 0.95) -> tuple[float, float]:
    """Interval on the logit scale: inside (0, 1) by construction.

    Raises
    ------
    NotEstimableError
        At zero variance, or an estimate of 0 or 1, where the scale has no width.
    """
    if not 0 < value < 1:
        raise NotEstimableError(f"interval not estimable at an AUROC of {value:g}")
    if not variance > 0:
        raise NotEstimableError("interval not estimable: the variance is zero")
    half = float(ndtri((1 + level) / 2)) * np.sqrt(variance) / (value * (1 - value))
    middle = logit(value)
    return float(expit(middle - half)), float(expit(middle + half))


def normal_interval(value: float, variance: float, *, level: float = 0.95) -> tuple[float, float]:
    """Interval on the plain scale, clipped to [0, 1]; for comparison with the literature."""
    half = float(ndtri((1 + level) / 2) * np.sqrt(variance))
    return max(value - half, 0.0), min(value + half, 1.0)


def paired_difference(
    estimates: Covariance, first: int, second: int, *, level: float = 0.95
) -> Difference:
    """AUROC of column ``first`` minus that of ``second``, on the same rows.

    Raises
    ------
    NotEstimableError
        When the two rank every patient alike, so that the difference has no variance.
    """
    value = float(estimates.auroc[first] - estimates.auroc[second])
    c = estimates.covariance
    variance = float(c[first, first] + c[second, second] - 2 * c[first, second])
    if not variance > 1e-18:
        raise NotEstimableError("the difference has no variance: both rank all records alike")
    se = float(np.sqrt(variance))
    half = float(ndtri((1 + level) / 2)) * se
    z = value / se
    return Difference(value, se, value - half, value + half, z, float(2 * ndtr(-abs(z))))


class Bootstrap(NamedTuple):
    """Resampled values of k score columns.

    Attributes
    ----------
    values : ndarray, shape (resamples, k)
        Without the degenerate resamples.
    n_degenerate : int
        Resamples in which a class was absent.
    """

    values: NDArray[np.float64]
    n_degenerate: int

    def interval(self, column: int, *, level: float = 0.95) -> tuple[float, float]:
        """Percentile interval of one column.

        Raises
        ------
        NotEstimableError
            When fewer than half of the resamples had both classes.
        """
        if len(self.values) <= self.n_degenerate:
            raise NotEstimableError("most bootstrap resamples lack a class")
        tail = 50 * (1 - level)
        low, high = np.percentile(self.values[:, column], [tail, 100 - tail])
        return float(low), float(high)


def patient_bootstrap(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike,
    *,
    metric: Metric = auroc,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Bootstrap:
    """Draw patients with replacement, with all of their rows; the same draws for every column.

    Parameters
    ----------
    labels : array_like of 0 and 1, shape (n,)
    scores : array_like, shape (n,) or (n, k)
    patients : array_like, shape (n,)
    metric : callable
        ``(labels, scores) -> float``. AUROC and average precision take a fast path.
    n_resamples : int
    seed : int
        Same seed and patients, same draws.
    """
    y = np.asarray(labels).astype(np.int64)
    positive, columns = _columns(labels, scores)
    names, cluster = np.unique(np.asarray(patients), return_inverse=True)
    rng = np.random.default_rng(seed)
    share = np.full(len(names), 1 / len(names))
    values: list[NDArray[np.float64]] = []
    n_degenerate = 0
    for start in range(0, n_resamples, _BLOCK):
        size = min(_BLOCK, n_resamples - start)
        weights = rng.multinomial(len(names), share, size=size)[:, cluster]
        m = weights[:, positive].sum(axis=1)
        good = (m > 0) & (m < weights.sum(axis=1))
        n_degenerate += int((~good).sum())
        values.append(_resampled(metric, y, columns, weights[good]))
    return Bootstrap(np.concatenate(values), n_degenerate)


def _resampled(
    metric: Metric,
    labels: NDArray[np.int64],
    columns: NDArray[np.float64],
    weights: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Values of a metric under integer row weights, shape (resamples, k)."""
    found = np.empty((len(weights), columns.shape[1]))
    for k, scores in enumerate(columns.T):
        if metric in (auroc, auprc):
            found[:, k] = _weighted(metric, labels, scores, weights)
        else:
            found[:, k] = [metric(np.repeat(labels, w), np.repeat(scores, w)) for w in weights]
    return found


def _weighted(
    metric: Metric,
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    weights: NDArray[np.int64],
) -> NDArray[np.float64]:
    """AUROC or average precision of every weighting at once, from one sort."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    w = weights[:, order]
    true_positives = np.cumsum(w * labels[order], axis=1)[:, last_of_tie].astype(np.float64)
    flagged = np.cumsum(w, axis=1)[:, last_of_tie].astype(np.float64)
    m = true_positives[:, -1]
    new_positives = np.diff(true_positives, axis=1, prepend=0)
    if metric is auprc:
        precision = true_positives / np.maximum(flagged, 1)
        return np.asarray((new_positives * precision).sum(axis=1) / m)
    false_positives = flagged - true_positives
    n = false_positives[:, -1]
    above = false_positives - np.diff(false_positives, axis=1, prepend=0) / 2
    return np.asarray(1 - (new_positives * above).sum(axis=1) / (m * n))
