"""Intervals and paired tests that know that a patient has several ECGs.

The unit of independence is the patient: clustered DeLong (Obuchowski 1997) is the headline. Plain
DeLong is here as the reference it reduces to when every patient has one row.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.metrics import check_labels_and_scores

__all__ = [
    "AurocCovariance",
    "Difference",
    "Interval",
    "Placements",
    "as_columns",
    "chi2_tail",
    "clustered_delong",
    "delong",
    "logit_interval",
    "normal_interval",
    "paired_difference",
    "patient_influence",
    "placements",
    "quantile",
    "two_sided_p",
]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_ZERO_VARIANCE = 1e-18


class Placements(NamedTuple):
    """Share of negatives below each positive, and share of positives above each negative."""

    positives: Floats
    negatives: Floats


class AurocCovariance(NamedTuple):
    """AUROC of k models on the same rows, their covariance (k, k), and why it may be NaN."""

    auroc: Floats
    covariance: Floats
    reason: str | None


class Interval(NamedTuple):
    """Two bounds, or None with the reason."""

    low: float | None
    high: float | None
    reason: str | None = None


class Difference(NamedTuple):
    """Paired difference of two AUROCs; test and interval are None where there is a reason."""

    delta: float
    se: float | None
    low: float | None
    high: float | None
    z: float | None
    p_value: float | None
    reason: str | None = None


def placements(labels: ArrayLike, scores: ArrayLike) -> Placements:
    """Placement values of every row, ties counting one half.

    Parameters
    ----------
    labels, scores : arrays of shape (n,)
        As in `metrics.auroc`.

    Returns
    -------
    Placements
        Of shape (n_positive,) and (n_negative,), in the order of the rows.
    """
    positives, numbers = check_labels_and_scores(labels, scores)
    order = np.argsort(numbers)
    ordered = numbers[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(ordered)])
    hits = np.add.reduceat(positives[order].astype(np.float64), starts)
    misses = sizes - hits
    # of each distinct score: negatives below it, and positives above it, equals counting half
    beaten = np.cumsum(misses) - misses / 2
    lost_to = hits.sum() - np.cumsum(hits) + hits / 2
    of_row = np.empty(len(ordered), dtype=np.intp)
    of_row[order] = np.repeat(np.arange(len(starts)), sizes)
    return Placements(
        beaten[of_row[positives]] / misses.sum(), lost_to[of_row[~positives]] / hits.sum()
    )


def _placement_matrices(labels: ArrayLike, scores: ArrayLike) -> tuple[Flags, Floats, Floats]:
    """Positives (n,), V (n_positive, k) and W (n_negative, k) of the columns of the scores."""
    columns = as_columns(scores)
    placed = [placements(labels, column) for column in columns.T]
    V = np.column_stack([one.positives for one in placed])
    W = np.column_stack([one.negatives for one in placed])
    return np.asarray(labels) == 1, V, W


def as_columns(scores: ArrayLike) -> Floats:
    """Scores of one model (n,) or of k models (n, k) as (n, k)."""
    matrix = np.asarray(scores, dtype=np.float64)
    return matrix[:, np.newaxis] if matrix.ndim == 1 else matrix


def delong(labels: ArrayLike, scores: ArrayLike) -> AurocCovariance:
    """AUROC of k models and their covariance, rows taken as independent.

    Parameters
    ----------
    labels : array of shape (n,)
    scores : array of shape (n,) or (n, k)

    Raises
    ------
    NotEstimable, ValueError
        As `metrics.auroc`.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988); ranks as in Sun and Xu (2014).
    """
    _, V, W = _placement_matrices(labels, scores)
    areas = V.mean(axis=0)
    if min(len(V), len(W)) < 2:
        return _no_covariance(areas, "variance needs at least 2 of each class")
    covariance = _scatter(V, areas) / (len(V) - 1) / len(V)
    covariance += _scatter(W, areas) / (len(W) - 1) / len(W)
    return AurocCovariance(areas, covariance, None)


def _scatter(values: Floats, centre: Floats) -> Floats:
    centred = values - centre
    scatter: Floats = centred.T @ centred
    return scatter


def _no_covariance(areas: Floats, reason: str) -> AurocCovariance:
    return AurocCovariance(areas, np.full((len(areas), len(areas)), np.nan), reason)


def clustered_delong(labels: ArrayLike, scores: ArrayLike, patients: ArrayLike) -> AurocCovariance:
    """AUROC of k models and their covariance, patients taken as independent.

    Parameters
    ----------
    labels : array of shape (n,)
    scores : array of shape (n,) or (n, k)
    patients : array of shape (n,)
        Whose row it is.

    Returns
    -------
    AurocCovariance
        With one row per patient it equals `delong`. NaN covariance, with the reason, where fewer
        than 2 patients have a positive or fewer than 2 a negative.

    Raises
    ------
    NotEstimable, ValueError
        As `metrics.auroc`.

    References
    ----------
    Obuchowski, Biometrics 53:567 (1997).
    """
    positives, V, W = _placement_matrices(labels, scores)
    areas = V.mean(axis=0)
    codes = np.unique(np.asarray(patients), return_inverse=True)[1]
    I = int(codes.max()) + 1  # noqa: E741  Obuchowski's letter
    of_positives, of_negatives = codes[positives], codes[~positives]
    I10, I01 = len(np.unique(of_positives)), len(np.unique(of_negatives))
    if min(I10, I01) < 2:
        reason = (
            "clustered variance needs at least 2 patients with a positive and 2 with a negative"
        )
        return _no_covariance(areas, reason)
    A = _sums_by_patient(V - areas, of_positives, I)
    B = _sums_by_patient(W - areas, of_negatives, I)
    m, n = len(V), len(W)
    cross = A.T @ B
    covariance = (
        I10 / ((I10 - 1) * m**2) * (A.T @ A)
        + I01 / ((I01 - 1) * n**2) * (B.T @ B)
        + I / ((I - 1) * m * n) * (cross + cross.T)
    )
    return AurocCovariance(areas, covariance, None)


def patient_influence(labels: ArrayLike, scores: ArrayLike, patients: Ints, *, n: int) -> Floats:
    """What each of n patients adds to an AUROC's error, (n, k); 0 for those without rows here.

    Products of two sets of rows' influences are their covariance where they share patients.
    """
    positives, V, W = _placement_matrices(labels, scores)
    areas = V.mean(axis=0)
    A = _sums_by_patient(V - areas, patients[positives], n)
    B = _sums_by_patient(W - areas, patients[~positives], n)
    return A / len(V) + B / len(W)


def _sums_by_patient(values: Floats, codes: Ints, n_patients: int) -> Floats:
    """Sum the rows of each patient: (n, k) to (n_patients, k)."""
    sums = [np.bincount(codes, weights=column, minlength=n_patients) for column in values.T]
    return np.column_stack(sums)


def chi2_tail(chi2: float, df: int) -> float:
    """P-value of a chi-squared statistic: the closed form for whole degrees of freedom."""
    half = chi2 / 2
    if df % 2:
        start, value = 0.5, math.erfc(math.sqrt(half))
    else:
        start, value = 0.0, 0.0
    terms = (
        math.exp(k * math.log(half) - half - math.lgamma(k + 1)) if half > 0 else float(k == 0)
        for k in np.arange(start, df / 2)
    )
    return min(1.0, value + math.fsum(terms))


def quantile(level: float) -> float:
    """How many standard errors reach to either side of a normal estimate."""
    return NormalDist().inv_cdf((1 + level) / 2)


def two_sided_p(z: float) -> float:
    """Two-sided p-value of a standard normal z."""
    return math.erfc(abs(z) / math.sqrt(2))


def _why_no_interval(variance: float) -> str | None:
    if math.isnan(variance):
        return "variance not estimable"
    if variance <= _ZERO_VARIANCE:
        return "zero variance: an interval of no width would look certain"
    return None


def normal_interval(value: float, variance: float, *, level: float = 0.95) -> Interval:
    """Value plus and minus its standard errors, clipped to [0, 1]: as papers print it.

    Prefer `logit_interval`, which needs no clipping.
    """
    reason = _why_no_interval(variance)
    if reason:
        return Interval(None, None, reason)
    reach = quantile(level) * math.sqrt(variance)
    return Interval(max(0.0, value - reach), min(1.0, value + reach))


def logit_interval(value: float, variance: float, *, level: float = 0.95) -> Interval:
    """Interval of a share or AUROC on the logit scale: always inside (0, 1).

    Parameters
    ----------
    value : float
        In [0, 1].
    variance : float
        Of the value, not of its logit.
    level : float
        Coverage aimed at.

    Returns
    -------
    Interval
        None with a reason at zero or unknown variance, and at a value of 0 or 1.
    """
    reason = _why_no_interval(variance)
    if reason is None and not 0 < value < 1:
        reason = f"no logit interval at a value of {value:.0f}"
    if reason:
        return Interval(None, None, reason)
    centre = math.log(value / (1 - value))
    reach = quantile(level) * math.sqrt(variance) / (value * (1 - value))
    low, high = (0.5 * (1 + math.tanh((centre + side * reach) / 2)) for side in (-1, 1))
    return Interval(low, high)


def paired_difference(
    result: AurocCovariance, first: int, second: int, *, level: float = 0.95
) -> Difference:
    """Difference of two models' AUROCs on the same rows, with interval and two-sided z-test.

    Parameters
    ----------
    result : AurocCovariance
        Of `clustered_delong`, or of `delong` for independent rows.
    first, second : int
        Columns; the difference is first minus second.
    """
    delta = float(result.auroc[first] - result.auroc[second])
    covariance = result.covariance
    spread = float(covariance[first, first] + covariance[second, second])
    variance = spread - 2 * float(covariance[first, second])
    # models of equal ranking leave rounding, not exactly zero
    reason = result.reason or _why_no_interval(variance if variance > 1e-12 * spread else 0.0)
    if reason:
        return Difference(delta, None, None, None, None, None, reason)
    se = math.sqrt(variance)
    reach = quantile(level) * se
    z = delta / se
    return Difference(delta, se, delta - reach, delta + reach, z, two_sided_p(z))
