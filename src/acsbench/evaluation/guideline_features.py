"""Does a model see more than the classical findings? Compared fairly: at equal budgets.

A finding flags its own number of rows at its own specificity. Setting it against a model that
flags six times as many says nothing of either; here the model gets the finding's budget, then its
specificity. Base rates stand beside every share.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.intervals import chi2_tail
from acsbench.evaluation.logistic import expit, fit_logistic, with_intercept
from acsbench.evaluation.metrics import NotEstimable, roc_curve
from acsbench.evaluation.operating_points import at_budget

__all__ = [
    "FEATURES",
    "ST_FEATURES",
    "T_FEATURES",
    "AddedValue",
    "Yield",
    "added_value",
    "classical_findings",
    "region_of",
    "sensitivity_at_specificity",
    "yield_at",
]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

ST_FEATURES = ("has_st_eleva", "has_depress")
"""ST elevation and ST depression, as the Nightingale tables call them."""
T_FEATURES = ("has_twave_inver", "has_twave_abnormal")
"""T-wave inversion and T-wave abnormality."""
FEATURES = (*ST_FEATURES, *T_FEATURES)


def classical_findings(flags: dict[str, Flags]) -> Flags:
    """Rows with any finding, (n,)."""
    found: Flags = np.logical_or.reduce(list(flags.values()))
    return found


def flagged_shares(scores: Floats, k: int) -> Floats:
    """Chance of each row to be among the k flagged: 1 above the cut, 0 below, ties share."""
    cut = np.partition(scores, len(scores) - k)[len(scores) - k]
    above, tied = scores > cut, scores == cut
    shares: Floats = above + tied * ((k - above.sum()) / tied.sum())
    return shares


class Yield(NamedTuple):
    """What a budget finds among rows with and without classical findings, ties by expectation."""

    k: int
    expected_tp: float
    ppv: float
    sensitivity: float
    share_without_feature: float
    base_share_without_feature: float
    lift: float | None
    positives_without_feature: float | None
    base_positives_without_feature: float
    tp_without_feature: float
    ppv_without_feature: float | None


def yield_at(labels: ArrayLike, scores: ArrayLike, findings: Flags, *, k: int) -> Yield:
    """Yield of flagging k rows.

    Parameters
    ----------
    labels, scores : arrays of shape (n,)
    findings : array of bool, (n,)
        Rows with any classical finding.
    k : int

    Returns
    -------
    Yield
        ``lift`` is the share of the flagged without a finding over that of all rows: 1 is what
        flagging by chance gives. ``positives_without_feature`` is of the true positives,
        ``base_positives_without_feature`` of all positives.
    """
    found = at_budget(labels, scores, k=k)
    positives = np.asarray(labels) == 1
    shares = flagged_shares(np.asarray(scores, dtype=np.float64), k)
    without = ~findings
    n_without = float(shares[without].sum())
    tp_without = float(shares[without & positives].sum())
    base = float(without.mean())
    return Yield(
        k=k,
        expected_tp=found.expected_tp,
        ppv=found.ppv,
        sensitivity=found.sensitivity,
        share_without_feature=n_without / k,
        base_share_without_feature=base,
        lift=n_without / k / base if base else None,
        positives_without_feature=tp_without / found.expected_tp if found.expected_tp else None,
        base_positives_without_feature=float(without[positives].mean()),
        tp_without_feature=tp_without,
        ppv_without_feature=tp_without / n_without if n_without else None,
    )


def sensitivity_at_specificity(labels: ArrayLike, scores: ArrayLike, specificity: float) -> float:
    """Height of the ROC polygon where a finding has its specificity.

    The highest of a vertical step, as a model may use all that the specificity allows.
    """
    curve = roc_curve(labels, scores)
    fpr = 1 - specificity
    at = int(np.searchsorted(curve.fpr, fpr + 1e-12, side="right"))
    if at == len(curve.fpr):
        return float(curve.tpr[-1])
    left, right = at - 1, at
    width = curve.fpr[right] - curve.fpr[left]
    part = (fpr - curve.fpr[left]) / width if width > 0 else 0.0
    return float(curve.tpr[left] + max(0.0, part) * (curve.tpr[right] - curve.tpr[left]))


def region_of(flagged: Flags, t_findings: Flags, st_findings: Flags) -> NDArray[np.str_]:
    """Region of each row: ``model``, ``T`` and ``ST`` joined by ``+``, or ``none``."""
    names = np.array(["none", "ST", "T", "T+ST", "model", "model+ST", "model+T", "model+T+ST"])
    code = 4 * flagged.astype(np.intp) + 2 * t_findings + st_findings
    regions: NDArray[np.str_] = names[code]
    return regions


class AddedValue(NamedTuple):
    """A logistic model of the findings, with and without the model's score."""

    lr_chi2: float
    lr_p_value: float
    wald_p_value: float | None
    without: Any  # function from (findings, scores) to scores
    with_model: Any


def added_value(
    labels: ArrayLike, findings: Floats, log_odds: Floats, patients: NDArray[np.intp]
) -> AddedValue:
    """Fit both models on the same rows.

    Parameters
    ----------
    labels : array of shape (n,)
    findings : array of shape (n, k)
        Constant or repeated columns are left out.
    log_odds : array of shape (n,)
        The model's logit, or its rank on any scale.
    patients : array of shape (n,)

    Raises
    ------
    NotEstimable
        When a model has no finite fit.

    Notes
    -----
    The likelihood ratio takes rows as independent; the Wald test beside it does not.
    """
    kept = independent_columns(findings)
    if not len(kept):
        raise NotEstimable("no finding varies")
    alone = with_intercept(*findings[:, kept].T)
    joined = np.column_stack([alone, log_odds])
    base = fit_logistic(alone, labels)
    full = fit_logistic(joined, labels, patients=patients)
    chi2 = max(0.0, 2 * (full.log_likelihood - base.log_likelihood))
    wald = None
    if full.clustered is not None:
        variance = full.clustered[-1, -1]
        wald = chi2_tail(float(full.coefficients[-1] ** 2 / variance), 1)
    return AddedValue(
        lr_chi2=chi2,
        lr_p_value=chi2_tail(chi2, 1),
        wald_p_value=wald,
        without=lambda x, _: expit(with_intercept(*x[:, kept].T) @ base.coefficients),
        with_model=lambda x, z: expit(
            np.column_stack([with_intercept(*x[:, kept].T), z]) @ full.coefficients
        ),
    )


def independent_columns(columns: Floats) -> NDArray[np.intp]:
    """Indices of the columns that are neither constant nor made of those before them."""
    kept: list[int] = []
    for index in range(columns.shape[1]):
        design = np.column_stack([np.ones(len(columns)), columns[:, [*kept, index]]])
        if np.linalg.matrix_rank(design) == design.shape[1]:
            kept.append(index)
    return np.array(kept, dtype=np.intp)
