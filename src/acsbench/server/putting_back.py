"""Put a backup into a new data folder: before there is a board, so without Django."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from acsbench.errors import InputError, MissingPathError, StoreError, first_few
from acsbench.provenance import atomic_path, atomic_text, file_sha256
from acsbench.server.config import CONFIG_NAME

__all__ = ["MANIFEST", "copy_file", "put_back"]

MANIFEST = "backup.json"
"""Holds the SHA-256 of every file of a backup; written last."""


def put_back(backup: Path, data: Path, *, keys: Path | None, database: str = "") -> int:
    """Copy a backup into a new data folder, refusing what is damaged.

    Parameters
    ----------
    backup : Path
        What `back_up` wrote.
    data : Path
        A folder that is not there yet, or empty.
    keys : Path or None
        Folder with the keys, which backups do not hold.
    database : str
        Address of an empty PostgreSQL database, in place of the one that ``board.toml`` names.

    Returns
    -------
    int
        Files put back.
    """
    manifest = backup / MANIFEST
    if not manifest.is_file():
        raise MissingPathError(f"{backup} holds no {MANIFEST}: it is not a finished backup.")
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
        copy_file(backup / name, data / name)
    for name in ("vaults", "worker"):
        (data / name).mkdir(exist_ok=True)
        (data / name).chmod(0o700)
    if keys is not None:
        for path in sorted(keys.iterdir()):
            if not (data / "keys" / path.name).exists():
                shutil.copy2(path, data / "keys" / path.name)
    if database:
        _name_database(data / CONFIG_NAME, database)
    return len(sums)


def _name_database(config_file: Path, address: str) -> None:
    text, n = re.subn(
        r"^database\s*=.*$",
        lambda _: f"database = {json.dumps(address)}",
        config_file.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    if not n:
        raise InputError("This backup is of a board on SQLite: leave --database away.")
    atomic_text(config_file, text)


def copy_file(source: Path, target: Path) -> bool:
    """Copy a file unless the target is the same already; whole or not at all."""
    if target.is_file() and file_sha256(target) == file_sha256(source):
        return False
    with atomic_path(target) as temporary:
        shutil.copy2(source, temporary)
    return True
