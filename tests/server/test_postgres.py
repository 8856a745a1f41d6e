"""The same promises on PostgreSQL, with two web processes and two workers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash import crash
from postgres import new_database, postgres

from acsbench.errors import ConfigError
from acsbench.server.config import load_config
from acsbench.server.postgres import postgres_settings

HERE = Path(__file__).parent
AGAIN = ("models", "queue", "quota", "accept", "boards", "limiter", "board_road")


@pytest.fixture(scope="module")
def instance() -> Iterator[str]:
    with postgres() as address:
        yield address


@pytest.mark.slow
@pytest.mark.parametrize("name", AGAIN)
def test_what_holds_on_sqlite_holds_here(instance: str, name: str) -> None:
    """In a process of its own: Django works on one database for the whole of a process."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
            *("-m", "slow or not slow", str(HERE / f"test_{name}.py")),
        ],
        env={**os.environ, "ACSBENCH_TEST_POSTGRES": instance},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert " passed" in done.stdout


@pytest.mark.slow
def test_forty_kills_among_two_web_processes_and_two_workers(instance: str, tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4))
    found = crash(tmp_path, kills=40, seed=seed, database=new_database(instance))
    assert found["broken"] == [], found
    assert found["acknowledged"] > 0


def test_an_address_is_read_as_libpq_reads_it() -> None:
    found = postgres_settings("postgresql://eve:p%40ss@db.example.org:5433/board?sslmode=require")
    assert (found["NAME"], found["HOST"], found["PORT"]) == ("board", "db.example.org", "5433")
    assert (found["USER"], found["PASSWORD"]) == ("eve", "p@ss")
    assert found["OPTIONS"]["sslmode"] == "require"
    assert "synchronous_commit=on" in found["OPTIONS"]["options"]
    assert "pool" not in found["OPTIONS"]
    assert "pool" in postgres_settings("postgresql:///board", pooled=True)["OPTIONS"]
    assert postgres_settings("postgresql://b@/x?host=%2Frun%2Fpg")["HOST"] == "/run/pg"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[processes]\nweb = 2\n", "need PostgreSQL"),
        ('database = "mysql://x/y"\n', "database"),
        ("[processes]\nworker = 2\n", "Did you mean 'workers'?"),
    ],
)
def test_a_wrong_configuration_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "board.toml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        load_config(tmp_path)
