"""Configs of the networks: what each is built of, and how all of them are trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from acsbench.errors import ConfigError
from acsbench.models.augment import AugmentConfig
from acsbench.provenance import StepConfig

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "NETWORKS",
    "NetworkConfig",
    "OmiConfig",
    "ResNetConfig",
    "S4Config",
    "Shape",
    "TrainingConfig",
]


class Shape(StepConfig):
    """What the data ask of a network.

    Attributes
    ----------
    n_channels : int or None
        Rows of the input; None for an S4 without encoder, read from a published file.
    n_samples : int
    n_outputs : int or None
        None for an S4 without decoder, read from a published file.
    n_covariates : int
    """

    n_channels: int | None
    n_samples: int
    n_outputs: int | None
    n_covariates: int = 0


class TrainingConfig(StepConfig):
    """How the Lightning Trainer is run, with labels or without.

    Attributes
    ----------
    epochs : int
    batch_size : int
        Of all devices together.
    patience : int
        Epochs without a better validation before training stops.
    choose : "best" or "last"
        The epoch whose weights are kept: the best on val, or the last, where val is too small to
        choose by.
    learning_rate, weight_decay : float
        Of AdamW.
    schedule : "cosine", "plateau" or "constant"
        One cycle with a short warm-up; a tenth after ten epochs without a better validation loss;
        or none.
    clip_norm : float or None
        Largest norm of the gradient.
    precision : "32-true" or "bf16-mixed"
        Of training. State spaces, norms, head and loss stay in float32.
    threads : int or None
        Torch's threads; results are repeatable for one number of threads.
    seed : int
    init_from : path or None
        Trained model or published checkpoint to start from.
    allow_other_split : bool
        Start from a model trained under another split all the same; every result is then marked.
    loggers : tuple of "tensorboard", "mlflow", "wandb"
        Beside the CSV log.
    devices : int or "auto"
        On each node.
    nodes : int
    strategy : str
        As Lightning names it: ``ddp``, ``fsdp``, ...
    """

    epochs: int = Field(default=50, ge=1)
    batch_size: int = Field(default=32, ge=2)
    patience: int = Field(default=10, ge=1)
    choose: Literal["best", "last"] = "best"
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    clip_norm: float | None = Field(default=None, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    threads: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    init_from: Path | None = None
    allow_other_split: bool = False
    loggers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ()
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    nodes: int = Field(default=1, ge=1)
    strategy: str = "auto"

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Say what the optimiser trains, with a learning rate of its own where it has one."""
        return [{"params": list(network.parameters())}]

    def at_epoch(self, network: nn.Module, epoch: int) -> None:
        """Freeze or release parts of a network before an epoch."""


class NetworkConfig(TrainingConfig):
    """How a network is fed and trained for tasks; each network adds its sizes.

    Validation chooses by AUROC. What `TrainingConfig` says holds here too.

    Attributes
    ----------
    network : str
    recipe : str
        What the store must hold.
    use_mask : bool
        Give the network the mask as extra channels.
    covariates : tuple of str
        Cohort columns that join the logits, filled in and scaled on train.
    may_lack_columns : bool
        Score ECGs that come without these columns, as bare waveforms do, with train's medians.
    class_weights : bool
        Weigh positives by the number of negatives for each.
    label_smoothing : float
        Share of a label that goes to the other class.
    augment : AugmentConfig
        Off for validation.
    calibrate : bool
        Fit slope and intercept of the logit on val, so that scores can be read as risks.
    predict_in : "float32" or "bf16"
    head : "keep" or "fresh"
        Whether ``init_from`` gives the last layer too, where it has one.
    """

    network: str
    recipe: str = "three_by_four"
    use_mask: bool = False
    covariates: tuple[str, ...] = ()
    may_lack_columns: bool = False
    class_weights: bool = False
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    augment: AugmentConfig = AugmentConfig()
    calibrate: bool = False
    predict_in: Literal["float32", "bf16"] = "float32"
    head: Literal["keep", "fresh"] = "keep"

    def build(self, shape: Shape) -> nn.Module:
        """Make the network, freshly initialised from torch's present seed."""
        raise NotImplementedError

    def _refuse_covariates(self) -> None:
        if self.covariates:
            raise ConfigError(f"Model '{self.network}' has no place for covariates; a ResNet has.")

    def _refuse_crops(self) -> None:
        if self.augment.crop_s is not None:
            raise ConfigError(
                f"Model '{self.network}' scores records of one length alone, so augment.crop_s has "
                "no place; s4, resnet18 and resnet50 take any length."
            )


