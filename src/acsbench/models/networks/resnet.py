"""One-convolution residual networks in three published sizes; depth is an argument.

Topology of ResNet_6, ResNet18_1D and ResNet50_1D of ACS-BenchWork (specification, section 2). They
are not the usual ResNets: one convolution per block, dropout between ReLU and sum, max pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["DEPTHS", "Depth", "ResNet", "Stage", "samples_left"]

Depth = Literal[6, 18, 50]


@dataclass(frozen=True)
class Stage:
    """Blocks of one width: their number, width as a multiple of the stem's, and first stride."""

    n_blocks: int
    multiple: int
    stride: int


@dataclass(frozen=True)
class _Topology:
    """What tells the three sizes apart.

    ``bridge`` is ResNet_6's strided convolution between its stages, without norm or activation.
    """

    stem_kernel: int
    stem_stride: int
    stem_padding: int
    has_pooling: bool
    stages: tuple[Stage, ...]
    has_bridge: bool = False


DEPTHS: dict[int, _Topology] = {
    6: _Topology(50, 5, 3, False, (Stage(3, 2, 3), Stage(3, 2, 3)), has_bridge=True),
    18: _Topology(15, 2, 7, True, (Stage(4, 1, 1), Stage(4, 2, 2), Stage(4, 4, 2), Stage(4, 8, 1))),
    50: _Topology(
        15, 2, 7, True, (Stage(8, 1, 1), Stage(11, 2, 1), Stage(17, 4, 1), Stage(8, 8, 2))
    ),
}


def _length(samples: int, kernel: int, stride: int, padding: int) -> int:
    return (samples + 2 * padding - kernel) // stride + 1


def samples_left(depth: int, n_samples: int, *, kernel: int) -> int:
    """Length that an input of ``n_samples`` has after the last stage."""
    shape = DEPTHS[depth]
    length = _length(n_samples, shape.stem_kernel, shape.stem_stride, shape.stem_padding)
    if shape.has_pooling:
        length = _length(length, 3, 2, 1)
    for number, stage in enumerate(shape.stages, 1):
        length = _length(length, kernel, stage.stride, (kernel - 1) // 2)
        if shape.has_bridge and number == 1:
            length = _length(length, 25, 10, 1)
    return length


class _Block(nn.Module):
    """conv -> norm -> ReLU -> dropout -> + shortcut -> ReLU."""

    def __init__(self, n_in: int, n_out: int, *, kernel: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(n_in, n_out, kernel, stride, (kernel - 1) // 2)
        self.bn1 = nn.BatchNorm1d(n_out)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv1d(n_in, n_out, 1, stride), nn.BatchNorm1d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        out = self.dropout(torch.relu(self.bn1(self.conv1(x))))
        return torch.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    """One-dimensional ResNet of depth 6, 18 or 50.

    Parameters
    ----------
    depth : {6, 18, 50}
    n_channels : int
        Rows of the input: leads, and masks where they enter.
    n_samples : int
        Length of the input; only depth 6 depends on it, which flattens.
    n_outputs : int
        Logits.
    width : int
        Channels of the stem.
    hidden : int
        Width of the head.
    kernel : int
        Of the blocks; odd.
    dropout : float
        Element-wise, in blocks and head.
    n_covariates : int
        Standardised numbers that join the logits; 0 for none.
    """

    head = ("fc.4.", "covars_cond.")
    """Where the keys of the last layer begin."""

    def __init__(  # noqa: PLR0913  a network's sizes are its arguments
        self,
        depth: Depth,
        *,
        n_channels: int = 3,
        n_samples: int = 5000,
        n_outputs: int = 1,
        width: int = 32,
        hidden: int = 256,
        kernel: int = 7,
        dropout: float = 0.5,
        n_covariates: int = 0,
    ) -> None:
        super().__init__()
        shape = DEPTHS[depth]
        self.has_pooling = shape.has_pooling
        self.n_stages = len(shape.stages)
        self.initial_conv = nn.Conv1d(
            n_channels, width, shape.stem_kernel, shape.stem_stride, shape.stem_padding
        )
        self.bn1 = nn.BatchNorm1d(width)
        n_in = width
        for number, stage in enumerate(shape.stages, 1):
            n_out = stage.multiple * width
            strides = [stage.stride] + [1] * (stage.n_blocks - 1)
            widths = [n_in] + [n_out] * (stage.n_blocks - 1)
            blocks = [
                _Block(before, n_out, kernel=kernel, stride=stride, dropout=dropout)
                for before, stride in zip(widths, strides, strict=True)
            ]
            self.add_module(f"res_block{number}", nn.Sequential(*blocks))
            n_in = n_out
            if shape.has_bridge and number == 1:
                self.conv2 = nn.Conv1d(n_out, n_out, 25, 10, 1)
        length = 1 if shape.has_pooling else samples_left(depth, n_samples, kernel=kernel)
        self.fc = nn.Sequential(
            nn.Linear(n_in * length, hidden),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
            nn.ReLU(),
            nn.Linear(hidden, n_outputs),
        )
        if n_covariates:
            joined = n_outputs + n_covariates
            self.covars_cond = nn.Sequential(
                nn.Linear(joined, joined),
                nn.BatchNorm1d(joined),
                nn.ReLU(),
                nn.Linear(joined, n_outputs),
            )

    def forward(self, x: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        x : Tensor, shape (batch, channels, samples)
        covariates : Tensor, shape (batch, n_covariates), optional

        Returns
        -------
        Tensor, shape (batch, n_outputs)
        """
        x = torch.relu(self.bn1(self.initial_conv(x)))
        if self.has_pooling:
            x = nn.functional.max_pool1d(x, 3, 2, 1)
        for number in range(1, self.n_stages + 1):
            x = self.get_submodule(f"res_block{number}")(x)
            if number == 1 and hasattr(self, "conv2"):
                x = self.conv2(x)
        x = x.amax(dim=-1) if self.has_pooling else x.flatten(1)  # (batch, features)
        logits: Tensor = self.fc(x)
        if hasattr(self, "covars_cond"):
            if covariates is None:
                raise ValueError("this network was built with covariates and needs them")
            logits = self.covars_cond(torch.cat([logits, covariates], dim=1))
        return logits
