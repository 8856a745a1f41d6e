"""What the Lightning Trainer trains: a plain network with its loss, metric and optimiser."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from acsbench.errors import StepError
from acsbench.models.batches import Batch, seed_of
from acsbench.models.config import NetworkConfig, TrainingConfig

__all__ = ["BaseTrainee", "Trainee", "binary_loss", "mean_auroc", "positive_weight"]

_FEWEST_STEPS = 20


class BaseTrainee(lightning.LightningModule):
    """Binds a network to the Trainer: its seeds, optimiser and schedule; a loss is added.

    Parameters
    ----------
    network : nn.Module
    config : TrainingConfig

    Attributes
    ----------
    n_steps : int
        Of the whole training, for the schedule; known when there are batches.
    """

    monitor: ClassVar[str]
    """What the best epoch is chosen by."""
    better: ClassVar[Literal["min", "max"]]

    def __init__(self, network: nn.Module, config: TrainingConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.n_steps = 0
        self.plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self.plateau_state: dict[str, Any] | None = None

    def on_train_start(self) -> None:
        """Take up what a checkpoint says and the Trainer does not know."""
        if self.plateau is not None and self.plateau_state is not None:
            self.plateau.load_state_dict(self.plateau_state)
        # a checkpoint does not say that its epoch was the one that stopped the training
        stopper = self.trainer.early_stopping_callback
        if isinstance(stopper, EarlyStopping) and stopper.wait_count >= stopper.patience:
            self.trainer.should_stop = True

    def on_train_epoch_start(self) -> None:
        """Let the config freeze or release parts of the network."""
        self.config.at_epoch(self.network, self.current_epoch)

    def seed_step(self, batch_idx: int) -> None:
        """Seed torch batch by batch, so that a resumed epoch repeats its draws."""
        torch.manual_seed(
            seed_of(self.config.seed, self.current_epoch, batch_idx, self.global_rank)
        )

    def _sum_over_ranks(self, value: Tensor) -> Tensor:
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(value)
        return value

    def configure_optimizers(self) -> Any:
        """AdamW with the config's schedule."""
        config = self.config
        optimiser = torch.optim.AdamW(
            config.parameter_groups(self.network),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        if config.schedule == "plateau":
            # stepped by hand: Lightning would step it after the checkpoint, and lose it on resume
            self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser)
        if config.schedule != "cosine":
            return optimiser
        # a warm-up of a tenth of fewer steps would be none, by which OneCycleLR divides
        n_steps = max(self.n_steps, _FEWEST_STEPS)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            [group["lr"] for group in optimiser.param_groups],
            total_steps=n_steps,
            pct_start=0.1,
        )
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the plateau schedule."""
        if self.plateau is not None:
            checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember its state until there is an optimiser."""
        self.plateau_state = checkpoint.get("plateau")


class Trainee(BaseTrainee):
    """Learns labels; the best epoch has the highest AUROC.

    Parameters
    ----------
    network : nn.Module
        From waveforms to (batch, tasks) logits.
    config : NetworkConfig
    positive_weight : Tensor, shape (tasks,), optional
    """

    monitor = "val_auroc"
    better = "max"
    config: NetworkConfig

    def __init__(
        self,
        network: nn.Module,
        config: NetworkConfig,
        *,
        positive_weight: Tensor | None = None,
    ) -> None:
        super().__init__(network, config)
        self.register_buffer("positive_weight", positive_weight, persistent=False)
        self.seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, batch: Batch) -> Tensor:
        """Logits of a batch, (batch, tasks)."""
        logits: Tensor = (
            self.network(batch.x, batch.covariates)
            if batch.covariates.shape[1]
            else self.network(batch.x)
        )
        return logits.float()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a batch, as a share of all ranks' labels."""
        self.seed_step(batch_idx)
        summed, n_known = self._summed_loss(self(batch), batch.labels, training=True)
        # the ranks' gradients are averaged: each divides by its share of the labels of all
        share = self._sum_over_ranks(n_known.float()) / self.trainer.world_size
        loss = summed / share
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.x))
        return loss

    def validation_step(self, batch: Batch) -> None:
        """Keep the logits until the epoch's end."""
        self.seen.append((batch.row.cpu(), self(batch).cpu(), batch.labels.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log loss and AUROC over the records of all ranks."""
        logits, labels = self._pool()
        if not torch.isfinite(logits).all():
            raise StepError(
                f"The training diverged in epoch {self.current_epoch + 1}: logits are not finite. "
                "Lower learning_rate, or set clip_norm."
            )
        summed, n_known = self._summed_loss(logits, labels, training=False)
        loss = summed / n_known
        self.log("val_loss", loss)
        auroc = mean_auroc(labels.numpy(), torch.sigmoid(logits.double()).numpy())
        self.log("val_auroc", auroc, prog_bar=True)
        if self.plateau is not None:
            self.plateau.step(float(loss))

    def _pool(self) -> tuple[Tensor, Tensor]:
        """Logits and labels of all ranks, each record once."""
        parts = self.seen
        self.seen = []
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, parts)
            parts = [part for rank in gathered for part in rank]
        index = torch.cat([one for one, _, _ in parts])
        _, first = np.unique(index.numpy(), return_index=True)
        logits = torch.cat([one for _, one, _ in parts])[first]
        return logits, torch.cat([one for _, _, one in parts])[first]

    def _summed_loss(
        self, logits: Tensor, labels: Tensor, *, training: bool
    ) -> tuple[Tensor, Tensor]:
        if not training:
            return binary_loss(logits, labels)
        weight = self.positive_weight
        return binary_loss(
            logits,
            labels,
            positive_weight=weight if isinstance(weight, Tensor) else None,
            smoothing=self.config.label_smoothing,
        )


def binary_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    positive_weight: Tensor | None = None,
    smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy summed over the labels that are there, and their number."""
    known = ~torch.isnan(labels)
    targets = torch.where(known, labels, 0).float() * (1 - 2 * smoothing) + smoothing
    each = nn.functional.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=positive_weight, reduction="none"
    )
    return torch.where(known, each, 0).sum(), known.sum()


def mean_auroc(labels: NDArray[np.float32], scores: NDArray[np.float64]) -> float:
    """AUROC of each task over its known labels, averaged; used to choose the best epoch."""
    values = []
    for y, x in zip(labels.T, scores.T, strict=True):
        known = np.isfinite(y)
        values.append(float(roc_auc_score(y[known], x[known])))
    return float(np.mean(values))


def positive_weight(labels: NDArray[np.float32]) -> Tensor:
    """Negatives for each positive, by task."""
    columns = torch.from_numpy(labels.reshape(len(labels), -1))
    return (columns == 0).sum(0) / (columns == 1).sum(0)
