"""Whether a board is set up as it should be."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from acsbench.provenance import free_bytes
from acsbench.server.config import ServerConfig
from acsbench.server.health import readiness
from acsbench.server.setup import has_two_users
from acsbench.server.stores import PUBLIC_KEYS, RECEIPT_KEY, SCORE_KEY
from acsbench.server.triggers import missing_triggers

__all__ = ["Finding", "examine"]

_ENOUGH_BYTES = 1 << 30
_TWO_USERS = "web and worker run as users of their own"
_ONE_USER = (
    "web and worker run as one user, which is fine for a trial. For real labels start `serve` as "
    "root, with web_user and worker_user in board.toml"
)


class Finding(NamedTuple):
    """One thing that was looked at."""

    text: str
    is_fine: bool


def examine(config: ServerConfig) -> list[Finding]:
    """Look at keys, rights, database, disk and backlog."""
    return [*_keys(config), *_database(config), *_running(config)]


def _keys(config: ServerConfig) -> Iterator[Finding]:
    kind, _, where = config.vault_key.partition(":")
    if kind == "file":
        yield _private(config.data / where)
    for name in (RECEIPT_KEY, SCORE_KEY):
        yield _private(config.keys / name)
    yield Finding(f"{PUBLIC_KEYS} is there", (config.keys / PUBLIC_KEYS).is_file())
    yield Finding(
        _TWO_USERS if has_two_users(config) else _ONE_USER,
        True,
    )


def _private(path: Path) -> Finding:
    if not path.is_file():
        return Finding(f"{path} is missing", False)
    mode = stat.S_IMODE(path.stat().st_mode)
    return Finding(f"{path} has mode {mode:04o}; 0600 is wanted", mode == 0o600)


def _database(config: ServerConfig) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    yield Finding(f"{len(plan)} migrations wait for the next `serve`", not plan)
    missing = missing_triggers(connection)
    yield Finding(
        f"rules kept by the database; missing: {', '.join(missing) or 'none'}", not missing
    )
    free = free_bytes(config.data)
    yield Finding(f"{free / 2**30:.1f} GiB free on the disk", free > _ENOUGH_BYTES)


def _running(config: ServerConfig) -> Iterator[Finding]:
    state = readiness(config)
    yield Finding("database and files can be used", state.is_ready)
    yield Finding(
        f"{'a' if state.worker else 'no'} worker was seen in the last 30 seconds; "
        + (
            f"the oldest submission has waited {state.oldest_waiting_s:.0f} s"
            if state.oldest_waiting_s
            else "nothing waits"
        ),
        state.worker or not state.oldest_waiting_s,
    )
