"""Is somebody better off? Net benefit of acting above a risk (Vickers and Elkin 2006)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.metrics import check_probabilities

__all__ = ["interventions_avoided", "net_benefit", "net_benefit_of_all", "odds"]

Floats = NDArray[np.float64]


def odds(threshold: float) -> float:
    """What a false alarm costs against what a true positive gains, at a risk to act from.

    Raises
    ------
    ValueError
        Outside [0, 1).
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"A threshold of {threshold:g} is not in [0, 1).")
    return threshold / (1 - threshold)


def net_benefit(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> float:
    """True positives a row, less false alarms a row weighted by the odds of the threshold.

    Parameters
    ----------
    labels, probabilities : arrays of shape (n,)
    threshold : float
        The risk from which one acts, in [0, 1). A row is acted on at or above it.

    Raises
    ------
    NotEstimable
        As `metrics.check_probabilities`.

    Examples
    --------
    >>> net_benefit([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], 0.5)
    0.0
    """
    positives, numbers = check_probabilities(labels, probabilities)
    acted = numbers >= threshold
    hits, false_alarms = (acted & positives).sum(), (acted & ~positives).sum()
    return float((hits - odds(threshold) * false_alarms) / len(positives))


def net_benefit_of_all(prevalence: float, threshold: float) -> float:
    """Net benefit of acting on everybody; that of acting on nobody is 0."""
    return prevalence - (1 - prevalence) * odds(threshold)


def interventions_avoided(benefit: float, prevalence: float, threshold: float) -> float:
    """Interventions spared per 100 rows against acting on everybody, no positive more missed."""
    return 100 * (benefit - net_benefit_of_all(prevalence, threshold)) / odds(threshold)
