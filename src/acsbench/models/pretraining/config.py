"""Configs of pre-training: what each method predicts, and how it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from acsbench.errors import ConfigError, UnknownNameError, did_you_mean
from acsbench.models.config import TrainingConfig
from acsbench.models.foundation.ecg_cpc import CpcSizes
from acsbench.models.foundation.hubert_files import HubertSizes

if TYPE_CHECKING:
    from acsbench.models.foundation.network import FoundationNetwork
    from acsbench.models.pretraining.objective import Objective

__all__ = [
    "CURVE_NAME",
    "METHODS",
    "CpcConfig",
    "HubertConfig",
    "MaskedConfig",
    "PretrainConfig",
    "config_of",
]

CURVE_NAME = "curve.csv"
"""Epoch by epoch, in the folder of a pre-training: ``epoch, train_loss, val_loss, probe_auroc``."""


class PretrainConfig(TrainingConfig):
    """What all methods share; what `TrainingConfig` says holds here too.

    Attributes
    ----------
    method : str
    recipe : str or None
        What the store must hold; by default whatever it does.
    val_share : float
        Of the training patients, held apart to validate on where a cohort has no val.
    n_windows : int
        Windows of each record that validate and probe.
    probe_every : int
        Epochs from one probe to the next, where a task is given.
    probe_records : int
        At most so many labelled records of train, and of val, in a probe.
    """

    network: ClassVar[str]
    """The foundation model that is pre-trained."""
    of_backbone: ClassVar[tuple[str, ...]]
    """Fields that are the backbone's own parameters."""

    method: str
    recipe: str | None = None
    val_share: float = Field(default=0.1, gt=0, lt=1)
    n_windows: int = Field(default=1, ge=1)
    probe_every: int = Field(default=5, ge=1)
    probe_records: int = Field(default=2000, ge=2)
    patience: int = Field(default=20, ge=1)
    clip_norm: float | None = Field(default=1.0, gt=0)

    def backbone_parameters(self) -> dict[str, Any]:
        """Those that were asked for: what else a start brings stays."""
        asked = self.model_fields_set.intersection(self.of_backbone)
        return {name: getattr(self, name) for name in sorted(asked)}

    def objective(self, network: FoundationNetwork) -> Objective:
        """Put what is predicted on top of a backbone, from torch's present seed."""
        raise NotImplementedError


class _OfS4(PretrainConfig):
    """A method that pre-trains the encoder of ECG-CPC."""

    network: ClassVar[str] = "ecg_cpc"
    of_backbone: ClassVar[tuple[str, ...]] = ("sizes", "dropout")

    sizes: CpcSizes = CpcSizes()
    dropout: float = Field(default=0.2, ge=0, lt=1)


class CpcConfig(_OfS4):
    """Contrastive predictive coding: tell the future of a window from what is not its future.

    Attributes
    ----------
    sizes : CpcSizes
    dropout : float
        Of the S4 layers.
    n_steps : int
        Latents ahead that are predicted, each by a map of its own.
    step_frames : int
        Frames from one of them to the next.
    n_negatives : int
        Latents that each prediction is told apart from.
    negatives : "batch", "record" or "both"
        Drawn from all records of the batch, from other times of the same record, or half of each.
    """

    method: Literal["cpc"] = "cpc"
    n_steps: int = Field(default=12, ge=1)
    step_frames: int = Field(default=1, ge=1)
    n_negatives: int = Field(default=128, ge=2)
    negatives: Literal["batch", "record", "both"] = "both"

    def objective(self, network: FoundationNetwork) -> Objective:
        """Contrast."""
        from acsbench.models.pretraining.cpc import Contrast  # noqa: PLC0415  imports torch

        return Contrast(
            network,
            n_steps=self.n_steps,
            step_frames=self.step_frames,
            n_negatives=self.n_negatives,
            negatives=self.negatives,
        )


class MaskedConfig(_OfS4):
    """Masked reconstruction: draw what was hidden, a cheap control of `CpcConfig`.

    Attributes
    ----------
    sizes : CpcSizes
    dropout : float
        Of the S4 layers.
    patch_s : float
        Seconds of one lead that are hidden together.
    mask_share : float
        Of the patches.
    """

    method: Literal["masked"] = "masked"
    patch_s: float = Field(default=0.25, gt=0)
    mask_share: float = Field(default=0.75, gt=0, lt=1)

    def objective(self, network: FoundationNetwork) -> Objective:
        """Reconstruction."""
        from acsbench.models.pretraining.masked import Reconstruction  # noqa: PLC0415  torch

        return Reconstruction(network, patch_s=self.patch_s, mask_share=self.mask_share)


