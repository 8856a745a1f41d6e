"""Features of a frozen backbone, computed once and kept on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from acsbench.dataset import WaveformDataset
from acsbench.models.batches import Read
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.parallel import progress
from acsbench.provenance import atomic_path

__all__ = ["cached_features", "computed_features"]

_CHUNK = 128
"""Records in a file: what is lost when a computation is stopped."""


def cached_features(
    network: FoundationNetwork,
    data: WaveformDataset,
    read: Read,
    *,
    folder: Path,
    at_once: int,
) -> NDArray[np.float32]:
    """Pooled features of every window of every record.

    A finished file is never computed again, and a damaged one is.

    Parameters
    ----------
    network : FoundationNetwork
    data : WaveformDataset
    read : callable
        Of `WindowFeed.for_scoring`.
    folder : Path
        Of these weights, this preparation, this store and these records alone.
    at_once : int
        Records in a batch.

    Returns
    -------
    ndarray, shape (records, windows, width)
    """
    network.eval()
    starts = range(0, len(data), _CHUNK)
    parts = []
    for start in progress(starts, label=f"features of {data.split}", total=len(starts)):
        rows = range(start, min(start + _CHUNK, len(data)))
        file = folder / f"{start:07d}.npy"
        part = _read_back(file, len(rows))
        if part is None:
            part = computed_features(network, read, rows, at_once=at_once)
            with atomic_path(file) as temporary, temporary.open("wb") as stream:
                np.save(stream, part)
        parts.append(part)
    return np.concatenate(parts)


def _read_back(file: Path, n_records: int) -> NDArray[np.float32] | None:
    with contextlib.suppress(OSError, ValueError, EOFError):
        part: NDArray[np.float32] = np.load(file, allow_pickle=False)
        if part.ndim == 3 and len(part) == n_records and np.isfinite(part).all():
            return part
    return None


def computed_features(
    network: FoundationNetwork, read: Read, rows: Sequence[int], *, at_once: int
) -> NDArray[np.float32]:
    """Pooled features of some records, (records, windows, width), by a network that scores."""
    made = []
    with torch.inference_mode():
        for start in range(0, len(rows), at_once):
            x = read(rows[start : start + at_once])
            pooled = network.pooled(x.flatten(0, 1))
            made.append(pooled.reshape(*x.shape[:2], -1).float().cpu().numpy())
    return np.concatenate(made)
