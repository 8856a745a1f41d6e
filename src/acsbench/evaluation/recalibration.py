"""Recalibration: maps fitted on validation rows only, and judged on the test rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.calibration import calibration_line, fit_offset
from acsbench.evaluation.logistic import expit, fit_logistic, logit, with_intercept
from acsbench.evaluation.metrics import check_labels_and_scores, check_probabilities
from acsbench.evaluation.smoothing import fit_isotonic

__all__ = ["METHODS", "Map", "fit_map", "platt_of_scores"]

Floats = NDArray[np.float64]
Method = Literal["temperature", "platt", "isotonic", "intercept"]
METHODS: tuple[Method, ...] = ("intercept", "temperature", "platt", "isotonic")


class Map(NamedTuple):
    """From probabilities to probabilities: ``expit(a + b * logit)``, or a step function.

    ``a`` and ``b`` are None for the step function; a temperature is 1 / b.
    """

    apply: Callable[[ArrayLike], Floats]
    a: float | None
    b: float | None


def _line(a: float, b: float) -> Map:
    return Map(lambda probabilities: expit(a + b * logit(probabilities)), a, b)


def fit_map(method: Method, labels: ArrayLike, probabilities: ArrayLike) -> Map:
    """Fit a map on validation rows.

    Parameters
    ----------
    method : {"intercept", "temperature", "platt", "isotonic"}
        ``intercept`` moves all logits by a constant, ``temperature`` divides them by one (Guo et
        al., ICML 2017), ``platt`` does both (Platt 1999), ``isotonic`` is a step function.
    labels, probabilities : arrays of shape (n,)
        Of the validation rows; never of those that are judged.

    Raises
    ------
    NotEstimable
        As `metrics.check_probabilities`, and when the probabilities separate the classes.
    """
    positives, numbers = check_probabilities(labels, probabilities)
    if method == "isotonic":
        return Map(fit_isotonic(numbers, positives).at, None, None)
    if method == "temperature":
        slope = fit_logistic(logit(numbers)[:, np.newaxis], positives).coefficients[0]
        return _line(0.0, float(slope))
    if method == "intercept":
        return _line(float(fit_offset(positives, numbers).coefficients[0]), 1.0)
    a, b = calibration_line(positives, numbers).coefficients
    return _line(float(a), float(b))


def platt_of_scores(labels: ArrayLike, scores: ArrayLike) -> Map:
    """Platt's line on raw scores of any scale: what makes probabilities of them."""
    positives, numbers = check_labels_and_scores(labels, scores)
    a, b = fit_logistic(with_intercept(numbers), positives).coefficients
    return Map(lambda given: expit(a + b * np.asarray(given, dtype=np.float64)), float(a), float(b))
