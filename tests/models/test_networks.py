from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from acsbench.models.inference import fold_batch_norm
from acsbench.models.networks.ecg_omi import ECGOMI
from acsbench.models.networks.resnet import ResNet
from acsbench.models.networks.s4 import S4Model
from acsbench.models.networks.state_space import best_chunk
from acsbench.models.pretrained import load_pretrained

MAKERS: dict[str, Callable[[], nn.Module]] = {
    "resnet6": lambda: ResNet(6, width=4, hidden=8, dropout=0.0),
    "resnet18": lambda: ResNet(18, width=4, hidden=8, dropout=0.0),
    "resnet50": lambda: ResNet(50, width=2, hidden=8, dropout=0.0),
    "s4": lambda: S4Model(width=16, n_layers=2, n_states=8, dropout=0.0),
    "ecg_omi": lambda: ECGOMI(width=4, hidden=8),
}
TOLERANCE = {"resnet50_small": 3e-4}
S4_CASES = [
    "s4_default_tiny",
    "s4_prenorm",
    "s4_batchnorm_prenorm",
    "s4_batchnorm_postnorm_BUG_norm_of_z",
    "s4_unidirectional",
    "s4_nopool",
    "s4_channels_last_input",
    "s4_noencoder_nodecoder",
    "s4_lmax1",
    "s4_12lead_250",
]


def golden(shared: Path, name: str) -> tuple[nn.Module, dict[str, np.ndarray]]:
    compat = "norm_of_branch" if "BUG" in name else None
    folder = shared / "golden" / "models"
    model = load_pretrained(folder / f"{name}.ckpt", compat)
    assert model.network is not None
    return model.network, dict(np.load(folder / f"{name}.npz"))


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "resnet6_small",
        "resnet6_small_cov",
        "resnet18_small",
        "resnet18_small_cov",
        "resnet18_small_12lead_L2500",
        "resnet50_small",
        "ecgomi",
    ],
)
def test_the_reference_weights_give_the_reference_logits(shared: Path, name: str) -> None:
    network, arrays = golden(shared, name)
    inputs = [torch.from_numpy(arrays[key]) for key in ("x", "cov") if key in arrays]
    with torch.inference_mode():
        for one in (network, fold_batch_norm(network)):
            found = one(*inputs).numpy()
            assert np.abs(found - arrays["y64"]).max() < TOLERANCE.get(name, 1e-5)
        doubled = [one.double() for one in inputs]
        found = network.double()(*doubled).numpy()
    np.testing.assert_allclose(found, arrays["y64"], rtol=1e-8, atol=1e-10)


@pytest.mark.shared
@pytest.mark.parametrize("name", S4_CASES)
def test_s4_gives_the_exact_logits_and_is_closer_to_them_than_the_reference(
    shared: Path, name: str
) -> None:
    network, arrays = golden(shared, name)
    for key in [key for key in arrays if key.startswith("x_")]:
        x, length = torch.from_numpy(arrays[key]), key.removeprefix("x_")
        exact = arrays[f"y64_{length}"]
        with torch.inference_mode():
            found = network(x).numpy()
        with_gradient = network(x).detach().numpy()
        double = network.double()(x.double()).detach().numpy()
        network.float()
        np.testing.assert_allclose(double, exact, rtol=1e-8, atol=1e-12)
        assert max(np.abs(found - exact).max(), np.abs(with_gradient - exact).max()) < 1e-5
        assert np.abs(found - arrays[f"y32_{length}"]).max() < 5e-5


@pytest.mark.shared
def test_s4_kernels_and_norms_are_exact(shared: Path) -> None:
    network, arrays = golden(shared, "s4_default_tiny")
    for i, layer in enumerate(network.s4_layers):
        exact = arrays[f"kernel64_layer{i}_L5000"]
        single = layer.kernel.kernel(5000).detach().numpy()
        double = layer.double().kernel.kernel(5000).detach().numpy()
        layer.float()
        np.testing.assert_allclose(double, exact, rtol=1e-8, atol=1e-12)
        norm = np.linalg.norm(exact, axis=-1)
        assert (np.linalg.norm(single - exact, axis=-1) < 1e-5 * norm).all()
    seen: list[Tensor] = []
    for norm_layer in network.norms:
        norm_layer.register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.inference_mode():
        network(torch.from_numpy(arrays["x_L1000"]))
    for i, out in enumerate(seen):
        found = out.permute(1, 0, 2, 3).flatten(1, 2)[:, :1000].numpy()
        assert np.abs(found - arrays[f"norm_out{i}_L1000"]).max() < 5e-4


