"""The outcome is known of those a doctor sent to the test; what would it be among everybody.

Three answers, always beside the figure of the tested and never instead of it: weighting the tested
by the inverse of their chance of being tested; a doubly robust estimate that also predicts the
outcome; and bounds by what the labels of the untested could be. All of them rest on measured
columns: what made a doctor test and is in no column biases every one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.evaluation.logistic import expit, fit_logistic
from acsbench.evaluation.metrics import NotEstimable

__all__ = [
    "SharesAtCut",
    "concordance",
    "cross_fit",
    "design_matrix",
    "doubly_robust_labels",
    "effective_size",
    "inverse_weights",
    "shifted_risk",
    "soft_auroc",
    "soft_shares",
]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_N_FOLDS = 5
_MIN_CHANCE = 1e-6
_MIN_ROWS = 5
"""A yes-or-no column that fewer rows of a group have, or lack, would tell the groups apart."""


def concordance(above: Floats, below: Floats, scores: Floats) -> float:
    """Sum over pairs of above_i * below_j where i scores higher, half where they score equal."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    a = np.add.reduceat(above[order], starts)
    b = np.add.reduceat(below[order], starts)
    return float(a @ (np.cumsum(b) - b / 2))


def soft_auroc(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """AUROC of rows that stand for several, and whose labels may be shares.

    Of all pairs of two rows, one taken as positive by its label and the other as negative by
    what is left of its own. With labels of 0 and 1 it is the weighted AUROC, and whole weights
    equal repeated rows.

    Raises
    ------
    NotEstimable
        When the labels leave one class.
    """
    counted = np.ones(len(labels)) if weights is None else weights
    above, below = counted * labels, counted * (1 - labels)
    with_itself = float(above @ (1 - labels))
    pairs = float(above.sum() * below.sum()) - with_itself
    if pairs <= 0:
        raise NotEstimable("one class")
    return (concordance(above, below, scores) - with_itself / 2) / pairs


class SharesAtCut(NamedTuple):
    """The shares of the four cells at a cut, and the prevalence; NaN where nothing is to share."""

    sensitivity: float
    specificity: float
    ppv: float
    npv: float
    prevalence: float


def soft_shares(labels: Floats, flagged: Flags, weights: Floats | None = None) -> SharesAtCut:
    """Shares of rows that stand for several, or whose labels are shares.

    Parameters
    ----------
    labels : array of shape (n,)
        0, 1 or between.
    flagged : array of bool, (n,)
    weights : array of shape (n,), optional
    """
    counted = np.ones(len(labels)) if weights is None else weights
    hits, misses = counted * labels, counted * (1 - labels)
    tp, fp = hits[flagged].sum(), misses[flagged].sum()
    fn, tn = hits[~flagged].sum(), misses[~flagged].sum()

    def share(x: float, n: float) -> float:
        return float(x / n) if n > 0 else float("nan")

    return SharesAtCut(
        share(tp, tp + fn),
        share(tn, tn + fp),
        share(tp, tp + fp),
        share(tn, tn + fn),
        share(tp + fn, counted.sum()),
    )


def inverse_weights(chance: Floats, *, quantile: float = 0.99) -> tuple[Floats, float]:
    """Weights of tested rows, none above the quantile of them all; and where they were cut off."""
    weights = 1 / np.maximum(chance, _MIN_CHANCE)
    limit = float(np.quantile(weights, quantile))
    return np.minimum(weights, limit), limit


def effective_size(weights: Floats) -> float:
    """Rows of equal weight that would be as informative (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights @ weights))


def shifted_risk(risk: Floats, odds_factor: float) -> Floats:
    """Risk whose odds are multiplied."""
    shifted: Floats = odds_factor * risk / (1 - risk + odds_factor * risk)
    return shifted


def doubly_robust_labels(labels: Floats, tested: Flags, chance: Floats, risk: Floats) -> Floats:
    """Labels of everybody: the fitted risk, corrected by the weighted residual of the tested.

    Right when either the chance of being tested or the risk is (Rotnitzky, Faraggi and
    Schisterman, J Am Stat Assoc 101:1276 (2006)). Single values may leave [0, 1].
    """
    residual = np.where(tested, labels - risk, 0.0)
    return risk + residual / np.maximum(chance, _MIN_CHANCE)


def cross_fit(
    design: Floats, outcome: Flags, patients: Ints, *, among: Flags | None = None, seed: int = 0
) -> Floats:
    """Fitted probabilities of all rows, none from a fit that saw the row's patient.

    Parameters
    ----------
    design : array of shape (n, p)
    outcome : array of bool, (n,)
    patients : array of shape (n,)
        Numbers from 0.
    among : array of bool, (n,), optional
        Rows that a fit may see; all by default.

    Raises
    ------
    NotEstimable
        When a fold's fit has no finite answer.
    """
    folds = np.random.default_rng(seed).permutation(int(patients.max()) + 1) % _N_FOLDS
    of_row = folds[patients]
    fitted = np.empty(len(outcome))
    for fold in range(_N_FOLDS):
        seen = of_row != fold if among is None else (of_row != fold) & among
        columns = _independent(design[seen])
        coefficients = fit_logistic(design[seen][:, columns], outcome[seen]).coefficients
        fitted[of_row == fold] = expit(design[of_row == fold][:, columns] @ coefficients)
    return fitted


def design_matrix(rows: pl.DataFrame, columns: list[str], *, tested: Flags) -> Floats:
    """Columns of the labels as a design with a column of ones, (n, p).

    Numbers are standardised, their missing values set to the mean and marked; texts become one
    0/1 column a value, a missing value one of them. Columns that repeat others are left out, and
    those that are rare among the tested or the untested.
    """
    parts = [np.ones(len(rows))]
    for name in columns:
        if rows[name].dtype.is_numeric() or rows[name].dtype == pl.Boolean:
            numbers = rows[name].cast(pl.Float64).fill_nan(None)
            missing = numbers.is_null().to_numpy().astype(np.float64)
            values = numbers.fill_null(numbers.mean() or 0.0).to_numpy()
            parts += [(values - values.mean()) / (values.std() or 1.0), missing]
        else:
            texts = rows[name].cast(pl.String).fill_null("")
            parts += [(texts == value).to_numpy() * 1.0 for value in texts.unique().sort()[1:]]
    first, *others = parts
    common = [part for part in others if not any(_is_rare(part[g]) for g in (tested, ~tested))]
    design = np.column_stack([first, *common])
    return design[:, _independent(design)]


def _is_rare(column: Floats) -> bool:
    values, counts = np.unique(column, return_counts=True)
    return len(values) < 2 or (len(values) == 2 and counts.min() < _MIN_ROWS)


def _independent(design: Floats) -> list[int]:
    """Columns of which none is a sum of those before it."""
    kept: list[int] = []
    for index in range(design.shape[1]):
        gram = design[:, [*kept, index]].T @ design[:, [*kept, index]]
        if np.linalg.matrix_rank(gram) == len(kept) + 1:
            kept.append(index)
    return kept
