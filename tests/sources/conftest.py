"""Small data sets, written by code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
WriteWfdb = Callable[..., Path]


@pytest.fixture
def twelve_leads() -> np.ndarray:
    """Twelve leads over 10 s at 500 Hz in millivolts, on steps of 1 uV, no two alike."""
    times = np.arange(5000) / 500
    waves = [np.sin(2 * np.pi * (1 + k / 7) * times + k) * (0.3 + k / 20) for k in range(12)]
    return np.rint(np.stack(waves) * 1000) / 1000


@pytest.fixture
def write_wfdb() -> WriteWfdb:
    return _write_wfdb


def _write_wfdb(
    path: Path,
    signal_mv: np.ndarray,
    *,
    names: Sequence[str] = LEADS,
    units: str | Sequence[str] = "mV",
    sampling_rate: float = 500,
    comments: Sequence[str] = (),
) -> Path:
    """Write format 16 with a resolution of 1 uV; ``path`` has no suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.rint(signal_mv * 1000).astype("<i2")  # (leads, samples)
    stored.T.tofile(path.with_name(path.name + ".dat"))
    per_unit = {"mV": 1000, "mv": 1000, "uV": 1, "V": 1_000_000}
    all_units = [units] * len(stored) if isinstance(units, str) else units
    lines = [f"{path.name} {len(stored)} {sampling_rate:g} {stored.shape[1]}"]
    for row, name, unit in zip(stored, names, all_units, strict=True):
        total = int(row.astype(np.int64).sum())
        checksum = (total + 2**15) % 2**16 - 2**15
        gain = f"{per_unit.get(unit, 1000)}(0)/{unit}"
        lines.append(f"{path.name}.dat 16 {gain} 16 0 {row[0]} {checksum} 0 {name}")
    lines += [f"#{comment}" for comment in comments]
    path.with_name(path.name + ".hea").write_text("\n".join(lines) + "\n")
    return path
