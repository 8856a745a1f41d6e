"""AUROC of a method that was fitted several times: patients and fits both make its interval.

A method is not one model: another seed, another draw of labels gives another one. Each fit is
scored on the same patients, so patients enter once, through the mean of their influence over fits
(clustered DeLong, Obuchowski 1997), and the fits through the spread of the means of their groups.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from acsbench.evaluation.intervals import patient_influence, placements

__all__ = ["Area", "Estimate", "area", "estimate_over_fits", "mean_area"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Area:
    """Mean AUROC, and each patient's influence on it, (patients,)."""

    value: float
    influence: Floats

    @property
    def reach(self) -> float:
        """Half of the 95 % interval, patients taken as independent."""
        return float(1.96 * np.sqrt((self.influence**2).sum()))

    def minus(self, other: Area) -> Area:
        """Paired difference: the same patients stand on both sides."""
        return Area(self.value - other.value, self.influence - other.influence)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over fits with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
    p_value : float
        Two-sided, of a mean of zero; for differences.
    spread : float
        Standard deviation of single fits; NaN for one alone.
    n_fits, n_groups : int
    """

    value: float
    low: float
    high: float
    p_value: float
    spread: float
    n_fits: int
    n_groups: int


def mean_area(areas: Sequence[Area]) -> Area:
    """Mean over fits, rounds or tasks."""
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


def estimate_over_fits(areas: Sequence[Area], groups: Sequence[Hashable]) -> Estimate:
    """Mean over fits with an interval that patients and groups of fits both widen.

    Parameters
    ----------
    areas : sequence of Area
        One a fit, all of the same patients; differences are paired before.
    groups : sequence
        What fits have in common, the seed say: its groups are taken as independent, the fits of
        one are not. With one group alone the interval is of these very fits.

    Notes
    -----
    The two variances add up; few groups are allowed for by Satterthwaite's degrees of freedom.
    """
    mean = mean_area(areas)
    values = np.array([one.value for one in areas])
    names = list(dict.fromkeys(groups))
    means = [values[[g == name for g in groups]].mean() for name in names]
    of_patients = float((mean.influence**2).sum())
    of_groups = float(np.var(means, ddof=1) / len(means)) if len(means) > 1 else 0.0
    variance = of_patients + of_groups
    freedom = variance**2 / (of_groups**2 / (len(means) - 1)) if of_groups > 0 else np.inf
    error = np.sqrt(variance)
    reach = float(stats.t.ppf(0.975, freedom) * error)
    p_value = float(2 * stats.t.sf(abs(mean.value) / error, freedom)) if error > 0 else np.nan
    return Estimate(
        value=mean.value,
        low=mean.value - reach,
        high=mean.value + reach,
        p_value=p_value,
        spread=float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
        n_fits=len(values),
        n_groups=len(names),
    )
