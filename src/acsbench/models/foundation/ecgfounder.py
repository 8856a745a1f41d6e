"""ECGFounder: a one-dimensional RegNet, ten seconds of twelve leads at 500 Hz.

Li et al., "An electrocardiogram foundation model built on over 10 million recordings", NEJM AI,
2025 (arXiv 2410.04133); sizes and names of the weights as github.com/PKUDigitalHealth/ECGFounder
states them. The published network holds batch norms that it never runs; they are left out here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from acsbench.errors import StoreError
from acsbench.models.foundation.base import Adapter, Features, Published, Spec, recorded
from acsbench.models.foundation.config import FoundationConfig
from acsbench.models.foundation.local_files import read_place
from acsbench.provenance import StepConfig
from acsbench.signal.resample import resampled

__all__ = ["EcgFounder", "EcgFounderConfig", "FounderSizes", "RegNet1d"]

_RATE = 500.0
_WINDOW_S = 10.0
_UNUSED = re.compile(r"(^|\.)(first_)?bn\d?\.")
_BLOCK = re.compile(r"stage_list\.(\d+)\.block_list\.(\d+)\.")


class FounderSizes(StepConfig):
    """Sizes of `RegNet1d`.

    Attributes
    ----------
    stem : int
        Channels behind the first convolution.
    widths, depths : tuple of int
        Channels and blocks of each stage.
    kernel, stride, group_width : int
        Of the middle convolution of a block; the first block of a stage strides.
    """

    stem: int = Field(default=64, ge=1, le=4096)
    widths: tuple[int, ...] = Field(
        default=(64, 160, 160, 400, 400, 1024, 1024), min_length=1, max_length=32
    )
    depths: tuple[int, ...] = (2, 2, 2, 3, 3, 4, 4)
    kernel: int = Field(default=16, ge=1, le=512)
    stride: int = Field(default=2, ge=1, le=16)
    group_width: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.widths) != len(self.depths):
            raise ValueError("widths and depths need one value a stage each")
        if any(width % self.group_width for width in self.widths):
            raise ValueError(f"group_width = {self.group_width} does not divide every width")
        return self


class EcgFounderConfig(FoundationConfig):
    """ECGFounder's sizes.

    Attributes
    ----------
    sizes : FounderSizes
        Taken from the weights where there are any.
    """

    network: str = "ecgfounder"
    recipe: str = "twelve_lead_10s"
    learning_rate: float = Field(default=1e-4, gt=0)
    sizes: FounderSizes = FounderSizes()

    def adapter(self) -> EcgFounder:
        """Make the adapter."""
        return EcgFounder(self)


class _SameConv(nn.Module):
    """Convolution padded so that n samples give ceil(n / stride)."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, kernel, stride=stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, n_in, samples) to (batch, n_out, ceil(samples / stride))."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        missing = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)
        padded = nn.functional.pad(x, (missing // 2, missing - missing // 2))
        convolved: Tensor = self.conv(padded)
        return convolved


class _Block(nn.Module):
    """Pointwise, grouped, pointwise; channels weighted by squeeze and excitation; shortcut."""

    def __init__(
        self, n_in: int, n_out: int, sizes: FounderSizes, *, stride: int, first: bool
    ) -> None:
        super().__init__()
        self.first = first
        self.stride = stride
        self.extra = n_out - n_in
        self.conv1 = _SameConv(n_in, n_out, 1)
        self.conv2 = _SameConv(
            n_out, n_out, sizes.kernel, stride=stride, groups=n_out // sizes.group_width
        )
        self.conv3 = _SameConv(n_out, n_out, 1)
        self.se_fc1 = nn.Linear(n_out, n_out // 2)
        self.se_fc2 = nn.Linear(n_out // 2, n_out)

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, n_in, samples) to (batch, n_out, ceil(samples / stride))."""
        silu = nn.functional.silu
        y = self.conv1(x if self.first else silu(x))
        y = self.conv3(silu(self.conv2(silu(y))))
        weights = torch.sigmoid(self.se_fc2(silu(self.se_fc1(y.mean(-1)))))  # (batch, n_out)
        summed: Tensor = y * weights[..., None] + self._shortcut(x)
        return summed

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            over = self.stride - 1
            padded = nn.functional.pad(x, (over // 2, over - over // 2))
            x = nn.functional.max_pool1d(padded, self.stride)
        # new channels are zero, half of them below the old ones and half above
        return nn.functional.pad(x, (0, 0, self.extra // 2, self.extra - self.extra // 2))


class _Stage(nn.Module):
    def __init__(
        self, n_in: int, n_out: int, depth: int, sizes: FounderSizes, *, first: bool
    ) -> None:
        super().__init__()
        self.block_list = nn.Sequential(
            *(
                _Block(
                    n_out if i else n_in,
                    n_out,
                    sizes,
                    stride=1 if i else sizes.stride,
                    first=first and i == 0,
                )
                for i in range(depth)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, n_in, samples) to (batch, n_out, samples / stride)."""
        y: Tensor = self.block_list(x)
        return y


class RegNet1d(nn.Module):
    """First convolution and stages; keys of the state dict are the published ones.

    Parameters
    ----------
    sizes : FounderSizes
    n_leads : int
    """

    def __init__(self, sizes: FounderSizes, *, n_leads: int = 12) -> None:
        super().__init__()
        self.first_conv = _SameConv(n_leads, sizes.stem, sizes.kernel, stride=2)
        widths = (sizes.stem, *sizes.widths)
        self.stage_list = nn.ModuleList(
            _Stage(n_in, n_out, depth, sizes, first=i == 0)
            for i, (n_in, n_out, depth) in enumerate(
                zip(widths[:-1], widths[1:], sizes.depths, strict=True)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, leads, samples) to (batch, width, frames)."""
        x = nn.functional.silu(self.first_conv(x))
        for stage in self.stage_list:
            x = stage(x)
        return x


class EcgFounder(Adapter):
    """Twelve leads over 10 s, z-scored together, through `RegNet1d`."""

    spec: ClassVar[Spec] = Spec(
        name="ECGFounder",
        window_s=_WINDOW_S,
        licence="their repository says the terms; HEEDB, their training data, has its own.",
        reference="Li et al. 2025, github.com/PKUDigitalHealth/ECGFounder",
    )
    settings = EcgFounderConfig
    config: EcgFounderConfig

    @property
    def input_shape(self) -> tuple[int, int]:
        """Leads and samples, 12 x 5000."""
        return len(self.spec.lead_names), round(_WINDOW_S * _RATE)

    @property
    def n_features(self) -> int:
        """Width of a frame."""
        return self.config.sizes.widths[-1]

    def prepare(
        self,
        signal: NDArray[np.float32],
        mask: NDArray[np.uint8],
        *,
        sampling_rate: float,
        starts: Collection[int],
    ) -> NDArray[np.float32]:
        """Resample to 500 Hz and scale all leads by one mean and deviation; gaps are zero."""
        known = recorded(signal, mask)
        length = self.window_samples(sampling_rate)
        windows = [
            _scaled(signal[:, start : start + length], known[:, start : start + length])
            for start in starts
        ]
        made = [resampled(one, sampling_rate=sampling_rate, to=_RATE) for one in windows]
        return np.stack(made)[..., : self.input_shape[1]].astype(np.float32)

    @classmethod
    def holds(cls, keys: Collection[str]) -> bool:
        """Whether a file is of this model."""
        return "first_conv.conv.weight" in keys

    @classmethod
    def load(cls, place: Path) -> Published:
        """Read a ``.pth``, a ``.safetensors``, or a folder with one of them."""
        state, _, file = read_place(place)
        kept = {key: value for key, value in state.items() if not _UNUSED.search(key)}
        head = {
            f"net.{key.removeprefix('dense.')}": kept.pop(key)
            for key in ("dense.weight", "dense.bias")
            if key in kept
        }
        settings: dict[str, Any] = {"sizes": _sizes(kept, where=str(file))}
        if head:
            settings["head_kind"] = "linear"
        return Published(settings=settings, backbone=kept, head=head)

    def random_init(self) -> RegNet1d:
        """Make a fresh backbone."""
        return RegNet1d(self.config.sizes, n_leads=len(self.spec.lead_names))

    def features(
        self, backbone: nn.Module, x: Tensor, attention_mask: Tensor | None = None
    ) -> Features:
        """Frames behind the last stage."""
        if attention_mask is not None:
            raise ValueError("ECGFounder takes no attention_mask")
        return Features(backbone(x).mT)

    def stages(self, backbone: nn.Module) -> dict[str, tuple[nn.Module, ...]]:
        """First convolution, then each stage."""
        model: Any = backbone
        stages = {f"stage_{i}": (stage,) for i, stage in enumerate(model.stage_list)}
        return {"stem": (model.first_conv,), **stages}


def _scaled(signal: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One mean and deviation for all that was recorded, as in the published fine-tuning."""
    values = signal[known].astype(np.float64)
    if not values.size:
        return np.zeros(signal.shape)
    return np.where(known, (signal - values.mean()) / (values.std() + 1e-8), 0.0)


def _sizes(state: Mapping[str, Tensor], *, where: str) -> FounderSizes:
    """Read every size off the weights."""
    depths: dict[int, int] = {}
    for found in filter(None, map(_BLOCK.match, state)):
        stage, block = int(found[1]), int(found[2])
        depths[stage] = max(depths.get(stage, 0), block + 1)
    try:
        middle = [state[f"stage_list.{s}.block_list.0.conv2.conv.weight"] for s in sorted(depths)]
        return FounderSizes(
            stem=state["first_conv.conv.weight"].shape[0],
            widths=tuple(one.shape[0] for one in middle),
            depths=tuple(depths[s] for s in sorted(depths)),
            kernel=middle[0].shape[2],
            group_width=middle[0].shape[1],
        )
    except (KeyError, IndexError, ValueError) as error:
        raise StoreError(f"{where} holds no ECGFounder that fits together: {error}") from None
