"""AUROC with each patient's influence on it: means and paired differences have intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.replicates import Area, area, mean_area

__all__ = ["Area", "Floats", "area", "difference", "mean_area", "spread"]

Floats = NDArray[np.float64]


def spread(areas: Sequence[Area]) -> float:
    """Standard deviation over seeds; 0 for one alone."""
    return float(np.std([one.value for one in areas], ddof=1)) if len(areas) > 1 else 0.0


def difference(ours: Sequence[Area], theirs: Sequence[Area]) -> tuple[float, float]:
    """Mean paired difference over seeds, and half of its 95 % interval.

    The spread of patients, who are the same for every seed, and that of the seeds add up.
    """
    differences = [a.minus(b) for a, b in zip(ours, theirs, strict=True)]
    of_seeds = 1.96 * spread(differences) / np.sqrt(len(differences))
    mean = mean_area(differences)
    return mean.value, float(np.hypot(mean.reach, of_seeds))
