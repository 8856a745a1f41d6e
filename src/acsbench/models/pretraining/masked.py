"""Masked reconstruction on the encoder of ECG-CPC: what pre-training without contrast brings.

Patches of single leads are hidden and drawn again from what is left, as in Na et al., "Guiding
masked representation learning to capture spatio-temporal relationship of electrocardiogram", ICLR
2024; here by a causal encoder and one linear map, to be cheap.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from acsbench.models.foundation.ecg_cpc import EcgCpc
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.models.pretraining.objective import Objective

__all__ = ["Reconstruction", "draw_patches"]

_RATE = 240.0


class Reconstruction(Objective):
    """Mean squared error over what was hidden and had been recorded.

    Parameters
    ----------
    network : FoundationNetwork
        With a `CausalS4`.
    patch_s, mask_share
        See `MaskedConfig`.
    """

    def __init__(self, network: FoundationNetwork, *, patch_s: float, mask_share: float) -> None:
        super().__init__(network)
        adapter = network.adapter
        assert isinstance(adapter, EcgCpc)
        self.patch = max(round(patch_s * _RATE), 1)
        self.mask_share = mask_share
        self.stride = math.prod(adapter.config.sizes.strides)
        self.n_leads = adapter.input_shape[0]
        self.decoder = nn.Linear(adapter.n_features, self.n_leads * self.stride)

    def forward(self, x: Tensor, targets: Tensor) -> Tensor:
        """Mean over samples; in the square of the store's unit."""
        del targets  # the window is its own target
        hidden = draw_patches(x.shape, patch=self.patch, share=self.mask_share, device=x.device)
        drawn = self.decoder(self.network.backbone(x.masked_fill(hidden, 0.0)).mT)
        drawn = drawn.unflatten(-1, (self.n_leads, self.stride))  # (batch, frames, leads, stride)
        drawn = drawn.permute(0, 2, 1, 3).flatten(2)
        n_samples = min(drawn.shape[-1], x.shape[-1])
        # the adapter's gaps are exactly zero
        counts = (hidden & (x != 0))[..., :n_samples]
        error = (drawn - x[..., :n_samples])[counts].float()
        # a batch without a hidden sample teaches nothing, and must not be nan
        loss: Tensor = error.square().sum() / counts.sum().clamp(min=1)
        return loss


def draw_patches(
    shape: torch.Size, *, patch: int, share: float, device: torch.device | None = None
) -> Tensor:
    """Hide a share of the patches of each lead, (batch, leads, samples) of bool."""
    n_records, n_leads, n_samples = shape
    n_patches = -(-n_samples // patch)
    chosen = torch.rand(n_records, n_leads, n_patches, device=device) < share
    return chosen.repeat_interleave(patch, -1)[..., :n_samples]
