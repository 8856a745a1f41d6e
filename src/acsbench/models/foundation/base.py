"""What an adapter is: the seven things that differ between foundation models."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acsbench import registry
from acsbench.errors import InputError, StoreError, UnknownNameError, did_you_mean
from acsbench.signal.leads import STANDARD_12

if TYPE_CHECKING:
    from torch import Tensor, nn

    from acsbench.models.foundation.config import FoundationConfig

__all__ = ["ADAPTERS", "Adapter", "Features", "Published", "Spec", "adapter_of", "recorded"]

ADAPTERS = {
    "hubert_ecg": "acsbench.models.foundation.hubert_ecg:HubertEcg",
    "ecgfounder": "acsbench.models.foundation.ecgfounder:EcgFounder",
    "ecg_cpc": "acsbench.models.foundation.ecg_cpc:EcgCpc",
}


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a foundation model reads, and under what terms its weights are given.

    Attributes
    ----------
    name : str
        For people.
    window_s : float
        Seconds of a record that it reads at once.
    licence : str
        Of the published weights; told whenever a user's copy of them is loaded.
    reference : str
    lead_names : tuple of str
        Their order.
    """

    name: str
    window_s: float
    licence: str
    reference: str
    lead_names: tuple[str, ...] = STANDARD_12

    @property
    def notice(self) -> str:
        """What is told when a copy of the weights is loaded."""
        return f"Weights of {self.name} ({self.reference}): {self.licence}"


class Features(NamedTuple):
    """What a backbone makes of a window.

    Attributes
    ----------
    frames : Tensor, shape (batch, frames, width)
    known : Tensor of bool, shape (batch, frames), or None
        Frames that saw a recorded signal; None for all.
    """

    frames: Tensor
    known: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a file of published weights holds.

    Attributes
    ----------
    settings : dict
        Values of the adapter's config that follow from the file: its sizes, the kind of its head.
    backbone : mapping of str to Tensor
        By the names of the adapter's own backbone.
    head : mapping of str to Tensor
        By the names of `heads.Head`; empty where the file has none.
    labels : tuple of str
        Names of the head's outputs, where the file says them.
    """

    settings: dict[str, Any]
    backbone: Mapping[str, Tensor]
    head: Mapping[str, Tensor] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    @property
    def n_outputs(self) -> int | None:
        """Outputs of the head."""
        last = [value for key, value in self.head.items() if key.endswith("weight")]
        return len(last[-1]) if last else None


def recorded(signal: NDArray[np.float32], mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which samples a model may look at, (leads, samples).

    Raises
    ------
    InputError
        When there is none.
    """
    known: NDArray[np.bool_] = (mask > 0) & np.isfinite(signal)
    if not known.any():
        raise InputError("A record without a single recorded sample cannot be scored.")
    return known


class Adapter(ABC):
    """Ties one foundation model to the shared heads, windows, modes and training.

    Parameters
    ----------
    config : FoundationConfig
        Of the class ``settings``.
    """

    spec: ClassVar[Spec]
    settings: ClassVar[type[FoundationConfig]]

    def __init__(self, config: FoundationConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one prepared window."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Width of a frame."""

    def windows(self, n_samples: int, *, sampling_rate: float) -> tuple[int, ...]:
        """Starts of the windows that stand for a record, evenly from its first to its last.

        Parameters
        ----------
        n_samples : int
            Of the record.
        sampling_rate : float
            Hz.

        Raises
        ------
        StoreError
            When a record is shorter than a window.
        """
        last = n_samples - self.window_samples(sampling_rate)
        if last < 0:
            raise StoreError(
                f"{self.spec.name} reads {self.spec.window_s:g} s at once; the store's waveforms "
                f"last {n_samples / sampling_rate:g} s. Use a recipe with longer ones."
            )
        starts = np.linspace(0, last, self.config.n_windows).round().astype(int)
        return tuple(int(start) for start in np.unique(starts))

    def window_samples(self, sampling_rate: float) -> int:
        """Samples of a window at a store's rate."""
        return round(self.spec.window_s * sampling_rate)

    @abstractmethod
    def prepare(
        self,
        signal: NDArray[np.float32],
        mask: NDArray[np.uint8],
        *,
        sampling_rate: float,
        starts: Collection[int],
    ) -> NDArray[np.float32]:
        """Make windows of a record into the model's input.

        Parameters
        ----------
        signal : ndarray, shape (leads, samples)
            As the store holds it.
        mask : ndarray, same shape
            0 not recorded, 1 recorded, 2 synthetic.
        sampling_rate : float
            Hz.
        starts : collection of int
            First samples of the windows.

        Returns
        -------
        ndarray, shape (windows, *input_shape)
            NaN where nothing was recorded, if the model can be told so.
        """

    @classmethod
    @abstractmethod
    def holds(cls, keys: Collection[str]) -> bool:
        """Whether the names of a file's weights are those of this model."""

    @classmethod
    @abstractmethod
    def load(cls, place: Path) -> Published:
        """Read a published file, or a folder of the model hub; nothing in it is executed.

        Raises
        ------
        InputError
            When it is refused, damaged, or holds another model.
        """

    @abstractmethod
    def random_init(self) -> nn.Module:
        """Make the backbone with fresh weights, from torch's present seed."""

    @abstractmethod
    def features(
        self, backbone: nn.Module, x: Tensor, attention_mask: Tensor | None = None
    ) -> Features:
        """Frames of a batch of windows, (batch, *input_shape)."""

    @abstractmethod
    def stages(self, backbone: nn.Module) -> dict[str, tuple[nn.Module, ...]]:
        """Parts of the backbone from input to output; each parameter is in exactly one."""


def adapter_of(name: str) -> type[Adapter]:
    """Find an adapter: a built-in one, or a plug-in's registered model.

    Raises
    ------
    UnknownNameError
    """
    if name in ADAPTERS:
        module, _, attribute = ADAPTERS[name].partition(":")
        found: type[Adapter] = getattr(importlib.import_module(module), attribute)
        return found
    if name in registry.names("models"):
        keywords = getattr(registry.load("models", name), "keywords", {})
        if "adapter" in keywords:
            plugged: type[Adapter] = keywords["adapter"]
            return plugged
    raise UnknownNameError(
        f"No foundation model is called '{name}'.{did_you_mean(name, ADAPTERS)} "
        f"Known: {', '.join(ADAPTERS)}."
    )
