"""CPSC 2018's MATLAB files: a structure ``ECG`` of sex, age and data, read by scipy."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acsbench.errors import RecordingError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12
from acsbench.sources.arrays import MAX_BYTES, require_file

__all__ = ["CpscRecord", "read_cpsc"]

SAMPLING_RATE = 500.0
_HEADER_BYTES = 128
_COMPRESSED = 15


@dataclass(frozen=True)
class CpscRecord:
    """A recording with what its file says of the person."""

    recording: Recording
    age: str
    sex: str


def read_cpsc(ecg_id: str, path: Path) -> CpscRecord:
    """Read twelve leads at 500 Hz in millivolts.

    Raises
    ------
    RecordingError
        ``missing_file``, ``empty``, ``too_large``, ``truncated`` or ``wrong_shape``.
    """
    require_file(ecg_id, path)
    _check_size(ecg_id, path)
    try:
        from scipy.io import loadmat  # noqa: PLC0415  costs time

        ecg = loadmat(path, variable_names=["ECG"])["ECG"]
        signal = np.asarray(_field(ecg, "data"), np.float64)
        age, sex = (str(np.ravel(_field(ecg, name))[0]) for name in ("age", "sex"))
    except Exception as error:  # scipy has no exception of its own for a damaged file
        raise RecordingError(
            ecg_id,
            "truncated",
            f"{path.name} holds no structure ECG of sex, age and data: "
            f"{error or type(error).__name__}.",
        ) from None
    if signal.ndim != 2 or signal.shape[0] != len(STANDARD_12) or not signal.size:
        raise RecordingError(
            ecg_id, "wrong_shape", f"{path.name} holds {signal.shape}; expected (12, samples)."
        )
    recording = Recording(
        ecg_id=ecg_id,
        signal=signal,
        lead_names=STANDARD_12,
        sampling_rate=SAMPLING_RATE,
        units="mV",
    )
    return CpscRecord(recording, age, sex)


def _field(ecg: Any, name: str) -> Any:
    return ecg[name][0, 0]


def _check_size(ecg_id: str, path: Path) -> None:
    """Refuse a file that inflates beyond measure, before anything is inflated in full."""
    raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
    total, place = len(raw), _HEADER_BYTES
    order = "<" if raw[126:128] == b"IM" else ">"
    while raw and place + 8 <= len(raw) and total <= MAX_BYTES:
        kind, size = struct.unpack_from(f"{order}II", raw, place)
        if kind == _COMPRESSED:
            total += _inflated(raw[place + 8 : place + 8 + size])
        place += 8 + size
    if not raw or total > MAX_BYTES:
        raise RecordingError(
            ecg_id, "too_large", f"{path.name} holds more than {MAX_BYTES:,} bytes when inflated."
        )


def _inflated(compressed: bytes) -> int:
    try:
        return len(zlib.decompressobj().decompress(compressed, MAX_BYTES + 1))
    except zlib.error:
        return 0  # damaged: scipy names it
