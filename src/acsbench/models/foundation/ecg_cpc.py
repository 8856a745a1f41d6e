"""ECG-CPC: a small convolutional encoder and four causal S4 layers, 2.5 s at 240 Hz.

Al-Masud, Lopez Alcaraz, Strodthoff, "Benchmarking ECG FMs: a reality check across clinical tasks",
ICLR 2026 (arXiv 2509.25095); sizes from the published settings of its checkpoint. The S4 layers are
our own `S4Model` with eight states a channel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from acsbench.errors import StoreError
from acsbench.models.foundation.base import Adapter, Features, Published, Spec, recorded
from acsbench.models.foundation.config import FoundationConfig
from acsbench.models.foundation.local_files import read_place
from acsbench.models.networks.s4 import S4Model
from acsbench.provenance import StepConfig
from acsbench.signal.resample import resampled

__all__ = ["CausalS4", "CpcSizes", "EcgCpc", "EcgCpcConfig"]

_RATE = 240.0
_WINDOW_S = 2.5
_FIRST_CONV, _FIRST_S4 = "layers.0.0.weight", "s4_layers.0.D"


class CpcSizes(StepConfig):
    """Sizes of `CausalS4`.

    Attributes
    ----------
    width : int
        Channels everywhere.
    kernels, strides : tuple of int
        Of the encoder's convolutions.
    n_layers, n_states : int
        Of S4.
    """

    width: int = Field(default=512, ge=1, le=8192)
    kernels: tuple[int, ...] = Field(default=(3, 1, 1, 1), min_length=1, max_length=32)
    strides: tuple[int, ...] = (2, 1, 1, 1)
    n_layers: int = Field(default=4, ge=1, le=128)
    n_states: int = Field(default=8, ge=2, le=1024, multiple_of=2)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.kernels) != len(self.strides):
            raise ValueError("kernels and strides need one value a convolution each")
        return self


class EcgCpcConfig(FoundationConfig):
    """ECG-CPC's sizes and regularisation.

    Attributes
    ----------
    sizes : CpcSizes
        Taken from the weights where there are any.
    dropout : float
        Of the S4 layers.
    """

    network: str = "ecg_cpc"
    recipe: str = "twelve_lead_10s"
    learning_rate: float = Field(default=1e-3, gt=0)
    n_windows: int = Field(default=4, ge=1)
    sizes: CpcSizes = CpcSizes()
    dropout: float = Field(default=0.2, ge=0, lt=1)

    def adapter(self) -> EcgCpc:
        """Make the adapter."""
        return EcgCpc(self)


class _Encoder(nn.Module):
    """Convolutions, each with batch norm and ReLU."""

    def __init__(self, sizes: CpcSizes, *, n_leads: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv1d(
                        sizes.width if i else n_leads,
                        sizes.width,
                        kernel,
                        stride=stride,
                        padding=(kernel - 1) // 2,
                        bias=False,
                    ),
                    nn.BatchNorm1d(sizes.width),
                    nn.ReLU(),
                )
                for i, (kernel, stride) in enumerate(zip(sizes.kernels, sizes.strides, strict=True))
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, leads, samples) to (batch, width, frames)."""
        y: Tensor = self.layers(x)
        return y