@pytest.mark.shared
@pytest.mark.parametrize("name", ["s4_default_tiny", "resnet18_small", "resnet6_small", "ecgomi"])
def test_loss_and_gradients_are_the_references_in_float64(shared: Path, name: str) -> None:
    network, arrays = golden(shared, name)
    if "loss64_evalmode" not in arrays:
        pytest.skip("this golden has no gradients")
    x = torch.from_numpy(arrays["x_L1000"] if "x_L1000" in arrays else arrays["x"]).double()
    labels = torch.from_numpy(arrays["labels"]).double()
    logits = network.double().eval()(x)[:, 0]
    loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
    loss.backward()
    assert loss.item() == pytest.approx(float(arrays["loss64_evalmode"]), abs=1e-12)
    for key, parameter in network.named_parameters():
        if f"grad64:{key}" in arrays:
            wanted = arrays[f"grad64:{key}"]
            assert parameter.grad is not None
            error = np.abs(parameter.grad.numpy() - wanted).max()
            assert error < 1e-8 * max(np.abs(wanted).max(), 1e-6), key


@pytest.mark.shared
@pytest.mark.parametrize("name", ["resnet18_small", "resnet6_small", "ecgomi"])
def test_four_steps_of_adam_give_the_references_losses(shared: Path, name: str) -> None:
    network, arrays = golden(shared, name)
    key = "train_nodropout_adam1e-2_losses64"
    if key not in arrays:
        pytest.skip("this golden has no training steps")
    for module in network.double().train().modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    x, labels = torch.from_numpy(arrays["x"]).double(), torch.from_numpy(arrays["labels"]).double()
    losses = []
    for _ in arrays[key]:
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(network(x)[:, 0], labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, arrays[key], rtol=1e-8)
    with torch.inference_mode():
        found = network.eval()(x).numpy()
    np.testing.assert_allclose(found, arrays["train_eval_y64_after4"], rtol=1e-6)


@pytest.mark.parametrize(
    ("depth", "width", "hidden", "n"),
    [(6, 32, 256, 453_985), (18, 32, 256, 2_254_273), (50, 64, 512, 23_238_657)],
)
def test_the_published_sizes_have_the_published_number_of_parameters(
    depth: int, width: int, hidden: int, n: int
) -> None:
    network = ResNet(depth, width=width, hidden=hidden)
    assert sum(p.numel() for p in network.parameters()) == n


def test_s4_and_ecg_omi_have_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in S4Model().parameters()) == 2_372_097
    assert sum(p.numel() for p in ECGOMI().parameters()) == 210_783


def direct(kernel: Tensor, skip: Tensor, u: Tensor) -> Tensor:
    """The convolution as its definition says: (B, H, L) by (directions, H, L)."""
    n = u.shape[-1]
    y = skip[:, None] * u
    for t in range(n):
        y[..., t] += (kernel[0, :, : t + 1].flip(-1) * u[..., : t + 1]).sum(-1)
        if len(kernel) == 2:
            y[..., t] += (kernel[1, :, : n - 1 - t] * u[..., t + 1 :]).sum(-1)
    return y


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_samples", [1, 7, 130, 333])
def test_chunks_give_the_convolution_of_the_definition_at_any_length(
    n_samples: int, causal: bool
) -> None:
    torch.manual_seed(0)
    network = S4Model(n_channels=None, width=3, n_layers=1, n_states=4, causal=causal).double()
    layer = network.s4_layers[0]
    u = torch.randn(2, 3, n_samples, dtype=torch.float64)
    wanted = direct(layer.kernel.kernel(n_samples), layer.D[0], u)
    z = nn.functional.glu(
        layer.output_linear(nn.functional.gelu(wanted).transpose(0, 1).flatten(1)), dim=-1
    )
    summed = u.permute(0, 2, 1).flatten(0, 1) + z
    pooled = network.norms[0](summed).view(2, n_samples, 3).mean(1)
    assert network.decoder is not None
    torch.testing.assert_close(network.eval()(u), network.decoder(pooled))


