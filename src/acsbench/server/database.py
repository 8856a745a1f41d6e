"""The database as a whole: brought to the present form, copied while it is in use."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from acsbench.errors import StepError
from acsbench.provenance import atomic_path
from acsbench.server.config import ServerConfig
from acsbench.server.postgres_copy import dump

__all__ = ["copy_database", "migrate"]


def migrate(config: ServerConfig) -> Path | None:
    """Bring the database to the present form, after a copy of it.

    Returns
    -------
    Path or None
        The copy, when there was something to migrate.

    Raises
    ------
    StepError
        When the database was written by a newer acsbench.
    """
    executor = MigrationExecutor(connection)
    unknown = set(executor.loader.applied_migrations) - set(executor.loader.disk_migrations or {})
    if unknown:
        names = ", ".join(sorted(name for _, name in unknown))
        raise StepError(
            f"The database in {config.data} has migrations that this acsbench does not know "
            f"({names}): it was written by a newer one. Install that, or restore a backup."
        )
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return None
    copy = None
    if executor.loader.applied_migrations and config.sqlite_file is not None:
        ours = [one for one, _ in plan if one.app_label == "board"]
        first = ours[0].name if ours else f"{plan[0][0].app_label}-{plan[0][0].name}"
        copy = config.backups / f"before-{first}.sqlite3"
        copy_database(config, copy)
    call_command("migrate", verbosity=0, interactive=False)
    return copy


def copy_database(config: ServerConfig, target: Path) -> None:
    """Copy the database while it is in use, as it was at one moment.

    Parameters
    ----------
    target : Path
        A SQLite database, or the custom format of ``pg_dump``.
    """
    if config.sqlite_file is None:
        dump(config.database, target)
        return
    with (
        atomic_path(target) as temporary,
        closing(sqlite3.connect(config.sqlite_file)) as source,
        closing(sqlite3.connect(temporary)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
