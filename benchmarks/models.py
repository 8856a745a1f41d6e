"""Networks: speed and memory beside plain re-statements of the reference algorithm.

The reference makes its kernel anew at each call, by Cauchy sums in float32, and convolves by one
FFT of twice the length. It is restated twice. ``shared`` forms each 1 / (z - w) once for the six
sums that need it: what a reader of the formula would write with one ``einsum``, and the one to
beat. ``by product`` forms it for every product, as the published code does on a graphics card: on
a processor that writes six times as much to memory, so it flatters us. Times are processor times
of one thread, so that a busy machine does not count.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from acsbench.models.networks.resnet import ResNet
from acsbench.models.networks.s4 import S4Model

BATCH, LEADS, SAMPLES, LENGTH = 8, 3, 5000, 8192
KEEPS_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
"""glibc then keeps freed memory, where by default it gives back every large block at once."""


class ReferenceConvolution(nn.Module):
    """The reference's way: float32 Cauchy kernel at each call, one FFT of twice the length."""

    def __init__(self, layer: nn.Module, length: int, *, by_product: bool) -> None:
        super().__init__()
        self.by_product = by_product
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
        sums = _cauchy_by_product if self.by_product else _cauchy
        r = sums(v, z, w * step[:, None]) * step[:, None]
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
    """Sum of v / (z - w) and of its conjugate over the poles, (2, 3, H, nodes)."""
    poles, values = torch.cat([w, w.conj()], -1), torch.cat([v, v.conj()], -1)
    return torch.einsum("bchn,hnl->bchl", values, 1 / (z - poles[..., None]))


def _cauchy_by_product(v: Tensor, z: Tensor, w: Tensor) -> Tensor:
    """Sum the same with a division for each product."""

    def summed(one: Tensor) -> Tensor:
        return (torch.cat([one, one.conj()], -1)[..., None] / (z - poles[..., None])).sum(-2)

    poles = torch.cat([w, w.conj()], -1)
    return torch.stack([torch.stack([summed(one) for one in row]) for row in v])


class ReferenceS4(nn.Module):
    """S4Model's data flow with `ReferenceConvolution`, on the weights of one of ours."""

    def __init__(self, ours: S4Model, *, length: int = LENGTH, by_product: bool = False) -> None:
        super().__init__()
        self.ours = ours
        self.convolutions = nn.ModuleList(
            ReferenceConvolution(layer, length, by_product=by_product) for layer in ours.s4_layers
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
    # ours scores two ECGs of this size at a time, as `predict_proba` does: they stay in the cache
    parts = x.split(2) if isinstance(network, S4Model) else (x,)

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
    return cpu_seconds(lambda: a @ b, repeats=5) * macs / (1024 * 512 * 20_000)


def s4_macs(
    samples: int, *, width: int = 512, n_layers: int = 4, poles: int = 32, m: int = 125
) -> float:
    """Multiplications of one S4 pass: linear, chunks, scan."""
    convolution = m + 8 * poles + 8 * poles**2 / m
    return n_layers * samples * width * (2 * width + convolution)


def measured_step(name: str, *, keeps_memory: bool = False) -> tuple[float, float]:
    """MB that training adds, and seconds of a step, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.models", name],
        env={**os.environ, **(KEEPS_MEMORY if keeps_memory else {})},
        capture_output=True,
        text=True,
        check=True,
    )
    megabytes, seconds = done.stdout.split()
    return float(megabytes), float(seconds)


def make(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    # C stored for the length that the reference grows to at 5000 samples
    ours = S4Model(n_channels=LEADS, length=LENGTH)
    x = torch.randn(BATCH, LEADS, SAMPLES)
    return (ReferenceS4(ours) if name == "reference" else ours), x


def peak_mb() -> float:
    """Peak memory of this program; `getrusage` would begin with that of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


def print_step(name: str) -> None:
    """Print what `measured_step` reads; the first step makes our matrices, and is not timed."""
    torch.set_num_threads(1)
    network, x = make(name)
    before = peak_mb()
    one_step = step(network, x)
    one_step()
    seconds = cpu_seconds(one_step, repeats=1)
    print(peak_mb() - before, seconds)


def compare(ours: S4Model, x: Tensor) -> None:
    """Print speed and memory of inference and of a training step."""
    limit = gemm_seconds(len(x) * s4_macs(x.shape[-1]))
    mine = cpu_seconds(infer(ours, x), repeats=3)
    theirs = cpu_seconds(infer(ReferenceS4(ours), x), repeats=2)
    _print_ratio("inference", 4.0, mine, theirs, limit)
    slowest = cpu_seconds(infer(ReferenceS4(ours, by_product=True), x), repeats=1)
    print(f"  inference against sums by product: {slowest / mine:.1f} times as fast", flush=True)
    our_memory, mine = measured_step("ours")
    their_memory, theirs = measured_step("reference")
    _print_ratio("training step", 3.5, mine, theirs, 3 * limit)
    print(f"  memory of a training step: {our_memory / their_memory:.2f} of it (goal 0.6)")
    ours_kept, theirs_kept = (
        measured_step(one, keeps_memory=True)[1] for one in ("ours", "reference")
    )
    print(
        f"  where the allocator keeps freed memory a step takes {ours_kept:.1f} s against "
        f"{theirs_kept:.1f} s: {theirs_kept / ours_kept:.1f} times as fast; ours so against the "
        f"reference as it is: {theirs / ours_kept:.1f} times",
        flush=True,
    )


def _print_ratio(what: str, goal: float, mine: float, theirs: float, limit: float) -> None:
    print(
        f"  {what}: {theirs / mine:.1f} times as fast (goal {goal}), {mine:.1f} s against "
        f"{theirs:.1f} s; its matrix products alone at the machine's rate: {limit:.1f} s, "
        f"{theirs / limit:.1f} times",
        flush=True,
    )


def print_growth(ours: S4Model) -> None:
    """Print the cost of one sample at several lengths of an ECG."""
    lengths = (1250, 2500, 5000, 10_000, 20_000)
    times = [cpu_seconds(infer(ours, torch.randn(2, LEADS, n)), repeats=2) / n for n in lengths]
    print(
        f"  cost of a sample at {', '.join(map(str, lengths))} samples: "
        + ", ".join(f"{t / times[0]:.2f}" for t in times)
    )


def main() -> None:
    """Print the ratios of S4, ResNet-18 and of the length of an ECG; about five minutes."""
    torch.set_num_threads(1)
    ours, x = make("ours")
    with torch.inference_mode():
        difference = (ReferenceS4(ours).eval()(x[:1]) - ours.eval()(x[:1])).abs().max()
    print(
        f"S4, default, {LEADS} x {SAMPLES}, batch {BATCH}, one thread; "
        f"same logits to {difference:.0e}"
    )
    compare(ours, x)
    print_growth(ours)
    for name, network in (("S4", ours), ("ResNet-18", ResNet(18))):
        if not torch.cpu._is_avx512_bf16_supported():
            print(f"{name} in bf16: skipped: this processor has no bf16")
            continue
        for what, kind in (("inference", infer), ("training step", step)):
            single = cpu_seconds(kind(network, x), repeats=3)
            with torch.autocast("cpu", torch.bfloat16):
                half = cpu_seconds(kind(network, x), repeats=3)
            print(f"{name} in bf16, {what}: {single / half:.1f} times as fast as in float32")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print_step(sys.argv[1])
    else:
        main()
