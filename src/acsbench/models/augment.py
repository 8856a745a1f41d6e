"""Random changes of training waveforms that leave the diagnosis alone.

They know the leads: one gain for all of them keeps Einthoven's law, and on a printed page a lead is
its own stretch of a joined row.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from acsbench.provenance import StepConfig

__all__ = ["AugmentConfig", "augment", "lead_stretches"]


class AugmentConfig(StepConfig):
    """How strongly training waveforms are changed; zero, the default, is not at all.

    Attributes
    ----------
    amplitude : float
        Standard deviation of the logarithm of the gain, one for all leads.
    lead_mask : float
        Probability that a lead is taken away; at least one stays.
    time_mask : float
        Longest share of the record that is taken away from all leads at once.
    shift_s : float
        Longest shift in time, in seconds; what leaves is lost. Not for pages whose rows join leads.
    wander : float
        Largest amplitude of a slow sine added to each lead, in the unit of the waveform.
    crop_s : float or None
        Train on a random stretch of so many seconds, the same for all leads; scoring takes the
        whole record. Cheaper by its share of a record. Not for pages whose rows join leads, and
        for networks that average over time: S4.
    """

    amplitude: float = Field(default=0.0, ge=0, le=1)
    lead_mask: float = Field(default=0.0, ge=0, lt=1)
    time_mask: float = Field(default=0.0, ge=0, lt=1)
    shift_s: float = Field(default=0.0, ge=0)
    wander: float = Field(default=0.0, ge=0)
    crop_s: float | None = Field(default=None, gt=0)

    @property
    def changes_nothing(self) -> bool:
        """Whether every strength is zero."""
        return not any(self.model_dump().values())


def lead_stretches(lead_names: Sequence[str], n_samples: int) -> list[tuple[int, slice]]:
    """Row and samples of every lead; a row called ``I+aVR+V1+V4`` holds four, one after another."""
    stretches = []
    for row, name in enumerate(lead_names):
        n_parts = name.count("+") + 1
        edges = [round(part * n_samples / n_parts) for part in range(n_parts + 1)]
        stretches += [(row, slice(*pair)) for pair in itertools.pairwise(edges)]
    return stretches


def augment(
    signal: NDArray[np.float32],
    mask: NDArray[np.uint8],
    config: AugmentConfig,
    *,
    lead_names: Sequence[str],
    sampling_rate: float,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Change one waveform and its mask, both (leads, samples); the same seed, the same change.

    With ``crop_s`` they come back shorter.
    """
    rng = np.random.default_rng(seed)
    signal, mask = _crop(signal, mask, config.crop_s, sampling_rate, rng)
    n_samples = signal.shape[1]
    signal *= np.float32(np.exp(config.amplitude * rng.standard_normal()))
    if config.wander:
        signal += _wander(len(signal), n_samples, sampling_rate, config.wander, rng)
    if config.shift_s:
        reach = min(round(config.shift_s * sampling_rate), n_samples - 1)
        signal, mask = _shift(signal, mask, int(rng.integers(-reach, reach + 1)))
    if config.lead_mask:
        stretches = lead_stretches(lead_names, n_samples)
        taken = rng.random(len(stretches)) < config.lead_mask
        taken[rng.integers(len(stretches))] = False
        for (row, samples), is_taken in zip(stretches, taken, strict=True):
            if is_taken:
                mask[row, samples] = 0
    if config.time_mask:
        length = int(rng.random() * config.time_mask * n_samples)
        start = int(rng.integers(n_samples - length + 1))
        mask[:, start : start + length] = 0
    signal[mask == 0] = 0
    return signal, mask


def _crop(
    signal: NDArray[np.float32],
    mask: NDArray[np.uint8],
    seconds: float | None,
    sampling_rate: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Copy a random stretch, or everything where the record is no longer than that."""
    n_samples = signal.shape[1]
    length = n_samples if seconds is None else min(round(seconds * sampling_rate), n_samples)
    start = int(rng.integers(n_samples - length + 1)) if length < n_samples else 0
    stretch = slice(start, start + length)
    return signal[:, stretch].copy(), mask[:, stretch].copy()


def _wander(
    n_leads: int, n_samples: int, sampling_rate: float, largest: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A sine of 0.05 to 0.5 Hz, the band of breathing and loose electrodes, for each lead."""
    cycles = rng.uniform(0.05, 0.5) * np.arange(n_samples) / sampling_rate
    phase = rng.uniform(0, 2 * np.pi, (n_leads, 1))
    amplitude = rng.uniform(0, largest, (n_leads, 1))
    return (amplitude * np.sin(2 * np.pi * cycles + phase)).astype(np.float32)


def _shift(
    signal: NDArray[np.float32], mask: NDArray[np.uint8], by: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    moved, where = np.roll(signal, by, axis=1), np.roll(mask, by, axis=1)
    where[:, slice(0, by) if by > 0 else slice(signal.shape[1] + by, None)] = 0
    return moved, where
