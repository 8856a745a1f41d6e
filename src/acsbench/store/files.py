"""The files of a store, in a folder or behind a URL; rows of arrays without reading the rest."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import MissingDependencyError, MissingPathError, StoreError
from acsbench.provenance import file_sha256

__all__ = ["Files", "open_files"]

_BLOCK_BYTES = 1 << 24
_HEADER_BYTES = 128
"""A ``.npy`` header of three dimensions is as long; numpy pads it to a multiple of 64."""


class Files(Protocol):
    """What reading needs of a place."""

    def read(self, name: str) -> bytes:
        """Whole content of a small file."""
        ...

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        ...

    def sha256(self, name: str) -> str:
        """Checksum of a file, in constant memory."""
        ...

    def row(self, name: str, offset: int) -> NDArray[Any]:
        """One row of an array file."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array file."""
        ...


def open_files(place: Path | str) -> Files:
    """Files of a folder, or of anything fsspec knows by its URL (``s3://``, ``gs://``, ...)."""
    text = str(place)
    if "://" not in text:
        return FolderFiles(Path(place))
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingDependencyError(
            f"Reading {text} needs fsspec: pip install 'acsbench[cloud]'."
        ) from None
    try:
        system, root = url_to_fs(text)
    except (ImportError, ValueError) as error:
        raise MissingDependencyError(
            f"{text} cannot be opened: {error} Install what fsspec asks for."
        ) from None
    return RemoteFiles(text, system, root.rstrip("/"))


class FolderFiles:
    """Files of a folder: arrays are memory maps, opened once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._maps: dict[str, NDArray[Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # a memory map would be pickled as a copy of the whole file
        return {"folder": self.folder, "_maps": {}}

    def read(self, name: str) -> bytes:
        """Whole content of a small file."""
        return (self.folder / name).read_bytes()

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        return (self.folder / name).is_file()

    def sha256(self, name: str) -> str:
        """Checksum of a file, in constant memory."""
        return file_sha256(self.folder / name)

    def row(self, name: str, offset: int) -> NDArray[Any]:
        """One row of an array file."""
        found: NDArray[Any] = self._map(name)[offset]
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array file."""
        return self._map(name).shape

    def _map(self, name: str) -> NDArray[Any]:
        if name not in self._maps:
            self._maps[name] = np.load(self.folder / name, mmap_mode="r")
        return self._maps[name]


class RemoteFiles:
    """Files behind a URL: a row is one range request."""

    def __init__(self, url: str, system: Any, root: str) -> None:
        self.url, self._system, self._root = url, system, root
        self._headers: dict[str, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def read(self, name: str) -> bytes:
        """Whole content of a small file."""
        try:
            content: bytes = self._system.cat_file(self._path(name))
        except FileNotFoundError:
            raise MissingPathError(f"There is no {name} at {self.url}.") from None
        return content

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        return bool(self._system.exists(self._path(name)))

    def sha256(self, name: str) -> str:
        """Checksum of a file, in constant memory."""
        digest = hashlib.sha256()
        with self._system.open(self._path(name), "rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def row(self, name: str, offset: int) -> NDArray[Any]:
        """One row of an array file."""
        start, shape, dtype = self._header(name)
        n_bytes = int(np.prod(shape[1:])) * dtype.itemsize
        first = start + offset * n_bytes
        content = self._system.cat_file(self._path(name), start=first, end=first + n_bytes)
        if len(content) != n_bytes:
            raise StoreError(f"{name} at {self.url} ends before row {offset}: it is cut.")
        return np.frombuffer(content, dtype).reshape(shape[1:])

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array file."""
        return self._header(name)[1]

    def _header(self, name: str) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
        if name not in self._headers:
            stream = io.BytesIO(self._system.cat_file(self._path(name), start=0, end=_HEADER_BYTES))
            np.lib.format.read_magic(stream)
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            self._headers[name] = (stream.tell(), shape, dtype)
        return self._headers[name]