class CausalS4(nn.Module):
    """Encoder, then S4 layers that look back alone.

    Parameters
    ----------
    sizes : CpcSizes
    dropout : float
    n_leads : int
    """

    def __init__(self, sizes: CpcSizes, *, dropout: float = 0.2, n_leads: int = 12) -> None:
        super().__init__()
        self.encoder = _Encoder(sizes, n_leads=n_leads)
        self.predictor = S4Model(
            n_channels=None,
            n_outputs=None,
            width=sizes.width,
            n_layers=sizes.n_layers,
            n_states=sizes.n_states,
            dropout=dropout,
            causal=True,
            pooling=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, leads, samples) to (batch, width, frames)."""
        y: Tensor = self.predictor(self.encoder(x))
        return y


class EcgCpc(Adapter):
    """Twelve leads over 2.5 s, in millivolts, through `CausalS4`."""

    spec: ClassVar[Spec] = Spec(
        name="ECG-CPC",
        window_s=_WINDOW_S,
        licence="their authors state no licence; ask them before you pass anything on.",
        reference="Al-Masud et al. 2026, github.com/AI4HealthUOL/ecg-fm-benchmarking",
    )
    settings = EcgCpcConfig
    config: EcgCpcConfig

    @property
    def input_shape(self) -> tuple[int, int]:
        """Leads and samples, 12 x 600."""
        return len(self.spec.lead_names), round(_WINDOW_S * _RATE)

    @property
    def n_features(self) -> int:
        """Width of a frame."""
        return self.config.sizes.width

    def prepare(
        self,
        signal: NDArray[np.float32],
        mask: NDArray[np.uint8],
        *,
        sampling_rate: float,
        starts: Collection[int],
    ) -> NDArray[np.float32]:
        """Resample to 240 Hz; nothing is scaled, and gaps are zero."""
        known = recorded(signal, mask)
        whole = resampled(np.where(known, signal, 0.0), sampling_rate=sampling_rate, to=_RATE)
        firsts = [round(start * _RATE / sampling_rate) for start in starts]
        length = self.input_shape[1]
        return np.stack([whole[:, one : one + length] for one in firsts]).astype(np.float32)

    @classmethod
    def holds(cls, keys: Collection[str]) -> bool:
        """Whether a file is of this model: both parts, under whatever wrapper's names."""
        ends = [key for key in keys if key.endswith((_FIRST_CONV, _FIRST_S4))]
        return any(k.endswith(_FIRST_CONV) for k in ends) and any(
            k.endswith(_FIRST_S4) for k in ends
        )

    @classmethod
    def load(cls, place: Path) -> Published:
        """Read a ``.ckpt``, a ``.safetensors``, or a folder with one of them."""
        state, _, file = read_place(place)
        backbone: dict[str, Tensor] = {}
        for end, ours, kept in (
            (_FIRST_CONV, "encoder.", ("layers.",)),
            (_FIRST_S4, "predictor.", ("s4_layers.", "norms.")),
        ):
            wrapper = next((k.removesuffix(end) for k in state if k.endswith(end)), None)
            if wrapper is None:
                raise StoreError(f"{file} holds no ECG-CPC: no weights end in {end}.")
            for key, value in state.items():
                bare = key.removeprefix(wrapper)
                if key.startswith(wrapper) and bare.startswith(kept):
                    backbone[ours + bare] = value
        return Published(settings={"sizes": _sizes(backbone, where=str(file))}, backbone=backbone)

    def random_init(self) -> CausalS4:
        """Make a fresh backbone."""
        config = self.config
        return CausalS4(config.sizes, dropout=config.dropout, n_leads=len(self.spec.lead_names))

    def features(
        self, backbone: nn.Module, x: Tensor, attention_mask: Tensor | None = None
    ) -> Features:
        """Frames behind the last S4 layer."""
        if attention_mask is not None:
            raise ValueError("ECG-CPC takes no attention_mask")
        return Features(backbone(x).mT)

    def stages(self, backbone: nn.Module) -> dict[str, tuple[nn.Module, ...]]:
        """Encoder, then each S4 layer with its norm."""
        model: Any = backbone
        layers = zip(model.predictor.s4_layers, model.predictor.norms, strict=True)
        return {
            "encoder": (model.encoder,),
            **{f"layer_{i}": pair for i, pair in enumerate(layers)},
        }


def _sizes(backbone: Mapping[str, Tensor], *, where: str) -> CpcSizes:
    """Read the sizes off the weights; strides, which they do not show, are the published ones."""
    kernels: list[int] = []
    while f"encoder.layers.{len(kernels)}.0.weight" in backbone:
        kernels.append(backbone[f"encoder.layers.{len(kernels)}.0.weight"].shape[-1])
    n_layers = sum(key.endswith(".D") for key in backbone)
    try:
        states = backbone["predictor.s4_layers.0.kernel.kernel.C"].shape[2]
        return CpcSizes(
            width=backbone["encoder.layers.0.0.weight"].shape[0],
            kernels=tuple(kernels),
            strides=(2, *(1 for _ in kernels[1:])),
            n_layers=n_layers,
            n_states=2 * states,
        )
    except (KeyError, IndexError, ValueError) as error:
        raise StoreError(f"{where} holds no ECG-CPC that fits together: {error}") from None