@pytest.mark.parametrize("causal", [True, False])
def test_gradients_of_the_chunked_convolution_are_right(causal: bool) -> None:
    torch.manual_seed(1)
    network = S4Model(
        n_channels=2, width=3, n_layers=2, n_states=4, causal=causal, dropout=0.0
    ).double()
    x = torch.randn(2, 2, 37, dtype=torch.float64, requires_grad=True)
    assert best_chunk(37, 4) < 37, "the scan has to be part of it"
    assert torch.autograd.gradcheck(network, (x,))
    parameters = [p for p in network.parameters() if p.requires_grad]

    def of_parameters(*values: Tensor) -> Tensor:
        named = dict(zip((n for n, _ in network.named_parameters()), values, strict=True))
        found: Tensor = torch.func.functional_call(network, named, (x.detach(),))
        return found

    assert torch.autograd.gradcheck(of_parameters, tuple(parameters))


def test_s4_predicts_the_same_before_and_after_its_kernel_was_used_for_scoring() -> None:
    torch.manual_seed(0)
    network = S4Model(width=4, n_layers=1, n_states=4, dropout=0.0)
    x = torch.randn(4, 3, 200)
    with torch.inference_mode():
        before = network(x)
    optimiser = torch.optim.SGD(network.parameters(), 0.5)
    network(x).sum().backward()
    optimiser.step()
    with torch.inference_mode():
        after = network(x)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(network(x).detach(), after)


def test_s4_drops_whole_channels_or_single_values() -> None:
    torch.manual_seed(0)
    for elementwise in (False, True):
        dropout = S4Model(width=4, n_layers=1, elementwise=elementwise).dropout
        dropped = dropout(torch.ones(3, 5, 7, 11), over=(0, 2))
        alike = (dropped == dropped[:1, :, :1]).all()
        assert bool(alike) != elementwise


def test_a_longer_step_stretches_the_kernel() -> None:
    torch.manual_seed(0)
    kernel = S4Model(width=4, n_layers=1, n_states=8).double().s4_layers[0].kernel.kernel
    with torch.no_grad():
        kernel.log_dt.fill_(-5.0)
    kernel.set_length(100_000)
    coarse, fine = kernel(100, rate=2.0), kernel(200)
    summed = fine.view(2, 4, 100, 2).sum(-1)
    assert torch.nn.functional.cosine_similarity(coarse, summed, dim=-1).min() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_every_network_learns_sixteen_records_by_heart(name: str) -> None:
    torch.manual_seed(0)
    network = MAKERS[name]()
    x, labels = torch.randn(16, 3, 5000), (torch.arange(16) % 2).float()[:, None]
    x = x[..., : {"s4": 200, "resnet18": 1000, "resnet50": 1000}.get(name, 5000)]
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(network(x), labels)
        if loss < 0.1:
            return
        loss.backward()
        optimiser.step()
    pytest.fail(f"loss {loss.item():.2f}")


@pytest.mark.parametrize("name", ["s4", "ecg_omi"])
def test_networks_without_a_place_for_covariates_say_so(name: str) -> None:
    with pytest.raises(ValueError, match="takes no covariates"):
        MAKERS[name]()(torch.zeros(1, 3, 5000), torch.zeros(1, 2))


@pytest.mark.shared
def test_the_state_dict_has_the_published_keys(shared: Path) -> None:
    state = torch.load(
        shared / "golden" / "models" / "s4_fresh_strided_views.ckpt", weights_only=True
    )["state_dict"]
    ours = S4Model(width=8, n_layers=2, n_states=8).state_dict()
    assert json.dumps(sorted(ours)) == json.dumps(sorted(state))
    kept = [key for key in state if not key.endswith(("omega", "z"))]
    assert all(ours[key].shape == state[key].shape for key in kept)
