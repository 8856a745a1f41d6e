"""Heads and pooling: what all foundation models share above their frames."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Head", "HeadKind", "pool_frames", "pool_windows"]

HeadKind = Literal["linear", "mlp", "label_embedding"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}


class LabelEmbedding(nn.Module):
    """Cosine of a vector with one learnt vector for each label: logits within -1 and 1."""

    def __init__(self, width: int, n_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_outputs, width))
        nn.init.normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, width) to (batch, n_outputs)."""
        return nn.functional.cosine_similarity(x[:, None], self.weight[None], dim=-1)


class Head(nn.Module):
    """Dropout, then a linear map, two with an activation between them, or a label embedding.

    Parameters
    ----------
    width : int
        Of the pooled features.
    n_outputs : int
    kind : "linear", "mlp" or "label_embedding"
    hidden : int
        Of ``mlp``.
    activation : str
        Of ``mlp``.
    dropout : float
    """

    def __init__(
        self,
        width: int,
        n_outputs: int,
        *,
        kind: HeadKind = "linear",
        hidden: int = 1024,
        activation: str = "tanh",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.n_outputs = n_outputs
        self.net: nn.Module
        if kind == "linear":
            self.net = nn.Linear(width, n_outputs)
        elif kind == "label_embedding":
            self.net = LabelEmbedding(width, n_outputs)
        else:
            self.net = nn.Sequential(
                nn.Linear(width, hidden), _ACTIVATIONS[activation](), nn.Linear(hidden, n_outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, width) to (batch, n_outputs) logits."""
        logits: Tensor = self.net(self.dropout(x))
        return logits


def pool_frames(frames: Tensor, known: Tensor | None, *, how: str) -> Tensor:
    """Mean or maximum over the known frames: (batch, frames, width) to (batch, width).

    A window without a known frame gives zeros.
    """
    if known is None:
        return frames.mean(1) if how == "mean" else frames.amax(1)
    if how == "mean":
        summed = torch.where(known[..., None], frames, 0.0).sum(1)
        return summed / known.sum(1).clamp(min=1)[:, None]
    highest = torch.where(known[..., None], frames, -torch.inf).amax(1)
    return torch.where(known.any(1)[:, None], highest, 0.0)


def pool_windows(each: Tensor, n_windows: int, *, how: str) -> Tensor:
    """Mean or maximum over windows: (batch * windows, n_outputs) to (batch, n_outputs)."""
    logits = each.reshape(-1, n_windows, each.shape[-1])
    return logits.mean(1) if how == "mean" else logits.amax(1)
