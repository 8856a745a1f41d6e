"""Whether a foundation model's adapter keeps its contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from acsbench.errors import InputError, StoreError

if TYPE_CHECKING:
    from acsbench.models.foundation.base import Adapter
    from acsbench.models.foundation.config import FoundationConfig

__all__ = ["check_adapter"]


def check_adapter(config: FoundationConfig, *, sampling_rate: float = 100.0) -> None:
    """Check that a foundation model's adapter keeps its contract.

    Parameters
    ----------
    config : FoundationConfig
        Of the adapter, with small sizes: the backbone is built and run.
    sampling_rate : float
        Hz, of the records that are made up for it.

    Raises
    ------
    AssertionError
        With every finding, one a line.
    """
    adapter = config.adapter()
    n_samples = round((adapter.spec.window_s + 3) * sampling_rate)
    shape = (len(adapter.spec.lead_names), n_samples)
    signal = np.random.default_rng(0).normal(0, 0.3, shape).astype(np.float32)
    checks: Sequence[Callable[[], Iterator[str]]] = (
        lambda: _windows(adapter, n_samples, sampling_rate),
        lambda: _preparation(adapter, signal, sampling_rate),
        lambda: _backbone(adapter, signal, sampling_rate),
    )
    findings = [finding for one in checks for finding in one()]
    name = f"Adapter '{adapter.spec.name}' ({type(adapter).__name__})"
    assert not findings, "\n".join([f"{name} breaks its contract:", *(f"  {f}" for f in findings)])


def _windows(adapter: Adapter, n_samples: int, rate: float) -> Iterator[str]:
    starts = adapter.windows(n_samples, sampling_rate=rate)
    length = adapter.window_samples(rate)
    if list(starts) != sorted(set(starts)) or starts[0] != 0:
        yield f"windows start at {starts}: each once, in order, the first at 0."
    if len(starts) > 1 and starts[-1] + length != n_samples:
        yield f"the last window ends at {starts[-1] + length} of {n_samples} samples."
    try:
        adapter.windows(length - 1, sampling_rate=rate)
    except StoreError:
        pass
    else:
        yield "a record shorter than a window is not refused with a StoreError."


def _preparation(adapter: Adapter, signal: np.ndarray, rate: float) -> Iterator[str]:
    mask, kept = np.ones(signal.shape, np.uint8), signal.copy()
    starts = adapter.windows(signal.shape[1], sampling_rate=rate)
    made = adapter.prepare(signal, mask, sampling_rate=rate, starts=starts)
    if made.shape != (len(starts), *adapter.input_shape) or made.dtype != np.float32:
        yield f"prepare gave {made.dtype} {made.shape}; expected float32 (windows, *input_shape)."
    if not np.isfinite(made).all():
        yield "a record without gaps is prepared into values that are not finite."
    single = adapter.prepare(signal, mask, sampling_rate=rate, starts=starts[-1:])
    if not np.array_equal(made[-1:], single):
        yield "a window depends on the other windows that are asked for."
    if not np.array_equal(signal, kept):
        yield "prepare changes the waveform that it is given."
    mask[0] = 0
    gaps = adapter.prepare(signal * (mask > 0), mask, sampling_rate=rate, starts=starts)
    if np.isinf(gaps).any() or np.isnan(gaps).all():
        yield "a record without its first lead is not prepared."
    try:
        adapter.prepare(signal * 0, mask * 0, sampling_rate=rate, starts=starts)
    except InputError:
        pass
    else:
        yield "a record without a single recorded sample is not refused with an InputError."


def _backbone(adapter: Adapter, signal: np.ndarray, rate: float) -> Iterator[str]:
    import torch  # noqa: PLC0415  only where a network is checked

    torch.manual_seed(0)
    backbone = adapter.random_init().eval()
    torch.manual_seed(0)
    again = adapter.random_init().state_dict()
    if any(not torch.equal(value, again[key]) for key, value in backbone.state_dict().items()):
        yield "random_init does not follow torch's seed."
    parts = [
        p
        for part in adapter.stages(backbone).values()
        for module in part
        for p in module.parameters()
    ]
    if sorted(map(id, parts)) != sorted(map(id, backbone.parameters())):
        yield "stages do not hold each parameter of the backbone exactly once."
    mask = np.ones(signal.shape, np.uint8)
    starts = adapter.windows(signal.shape[1], sampling_rate=rate)
    x = torch.from_numpy(adapter.prepare(signal, mask, sampling_rate=rate, starts=starts))
    with torch.inference_mode():
        frames = adapter.features(backbone, x).frames
        alone = adapter.features(backbone, x[-1:]).frames
    if frames.ndim != 3 or frames.shape[::2] != (len(x), adapter.n_features):
        yield f"features gave {tuple(frames.shape)}; expected (batch, frames, n_features)."
    elif not torch.isfinite(frames).all():
        yield "features are not finite."
    elif not torch.allclose(frames[-1:], alone, atol=1e-4):
        yield "the features of a window depend on the rest of its batch."
