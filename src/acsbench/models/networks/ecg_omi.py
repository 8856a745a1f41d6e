"""ECGOMI: small two-convolution residual network of ACS-BenchWork (specification, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ECGOMI"]

_POOLED = 100
"""Samples that are left of 4951 to 5000; the head is built for them."""


class _Block(nn.Module):
    """conv -> norm -> ReLU -> conv -> norm -> + x -> ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=1)
        self.bn1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 3, padding=1)
        self.bn2 = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + x)


class ECGOMI(nn.Module):
    """Two widths of three residual blocks, then a small dense head. No dropout.

    Parameters
    ----------
    n_channels : int
        Rows of the input.
    n_outputs : int
        Logits.
    width : int
        Channels of the first blocks; the second have twice as many.
    hidden : int
        Width of the head.
    """

    head = ("fc2.",)
    """Where the keys of the last layer begin."""

    def __init__(
        self, *, n_channels: int = 3, n_outputs: int = 1, width: int = 24, hidden: int = 31
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(n_channels, width, 7, 2, 3)
        self.bn1 = nn.BatchNorm1d(width)
        self.res_blocks_24 = nn.Sequential(*(_Block(width) for _ in range(3)))
        self.conv2 = nn.Conv1d(width, 2 * width, 7, 25, 3)
        self.bn2 = nn.BatchNorm1d(2 * width)
        self.res_blocks_48 = nn.Sequential(*(_Block(2 * width) for _ in range(3)))
        self.fc1 = nn.Linear(2 * width * _POOLED, hidden)
        self.fc2 = nn.Linear(hidden, n_outputs)

    def forward(self, x: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        x : Tensor, shape (batch, channels, 4951 to 5000 samples)
        covariates : None
            ECGOMI has no place for them.

        Returns
        -------
        Tensor, shape (batch, n_outputs)
        """
        if covariates is not None:
            raise ValueError("ECGOMI takes no covariates")
        if not 4951 <= x.shape[-1] <= 5000:
            raise ValueError(f"ECGOMI takes 4951 to 5000 samples, not {x.shape[-1]}")
        x = self.res_blocks_24(torch.relu(self.bn1(self.conv1(x))))
        x = self.res_blocks_48(torch.relu(self.bn2(self.conv2(x))))
        logits: Tensor = self.fc2(torch.relu(self.fc1(x.flatten(1))))
        return logits
