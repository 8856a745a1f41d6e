"""Backups of a board in use.

The database is copied first and the files after it: a file is on the disk before its row, so every
row of the copy has its file. Keys stay apart; who has the backup has nothing that opens it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from acsbench.provenance import atomic_text, file_sha256
from acsbench.server.blobs import Blobs
from acsbench.server.config import CONFIG_NAME, ServerConfig
from acsbench.server.database import copy_database
from acsbench.server.postgres_copy import load
from acsbench.server.putting_back import MANIFEST, copy_file
from acsbench.server.stores import blobs

__all__ = ["back_up", "fill_stores"]

_SQLITE, _POSTGRES = "board.sqlite3", "board.pgdump"
_FOLDERS = ("blobs", "vaults", "worker")
_OPEN_FILES = (CONFIG_NAME, "keys/public-keys.json")


def back_up(config: ServerConfig, target: Path) -> dict[str, int]:
    """Copy a board, while it is in use; a target of before is brought up to date.

    Whatever database and store it has grown to, the copy needs neither.

    Returns
    -------
    dict of str to int
        How many files there are, and how many of them were copied now.
    """
    target.mkdir(parents=True, exist_ok=True)
    database = Path(_SQLITE if config.sqlite_file else _POSTGRES)
    copy_database(config, target / database)
    files = {*_files(config.data), *(Path(name) for name in _OPEN_FILES)}
    copied = sum(copy_file(config.data / name, target / name) for name in sorted(files))
    if config.blobs:
        fetched = _fetch(config, target)
        files |= set(fetched)
        copied += sum(fetched.values())
    sums = {str(name): file_sha256(target / name) for name in (database, *files)}
    atomic_text(target / MANIFEST, json.dumps(sums, indent=1, sort_keys=True) + "\n")
    return {"files": len(sums), "copied": copied + 1}


def _fetch(config: ServerConfig, target: Path) -> dict[Path, bool]:
    """Copy what is in an object store; each file, and whether it was copied now."""
    store, copies = blobs(config), Blobs(target / "blobs", incoming=config.incoming)
    copies.folder.mkdir(exist_ok=True)
    known, fetched = set(copies.all()), {}
    for sha256 in store.all():
        fetched[copies.path(sha256).relative_to(target)] = sha256 not in known
        if sha256 not in known:
            copies.put(store.get(sha256), sha256=sha256)
    return fetched


def fill_stores(config: ServerConfig) -> None:
    """Fill the database and the object store that a board put back had grown to.

    Raises
    ------
    StepError
        When the PostgreSQL database is not empty.
    """
    if config.sqlite_file is None:
        load(config.database, config.data / _POSTGRES)
    if config.blobs:
        store, copies = blobs(config), Blobs(config.blob_folder, incoming=config.incoming)
        there = set(store.all())
        for sha256 in copies.all():
            if sha256 not in there:
                store.put(copies.get(sha256), sha256=sha256)


def _files(data: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        for path in sorted((data / folder).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(data)
