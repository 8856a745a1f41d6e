"""One upload of a team and task is looked at at a time, over all web processes."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from acsbench.server.config import ServerConfig
from acsbench.server.models import TaskVersion, Team
from acsbench.server.problems import Problem

__all__ = ["one_at_a_time", "sweep_guard"]

_SWEEP = 0x5EE9
"""Number of the lock; turns of teams are pairs of numbers, which PostgreSQL keeps apart."""


@contextmanager
def one_at_a_time(team: Team, version: TaskVersion, config: ServerConfig) -> Iterator[None]:
    """Hold the turn of a team while the block looks at its file.

    Raises
    ------
    Problem
        429, when another upload of the team has it.
    """
    if connection.vendor == "postgresql":  # web processes may be on several machines
        turn = _in_the_database(team.pk, version.pk)
    else:
        turn = _on_the_disk(config.incoming / f"{team.pk}-{version.pk}.lock")
    with turn as is_ours:
        if not is_ours:
            raise Problem(
                429,
                "upload_in_progress",
                "Another file of this team is being looked at. Send one at a time.",
                headers={"Retry-After": "1"},
            )
        yield


@contextmanager
def sweep_guard(config: ServerConfig, is_alone: bool) -> Iterator[None]:
    """Hold the lock between writers of files, who share it, and the sweep, which is alone."""
    if connection.vendor != "postgresql":
        with (config.incoming / "sweep.lock").open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
            yield
        return
    kind = "" if is_alone else "_shared"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock{kind}(%s)", [_SWEEP])
        try:
            yield
        finally:
            cursor.execute(f"SELECT pg_advisory_unlock{kind}(%s)", [_SWEEP])


@contextmanager
def _in_the_database(team: int, version: int) -> Iterator[bool]:
    """An advisory lock of the session: gone with the connection, whatever happens."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [team % 2**31, version % 2**31])
        (is_ours,) = cursor.fetchone()
        try:
            yield is_ours
        finally:
            if is_ours:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [team % 2**31, version % 2**31])


@contextmanager
def _on_the_disk(path: Path) -> Iterator[bool]:
    with path.open("wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
