"""Networks: speed and memory beside a plain re-statement of the reference algorithm."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from acsbench.models.networks.resnet import ResNet
from acsbench.models.networks.s4 import S4Model

BATCH, LEADS, SAMPLES, LENGTH = 8, 3, 5000, 8192


class ReferenceConvolution(nn.Module):
    """The reference's way: float32 Cauchy kernel at each call, one FFT of twice the length."""

    def __init__(self, layer: nn.Module, length: int) -> None:
        super().__init__()
        kernel = layer.kernel.kernel
        self.C, self.D, self.length = kernel.C, layer.D, length
        for name in ("w", "B", "P", "Q", "log_dt"):
            self.register_buffer(name, getattr(kernel, name))
        nodes = torch.arange(length // 2 + 1) / length
        self.register_buffer("omega", torch.exp(-2j * torch.pi * nodes))

    def kernel(self, n_samples: int) -> Tensor:
        w, b, p, q, c = (torch.view_as_complex(t) for t in (self.w, self.B, self.P, self.Q, self.C))
        step = self.log_dt.exp()
        width = len(step)
        z = 2 * (1 - self.omega) / (1 + self.omega)
        left = torch.stack([one.expand(width, -1) for one in (b[0], p[0])])
        right = torch.stack([*c, q[0].expand(width, -1)])
        v = left[:, None] * right[None]  # (2, 3, H, N)
        r = _cauchy(v, z, w * step[:, None]) * step[:, None]
        last = len(c)
        k = r[0, :last] - r[0, last] * r[1, :last] / (1 + r[1, last])
        return torch.fft.irfft(k * 2 / (1 + self.omega), n=self.length)[..., :n_samples]

    def forward(self, u: Tensor) -> Tensor:
        n = u.shape[-1]
        ahead, behind = self.kernel(n)
        pad = nn.functional.pad
        both = pad(ahead, (0, n)) + pad(behind.flip(-1), (n, 0))
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * n) * torch.fft.rfft(both), n=2 * n)
        return y[..., :n] + u * self.D[0, :, None]


def _cauchy(v: Tensor, z: Tensor, w: Tensor) -> Tensor:
    """Sum of v / (z - w) and of its conjugate over the poles, as written, product by product.

    The published code does the same on a GPU. Sharing 1 / (z - w) between the products would make
    this re-statement several times as fast on a processor, and our ratios smaller.
    """

    def summed(one: Tensor) -> Tensor:
        pairs = torch.cat([one, one.conj()], -1)[..., None] / (z - both[..., None])
        return pairs.sum(-2)

    both = torch.cat([w, w.conj()], -1)
    return torch.stack([torch.stack([summed(one) for one in row]) for row in v])


class ReferenceS4(nn.Module):
    """S4Model's data flow with `ReferenceConvolution`, on the weights of one of ours."""

    def __init__(self, ours: S4Model, *, length: int = LENGTH) -> None:
        super().__init__()
        self.ours = ours
        self.convolutions = nn.ModuleList(
            ReferenceConvolution(layer, length) for layer in ours.s4_layers
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.ours.encoder(x)
        for convolution, layer, norm in zip(
            self.convolutions, self.ours.s4_layers, self.ours.norms, strict=True
        ):
            p, training = self.ours.dropout.p, self.training
            y = nn.functional.gelu(convolution(x))
            y = nn.functional.dropout1d(y, p, training)
            linear = layer.output_linear[0]
            z = nn.functional.glu(
                nn.functional.conv1d(y, linear.weight[..., None]) + linear.bias, 1
            )
            x = norm((x + nn.functional.dropout1d(z, p, training)).mT).mT
        return self.ours.decoder(x.mean(-1))


def cpu_seconds(function: Callable[[], object], *, repeats: int) -> float:
    """Best processor time of a few runs: on one thread, what a free processor would need."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def infer(network: nn.Module, x: Tensor) -> Callable[[], object]:
    # ours scores one ECG of this size at a time, as `predict_proba` does: it stays in the cache
    parts = x.split(1) if isinstance(network, S4Model) else (x,)

    def run() -> object:
        with torch.inference_mode():
            return [network.eval()(part) for part in parts]

    return run


def step(network: nn.Module, x: Tensor) -> Callable[[], object]:
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4)
    labels = (torch.arange(len(x)) % 2).float()[:, None]

    def run() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.binary_cross_entropy_with_logits(network.train()(x), labels)
        loss.backward()
        optimiser.step()

    return run


def gemm_seconds(macs: float) -> float:
    """Time of so many multiplications at the rate of one large matrix product."""
    a, b = torch.randn(1024, 512), torch.randn(512, 20_000)
    return cpu_seconds(lambda: a @ b, repeats=3) * macs / (1024 * 512 * 20_000)


def s4_macs(
    samples: int, *, width: int = 512, n_layers: int = 4, poles: int = 32, m: int = 125
) -> float:
    """Multiplications of one S4 pass: linear, chunks, scan."""
    convolution = m + 8 * poles + 8 * poles**2 / m
    return n_layers * samples * width * (2 * width + convolution)


def peak_memory(name: str) -> float:
    """MB that one training step adds in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.models", name],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def make(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    # C stored for the length that the reference grows to at 5000 samples
    ours = S4Model(n_channels=LEADS, length=LENGTH)
    x = torch.randn(BATCH, LEADS, SAMPLES)
    return (ReferenceS4(ours) if name == "reference" else ours), x


def print_peak(name: str) -> None:
    torch.set_num_threads(1)
    network, x = make(name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(network, x)()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def main() -> None:
    """Print the ratios of S4, ResNet-18 and of the length of an ECG; about five minutes."""
    torch.set_num_threads(1)
    ours, x = make("ours")
    reference = ReferenceS4(ours)
    with torch.inference_mode():
        difference = (reference.eval()(x) - ours.eval()(x)).abs().max()
    print(
        f"S4, default, {LEADS} x {SAMPLES}, batch {BATCH}, one thread; "
        f"same logits to {difference:.0e}"
    )
    limit = gemm_seconds(BATCH * s4_macs(SAMPLES))
    for what, kind, factor in (("inference", infer, 1), ("training step", step, 3)):
        theirs = cpu_seconds(kind(reference, x), repeats=1)
        mine = cpu_seconds(kind(ours, x), repeats=2)
        print(
            f"  {what}: {theirs / mine:.1f} times as fast ({mine:.1f} s against {theirs:.1f} s); "
            f"matrix products alone would take {factor * limit:.1f} s"
        )
    print(
        f"  memory of a training step: {peak_memory('ours') / peak_memory('reference'):.2f} of it"
    )
    lengths = (1250, 5000, 20_000)
    times = [cpu_seconds(infer(ours, torch.randn(2, LEADS, n)), repeats=2) / n for n in lengths]
    print(
        "  cost of a sample at 1250, 5000, 20000: "
        + ", ".join(f"{t / times[0]:.2f}" for t in times)
    )
    if not torch.cpu._is_avx512_bf16_supported():
        print("bf16: skipped, this processor does not compute in it")
        return
    for name, network in (("S4", ours), ("ResNet-18", ResNet(18))):
        single = cpu_seconds(infer(network, x), repeats=3)
        with torch.autocast("cpu", torch.bfloat16):
            half = cpu_seconds(infer(network, x), repeats=3)
        print(f"{name} in bf16: {single / half:.1f} times as fast as in float32")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print_peak(sys.argv[1])
    else:
        main()
