"""How records become a foundation model's windows, or its features that were computed before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acsbench.dataset import WaveformDataset
from acsbench.errors import InputError, StoreError
from acsbench.models.batches import Change, Read, augmentation, seed_of
from acsbench.models.foundation.base import Adapter
from acsbench.store import WaveformStore

__all__ = ["FeatureFeed", "WindowFeed", "require_leads"]


class WindowFeed:
    """Windows of the waveforms: drawn at random in training, always the same ones in scoring.

    Parameters
    ----------
    adapter : Adapter
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    def for_training(self, data: WaveformDataset, *, epoch: Callable[[], int]) -> Read:
        """One window a record, (batch, *input_shape); seed, epoch and row say where it starts."""
        config = self.adapter.config
        change = augmentation(data, config.augment, seed=config.seed, epoch=epoch)
        rate, n_samples = self._place(data)
        n_starts = n_samples - self.adapter.window_samples(rate) + 1

        def start(row: int) -> tuple[int]:
            if config.train_windows == "first":
                return (0,)
            drawn = seed_of(config.seed, epoch(), row, "window")
            return (int(np.random.default_rng(drawn).integers(n_starts)),)

        def read(rows: Sequence[int]) -> Tensor:
            made = [self._prepared(data, row, start(row), rate, change) for row in rows]
            return torch.from_numpy(np.concatenate(made))

        return read

    def for_scoring(self, data: WaveformDataset) -> Read:
        """All windows of a record, (batch, windows, *input_shape)."""
        rate, n_samples = self._place(data)
        starts = self.adapter.windows(n_samples, sampling_rate=rate)

        def read(rows: Sequence[int]) -> Tensor:
            made = [self._prepared(data, row, starts, rate) for row in rows]
            return torch.from_numpy(np.stack(made))

        return read

    def _place(self, data: WaveformDataset) -> tuple[float, int]:
        """Rate and length of the store's waveforms, once they are known to be long enough."""
        store = require_leads(data, self.adapter)
        n_samples = store.shape[1]
        self.adapter.windows(n_samples, sampling_rate=store.sampling_rate)
        return store.sampling_rate, n_samples

    def _prepared(
        self,
        data: WaveformDataset,
        row: int,
        starts: Sequence[int],
        rate: float,
        change: Change | None = None,
    ) -> NDArray[np.float32]:
        item = data[row]
        waveform, mask = item.waveform, item.mask
        if change is not None:
            waveform, mask = change(row, waveform, mask)
        try:
            return self.adapter.prepare(waveform, mask, sampling_rate=rate, starts=starts)
        except InputError as error:
            raise InputError(f"ECG {data.ecg_ids[row]}: {error}") from None


class FeatureFeed:
    """Features in memory, by dataset; the same in training and in scoring.

    Parameters
    ----------
    features : mapping
        From the ids of a dataset's records to an array (records, windows, width).
    """

    def __init__(self, features: Mapping[tuple[str, ...], NDArray[np.float32]]) -> None:
        self.features = features

    def for_training(self, data: WaveformDataset, *, epoch: Callable[[], int]) -> Read:
        """Look them up."""
        del epoch  # nothing is drawn
        return self.for_scoring(data)

    def for_scoring(self, data: WaveformDataset) -> Read:
        """Look them up."""
        return partial(_rows, self.features[data.ecg_ids])


def _rows(features: NDArray[np.float32], rows: Sequence[int]) -> Tensor:
    return torch.from_numpy(features[list(rows)])


def require_leads(data: WaveformDataset, adapter: Adapter) -> WaveformStore:
    """Check that a store's rows are the adapter's leads, and return the store.

    Raises
    ------
    StoreError
    """
    store = data.store
    if store is None or store.lead_names != adapter.spec.lead_names:
        found = ", ".join(store.lead_names) if store is not None else "no waveforms"
        raise StoreError(
            f"{adapter.spec.name} reads the leads {', '.join(adapter.spec.lead_names)}; the store "
            f"has {found}. Use a recipe of twelve leads."
        )
    return store