class HubertConfig(PretrainConfig):
    """Masked prediction of cluster labels, as HuBERT-ECG is pre-trained; defaults as published.

    Attributes
    ----------
    profile, size, sizes, dropout, feature_dropout, layer_drop
        As in `HubertEcgConfig`.
    iteration : int or None
        By default one more than that of ``init_from``, and 1 without it.
    targets : "time_freq", "mfcc", "mixed", "layer" or None
        What is clustered: descriptors of the signal, or hidden states of the model that is started
        from. By default ``time_freq`` in iteration 1 and ``layer`` later.
    layer : int or None
        0 is the state before the first block, n that behind block n. By default two thirds up.
    scaling : "standard" or "unit"
        Before clustering: each number by its mean and spread, or, as published, each frame to
        length 1.
    clusters : tuple of int
        Size of each codebook.
    kmeans_records : int
        Records that the codebooks are fitted on.
    codebook_width : int
        Of the space in which a frame is compared with the entries of a codebook.
    mask_share : float
        Of the recorded frames of a window; at least two.
    alpha : float
        Share of the masked frames in the loss; the rest is for those that were seen.
    """

    network: ClassVar[str] = "hubert_ecg"
    of_backbone: ClassVar[tuple[str, ...]] = (
        "profile",
        "size",
        "sizes",
        "dropout",
        "feature_dropout",
        "layer_drop",
    )

    method: Literal["hubert"] = "hubert"
    learning_rate: float = Field(default=5e-5, gt=0)
    profile: Literal["clean", "upstream", "acs"] = "clean"
    size: Literal["small", "base", "large"] = "base"
    sizes: HubertSizes | None = None
    dropout: float = Field(default=0.1, ge=0, lt=1)
    feature_dropout: float = Field(default=0.0, ge=0, lt=1)
    layer_drop: float = Field(default=0.1, ge=0, lt=1)
    n_windows: int = Field(default=1, ge=1, le=1)
    iteration: int | None = Field(default=None, ge=1)
    targets: Literal["time_freq", "mfcc", "mixed", "layer"] | None = None
    layer: int | None = Field(default=None, ge=0)
    scaling: Literal["standard", "unit"] = "standard"
    clusters: tuple[int, ...] = Field(default=(100,), min_length=1)
    kmeans_records: int = Field(default=2000, ge=1)
    codebook_width: int = Field(default=256, ge=1)
    mask_share: float = Field(default=0.33, gt=0, lt=1)
    alpha: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if min(self.clusters) < 2:
            raise ValueError("a codebook needs at least 2 clusters")
        if self.targets == "layer" and self.init_from is None:
            raise ConfigError("targets = 'layer' are hidden states of a model: give init_from.")
        several = self.devices != 1 or self.nodes != 1
        if several and self.layer_drop and "find_unused" not in self.strategy:
            raise ConfigError(
                "Blocks that are left out have no gradient: on several devices set layer_drop = 0, "
                "or strategy = 'ddp_find_unused_parameters_true'."
            )
        return self

    def objective(self, network: FoundationNetwork) -> Objective:
        """Codebooks and what is masked."""
        from acsbench.models.pretraining.clusters import ClusterPrediction  # noqa: PLC0415  torch

        return ClusterPrediction(
            network,
            clusters=self.clusters,
            width=self.codebook_width,
            mask_share=self.mask_share,
            alpha=self.alpha,
        )


METHODS: dict[str, type[PretrainConfig]] = {
    "cpc": CpcConfig,
    "masked": MaskedConfig,
    "hubert": HubertConfig,
}


def config_of(method: str) -> type[PretrainConfig]:
    """Find the config of a method.

    Raises
    ------
    UnknownNameError
    """
    if method not in METHODS:
        raise UnknownNameError(
            f"No method of pre-training is called '{method}'.{did_you_mean(method, METHODS)} "
            f"Known: {', '.join(METHODS)}."
        )
    return METHODS[method]
