"""AUROC with each patient's influence on it: means and paired differences have intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.intervals import patient_influence, placements

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Area:
    """Mean AUROC over columns, and each patient's influence on it, (patients,)."""

    value: float
    influence: Floats

    @property
    def reach(self) -> float:
        """Half of the 95 % interval, patients taken as independent."""
        return float(1.96 * np.sqrt((self.influence**2).sum()))

    def minus(self, other: Area) -> Area:
        """Paired difference: the same patients stand on both sides."""
        return Area(self.value - other.value, self.influence - other.influence)


def mean_area(areas: Sequence[Area]) -> Area:
    """Mean over seeds, say."""
    return Area(
        float(np.mean([one.value for one in areas])),
        np.mean([one.influence for one in areas], axis=0),
    )


def area(
    labels: Floats, scores: Floats, patients: NDArray[np.intp], *, n_patients: int | None = None
) -> Area:
    """Mean AUROC over the columns of labels and scores, (records, columns).

    ``n_patients`` is needed where the rows are of some of the patients only.
    """
    n = n_patients or int(patients.max()) + 1
    return mean_area(
        [
            Area(
                float(placements(label, score).positives.mean()),
                patient_influence(label, score, patients, n=n).reshape(n, -1)[:, 0],
            )
            for label, score in zip(labels.T, scores.T, strict=True)
        ]
    )


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
