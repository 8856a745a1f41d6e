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
    may_lack : bool
        Take a column that a dataset does not have for one without values.
    """

    names: tuple[str, ...] = ()
    medians: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    may_lack: bool = False

    @classmethod
    def fit(cls, train: WaveformDataset, names: Sequence[str], *, may_lack: bool = False) -> Self:
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
            may_lack=may_lack,
        )

    def of(self, data: WaveformDataset) -> NDArray[np.float32]:
        """Filled in and standardised, shape (n, covariates)."""
        values = _columns(data, self.names, may_lack=self.may_lack)
        filled = np.where(np.isfinite(values), values, self.medians)
        return ((filled - self.means) / self.scales).astype(np.float32)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Self:
        """Read what ``dataclasses.asdict`` made of it."""
        may_lack = bool(body["may_lack"])
        lists = {key: tuple(values) for key, values in body.items() if key != "may_lack"}
        return cls(**lists, may_lack=may_lack)


def _columns(
    data: WaveformDataset, names: Sequence[str], *, may_lack: bool = False
) -> NDArray[np.float64]:
    table = data.feature_frame
    findings = [
        f"There is no covariate '{name}'.{did_you_mean(name, table.columns)}"
        for name in names
        if name not in table.columns and not may_lack
    ]
    if findings:
        raise TableError("\n".join([*findings, f"Known: {', '.join(table.columns) or 'none'}."]))
    nothing = np.full(len(data), np.nan)
    columns = [table[n].to_numpy() if n in table.columns else nothing for n in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(data), 0))
