"""Metrics as pure functions ``(labels, scores) -> float``: arrays in, one number out.

A higher score means more likely positive; scores that are equal are one step of a curve. What has
no answer (no rows, one class, a score that is no probability) raises `NotEstimable` with the
reason; it is never 0, and never 0.5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CLIP",
    "NotEstimable",
    "RocCurve",
    "auprc",
    "auroc",
    "brier",
    "check_labels_and_scores",
    "check_probabilities",
    "counts_at_cuts",
    "log_loss",
    "mid_ranks",
    "oe_ratio",
    "pauroc_fpr10",
    "pauroc_fpr10_mcclish",
    "pauroc_tpr90",
    "pauroc_tpr90_mcclish",
    "roc_curve",
    "scaled_brier",
]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

CLIP = 1e-7
"""What a probability is kept away from 0 and 1 by, before its logit."""
_PARTIAL = 0.1


class NotEstimable(ValueError):  # noqa: N818 (a result, not a fault: it becomes a null with its reason)
    """A figure has no answer on these rows.

    Parameters
    ----------
    reason : str
        Stands in the results beside the empty value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RocCurve(NamedTuple):
    """Points of a ROC curve from (0, 0) to (1, 1); ``cut`` is the score at or above which to flag.

    The first cut is infinite: nobody is flagged.
    """

    fpr: Floats
    tpr: Floats
    cut: Floats


def check_labels_and_scores(labels: ArrayLike, scores: ArrayLike) -> tuple[Flags, Floats]:
    """Return positives as flags and scores as float64, both of shape (n,).

    Raises
    ------
    ValueError
        On labels other than 0 and 1, scores that are NaN, or arrays that do not match.
    NotEstimable
        Without rows, or with one class only.
    """
    given: NDArray[Any] = np.asarray(labels)
    numbers = np.asarray(scores, dtype=np.float64)
    if given.ndim != 1 or given.shape != numbers.shape:
        raise ValueError(
            f"labels {given.shape} and scores {numbers.shape} differ in shape; "
            "both have to be (n,), one label and one score a row."
        )
    if given.size == 0:
        raise NotEstimable("no rows")
    positives = given == 1
    strange = ~(positives | (given == 0))
    if strange.any():
        raise ValueError(
            f"label {given[strange][0]} in row {int(strange.argmax())} is neither 0 nor 1."
        )
    unknown = np.isnan(numbers)
    if unknown.any():
        raise ValueError(
            f"{int(unknown.sum()):,} scores are NaN (first in row {int(unknown.argmax())}). "
            "Every row needs one score."
        )
    if positives.all() or not positives.any():
        raise NotEstimable("one class")
    return positives, numbers


def mid_ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs: multiples of one half, so exact."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(values)])
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return ranks


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: P(positive scores higher) + half P(equal).

    Parameters
    ----------
    labels : array of shape (n,)
        0 and 1.
    scores : array of shape (n,)
        Any order-preserving number; infinities are legal ranks.

    Raises
    ------
    NotEstimable
        Without rows, or with one class only.
    ValueError
        On other labels, or NaN scores.

    Notes
    -----
    By mid-ranks in float64 (Mann and Whitney 1947), O(n log n).

    Examples
    --------
    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    positives, numbers = check_labels_and_scores(labels, scores)
    n_positive = int(positives.sum())
    n_negative = len(positives) - n_positive
    wins = mid_ranks(numbers)[positives].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))


