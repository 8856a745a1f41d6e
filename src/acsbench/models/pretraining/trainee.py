"""What the Lightning Trainer trains without labels: an objective, its loss curve, its probe."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acsbench.errors import StepError
from acsbench.models.batches import Batch, seed_of
from acsbench.models.pretraining.config import CURVE_NAME, PretrainConfig
from acsbench.models.pretraining.objective import Objective
from acsbench.models.pretraining.probe import Probe
from acsbench.models.trainee import BaseTrainee
from acsbench.provenance import atomic_text

__all__ = ["Pretrainee"]


class Pretrainee(BaseTrainee):
    """Learns without labels; the best epoch has the lowest validation loss.

    The curve is kept in the checkpoints, so that a resumed training has all of it.

    Parameters
    ----------
    network : Objective
    config : PretrainConfig
    probe : Probe, optional
        Tells what the frozen features know of a task; chooses nothing.
    """

    monitor = "val_loss"
    better = "min"
    network: Objective
    config: PretrainConfig

    def __init__(
        self, network: Objective, config: PretrainConfig, *, probe: Probe | None = None
    ) -> None:
        super().__init__(network, config)
        self.probe = probe
        self.history: list[dict[str, float]] = []
        self._start_sums()

    def _start_sums(self) -> None:
        self.sums = {part: torch.zeros(2, dtype=torch.float64) for part in ("train", "val")}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        self.seed_step(batch_idx)
        loss: Tensor = self.network(batch.x, batch.labels)
        self._add("train", loss, len(batch.x))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss of all windows of a batch, with the same draws in each epoch."""
        torch.manual_seed(seed_of(self.config.seed, "validation", batch_idx, self.global_rank))
        x = batch.x.flatten(0, 1)
        self._add("val", self.network(x, batch.labels), len(x))

    def _add(self, part: str, loss: Tensor, n: int) -> None:
        self.sums[part] += torch.stack([loss.detach().cpu().double() * n, torch.tensor(float(n))])

    def on_validation_epoch_end(self) -> None:
        """Add to the curve; it is written before the checkpoint is."""
        row: dict[str, float] = {"epoch": self.current_epoch + 1}
        for part, sums in self.sums.items():
            summed, n = self._sum_over_ranks(sums.to(self.device)).tolist()
            row[f"{part}_loss"] = summed / max(n, 1)
        self._start_sums()
        if not torch.isfinite(torch.tensor(row["val_loss"])):
            raise StepError(
                f"The pre-training diverged in epoch {self.current_epoch + 1}: its validation loss "
                "is not finite. Lower learning_rate, or clip_norm."
            )
        self.log("val_loss", row["val_loss"], prog_bar=True)
        self.log("train_loss", row["train_loss"])
        if self._is_probed():
            row["probe_auroc"] = self._probed()
            self.log("probe_auroc", row["probe_auroc"], prog_bar=True, rank_zero_only=True)
        self.history.append(row)
        if self.trainer.is_global_zero:
            self._write_curve(Path(self.trainer.default_root_dir) / CURVE_NAME)

    def _is_probed(self) -> bool:
        number = self.current_epoch + 1
        at_times = number % self.config.probe_every == 0 or number == self.config.epochs
        return self.probe is not None and at_times and self.trainer.is_global_zero

    def _probed(self) -> float:
        assert self.probe is not None
        network = self.network.network
        was_training = network.training
        try:
            return self.probe.auroc(network.eval())
        finally:
            network.train(was_training)

    def _write_curve(self, file: Path) -> None:
        names = ["epoch", "train_loss", "val_loss"]
        names += ["probe_auroc"] if self.probe is not None else []
        text = io.StringIO()
        table = csv.DictWriter(text, names, lineterminator="\n", restval="")
        table.writeheader()
        table.writerows(self.history)
        atomic_text(file, text.getvalue())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the curve."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up."""
        super().on_load_checkpoint(checkpoint)
        self.history = list(checkpoint["history"])
