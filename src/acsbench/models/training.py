"""Fitting a network with the Lightning Trainer: the only file that imports it."""

from __future__ import annotations

import hashlib
import logging
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from acsbench.dataset import WaveformDataset

__all__ = ["Batch", "TrainingPlan", "fit_network", "read_batch"]


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What the Trainer has to know.

    Attributes
    ----------
    epochs, batch_size, patience, seed : int
    learning_rate, weight_decay : float
    schedule : "cosine" or "constant"
    use_mask : bool
    precision : str
        As Lightning names it.
    """

    epochs: int
    batch_size: int
    patience: int
    seed: int
    learning_rate: float
    weight_decay: float
    schedule: str
    use_mask: bool
    precision: str


@dataclass(frozen=True)
class Batch:
    """Inputs (batch, channels, samples) and labels (batch, tasks), NaN where missing."""

    x: Tensor
    labels: Tensor


def read_batch(data: WaveformDataset, indices: Sequence[int], *, use_mask: bool) -> Batch:
    """Stack records; with ``use_mask`` the masks follow the leads as channels of 0 and 1."""
    items = [data[index] for index in indices]
    x = torch.from_numpy(np.stack([item.waveform for item in items]))
    if use_mask:
        masks = np.stack([item.mask for item in items])
        x = torch.cat([x, torch.from_numpy((masks > 0).astype(np.float32))], dim=1)
    labels = torch.from_numpy(np.stack([np.atleast_1d(item.label) for item in items]))
    return Batch(x, labels)


class _Records(Dataset[Batch]):
    """Reads a whole batch in one call, which is what torch asks of ``__getitems__``."""

    def __init__(self, data: WaveformDataset, *, use_mask: bool) -> None:
        self.data = data
        self.use_mask = use_mask

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        batch = read_batch(self.data, indices, use_mask=self.use_mask)
        return batch.x, batch.labels


def _as_it_is(batch: Any) -> Any:
    return batch


def _seed_of(*parts: int | str) -> int:
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**63


class _EpochOrder(Sampler[int]):
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


class _Trainee(lightning.LightningModule):
    """Binds a plain network to the Trainer: loss, metric, optimiser."""

    def __init__(self, network: nn.Module, plan: TrainingPlan, *, n_steps: int) -> None:
        super().__init__()
        self.network = network
        self.plan = plan
        self.n_steps = n_steps
        self.seen: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        # seeded batch by batch: Lightning skips on_train_epoch_start in the first epoch of a resume
        torch.manual_seed(_seed_of(self.plan.seed, self.current_epoch, batch_idx))
        x, labels = batch
        loss = _loss(self.network(x), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(x))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        x, labels = batch
        self.seen.append((self.network(x).float().cpu(), labels.cpu()))

    def on_validation_epoch_end(self) -> None:
        logits = torch.cat([one for one, _ in self.seen])
        labels = torch.cat([one for _, one in self.seen])
        self.seen.clear()
        self.log("val_loss", _loss(logits, labels))
        auroc = mean_auroc(labels.numpy(), torch.sigmoid(logits.double()).numpy())
        self.log("val_auroc", auroc, prog_bar=True)

    def configure_optimizers(self) -> Any:
        plan = self.plan
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        if plan.schedule == "constant":
            return optimiser
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, plan.learning_rate, total_steps=self.n_steps, pct_start=0.1
        )
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy over the labels that are there."""
    known = ~torch.isnan(labels)
    return nn.functional.binary_cross_entropy_with_logits(
        logits.float()[known], labels.float()[known]
    )


def mean_auroc(labels: NDArray[np.float32], scores: NDArray[np.float64]) -> float:
    """AUROC of each task over its known labels, averaged; used to choose the best epoch."""
    values = []
    for y, x in zip(labels.T, scores.T, strict=True):
        known = np.isfinite(y)
        values.append(float(roc_auc_score(y[known], x[known])))
    return float(np.mean(values))


def fit_network(
    network: nn.Module,
    train: WaveformDataset,
    val: WaveformDataset,
    plan: TrainingPlan,
    *,
    folder: Path,
) -> nn.Module:
    """Train a network, keep the weights of the epoch with the best validation AUROC.

    A training that was stopped starts again from its first epoch, and ends with the same weights
    as one that was never stopped.

    Parameters
    ----------
    network : nn.Module
        ``(batch, channels, samples) -> (batch, tasks)`` logits.
    train, val : WaveformDataset
    plan : TrainingPlan
    folder : Path
        For checkpoints and the CSV log.

    Raises
    ------
    KeyboardInterrupt
    """
    # BatchNorm cannot train on a batch of one record
    drop_last = len(train) % plan.batch_size == 1
    n_batches = len(train) // plan.batch_size + (
        0 if drop_last else len(train) % plan.batch_size > 0
    )
    trainee = _Trainee(network, plan, n_steps=max(n_batches, 1) * plan.epochs)
    best = ModelCheckpoint(
        folder,
        filename="best",
        monitor="val_auroc",
        mode="max",
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    stop = EarlyStopping("val_auroc", mode="max", patience=plan.patience)
    shows_progress = sys.stderr.isatty()
    callbacks: list[Any] = [stop, best]
    if shows_progress:
        callbacks.append(TQDMProgressBar(leave=False))
    # an unfinished training starts again: Lightning's own resume does not repeat the same weights
    shutil.rmtree(folder, ignore_errors=True)
    with warnings.catch_warnings():
        # Lightning's advice on workers, loggers and folders that are already there
        warnings.filterwarnings("ignore", module=r"lightning")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch")
        warnings.filterwarnings("ignore", message=r".*lr_scheduler\.step.*")
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        trainer = lightning.Trainer(
            max_epochs=plan.epochs,
            accelerator="auto",
            devices=1,
            precision=plan.precision,  # type: ignore[arg-type]  # Lightning checks the word
            callbacks=callbacks,
            logger=CSVLogger(folder, name="log", version=""),
            enable_progress_bar=shows_progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
            default_root_dir=folder,
        )
        loaders = [
            DataLoader(
                _Records(train, use_mask=plan.use_mask),
                plan.batch_size,
                sampler=_EpochOrder(
                    len(train), seed=plan.seed, epoch=lambda: trainer.current_epoch
                ),
                collate_fn=_as_it_is,
                drop_last=drop_last,
            ),
            DataLoader(
                _Records(val, use_mask=plan.use_mask), plan.batch_size, collate_fn=_as_it_is
            ),
        ]
        _fit(trainer, trainee, loaders)
    state = torch.load(folder / "best.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items()})
    return network.cpu().eval()


def _fit(trainer: lightning.Trainer, trainee: _Trainee, loaders: list[Any]) -> None:
    try:
        trainer.fit(trainee, loaders[0], loaders[1])
    except SystemExit:
        # Lightning turns Ctrl-C into an exit and leaves the signal ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None
