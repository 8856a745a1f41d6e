"""Covariates: cohort columns that join a network's logits, filled in and scaled on train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from acsbench.dataset import WaveformDataset
from acsbench.errors import TableError, did_you_mean

__all__ = ["Covariates"]


@dataclass(frozen=True, kw_only=True)
class Covariates:
    """Columns, and what train said of them; travels with the model.

    Attributes
    ----------
    names : tuple of str
    medians, means, scales : tuple of float
        Of train; means and scales after filling in the medians. A constant column has scale 1.
    """

    names: tuple[str, ...] = ()
    medians: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()

    @classmethod
    def fit(cls, train: WaveformDataset, names: Sequence[str]) -> Self:
        """Learn medians, means and scales.

        Raises
        ------
        TableError
            For columns the cohort does not have, or that train never fills.
        """
        values = _columns(train, names)
        empty = [n for n, column in zip(names, values.T, strict=True) if np.isnan(column).all()]
        if empty:
            raise TableError(
                f"No training record has a value of covariate {', '.join(empty)}. Leave it out."
            )
        medians = np.nanmedian(values, axis=0)
        filled = np.where(np.isfinite(values), values, medians)
        scales = filled.std(axis=0)
        return cls(
            names=tuple(names),
            medians=tuple(medians.tolist()),
            means=tuple(filled.mean(axis=0).tolist()),
            scales=tuple(np.where(scales > 0, scales, 1.0).tolist()),
        )

    def of(self, data: WaveformDataset) -> NDArray[np.float32]:
        """Filled in and standardised, shape (n, covariates)."""
        values = _columns(data, self.names)
        filled = np.where(np.isfinite(values), values, self.medians)
        return ((filled - self.means) / self.scales).astype(np.float32)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Self:
        """Read what ``dataclasses.asdict`` made of it."""
        return cls(**{key: tuple(values) for key, values in body.items()})


def _columns(data: WaveformDataset, names: Sequence[str]) -> NDArray[np.float64]:
    table = data.feature_frame
    findings = [
        f"The cohort has no covariate '{name}'.{did_you_mean(name, table.columns)}"
        for name in names
        if name not in table.columns
    ]
    if findings:
        raise TableError("\n".join([*findings, f"Known: {', '.join(table.columns) or 'none'}."]))
    if not names:
        return np.zeros((len(data), 0))
    return table.select(names).to_numpy().astype(np.float64)
