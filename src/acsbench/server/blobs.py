"""Accepted files, by the SHA-256 of their content: on disk before anything says they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from acsbench.errors import MissingPathError, StoreError
from acsbench.leaderboard.durable_files import sync_folder, write_durably

__all__ = ["Blobs"]


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

    def sweep(self, is_known: Callable[[str], bool], *, before: float) -> int:
        """Remove files that nothing refers to and unfinished uploads, older than a time.

        Parameters
        ----------
        is_known : function
            Whether a hash belongs to a submission or a task.
        before : float
            Seconds since the epoch; younger files may belong to an upload that goes on now.
        """
        unfinished = [path for path in self.incoming.iterdir() if path.suffix != ".lock"]
        orphans = [path for path in self.folder.glob("??/*") if not is_known(path.name)]
        old = [path for path in (*unfinished, *orphans) if _modified(path) < before]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # finished or removed in the meantime
        return float("inf")
