"""Platt scaling: a slope and an intercept for each task's logit, fitted on val."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

__all__ = ["Line", "apply_lines", "fit_lines"]

Line = tuple[float, float]
"""Slope and intercept."""


def fit_lines(logits: NDArray[np.float64], labels: NDArray[np.float32]) -> tuple[Line, ...]:
    """Fit each column of ``logits`` (n, tasks) to its known labels; the order stays.

    A slope that is not positive would turn the order round, and means that val says nothing of the
    scores: the column then stays as it is.
    """
    lines = []
    for column, label in zip(logits.T, labels.reshape(len(logits), -1).T, strict=True):
        known = np.isfinite(label)
        # a weak penalty keeps the slope finite where val is separated perfectly
        found = LogisticRegression(C=100.0).fit(column[known, None], label[known].astype(int))
        slope, intercept = float(found.coef_[0, 0]), float(found.intercept_[0])
        lines.append((slope, intercept) if slope > 0 else (1.0, 0.0))
    return tuple(lines)


def apply_lines(logits: NDArray[np.float64], lines: Sequence[Line]) -> NDArray[np.float64]:
    """Slope times logit plus intercept, by column; as they are without lines."""
    if not lines:
        return logits
    slopes, intercepts = np.array(lines).T
    scaled: NDArray[np.float64] = logits * slopes + intercepts
    return scaled
