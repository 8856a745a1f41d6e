"""Backups of a board in use, and their restoration.

The database is copied first and the files after it: a file is on the disk before its row, so every
row of the copy has its file. Keys stay apart; who has the backup has nothing that opens it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from acsbench.errors import InputError, MissingPathError, StoreError, first_few
from acsbench.provenance import atomic_path, atomic_text, file_sha256
from acsbench.server.config import CONFIG_NAME, ServerConfig

__all__ = ["back_up", "put_back"]

_MANIFEST = "backup.json"
_DATABASE = "board.sqlite3"
_FOLDERS = ("blobs", "vaults", "worker")
_OPEN_FILES = (CONFIG_NAME, "keys/public-keys.json")


def back_up(config: ServerConfig, target: Path) -> dict[str, int]:
    """Copy a board, while it is in use; a target of before is brought up to date.

    Returns
    -------
    dict of str to int
        How many files there are, and how many of them were copied now.
    """
    from acsbench.server.database import copy_database  # noqa: PLC0415  needs Django set up

    target.mkdir(parents=True, exist_ok=True)
    copy_database(config, target / _DATABASE)
    files = [*_files(config.data), *(Path(name) for name in _OPEN_FILES)]
    copied = sum(_copy(config.data / name, target / name) for name in files)
    sums = {str(name): file_sha256(target / name) for name in (Path(_DATABASE), *files)}
    atomic_text(target / _MANIFEST, json.dumps(sums, indent=1, sort_keys=True) + "\n")
    return {"files": len(sums), "copied": copied + 1}


def put_back(backup: Path, data: Path, *, keys: Path | None) -> int:
    """Copy a backup into a new data folder, refusing what is damaged.

    Parameters
    ----------
    backup : Path
        What `back_up` wrote.
    data : Path
        A folder that is not there yet, or empty.
    keys : Path or None
        Folder with the keys, which backups do not hold.

    Returns
    -------
    int
        Files put back.
    """
    manifest = backup / _MANIFEST
    if not manifest.is_file():
        raise MissingPathError(f"{backup} holds no {_MANIFEST}: it is not a finished backup.")
    if data.exists() and any(data.iterdir()):
        raise InputError(f"{data} is not empty. Restore into a new folder, then move it.")
    sums: dict[str, str] = json.loads(manifest.read_text(encoding="utf-8"))
    broken = [
        name
        for name, sha256 in sums.items()
        if not (backup / name).is_file() or file_sha256(backup / name) != sha256
    ]
    if broken:
        raise StoreError(
            f"{len(broken):,} files of the backup {backup} are missing or damaged "
            f"({first_few(broken, n=3)}). Nothing was restored; take another backup."
        )
    for name in sums:
        _copy(backup / name, data / name)
    for name in ("vaults", "worker"):
        (data / name).mkdir(exist_ok=True)
        (data / name).chmod(0o700)
    if keys is not None:
        for path in sorted(keys.iterdir()):
            if not (data / "keys" / path.name).exists():
                shutil.copy2(path, data / "keys" / path.name)
    return len(sums)


def _files(data: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        for path in sorted((data / folder).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(data)


def _copy(source: Path, target: Path) -> bool:
    """Copy a file unless the target is the same already; whole or not at all."""
    if target.is_file() and file_sha256(target) == file_sha256(source):
        return False
    with atomic_path(target) as temporary:
        shutil.copy2(source, temporary)
    return True
