"""Contrastive predictive coding on a causal encoder.

van den Oord, Li, Vinyals, "Representation learning with contrastive predictive coding", 2018
(arXiv 1807.03748), equations 3 and 4: latents z from the convolutions, a context c from the layers
that look back alone, and for each step k a map W_k, so that z_{t+k}' W_k c_t is large for the true
future and small for others. For ECGs: Mehari, Strodthoff, Comput Biol Med 141:105114 (2022), who
draw negatives from the same record; Al-Masud et al. 2026 for the encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acsbench.errors import ConfigError
from acsbench.models.foundation.ecg_cpc import CausalS4
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.models.pretraining.objective import Objective

__all__ = ["Contrast", "info_nce"]


class Contrast(Objective):
    """InfoNCE over several steps ahead.

    Parameters
    ----------
    network : FoundationNetwork
        With a `CausalS4`.
    n_steps, step_frames, n_negatives, negatives
        See `CpcConfig`.
    """

    def __init__(
        self,
        network: FoundationNetwork,
        *,
        n_steps: int,
        step_frames: int,
        n_negatives: int,
        negatives: str,
    ) -> None:
        super().__init__(network)
        width = network.adapter.n_features
        self.steps = tuple(step_frames * (k + 1) for k in range(n_steps))
        self.n_of_batch = {"batch": n_negatives, "record": 0, "both": n_negatives // 2}[negatives]
        self.n_of_record = n_negatives - self.n_of_batch
        self.maps = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in self.steps)

    def forward(self, x: Tensor, targets: Tensor) -> Tensor:
        """Mean loss over steps, times and records."""
        del targets  # the future of the window is the target
        backbone = self.network.backbone
        assert isinstance(backbone, CausalS4)
        encoded = backbone.encoder(x)
        context = backbone.predictor(encoded).mT  # (batch, frames, width)
        latents = encoded.mT
        n_frames = latents.shape[1]
        if self.steps[-1] >= n_frames:
            raise ConfigError(
                f"A window has {n_frames} frames; n_steps x step_frames = {self.steps[-1]} look "
                "beyond it."
            )
        others = self._others(latents)
        losses = [
            info_nce(predict(context[:, :-step]), latents, others, step=step)
            for predict, step in zip(self.maps, self.steps, strict=True)
        ]
        return torch.stack(losses).mean()

    def _others(self, latents: Tensor) -> list[Tensor]:
        """Draw negatives: places (batch, n) as numbers of a record's frame in the whole batch."""
        n_records, n_frames, _ = latents.shape
        device = latents.device
        of_batch = torch.randint(n_records * n_frames, (1, self.n_of_batch), device=device)
        of_record = torch.randint(n_frames, (n_records, self.n_of_record), device=device)
        of_record = of_record + n_frames * torch.arange(n_records, device=device)[:, None]
        return [places for places in (of_batch, of_record) if places.shape[1]]


def info_nce(predicted: Tensor, latents: Tensor, others: list[Tensor], *, step: int) -> Tensor:
    """Cross-entropy of the true future among negatives, averaged.

    Parameters
    ----------
    predicted : Tensor, shape (batch, frames - step, width)
        W_k c_t.
    latents : Tensor, shape (batch, frames, width)
    others : list of Tensor, shape (batch or 1, n)
        Places of negatives, record * frames + frame. Where one is the true future itself, it does
        not count.
    step : int
        k, in frames.
    """
    n_records, n_frames, _ = latents.shape
    true = (predicted * latents[:, step:]).sum(-1, keepdim=True)  # (batch, frames - step, 1)
    pool = latents.flatten(0, 1)
    futures = torch.arange(n_records * n_frames, device=latents.device)
    futures = futures.view(n_records, n_frames, 1)[:, step:]
    logits = [true]
    for places in others:
        against = predicted @ pool[places].mT  # (batch, frames - step, n)
        logits.append(against.masked_fill(places[:, None] == futures, -torch.inf))
    each: Tensor = torch.logsumexp(torch.cat(logits, -1).float(), -1) - true[..., 0].float()
    return each.mean()
