"""CPSC 2018's MATLAB files (level 5): one structure ``ECG`` of sex, age and data.

Read here, after MathWorks' "MAT-File Format" (2023), because scipy's reader indexes by what the
file says without looking at bounds: some damaged files end the process.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import RecordingError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12
from acsbench.sources.arrays import MAX_BYTES, require_file
from acsbench.sources.raw import scaled

__all__ = ["CpscRecord", "read_cpsc"]

SAMPLING_RATE = 500.0
_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_STRUCT, _CHAR = 2, 4
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",  # text
}


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
    if path.stat().st_size > MAX_BYTES:
        raise _too_large(ecg_id, path)
    try:
        ecg = _variables(path.read_bytes())["ECG"]
        signal = np.asarray(ecg["data"], np.float64)
        age, sex = (str(np.ravel(ecg[name])[0]) for name in ("age", "sex"))
    except _TooLargeError:
        raise _too_large(ecg_id, path) from None
    except (LookupError, TypeError, ValueError, RecursionError, struct.error, zlib.error) as error:
        raise RecordingError(
            ecg_id,
            "truncated",
            f"{path.name} holds no structure ECG of sex, age and data ({error!r}).",
        ) from None
    if signal.ndim != 2 or signal.shape[0] != len(STANDARD_12) or not signal.size:
        raise RecordingError(
            ecg_id, "wrong_shape", f"{path.name} holds {signal.shape}; expected (12, samples)."
        )
    recording = Recording(
        ecg_id=ecg_id,
        signal=scaled(ecg_id, signal, 1.0),
        lead_names=STANDARD_12,
        sampling_rate=SAMPLING_RATE,
        units="mV",
    )
    return CpscRecord(recording, age, sex)


class _TooLargeError(Exception):
    """An element inflates beyond the limit."""


def _too_large(ecg_id: str, path: Path) -> RecordingError:
    detail = f"{path.name} holds more than the limit of {MAX_BYTES:,} bytes for one recording."
    return RecordingError(ecg_id, "too_large", detail)


def _variables(raw: bytes) -> dict[str, Any]:
    order = "<" if raw[126:128] == b"IM" else ">"
    found: dict[str, Any] = {}
    budget = MAX_BYTES
    for kind, data in _elements(raw[_HEADER_BYTES:], order):
        if kind == _COMPRESSED:
            inflated = _inflated(data, budget)
            budget -= len(inflated)
            kind, data = next(_elements(inflated, order), (0, b""))  # noqa: PLW2901  unwrapped
        if kind == _MATRIX:
            name, value = _matrix(data, order)
            found[name] = value
    return found


def _elements(raw: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and bytes of each element of a file, or of a matrix."""
    place = 0
    while place + 8 <= len(raw):
        kind, size = struct.unpack_from(f"{order}II", raw, place)
        start, step = place + 8, (size + 7) // 8 * 8 + 8
        if kind >> 16:  # a small element: size and type share a word, four bytes of data follow
            kind, size, start, step = kind & 0xFFFF, kind >> 16, place + 4, 8
        elif kind == _COMPRESSED:
            step = size + 8  # not padded
        data = raw[start : start + size]
        if len(data) < size:
            raise ValueError(f"an element of {size} bytes ends after {len(data)}")
        yield kind, data
        place += step


def _inflated(compressed: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj()
    data = stream.decompress(compressed, max(limit, 1))
    if stream.unconsumed_tail:
        raise _TooLargeError
    if not stream.eof:
        raise ValueError("a compressed element is cut")
    return data


def _matrix(raw: bytes, order: str) -> tuple[str, Any]:
    """Name and value: a dictionary for a structure, text, or an array."""
    parts = list(_elements(raw, order))
    matlab_class = int(_numbers(*parts[0], order)[0]) & 0xFF
    shape = tuple(int(length) for length in _numbers(*parts[1], order))
    name = parts[2][1].decode("latin-1")
    if matlab_class == _STRUCT:
        width = int(_numbers(*parts[3], order)[0])
        if width < 1:
            raise ValueError("a structure has field names of no length")
        names = parts[4][1]
        fields = [names[i : i + width].split(b"\0")[0] for i in range(0, len(names), width)]
        return name, {
            field.decode("latin-1"): _matrix(data, order)[1]
            for field, (_, data) in zip(fields, parts[5:], strict=True)
        }
    values = _numbers(*parts[3], order)
    if matlab_class == _CHAR:
        return name, "".join(chr(code) for code in values)
    return name, values.reshape(shape, order="F")


def _numbers(kind: int, data: bytes, order: str) -> NDArray[Any]:
    return np.frombuffer(data, np.dtype(f"{order}{_STORED[kind]}"))
