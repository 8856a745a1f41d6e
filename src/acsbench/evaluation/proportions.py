"""Shares with intervals: of rows (Wilson, Clopper-Pearson) and of patients' rows (clustered).

A clustered share is a ratio of two sums over patients, so the same formula serves sensitivity
(its rows are the positives), positive predictive value (the flagged) and any other share.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.intervals import Interval, logit_interval, two_sided_p
from acsbench.evaluation.metrics import NotEstimable

__all__ = [
    "ShareDifference",
    "clopper_pearson",
    "clustered_mean_se",
    "clustered_share",
    "mcnemar_exact",
    "paired_share_difference",
    "wilson",
]

Floats = NDArray[np.float64]


class ShareDifference(NamedTuple):
    """Paired difference of two shares of the same rows."""

    value: float
    low: float | None
    high: float | None
    p_value: float | None
    reason: str | None = None


def _check_counts(x: int, n: int) -> None:
    if n < 1:
        raise NotEstimable("no rows")
    if not 0 <= x <= n:
        raise ValueError(f"{x} of {n} is no share.")


def wilson(x: int, n: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share, rows independent, without continuity correction.

    Parameters
    ----------
    x, n : int
        Rows that count, of how many.
    level : float

    Raises
    ------
    NotEstimable
        When there are no rows.

    References
    ----------
    Wilson, J Am Stat Assoc 22:209 (1927).

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson(281, 502)[:2]]
    [0.516, 0.603]
    """
    _check_counts(x, n)
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (x + z * z / 2) / (n + z * z)
    reach = z / (n + z * z) * math.sqrt(x * (n - x) / n + z * z / 4)
    return Interval(
        0.0 if x == 0 else max(0.0, centre - reach), 1.0 if x == n else min(1.0, centre + reach)
    )


def clopper_pearson(x: int, n: int, *, level: float = 0.95) -> Interval:
    """Exact interval of a share, rows independent (Clopper and Pearson 1934); never too short."""
    from scipy import special  # noqa: PLC0415  (half of the start of an evaluation, for one figure)

    _check_counts(x, n)
    tail = (1 - level) / 2
    low = 0.0 if x == 0 else float(special.betaincinv(x, n - x + 1, tail))
    high = 1.0 if x == n else float(special.betaincinv(x + 1, n - x, 1 - tail))
    return Interval(low, high)


def _ratio_variance(numerator: Floats, denominator: Floats, patients: NDArray[np.intp]) -> float:
    """Variance of a ratio of sums, patients independent; NaN with fewer than two patients."""
    codes = np.unique(patients, return_inverse=True)[1]
    above = np.bincount(codes, weights=numerator)
    below = np.bincount(codes, weights=denominator)
    n = int((below > 0).sum())
    if n < 2:
        return math.nan
    residuals = above - above.sum() / below.sum() * below
    return float(n / (n - 1) * residuals @ residuals / below.sum() ** 2)


def clustered_mean_se(values: ArrayLike, patients: NDArray[np.intp]) -> float:
    """Standard error of a mean over rows of which a patient has several; NaN for one patient.

    Parameters
    ----------
    values : array of shape (n,)
    patients : array of shape (n,)
    """
    numbers = np.asarray(values, dtype=np.float64)
    return math.sqrt(_ratio_variance(numbers, np.ones(len(numbers)), patients))


def clustered_share(
    counted: ArrayLike, among: ArrayLike, patients: NDArray[np.intp], *, level: float = 0.95
) -> Interval:
    """Interval of a share of rows that knows that a patient has several, on the logit scale.

    Parameters
    ----------
    counted, among : arrays of bool, (n,)
        Rows that count, among which rows.
    patients : array of shape (n,)

    Raises
    ------
    NotEstimable
        When there are no rows to be among.
    """
    below = np.asarray(among, dtype=np.float64)
    above = np.asarray(counted, dtype=np.float64) * below
    if below.sum() == 0:
        raise NotEstimable("no rows")
    share = float(above.sum() / below.sum())
    return logit_interval(share, _ratio_variance(above, below, patients), level=level)


def paired_share_difference(
    first: ArrayLike,
    second: ArrayLike,
    among: ArrayLike,
    patients: NDArray[np.intp],
    *,
    level: float = 0.95,
) -> ShareDifference:
    """Share of the first minus that of the second among the same rows, patients independent.

    Raises
    ------
    NotEstimable
        When there are no rows to be among.
    """
    below = np.asarray(among, dtype=np.float64)
    above = (np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)) * below
    if below.sum() == 0:
        raise NotEstimable("no rows")
    value = float(above.sum() / below.sum())
    variance = _ratio_variance(above, below, patients)
    if not variance > 0:
        reason = "the two flag the same rows" if not above.any() else "variance not estimable"
        return ShareDifference(value, None, None, None, reason)
    se = math.sqrt(variance)
    reach = NormalDist().inv_cdf((1 + level) / 2) * se
    return ShareDifference(value, value - reach, value + reach, two_sided_p(value / se))


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test: rows flagged by one of two only.

    >>> mcnemar_exact(12, 3)
    0.03515625
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    log_half = -n * math.log(2)
    tail = (
        math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + log_half)
        for k in range(fewer + 1)
    )
    return min(1.0, 2 * math.fsum(tail))
