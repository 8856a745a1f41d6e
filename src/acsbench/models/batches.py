"""Batches of records for torch: reading, order within an epoch, and the seeds of all randomness."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from acsbench.dataset import WaveformDataset

__all__ = ["EpochOrder", "Records", "as_it_is", "read_inputs", "seed_of"]


def read_inputs(data: WaveformDataset, indices: Sequence[int], *, use_mask: bool) -> Tensor:
    """Stack records into (batch, channels, samples); masks follow the leads as 0 and 1."""
    items = [data[index] for index in indices]
    x = torch.from_numpy(np.stack([item.waveform for item in items]))
    if not use_mask:
        return x
    masks = np.stack([item.mask for item in items])
    return torch.cat([x, torch.from_numpy((masks > 0).astype(np.float32))], dim=1)


class Records(Dataset[tuple[Tensor, Tensor]]):
    """Reads a whole batch in one call, which is what torch asks of ``__getitems__``.

    A batch is the inputs (batch, channels, samples) and the labels (batch, tasks), NaN where
    missing.
    """

    def __init__(self, data: WaveformDataset, *, use_mask: bool) -> None:
        self.data = data
        self.use_mask = use_mask
        self.labels = torch.from_numpy(data.labels.reshape(len(data), -1))

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        x = read_inputs(self.data, indices, use_mask=self.use_mask)
        return x, self.labels[list(indices)]


def as_it_is(batch: Any) -> Any:
    """Collate nothing: `Records` returns whole batches."""
    return batch


def seed_of(*parts: int | str) -> int:
    """Derive a seed from its parts, the same on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**63


class EpochOrder(Sampler[int]):
    """A new order each epoch, drawn from seed and epoch alone, so that resuming repeats it.

    The epoch is asked of the Trainer: after a resume Lightning starts to read before it would have
    called ``set_epoch``.
    """

    def __init__(self, n: int, *, seed: int, epoch: Callable[[], int]) -> None:
        self.n = n
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch()])
        yield from rng.permutation(self.n).tolist()
