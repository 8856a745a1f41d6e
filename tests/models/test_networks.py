from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from acsbench.models.networks.resnet import ResNet

GOLDEN = {
    "resnet6_small": (6, 1e-5),
    "resnet6_small_cov": (6, 1e-5),
    "resnet18_small": (18, 1e-5),
    "resnet18_small_cov": (18, 1e-5),
    "resnet18_small_12lead_L2500": (18, 1e-5),
    "resnet50_small": (50, 3e-4),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", GOLDEN)
def test_the_reference_weights_give_the_reference_logits(shared: Path, name: str) -> None:
    depth, tolerance = GOLDEN[name]
    arrays = np.load(shared / "golden" / "models" / f"{name}.npz")
    file = shared / "golden" / "models" / f"{name}.ckpt"
    state = torch.load(file, weights_only=True)["state_dict"]
    x = torch.from_numpy(arrays["x"])
    covariates = torch.from_numpy(arrays["cov"]) if "cov" in arrays else None
    network = ResNet(
        depth,  # type: ignore[arg-type]
        n_channels=x.shape[1],
        n_samples=x.shape[2],
        width=len(state["initial_conv.weight"]),
        hidden=len(state["fc.0.weight"]),
        n_covariates=0 if covariates is None else covariates.shape[1],
    )
    network.load_state_dict(state)
    with torch.inference_mode():
        found = network.eval()(x, covariates).numpy()
    assert np.abs(found - arrays["y64"]).max() < tolerance


@pytest.mark.parametrize(
    ("depth", "width", "hidden", "n"),
    [(6, 32, 256, 453_985), (18, 32, 256, 2_254_273), (50, 64, 512, 23_238_657)],
)
def test_the_published_sizes_have_the_published_number_of_parameters(
    depth: int, width: int, hidden: int, n: int
) -> None:
    network = ResNet(depth, width=width, hidden=hidden)  # type: ignore[arg-type]
    assert sum(p.numel() for p in network.parameters()) == n
