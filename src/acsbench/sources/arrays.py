"""Numpy arrays from ``.npy`` and ``.npz`` files, measured before anything is inflated.

A file from elsewhere may be cut, may hold objects instead of numbers, or may claim a size that
fills the memory; its header is read first, so each of these is a `RecordingError`.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import RecordingError

__all__ = ["MAX_BYTES", "ArrayFile", "open_array", "read_array", "require_file"]

MAX_BYTES = 64 * 2**20
"""Of one recording in memory: 12 leads at 500 Hz for 23 minutes as float64."""


@dataclass(frozen=True)
class ArrayFile:
    """An opened array: its header, and a stream at its first sample."""

    ecg_id: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_column: bool
    stream: IO[bytes]
    start: int

    @property
    def row_bytes(self) -> int:
        """Size of one element along the first axis."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def all(self) -> NDArray[Any]:
        """Return the whole array, if it is no larger than `MAX_BYTES`."""
        size = math.prod(self.shape) * self.dtype.itemsize
        values = np.frombuffer(self._read(self.start, size), self.dtype)
        return values.reshape(self.shape, order="F" if self.by_column else "C")

    def row(self, number: int) -> NDArray[Any]:
        """Return one element along the first axis; cheapest in rising order."""
        if self.by_column:
            raise RecordingError(
                self.ecg_id,
                "wrong_type",
                f"{self.name} is stored by columns (Fortran order); store it by rows "
                "(numpy.ascontiguousarray).",
            )
        place = self.start + number * self.row_bytes
        return np.frombuffer(self._read(place, self.row_bytes), self.dtype).reshape(self.shape[1:])

    def _read(self, place: int, size: int) -> bytes:
        if size > MAX_BYTES:
            raise RecordingError(
                self.ecg_id,
                "too_large",
                f"{self.name} holds {size:,} bytes for one recording; the limit is {MAX_BYTES:,}.",
            )
        with _damage_named(self.ecg_id, self.name):
            self.stream.seek(place)
            raw = self.stream.read(size)
        if len(raw) != size:
            raise RecordingError(
                self.ecg_id,
                "truncated",
                f"{self.name} ends after {len(raw):,} of {size:,} bytes (shape {self.shape}).",
            )
        return raw


def require_file(ecg_id: str, path: Path) -> None:
    """Refuse a file that is not there or has no bytes."""
    if not path.is_file():
        raise RecordingError(ecg_id, "missing_file", f"there is no {path}.")
    if not path.stat().st_size:
        raise RecordingError(ecg_id, "empty", f"{path.name} has no bytes.")


def read_array(ecg_id: str, path: Path, *, key: str | None = None) -> NDArray[Any]:
    """Read one recording's array of numbers.

    Parameters
    ----------
    ecg_id : str
        For messages.
    path : Path
        ``.npz``, or ``.npy``.
    key : str, optional
        Name of the array in an ``.npz``; by default the first.

    Raises
    ------
    RecordingError
        ``missing_file``, ``empty``, ``truncated``, ``wrong_type`` or ``too_large``.
    """
    with open_array(ecg_id, path, key=key) as array:
        return array.all()


@contextlib.contextmanager
def open_array(ecg_id: str, path: Path, *, key: str | None = None) -> Iterator[ArrayFile]:
    """Open an array and read its header only; see `read_array`."""
    require_file(ecg_id, path)
    with contextlib.ExitStack() as stack:
        with _damage_named(ecg_id, path.name):
            stream: IO[bytes] = stack.enter_context(path.open("rb"))
            is_archive = stream.read(2) == b"PK"
            stream.seek(0)
            if is_archive:
                archive = stack.enter_context(zipfile.ZipFile(stream))
                stream = stack.enter_context(archive.open(_member(ecg_id, path, archive, key)))
            shape, by_column, dtype = _header(stream)
            start = stream.tell()
        if dtype.kind not in "fiu" or dtype.itemsize > 8:
            raise RecordingError(
                ecg_id, "wrong_type", f"{path.name} holds {dtype} values; expected real numbers."
            )
        yield ArrayFile(ecg_id, path.name, shape, dtype, by_column, stream, start)


def _member(ecg_id: str, path: Path, archive: zipfile.ZipFile, key: str | None) -> str:
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    if not names:
        raise RecordingError(ecg_id, "empty", f"{path.name} holds no named array.")
    if key is None:
        return names[0]
    if f"{key}.npy" not in names:
        known = ", ".join(name.removesuffix(".npy") for name in names)
        raise RecordingError(
            ecg_id, "wrong_shape", f"{path.name} has no array '{key}'; it has {known}."
        )
    return f"{key}.npy"


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, by_column, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"version {version} of the array format is for named fields")
    if any(length < 0 for length in shape):
        raise ValueError(f"shape {shape} is impossible")
    return shape, by_column and len(shape) > 1, dtype


@contextlib.contextmanager
def _damage_named(ecg_id: str, name: str) -> Iterator[None]:
    try:
        yield
    except RecordingError:
        raise
    except ValueError as error:
        raise RecordingError(
            ecg_id, "wrong_type", f"{name} is no array of numbers: {error}."
        ) from None
    except Exception as error:  # damage can surface anywhere in zipfile, zlib and numpy's header
        raise RecordingError(
            ecg_id, "truncated", f"{name} is cut or damaged: {error or type(error).__name__}."
        ) from None