class ResNetConfig(NetworkConfig):
    """Sizes of `networks.resnet.ResNet`.

    Attributes
    ----------
    width, hidden, kernel : int
    dropout : float
    """

    width: int = Field(default=32, ge=1)
    hidden: int = Field(default=256, ge=1)
    kernel: int = Field(default=7, ge=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)

    @model_validator(mode="after")
    def _without_crops(self) -> ResNetConfig:
        if self.network == "resnet6":
            self._refuse_crops()
        return self

    def build(self, shape: Shape) -> nn.Module:
        """Make a ResNet of the depth that the network's name says."""
        from acsbench.models.networks.resnet import ResNet  # noqa: PLC0415  torch costs a second

        depths: dict[str, Literal[6, 18, 50]] = {"resnet6": 6, "resnet18": 18, "resnet50": 50}
        return ResNet(
            depths[self.network],
            n_channels=shape.n_channels or 0,
            n_samples=shape.n_samples,
            n_outputs=shape.n_outputs or 0,
            width=self.width,
            hidden=self.hidden,
            kernel=self.kernel,
            dropout=self.dropout,
            n_covariates=shape.n_covariates,
        )


class S4Config(NetworkConfig):
    """Sizes and variants of `networks.s4.S4Model`.

    Attributes
    ----------
    width, n_layers, n_states : int
    dropout : float
    elementwise, prenorm, causal, pooling, channels_first, norm_of_branch : bool
    norm : "layer" or "batch"
    """

    width: int = Field(default=512, ge=1)
    n_layers: int = Field(default=4, ge=1)
    n_states: int = Field(default=64, ge=2, multiple_of=2)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    elementwise: bool = False
    prenorm: bool = False
    norm: Literal["layer", "batch"] = "layer"
    causal: bool = False
    pooling: bool = True
    channels_first: bool = True
    norm_of_branch: bool = False

    @model_validator(mode="after")
    def _without_covariates(self) -> S4Config:
        self._refuse_covariates()
        return self

    def build(self, shape: Shape) -> nn.Module:
        """Make an S4Model."""
        from acsbench.models.networks.s4 import S4Model  # noqa: PLC0415  imports torch

        return S4Model(
            n_channels=shape.n_channels,
            n_outputs=shape.n_outputs,
            width=self.width,
            n_layers=self.n_layers,
            n_states=self.n_states,
            dropout=self.dropout,
            elementwise=self.elementwise,
            prenorm=self.prenorm,
            norm=self.norm,
            causal=self.causal,
            pooling=self.pooling,
            channels_first=self.channels_first,
            norm_of_branch=self.norm_of_branch,
        )


class OmiConfig(NetworkConfig):
    """Sizes of `networks.ecg_omi.ECGOMI`.

    Attributes
    ----------
    width, hidden : int
    """

    width: int = Field(default=24, ge=1)
    hidden: int = Field(default=31, ge=1)

    @model_validator(mode="after")
    def _without_covariates_or_crops(self) -> OmiConfig:
        self._refuse_covariates()
        self._refuse_crops()
        return self

    def build(self, shape: Shape) -> nn.Module:
        """Make an ECGOMI."""
        from acsbench.models.networks.ecg_omi import ECGOMI  # noqa: PLC0415  imports torch

        return ECGOMI(
            n_channels=shape.n_channels or 0,
            n_outputs=shape.n_outputs or 0,
            width=self.width,
            hidden=self.hidden,
        )


NETWORKS: dict[str, type[NetworkConfig]] = {
    "resnet6": ResNetConfig,
    "resnet18": ResNetConfig,
    "resnet50": ResNetConfig,
    "s4": S4Config,
    "ecg_omi": OmiConfig,
}
