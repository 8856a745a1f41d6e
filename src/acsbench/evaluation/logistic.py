"""Logistic regression by Newton's method, with errors that know that a patient has several rows.

Small on purpose: two to a few dozen columns, no penalty. What the calibration slope, recalibration,
the odds of being tested and the added value of a model all rest on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.metrics import CLIP, NotEstimable

__all__ = ["Fit", "expit", "fit_logistic", "logit", "with_intercept"]

Floats = NDArray[np.float64]

_MAX_STEPS = 50
_MAX_COEFFICIENT = 1e4


class Fit(NamedTuple):
    """Coefficients (p,), their covariance from the information, that by patients, and the fit.

    ``clustered`` is None where no patients were given, or fewer than two.
    """

    coefficients: Floats
    covariance: Floats
    clustered: Floats | None
    log_likelihood: float


def logit(probabilities: ArrayLike) -> Floats:
    """Log-odds, of probabilities kept 1e-7 away from 0 and 1."""
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP)
    return np.log(clipped / (1 - clipped))


def expit(log_odds: ArrayLike) -> Floats:
    """Probability of log-odds, without overflow."""
    return 0.5 * (1 + np.tanh(np.asarray(log_odds, dtype=np.float64) / 2))


def with_intercept(*columns: ArrayLike) -> Floats:
    """Design matrix of a column of ones and the columns given, (n, 1 + k)."""
    first = np.asarray(columns[0], dtype=np.float64)
    return np.column_stack([np.ones(len(first)), first, *columns[1:]])


def fit_logistic(
    design: Floats,
    labels: ArrayLike,
    *,
    offset: Floats | None = None,
    weights: Floats | None = None,
    patients: NDArray[np.intp] | None = None,
) -> Fit:
    """Maximum likelihood, unpenalised.

    Parameters
    ----------
    design : array of shape (n, p)
        With its column of ones, if there is to be one.
    labels : array of shape (n,)
    offset : array of shape (n,), optional
        Log-odds that are given.
    weights : array of shape (n,), optional
        How much each row counts.
    patients : array of shape (n,), optional
        Numbers from 0; asks for the clustered covariance.

    Raises
    ------
    NotEstimable
        When the columns separate the classes, or repeat each other.

    References
    ----------
    Cluster sandwich with the factor I / (I - 1): Liang and Zeger, Biometrika 73:13 (1986).
    """
    outcome = (np.asarray(labels) == 1).astype(np.float64)
    given = np.zeros(len(outcome)) if offset is None else offset
    counted = np.ones(len(outcome)) if weights is None else weights
    beta = np.zeros(design.shape[1])
    value = _log_likelihood(design @ beta + given, outcome, counted)
    for _ in range(_MAX_STEPS):
        fitted = expit(design @ beta + given)
        gradient = design.T @ (counted * (outcome - fitted))
        information = _information(design, fitted, counted)
        step = _solve(information, gradient)
        beta, value, improved = _line_search(beta, step, value, design, given, outcome, counted)
        if np.abs(beta).max() > _MAX_COEFFICIENT:
            break
        if not improved or np.abs(gradient @ step) < 1e-13 * (1 + abs(value)):
            return _finish(design, outcome, beta, given, counted, patients)
    raise NotEstimable("the predictions separate the classes: no finite fit")


def _log_likelihood(log_odds: Floats, outcome: Floats, weights: Floats) -> float:
    return float(weights @ (outcome * log_odds - np.logaddexp(0, log_odds)))


def _information(design: Floats, fitted: Floats, weights: Floats) -> Floats:
    information: Floats = (design * (weights * fitted * (1 - fitted))[:, np.newaxis]).T @ design
    return information


def _solve(information: Floats, right: Floats) -> Floats:
    scale = np.sqrt(np.diag(information))
    if not (scale > 1e-12).all():
        raise NotEstimable("the predictions separate the classes: no finite fit")
    scaled = information / np.outer(scale, scale)
    if np.linalg.cond(scaled) > 1e12:
        raise NotEstimable("a column is constant or repeats others")
    solution: Floats = np.linalg.solve(scaled, (right.T / scale).T)
    return (solution.T / scale).T


def _line_search(
    beta: Floats,
    step: Floats,
    value: float,
    design: Floats,
    given: Floats,
    outcome: Floats,
    weights: Floats,
) -> tuple[Floats, float, bool]:
    """Halve a Newton step until the likelihood does not fall."""
    for halving in range(30):
        candidate = beta + step / 2**halving
        reached = _log_likelihood(design @ candidate + given, outcome, weights)
        if reached >= value - 1e-12 * (1 + abs(value)):
            return candidate, reached, True
    return beta, value, False


def _finish(
    design: Floats,
    outcome: Floats,
    beta: Floats,
    given: Floats,
    weights: Floats,
    patients: NDArray[np.intp] | None,
) -> Fit:
    log_odds = design @ beta + given
    fitted = expit(log_odds)
    # a likelihood of 1 is a separation that the steps have not yet shown
    value = _log_likelihood(log_odds, outcome, weights)
    if value > -1e-6:
        raise NotEstimable("the predictions separate the classes: no finite fit")
    covariance = _solve(_information(design, fitted, weights), np.eye(len(beta)))
    if patients is None:
        return Fit(beta, covariance, None, value)
    scores = design * (weights * (outcome - fitted))[:, np.newaxis]
    names, codes = np.unique(patients, return_inverse=True)
    if len(names) < 2:
        return Fit(beta, covariance, None, value)
    sums = np.column_stack([np.bincount(codes, weights=column) for column in scores.T])
    meat = len(names) / (len(names) - 1) * (sums.T @ sums)
    return Fit(beta, covariance, covariance @ meat @ covariance, value)
