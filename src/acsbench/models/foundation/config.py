"""FoundationConfig: how a foundation model is started, frozen, fine-tuned and read."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from acsbench.errors import ConfigError
from acsbench.models.config import NetworkConfig, Shape

if TYPE_CHECKING:
    from torch import nn

    from acsbench.models.foundation.base import Adapter
    from acsbench.models.foundation.network import FoundationNetwork

__all__ = ["FoundationConfig"]


class FoundationConfig(NetworkConfig):
    """What all foundation models share; each adapter adds its sizes.

    Attributes
    ----------
    init : str or None
        Published weights to start from: a file, a folder, or ``hf:OWNER/NAME``; or the folder of a
        pre-training or training of ours, whose split is then compared as with ``init_from``. None
        starts from random weights, the control that says what pre-training brought.
    mode : "frozen", "head_first" or "full"
        Train the head on features that are computed once; the head for ``head_epochs`` and then
        everything; or everything from the start.
    head_epochs : int
    frozen_stages : tuple of str
        Stages of the backbone that are never trained; ``*`` and ``[0-7]`` as in file names.
    layer_decay : float
        Factor of the learning rate from each stage to the one before it.
    head_learning_rate : float
        ``learning_rate`` is the last stage's.
    head_kind : "linear", "mlp" or "label_embedding"
    hidden : int
        Width inside an ``mlp`` head.
    activation : "tanh", "relu" or "gelu"
        Of an ``mlp`` head.
    head_dropout : float
    pooling : "mean" or "max"
        Over the frames of a window.
    n_windows : int
        Windows that stand for a record whenever it is scored; three are first, middle and last.
    window_pooling : "mean" or "max"
        Over the logits of a record's windows.
    train_windows : "random" or "first"
        Where a training window starts; a draw of its own for each epoch and record.
    labels : tuple of str
        Names of an imported head's outputs.
    positive_label : int, str or None
        The output that is the score, where an imported head has more of them than there are tasks.
    cache : path or None
        Where computed features are kept for other trainings; by default beside the checkpoints.
    at_once : int
        Records scored in one batch.
    """

    init: str | None = None
    mode: Literal["frozen", "head_first", "full"] = "full"
    head_epochs: int = Field(default=3, ge=1)
    frozen_stages: tuple[str, ...] = ()
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    head_learning_rate: float = Field(default=1e-3, gt=0)
    head_kind: Literal["linear", "mlp", "label_embedding"] = "linear"
    hidden: int = Field(default=1024, ge=1)
    activation: Literal["tanh", "relu", "gelu"] = "tanh"
    head_dropout: float = Field(default=0.1, ge=0, lt=1)
    pooling: Literal["mean", "max"] = "mean"
    n_windows: int = Field(default=3, ge=1)
    window_pooling: Literal["mean", "max"] = "mean"
    train_windows: Literal["random", "first"] = "random"
    labels: tuple[str, ...] = ()
    positive_label: int | str | None = None
    cache: Path | None = None
    at_once: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._refuse_covariates()
        self._refuse_crops()
        if self.use_mask:
            raise ConfigError(f"Model '{self.network}' reads the mask itself; leave use_mask out.")
        if self.init is not None and self.init_from is not None:
            raise ConfigError(
                "init names published weights, init_from a trained model with its own: give one."
            )
        several = self.devices != 1 or self.nodes != 1
        if self.mode == "head_first" and several and "find_unused" not in self.strategy:
            raise ConfigError(
                "mode = 'head_first' on several devices leaves parameters without gradient at "
                "first: set strategy = 'ddp_find_unused_parameters_true'."
            )
        return self

    def adapter(self) -> Adapter:
        """Make the adapter that these are the settings of."""
        raise NotImplementedError

    def build(self, shape: Shape) -> FoundationNetwork:
        """Make backbone and head, freshly initialised from torch's present seed."""
        from acsbench.models.foundation.network import FoundationNetwork  # noqa: PLC0415  torch

        return FoundationNetwork(self.adapter(), n_outputs=shape.n_outputs)

    def frozen(self, stages: dict[str, Any]) -> set[str]:
        """Names of the stages that this training never trains.

        Raises
        ------
        ConfigError
            For a pattern that fits none.
        """
        idle = [p for p in self.frozen_stages if not any(fnmatchcase(s, p) for s in stages)]
        if idle:
            raise ConfigError(
                f"frozen_stages: {', '.join(idle)} fits no stage of {self.network}. "
                f"Stages: {', '.join(stages)}."
            )
        never = self.frozen_stages if self.mode != "frozen" else ("*",)
        return {s for s in stages if any(fnmatchcase(s, p) for p in never)}

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Head and every stage that is ever trained, each with its learning rate."""
        stages: dict[str, tuple[nn.Module, ...]] = network.stages()  # type: ignore[operator]  # both of ours have them
        groups = [
            {
                "params": [p for module in modules for p in module.parameters()],
                "lr": self.learning_rate * self.layer_decay**distance,
            }
            for distance, (name, modules) in enumerate(reversed(stages.items()))
            if name not in self.frozen(stages)
        ]
        head = {"params": list(network.classifier.parameters()), "lr": self.head_learning_rate}  # type: ignore[union-attr]  # a `FoundationNetwork`
        return [head, *groups]

    def at_epoch(self, network: nn.Module, epoch: int) -> None:
        """Freeze all but the head while it is the head's turn."""
        stages: dict[str, Any] = network.stages()  # type: ignore[operator]  # as above
        if self.mode == "head_first" and stages:
            heads_turn = epoch < self.head_epochs
            network.freeze(set(stages) if heads_turn else self.frozen(stages))  # type: ignore[operator]  # as above
