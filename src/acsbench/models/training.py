"""Fitting a network with the Lightning Trainer: the only file that imports it."""

from __future__ import annotations

import contextlib
import logging
import pickle
import signal
import sys
import warnings
from collections.abc import Iterator
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
from torch.utils.data import DataLoader

from acsbench.dataset import WaveformDataset
from acsbench.models.batches import EpochOrder, Records, as_it_is, seed_of

__all__ = ["TrainingPlan", "fit_network"]

_LAST, _BEST = "last.ckpt", "best.ckpt"
_FEWEST_STEPS = 20


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


class _Trainee(lightning.LightningModule):
    """Binds a plain network to the Trainer: loss, metric, optimiser."""

    def __init__(self, network: nn.Module, plan: TrainingPlan, *, n_steps: int) -> None:
        super().__init__()
        self.network = network
        self.plan = plan
        self.n_steps = n_steps
        self.seen: list[tuple[Tensor, Tensor]] = []

    def on_train_start(self) -> None:
        # a checkpoint does not say that its epoch was the one that stopped the training
        stopper = self.trainer.early_stopping_callback
        if isinstance(stopper, EarlyStopping) and stopper.wait_count >= stopper.patience:
            self.trainer.should_stop = True

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        # seeded batch by batch, so that a resumed epoch repeats its dropout
        torch.manual_seed(seed_of(self.plan.seed, self.current_epoch, batch_idx))
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
        # a warm-up of a tenth of fewer steps would be none, by which OneCycleLR divides
        n_steps = max(self.n_steps, _FEWEST_STEPS)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, plan.learning_rate, total_steps=n_steps, pct_start=0.1
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


class _Keeper(ModelCheckpoint):
    """Saves when an epoch's validation ends, which is where Lightning's own resume is exact.

    Saved at the end of the training epoch instead, Lightning counts that epoch twice on resume.
    """

    def __init__(self, folder: Path, name: str, **options: Any) -> None:
        super().__init__(
            folder,
            filename=Path(name).stem,
            save_on_train_epoch_end=False,
            enable_version_counter=False,
            **options,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state, also when the folder has been moved since it was saved."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        super().load_state_dict(
            {
                **state_dict,
                **{key: here(state_dict[key]) for key in paths},
                "best_k_models": {here(p): s for p, s in state_dict["best_k_models"].items()},
                "dirpath": self.dirpath,
            }
        )


def fit_network(
    network: nn.Module,
    train: WaveformDataset,
    val: WaveformDataset,
    plan: TrainingPlan,
    *,
    folder: Path,
) -> nn.Module:
    """Train a network, keep the weights of the epoch with the best validation AUROC.

    A training that was stopped, however rudely, takes up after its last finished epoch and ends
    with the same weights as one that was never stopped.

    Parameters
    ----------
    network : nn.Module
        ``(batch, channels, samples) -> (batch, tasks)`` logits.
    train, val : WaveformDataset
    plan : TrainingPlan
    folder : Path
        For checkpoints and the CSV log; of this training alone.

    Raises
    ------
    KeyboardInterrupt
    """
    with _quiet():
        trainer = _trainer(plan, folder)
        order = EpochOrder(len(train), seed=plan.seed, epoch=lambda: trainer.current_epoch)
        on_train = DataLoader(
            Records(train, use_mask=plan.use_mask),
            plan.batch_size,
            sampler=order,
            collate_fn=as_it_is,
            # BatchNorm cannot train on a batch of one record
            drop_last=len(train) % plan.batch_size == 1,
        )
        on_val = DataLoader(
            Records(val, use_mask=plan.use_mask), plan.batch_size, collate_fn=as_it_is
        )
        trainee = _Trainee(network, plan, n_steps=max(len(on_train), 1) * plan.epochs)
        with _interruptible():
            trainer.fit(
                trainee, on_train, on_val, ckpt_path=_resume_from(folder), weights_only=True
            )
    state = torch.load(folder / _BEST, map_location="cpu", weights_only=True)["state_dict"]
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items()})
    return network.cpu().eval()


def _trainer(plan: TrainingPlan, folder: Path) -> lightning.Trainer:
    shows_progress = sys.stderr.isatty()
    callbacks: list[Any] = [
        EarlyStopping(
            "val_auroc", mode="max", patience=plan.patience, check_on_train_epoch_end=False
        ),
        _Keeper(folder, _BEST, monitor="val_auroc", mode="max"),
        _Keeper(folder, _LAST),
    ]
    if shows_progress:
        callbacks.append(TQDMProgressBar(leave=False))
    return lightning.Trainer(
        max_epochs=plan.epochs,
        accelerator="auto",
        devices=1,
        precision=plan.precision,  # type: ignore[arg-type]  # Lightning checks the word
        callbacks=callbacks,
        logger=CSVLogger(folder, name="log"),
        enable_progress_bar=shows_progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        default_root_dir=folder,
    )


def _resume_from(folder: Path) -> Path | None:
    """Return the newest checkpoint that can be read; a damaged one costs epochs, never the run."""
    for name in (_LAST, _BEST):
        path = folder / name
        with contextlib.suppress(OSError, RuntimeError, ValueError, EOFError, pickle.PickleError):
            torch.load(path, map_location="cpu", weights_only=True)
            return path
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice on workers, loggers and folders from the user."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch")
        warnings.filterwarnings("ignore", message=r".*lr_scheduler\.step.*")
        yield


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Make Ctrl-C a KeyboardInterrupt again: Lightning exits and leaves the signal ignored."""
    try:
        yield
    except SystemExit:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None
