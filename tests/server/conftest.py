"""A board inside the test's own process: one migrated database, fresh for every test.

On SQLite, or on the PostgreSQL instance that ACSBENCH_TEST_POSTGRES names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_world import World, make_world
from postgres import new_database

from acsbench.server.config import ServerConfig
from acsbench.server.start import start_django


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServerConfig, Path]:
    folder = tmp_path_factory.mktemp("board")
    (folder / "data").mkdir()
    instance = os.environ.get("ACSBENCH_TEST_POSTGRES")
    if instance:
        settings = f'database = "{new_database(instance)}"\n'
        (folder / "data" / "board.toml").write_text(settings)
    config = start_django(folder / "data")
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    connection.close()
    empty = folder / "empty.sqlite3"
    if not instance:
        shutil.copyfile(folder / "data" / "board.sqlite3", empty)
    return config, empty


def _empty_tables() -> None:
    """Truncation passes by the triggers that keep rows."""
    from django.db import connection

    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        ours = ", ".join(name for name in names if name != "django_migrations")
        cursor.execute(f"TRUNCATE {ours} RESTART IDENTITY CASCADE")


@pytest.fixture
def config(_template: tuple[ServerConfig, Path]) -> Iterator[ServerConfig]:
    """An empty board: its configuration; models work on its database."""
    from django.db import connections

    from acsbench.server import published, stores
    from acsbench.server.setup import create_folders

    config, empty = _template
    shutil.rmtree(config.data)
    config.data.mkdir()
    if config.sqlite_file is None:
        _empty_tables()
    else:
        shutil.copyfile(empty, config.sqlite_file)
    create_folders(config)
    published._published.cache_clear()
    stores.signing_key.cache_clear()
    yield config
    from acsbench.server.pages import board_page

    board_page.confirm().close()
    connections.close_all()


@pytest.fixture
def world(config: ServerConfig, tmp_path: Path) -> World:
    """A board with the task `acs` and some people."""
    return make_world(config, tmp_path)
