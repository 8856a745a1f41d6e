"""What a model on features sees: cohort columns and numbers measured on the ECG, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acsbench.dataset import WaveformDataset
from acsbench.errors import StoreError, TableError, did_you_mean
from acsbench.signal.beats import MEASURE_NAMES, measure_ecg
from acsbench.signal.leads import STANDARD_12
from acsbench.store import WaveformStore

__all__ = [
    "JOINED_RECIPES",
    "MEASURED",
    "TABULAR",
    "feature_matrix",
    "named_columns",
    "needs_single_leads",
]

MEASURED, TABULAR = "measured", "tabular"
JOINED_RECIPES = ("three_by_four", "paper_3x4")
"""Recipes that join several leads in a row; known here so that a run refuses before it begins."""


def feature_matrix(
    data: WaveformDataset, features: Sequence[str], *, may_lack: bool = False
) -> NDArray[np.float64]:
    """Columns named by ``features``, shape (n, columns), NaN where missing.

    Parameters
    ----------
    data : WaveformDataset
    features : sequence of str
        Columns, or ``measured``; see `named_columns` for ``tabular``.
    may_lack : bool
        Take a column that is not there for one without values.

    Raises
    ------
    TableError
        For columns that are not there.
    StoreError
        When ``measured`` is asked for without a store in millivolts that has a row for each lead.
    """
    table = data.feature_frame
    known = [*table.columns, MEASURED, TABULAR]
    lacking = [name for name in features if name != MEASURED and name not in table.columns]
    if lacking and not may_lack:
        hints = "".join(did_you_mean(name, known) for name in lacking[:1])
        raise TableError(
            f"There is no feature {', '.join(lacking)}.{hints} Known: {', '.join(known)}."
        )
    nothing = np.full((len(data), 1), np.nan)
    blocks = [
        _measured(data)
        if name == MEASURED
        else nothing
        if name in lacking
        else table[name].to_numpy().astype(np.float64)[:, None]
        for name in features
    ]
    return np.hstack(blocks) if blocks else np.zeros((len(data), 0))


def named_columns(features: Sequence[str], train: WaveformDataset) -> tuple[str, ...]:
    """``features`` with the names of train's columns in the place of ``tabular``."""
    return tuple(
        one
        for name in features
        for one in (train.feature_frame.columns if name == TABULAR else [name])
    )


def _measured(data: WaveformDataset) -> NDArray[np.float64]:
    store = _measurable(data.store)
    rows = np.empty((len(data), len(MEASURE_NAMES)))
    for index in range(len(data)):
        item = data[index]
        found = measure_ecg(
            item.waveform,
            item.mask,
            lead_names=store.lead_names,
            sampling_rate=store.sampling_rate,
        )
        rows[index] = [found[name] for name in MEASURE_NAMES]
    return rows


def _measurable(store: WaveformStore | None) -> WaveformStore:
    if store is None:
        raise StoreError("Measured features need a waveform store; load_dataset was given none.")
    if store.units != "mV":
        raise StoreError(f"Measured features are in millivolts; the store is in '{store.units}'.")
    if not set(store.lead_names) & set(STANDARD_12):
        raise needs_single_leads(store.recipe, f"its rows are {', '.join(store.lead_names)}")
    return store


def needs_single_leads(recipe: str, why: str) -> StoreError:
    """What to raise where rows join leads."""
    return StoreError(
        f"Features 'measured' need a row for each lead, and recipe '{recipe}' has none: {why}. "
        "Set recipe = 'recorded_12'."
    )
