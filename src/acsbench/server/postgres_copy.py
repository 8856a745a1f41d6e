"""A PostgreSQL database as one file, by PostgreSQL's own tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import make_conninfo

from acsbench.errors import MissingDependencyError, StepError
from acsbench.provenance import atomic_path
from acsbench.server.postgres import postgres_settings

__all__ = ["dump", "load"]


def dump(address: str, target: Path) -> None:
    """Write a database into a file as it is at one moment, while it is in use.

    Raises
    ------
    MissingDependencyError, StepError
        When ``pg_dump`` is not installed, or fails.
    """
    with atomic_path(target) as temporary:
        _run("pg_dump", address, "--format=custom", f"--file={temporary}")


def load(address: str, source: Path) -> None:
    """Put the file of `dump` into an empty database: all of it or nothing.

    Raises
    ------
    MissingDependencyError, StepError
        When ``pg_restore`` is not installed, or fails: because the database is not empty, say.
    """
    _run("pg_restore", address, "--single-transaction", "--exit-on-error", str(source))


def _run(tool: str, address: str, *words: str) -> None:
    where = postgres_settings(address)
    known = {key: where[key.upper()] for key in ("host", "port", "user")}
    options = {key: value for key, value in where["OPTIONS"].items() if key != "options"}
    database = make_conninfo(
        dbname=where["NAME"], **{k: v for k, v in known.items() if v}, **options
    )
    if shutil.which(tool) is None:
        raise MissingDependencyError(f"{tool} is not installed: it comes with PostgreSQL's client.")
    # the password goes by the environment: everybody on a machine can read the words of a command
    password = {"PGPASSWORD": where["PASSWORD"]} if where["PASSWORD"] else {}
    done = subprocess.run(  # noqa: S603  PostgreSQL's own tool, no shell
        [tool, f"--dbname={database}", "--no-owner", "--no-privileges", *words],
        env={**os.environ, **password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StepError(f"{tool} failed, and changed nothing: {done.stderr.strip()[-500:]}")
