"""Where everything lies in a store's folder."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["FAILURES", "INDEX", "SCALE", "SHARD_SIZE", "Failures", "shard_files"]

SHARD_SIZE = 1024
SCALE = 0.001
"""One step of the stored integers, in the waveform's unit: 1 microvolt for millivolts."""
INDEX, FAILURES = "index.parquet", "failures.csv"

Failures: TypeAlias = dict[str, dict[str, str]]
"""``reason`` and ``detail`` of each record without a waveform, by id."""


def shard_files(shard: int) -> tuple[str, str]:
    """Names of a shard's signal and mask; a shard whose every sample is recorded has no mask."""
    return f"signal-{shard:05d}.npy", f"mask-{shard:05d}.npy"
