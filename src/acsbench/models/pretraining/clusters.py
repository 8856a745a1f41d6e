"""Masked prediction of cluster labels over one or several codebooks.

Hsu et al., "HuBERT: self-supervised speech representation learning by masked prediction of hidden
units", 2021 (arXiv 2106.07447), equations 1 to 3; for ECGs Coppola et al., HuBERT-ECG, 2024. The
names of the weights are those of the published files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from acsbench.models.foundation.base import Features
from acsbench.models.foundation.hubert_ecg import HubertEcg
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.models.pretraining.objective import Objective

__all__ = ["ClusterPrediction", "cluster_loss", "draw_frames"]

_TEMPERATURE = 0.1
_FEWEST = 2


class ClusterPrediction(Objective):
    """Cross-entropy of the clusters of frames that were hidden.

    Parameters
    ----------
    network : FoundationNetwork
        With HuBERT-ECG's backbone.
    clusters : sequence of int
        Size of each codebook.
    width, mask_share, alpha
        ``codebook_width`` and the rest: see `HubertConfig`.
    """

    def __init__(
        self,
        network: FoundationNetwork,
        *,
        clusters: Sequence[int],
        width: int,
        mask_share: float,
        alpha: float,
    ) -> None:
        super().__init__(network)
        hidden = network.adapter.n_features
        self.mask_share = mask_share
        self.alpha = alpha
        self.masked_spec_embed = nn.Parameter(torch.rand(hidden))
        self.final_proj = nn.ModuleList(nn.Linear(hidden, width) for _ in clusters)
        self.label_embedding = nn.ModuleList(nn.Embedding(size, width) for size in clusters)

    def forward(self, x: Tensor, targets: Tensor) -> Tensor:
        """Loss, summed over codebooks; ``targets`` are clusters, (batch, codebooks * frames).

        NaN stands for a frame whose signal was not recorded: neither hidden nor asked for.
        """
        labels = targets.reshape(len(targets), len(self.final_proj), -1)
        known = torch.isfinite(labels[:, 0])
        hidden = draw_frames(known, self.mask_share)
        return cluster_loss(
            self.logits(x, hidden),
            torch.where(known[:, None], labels, 0).long(),
            hidden=hidden,
            seen=known & ~hidden,
            alpha=self.alpha,
        )

    def logits(self, x: Tensor, hidden: Tensor) -> list[Tensor]:
        """Similarity of each frame to each entry, one (batch, frames, clusters) a codebook.

        Parameters
        ----------
        x : Tensor, shape (batch, samples)
        hidden : Tensor of bool, shape (batch, frames)
            Frames that the encoder gets to see as the mask alone.
        """
        adapter = self.network.adapter
        assert isinstance(adapter, HubertEcg)
        backbone = self.network.backbone
        frames, known = adapter.embedded(backbone, x)
        frames = torch.where(hidden[..., None], self.masked_spec_embed.to(frames.dtype), frames)
        states = adapter.encoded(backbone, Features(frames, known)).frames
        return [
            _cosine(project(states), entries.get_parameter("weight")) / _TEMPERATURE
            for project, entries in zip(self.final_proj, self.label_embedding, strict=True)
        ]

    def take_up(self, extras: Mapping[str, Tensor]) -> None:
        """Go on from another pre-training: its mask and projections; codebooks are made anew."""
        own = self.state_dict()
        kept = {
            key: value
            for key, value in extras.items()
            if not key.startswith("label_embedding.")
            and key in own
            and own[key].shape == value.shape
        }
        self.load_state_dict({**own, **kept})


def _cosine(frames: Tensor, entries: Tensor) -> Tensor:
    """From (batch, frames, width) and (clusters, width) to (batch, frames, clusters)."""
    unit = nn.functional.normalize
    similarity: Tensor = unit(frames.float(), dim=-1) @ unit(entries.float(), dim=-1).mT
    return similarity


def draw_frames(known: Tensor, share: float) -> Tensor:
    """Hide a share of the known frames of each record, at least two, (batch, frames) of bool.

    The number is rounded up or down at random, so that its mean is the share.
    """
    n_known = known.sum(1)
    drawn = torch.rand(len(known), device=known.device)
    n_hidden = (share * n_known + drawn).floor().clamp(min=_FEWEST).minimum(n_known)
    order = torch.rand(known.shape, device=known.device).masked_fill(~known, torch.inf)
    rank = order.argsort(1).argsort(1)
    return (rank < n_hidden[:, None]) & known


def cluster_loss(
    logits: Sequence[Tensor], labels: Tensor, *, hidden: Tensor, seen: Tensor, alpha: float
) -> Tensor:
    """Mean cross-entropy over hidden frames and over seen ones, weighed and summed over codebooks.

    Parameters
    ----------
    logits : sequence of Tensor, shape (batch, frames, clusters)
    labels : Tensor of int, shape (batch, codebooks, frames)
    hidden, seen : Tensor of bool, shape (batch, frames)
    alpha : float
        Weight of the hidden frames. A part of weight 0, or without a frame, is left out.
    """
    total = logits[0].new_zeros(())
    for weight, chosen in ((alpha, hidden), (1 - alpha, seen)):
        if weight == 0 or not bool(chosen.any()):
            continue
        for number, one in enumerate(logits):
            each = nn.functional.cross_entropy(one[chosen], labels[:, number][chosen])
            total = total + weight * each
    return total
