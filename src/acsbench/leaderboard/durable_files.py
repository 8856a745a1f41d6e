"""Files that are on the disk before anybody is told so."""

from __future__ import annotations

import os
from pathlib import Path

from acsbench.provenance import atomic_path

__all__ = ["sync_folder", "write_durably"]


def write_durably(path: Path, content: bytes) -> None:
    """Write, sync, rename, and sync the folder: after this a power cut loses nothing.

    Raises
    ------
    StepError
        As `provenance.atomic_path`.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names of a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
