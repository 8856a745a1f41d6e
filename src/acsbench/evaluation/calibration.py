"""Do probabilities mean what they say? Pure functions ``(labels, probabilities) -> ...``.

All of them refuse scores outside [0, 1]. Logits are taken of probabilities kept 1e-7 away from
0 and 1; the Brier score and its parts never clip.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.logistic import Fit, fit_logistic, logit, with_intercept
from acsbench.evaluation.metrics import NotEstimable, check_probabilities
from acsbench.evaluation.smoothing import Isotonic, fit_isotonic, local_fit, pool

__all__ = [
    "BrierParts",
    "SmoothErrors",
    "brier_parts",
    "cal_intercept",
    "cal_slope",
    "calibration_line",
    "consistency_band",
    "ece10",
    "fit_offset",
    "ici",
    "smooth_errors",
    "spiegelhalter_z",
]

Floats = NDArray[np.float64]

_N_BINS = 10


def fit_offset(
    labels: ArrayLike, probabilities: ArrayLike, *, patients: NDArray[np.intp] | None = None
) -> Fit:
    """Calibration in the large: the constant to add to every logit.

    Raises
    ------
    NotEstimable
        As `metrics.check_probabilities`.
    """
    positives, numbers = check_probabilities(labels, probabilities)
    ones = np.ones((len(positives), 1))
    return fit_logistic(ones, positives, offset=logit(numbers), patients=patients)


def calibration_line(
    labels: ArrayLike, probabilities: ArrayLike, *, patients: NDArray[np.intp] | None = None
) -> Fit:
    """Logistic line of the outcome on the logit: intercept and slope (Cox 1958).

    Raises
    ------
    NotEstimable
        Also when all probabilities are equal, or separate the classes.
    """
    positives, numbers = check_probabilities(labels, probabilities)
    if numbers.min() == numbers.max():
        raise NotEstimable("all predictions are equal")
    return fit_logistic(with_intercept(logit(numbers)), positives, patients=patients)


def cal_intercept(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Calibration in the large on the logit scale; 0 is best, above 0 the risk is understated."""
    return float(fit_offset(labels, probabilities).coefficients[0])


def cal_slope(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Slope of the outcome on the logit; 1 is best, below 1 the predictions are too extreme."""
    return float(calibration_line(labels, probabilities).coefficients[1])


class SmoothErrors(NamedTuple):
    """Distances between the probabilities and a smooth curve of the outcome (Austin 2019)."""

    ici: float
    e50: float
    e90: float
    emax: float

    @classmethod
    def of(cls, distances: Floats) -> SmoothErrors:
        """Mean, median, 90 % quantile and largest."""
        e50, e90 = np.quantile(distances, [0.5, 0.9])
        return cls(float(distances.mean()), float(e50), float(e90), float(distances.max()))


def smooth_errors(
    labels: ArrayLike, probabilities: ArrayLike, *, loess: bool = False
) -> SmoothErrors:
    """ICI, E50, E90 and Emax.

    Parameters
    ----------
    labels, probabilities : arrays of shape (n,)
    loess : bool
        Local parabolas over 0.75 of the rows, as R's ``loess``, instead of lowess over 2/3 of
        them without robustness steps, as `rms::val.prob`. The two are different definitions.

    References
    ----------
    Austin and Steyerberg, Stat Med 38:4051 (2019).
    """
    positives, numbers = check_probabilities(labels, probabilities)
    if loess:
        curve = local_fit(numbers, positives, numbers, share=0.75, degree=2)
    else:
        curve = local_fit(numbers, positives, numbers)
    return SmoothErrors.of(np.abs(numbers - (np.clip(curve, 0, 1) if loess else curve)))


def ici(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Integrated calibration index: mean distance to a lowess curve; 0 is best."""
    return smooth_errors(labels, probabilities).ici


class BrierParts(NamedTuple):
    """Brier score = miscalibration - discrimination + uncertainty, and the recalibrating curve."""

    mcb: float
    dsc: float
    unc: float
    curve: Isotonic


def brier_parts(labels: ArrayLike, probabilities: ArrayLike) -> BrierParts:
    """CORP decomposition of the Brier score by isotonic regression.

    References
    ----------
    Dimitriadis, Gneiting and Jordan, PNAS 118:e2016191118 (2021).
    """
    positives, numbers = check_probabilities(labels, probabilities)
    outcome = positives.astype(np.float64)
    curve = fit_isotonic(numbers, outcome)
    recalibrated = float(np.mean((curve.at(numbers) - outcome) ** 2))
    uncertainty = float(outcome.mean() * (1 - outcome.mean()))
    brier = float(np.mean((numbers - outcome) ** 2))
    return BrierParts(brier - recalibrated, uncertainty - recalibrated, uncertainty, curve)


def consistency_band(
    probabilities: Floats, at: Floats, *, n_draws: int, seed: int, level: float
) -> tuple[Floats, Floats]:
    """Where the CORP curve of a calibrated model lies: low and high at positions.

    Outcomes are drawn from the probabilities, rows independent; with several rows a patient the
    true band is wider.
    """
    rng = np.random.default_rng(seed)
    places, codes, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    sizes = counts.astype(np.float64)
    curves = np.empty((n_draws, len(at)))
    for draw in range(n_draws):
        outcome = rng.random(len(probabilities)) < probabilities
        sums = np.bincount(codes, weights=outcome.astype(np.float64), minlength=len(places))
        curves[draw] = np.interp(at, places, pool(sums.astype(np.float64), sizes))
    low, high = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def ece10(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Expected calibration error over ten bins of equal width, [0, 0.1) to [0.9, 1].

    A secondary figure: it depends on the bins.
    """
    positives, numbers = check_probabilities(labels, probabilities)
    bins = np.minimum((numbers * _N_BINS).astype(np.intp), _N_BINS - 1)
    gaps = np.bincount(bins, weights=positives - numbers, minlength=_N_BINS)
    return float(np.abs(gaps).sum() / len(numbers))


def spiegelhalter_z(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Standard normal if the probabilities are right (Spiegelhalter 1986), rows independent."""
    positives, numbers = check_probabilities(labels, probabilities)
    spread = (1 - 2 * numbers) ** 2 @ (numbers * (1 - numbers))
    if spread == 0:
        raise NotEstimable("all predictions are 0, 0.5 or 1")
    return float((positives - numbers) @ (1 - 2 * numbers) / np.sqrt(spread))
