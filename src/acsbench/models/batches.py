"""Batches of records for torch: reading, order within an epoch, and the seeds of all randomness."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from acsbench.dataset import WaveformDataset
from acsbench.errors import StoreError
from acsbench.models.augment import AugmentConfig, augment
from acsbench.models.covariates import Covariates

if TYPE_CHECKING:
    from acsbench.models.config import NetworkConfig

__all__ = [
    "Batch",
    "EpochBatches",
    "Feed",
    "Read",
    "Records",
    "WaveformFeed",
    "as_it_is",
    "augmentation",
    "read_inputs",
    "seed_of",
]


class Batch(NamedTuple):
    """What a step sees.

    Attributes
    ----------
    x : Tensor, shape (batch, channels, samples)
    covariates : Tensor, shape (batch, covariates)
    labels : Tensor, shape (batch, tasks)
        NaN where missing.
    row : Tensor, shape (batch,)
        In the dataset.
    """

    x: Tensor
    covariates: Tensor
    labels: Tensor
    row: Tensor


Change = Callable[[int, Any, Any], tuple[Any, Any]]
"""From the row of a record, its waveform and mask to new ones."""

Read = Callable[[Sequence[int]], Tensor]
"""From rows of a dataset to the network's input, batch first."""


class Feed(Protocol):
    """How records become a network's input; training may change them at random."""

    def for_training(self, data: WaveformDataset, *, epoch: Callable[[], int]) -> Read:
        """Read records of an epoch, which may draw from it."""
        ...

    def for_scoring(self, data: WaveformDataset) -> Read:
        """Read records as they are, the same at each call."""
        ...


class WaveformFeed:
    """Whole waveforms, augmented in training as the config says.

    Parameters
    ----------
    config : NetworkConfig
    """

    def __init__(self, config: NetworkConfig) -> None:
        self.config = config

    def for_training(self, data: WaveformDataset, *, epoch: Callable[[], int]) -> Read:
        """Read and augment."""
        change = augmentation(data, self.config.augment, seed=self.config.seed, epoch=epoch)
        return lambda rows: read_inputs(data, rows, use_mask=self.config.use_mask, change=change)

    def for_scoring(self, data: WaveformDataset) -> Read:
        """Read."""
        return lambda rows: read_inputs(data, rows, use_mask=self.config.use_mask)


def read_inputs(
    data: WaveformDataset,
    indices: Sequence[int],
    *,
    use_mask: bool,
    change: Change | None = None,
) -> Tensor:
    """Stack records into (batch, channels, samples); masks follow the leads as 0 and 1."""
    pairs = []
    for index in indices:
        item = data[index]
        pair = (item.waveform, item.mask)
        pairs.append(pair if change is None else change(index, *pair))
    x = torch.from_numpy(np.stack([waveform for waveform, _ in pairs]))
    if not use_mask:
        return x
    masks = np.stack([mask for _, mask in pairs])
    return torch.cat([x, torch.from_numpy((masks > 0).astype(np.float32))], dim=1)


class Records(Dataset[Batch]):
    """Reads a whole batch in one call, which is what torch asks of ``__getitems__``.

    Parameters
    ----------
    data : WaveformDataset
    read : callable
        Of a `Feed`.
    covariates : Covariates
    """

    def __init__(self, data: WaveformDataset, read: Read, *, covariates: Covariates) -> None:
        self.data = data
        self.read = read
        self.covariates = torch.from_numpy(covariates.of(data))
        self.labels = torch.from_numpy(data.labels.reshape(len(data), -1))

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        rows = list(indices)
        return Batch(self.read(rows), self.covariates[rows], self.labels[rows], torch.tensor(rows))


def augmentation(
    data: WaveformDataset, config: AugmentConfig, *, seed: int, epoch: Callable[[], int]
) -> Change | None:
    """Change each record by draws of its own: seed, epoch and row say which.

    Raises
    ------
    StoreError
        When rows that join leads would be shifted or cropped.
    """
    store = data.store
    if config.changes_nothing or store is None:
        return None
    moving = "shift_s" if config.shift_s else "crop_s" if config.crop_s else None
    if moving and any("+" in name for name in store.lead_names):
        raise StoreError(
            f"augment.{moving} moves samples of one lead into another on recipe '{store.recipe}', "
            "whose rows join leads. Leave it out, or set recipe = 'recorded_12'."
        )

    def change(index: int, waveform: Any, mask: Any) -> tuple[Any, Any]:
        return augment(
            waveform,
            mask,
            config,
            lead_names=store.lead_names,
            sampling_rate=store.sampling_rate,
            seed=seed_of(seed, epoch(), index),
        )

    return change


def as_it_is(batch: Any) -> Any:
    """Collate nothing: `Records` returns whole batches."""
    return batch


def seed_of(*parts: int | str) -> int:
    """Derive a seed from its parts, the same on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**63


class EpochBatches(Sampler[list[int]]):
    """Batches in a new order each epoch, drawn from seed and epoch alone; a share for each rank.

    A resumed epoch therefore repeats its batches, and several devices see together what one would.
    The epoch is asked of the Trainer: after a resume Lightning starts to read before it would have
    called ``set_epoch``. A tail that would leave a device fewer than two records is left out,
    because BatchNorm cannot train on one.

    Parameters
    ----------
    n : int
        Records.
    batch_size : int
        Of all ranks together.
    seed : int
    epoch : callable
    rank, n_ranks : int
    """

    def __init__(
        self,
        n: int,
        *,
        batch_size: int,
        seed: int,
        epoch: Callable[[], int],
        rank: int = 0,
        n_ranks: int = 1,
    ) -> None:
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch
        self.rank = rank
        self.n_ranks = n_ranks

    def __len__(self) -> int:
        whole, tail = divmod(self.n, self.batch_size)
        return whole + (tail >= 2 * self.n_ranks)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch()]).permutation(self.n)
        for number in range(len(self)):
            batch = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield batch[self.rank :: self.n_ranks].tolist()