def counts_at_cuts(positives: Flags, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """True and false positives at each distinct score, from the highest down, and the scores.

    Takes what `check_labels_and_scores` returns.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    true_positives = np.cumsum(positives[order])[ends].astype(np.float64)
    return true_positives, ends + 1 - true_positives, ordered[ends]


def auprc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision: precision at each distinct score, weighted by the recall it adds.

    No interpolation; its baseline is the share of positives. Parameters and errors as in `auroc`.

    Examples
    --------
    >>> round(auprc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    positives, numbers = check_labels_and_scores(labels, scores)
    hits, false_alarms, _ = counts_at_cuts(positives, numbers)
    precision = hits / (hits + false_alarms)
    return float(np.sum(np.diff(hits, prepend=0.0) * precision) / hits[-1])


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """ROC curve with one point per distinct score, after (0, 0). Errors as in `auroc`."""
    positives, numbers = check_labels_and_scores(labels, scores)
    hits, false_alarms, cuts = counts_at_cuts(positives, numbers)
    return RocCurve(
        fpr=np.r_[0.0, false_alarms / false_alarms[-1]],
        tpr=np.r_[0.0, hits / hits[-1]],
        cut=np.r_[np.inf, cuts],
    )


def _polygon_area(x: Floats, y: Floats, *, up_to: float) -> float:
    """Area under a polygon that begins at x = 0, as far as ``up_to``."""
    inside = x <= up_to
    xs = np.r_[x[inside], up_to]
    ys = np.r_[y[inside], np.interp(up_to, x, y)]
    return float(np.sum(np.diff(xs) * (ys[1:] + ys[:-1])) / 2)


def _mcclish(area: float) -> float:
    """Rescale a partial area so that chance is 0.5 and the best 1 (McClish 1989)."""
    chance = _PARTIAL**2 / 2
    return 0.5 * (1 + (area - chance) / (_PARTIAL - chance))


def pauroc_fpr10(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC polygon up to a false positive rate of 0.1; at best 0.1.

    Parameters and errors as in `auroc`.
    """
    curve = roc_curve(labels, scores)
    return _polygon_area(curve.fpr, curve.tpr, up_to=_PARTIAL)


def pauroc_fpr10_mcclish(labels: ArrayLike, scores: ArrayLike) -> float:
    """`pauroc_fpr10`, rescaled so that chance is 0.5 and the best possible 1.

    References
    ----------
    McClish, Med Decis Making 9:190 (1989).
    """
    return _mcclish(pauroc_fpr10(labels, scores))


def pauroc_tpr90(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area between the ROC polygon and the line of sensitivity 0.9, above it; at best 0.1.

    What a rule-out test is about. Parameters and errors as in `auroc`.
    """
    curve = roc_curve(labels, scores)
    # seen from the other corner: share of positives missed, against share of negatives spared
    return _polygon_area((1 - curve.tpr)[::-1], (1 - curve.fpr)[::-1], up_to=_PARTIAL)


def pauroc_tpr90_mcclish(labels: ArrayLike, scores: ArrayLike) -> float:
    """`pauroc_tpr90`, rescaled as `pauroc_fpr10_mcclish`."""
    return _mcclish(pauroc_tpr90(labels, scores))


def check_probabilities(labels: ArrayLike, scores: ArrayLike) -> tuple[Flags, Floats]:
    """As `check_labels_and_scores`, and scores in [0, 1].

    Raises
    ------
    NotEstimable
        Also when a score is no probability.
    """
    positives, numbers = check_labels_and_scores(labels, scores)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise NotEstimable("not a probability")
    return positives, numbers


def brier(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean squared distance between probability and outcome (Brier 1950); 0 is best."""
    positives, probabilities = check_probabilities(labels, scores)
    return float(np.mean((probabilities - positives) ** 2))


def log_loss(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean negative log-likelihood, probabilities clipped to [1e-7, 1 - 1e-7]; 0 is best."""
    positives, probabilities = check_probabilities(labels, scores)
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    return float(-np.mean(np.log(np.where(positives, clipped, 1 - clipped))))


def scaled_brier(labels: ArrayLike, scores: ArrayLike) -> float:
    """One minus the Brier score over that of the prevalence as everybody's probability; 1 is best.

    Below 0 the prevalence would have been the better forecast.
    """
    positives, _ = check_probabilities(labels, scores)
    share = float(positives.mean())
    return 1 - brier(labels, scores) / (share * (1 - share))


def oe_ratio(labels: ArrayLike, scores: ArrayLike) -> float:
    """Positives observed over positives expected; above 1 the risk is understated."""
    positives, probabilities = check_probabilities(labels, scores)
    expected = float(probabilities.sum())
    if expected == 0:
        raise NotEstimable("no positives are expected")
    return float(positives.sum()) / expected
