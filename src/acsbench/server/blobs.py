"""Accepted files, by the SHA-256 of their content: on disk before anything says they are."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from acsbench.errors import MissingPathError, StoreError
from acsbench.leaderboard.durable_files import sync_folder, write_durably

__all__ = ["Blobs", "sweep_incoming"]


class Blobs:
    """A folder of files named by their hash.

    Parameters
    ----------
    folder : Path
        Where accepted files are, sharded by the first two digits of their hash.
    incoming : Path
        Where uploads wait that Django keeps on the disk; swept together.
    """

    def __init__(self, folder: Path, *, incoming: Path) -> None:
        self.folder = folder
        self.incoming = incoming

    def path(self, sha256: str) -> Path:
        """Where the content with this hash is, or would be."""
        return self.folder / sha256[:2] / sha256

    def put(self, content: bytes, *, sha256: str) -> None:
        """Write content so that it survives a power cut: file synced, renamed, folder synced.

        Content that is there already is written again: its new date keeps it from a sweep that
        runs before its submission is recorded.
        """
        shard = self.path(sha256).parent
        if not shard.is_dir():
            shard.mkdir(parents=True, exist_ok=True)
            sync_folder(self.folder)
        with _locked(shard, fcntl.LOCK_SH):
            write_durably(self.path(sha256), content)

    def get(self, sha256: str) -> bytes:
        """Read content, and refuse it when it no longer has its hash.

        Raises
        ------
        MissingPathError, StoreError
            When the file is gone or damaged.
        """
        path = self.path(sha256)
        if not path.is_file():
            raise MissingPathError(f"The file {path} is missing. Restore it from a backup.")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StoreError(f"{path} is damaged: its SHA-256 is not its name. Restore it.")
        return content

    def all(self) -> Iterator[str]:
        """Hashes of all files, sorted."""
        yield from sorted(path.name for path in self.folder.glob("??/*"))

    def is_usable(self) -> bool:
        """Whether files can be written."""
        return os.access(self.folder, os.W_OK)

    def sweep(self, known: Callable[[], Container[str]], *, before: float) -> int:
        """Remove files that nothing refers to and unfinished uploads, older than a time.

        Parameters
        ----------
        known : function
            Gives the hashes that belong to a submission or a task; asked once, and only if
            there is an old file at all.
        before : float
            Seconds since the epoch; younger files may belong to an upload that goes on now.
        """
        removed = sweep_incoming(self.incoming, before=before)
        old = [path for path in self.folder.glob("??/*") if _modified(path) < before]
        keep = known() if old else ()
        for path in old:
            if path.name not in keep:
                with _locked(path.parent, fcntl.LOCK_EX):  # no `put` between look and removal
                    removed += _remove(path, before)
        return removed


def sweep_incoming(folder: Path, *, before: float) -> int:
    """Remove uploads that were never finished, older than a time."""
    unfinished = (path for path in folder.iterdir() if path.suffix != ".lock")
    return sum(_remove(path, before) for path in unfinished)


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, kind)
        yield
    finally:
        os.close(handle)


def _remove(path: Path, before: float) -> bool:
    """Remove a file if it is still older than a time."""
    is_old = _modified(path) < before
    if is_old:
        path.unlink(missing_ok=True)
    return is_old


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # finished or removed in the meantime
        return float("inf")
