"""A board's rows move to PostgreSQL whole, the board goes on there, and is backed up from there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from board_world import SMALL, Task
from live import prepare, serving
from postgres import new_database, postgres


@pytest.mark.slow
def test_rows_move_the_board_goes_on_and_comes_back_from_a_backup(tmp_path: Path) -> None:
    task = Task(tmp_path / "task", text=SMALL)
    tokens = prepare(tmp_path / "data", [task], config="[limits]\nuploads = 1000\n")
    file = tmp_path / "a.csv"

    def server(*words: str, code: int = 0, data: str = "data") -> str:
        command = [sys.executable, "-m", "acsbench", "server", *words]
        done = subprocess.run(
            [*command, "--data", str(tmp_path / data)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    with serving(tmp_path / "data", tokens) as board:
        file.write_bytes(task.csv())
        first = board.submit("ada", file)["submission"]["id"]
        board.client("ada").wait(first)
        board.client("ada").pick("acs", first)
        shown = board.wait_for_board(2)
    with postgres() as instance:
        database = new_database(instance)
        told = server("migrate-store", "--to", database)
        assert "Every one compared" in told
        assert "holds a board already" in server("migrate-store", "--to", database, code=2)
        toml = (tmp_path / "data" / "board.toml").read_text()
        (tmp_path / "data" / "board.toml").write_text(f'database = "{database}"\n{toml}')
        (tmp_path / "data" / "board.sqlite3").rename(tmp_path / "old.sqlite3")
        server("audit", "verify")
        with serving(tmp_path / "data", tokens) as board:
            assert json.loads(board.get("/tasks/acs/board")[2]) == shown
            file.write_bytes(task.csv(seed=4))
            second = board.submit("bob", file)["submission"]["id"]
            assert board.client("bob").wait(second)["state"] == "scored"
            assert board.submit("bob", file)["submission"]["id"] == second
            server("backup", str(tmp_path / "copy"))  # while it runs
            shown = board.get("/tasks/acs/board")[2]
        back = ["restore", str(tmp_path / "copy"), "--keys", str(tmp_path / "data" / "keys")]
        told = server(*back, data="onto-a-board", code=1)  # where board.toml points: it is full
        assert "pg_restore failed, and changed nothing" in told
        server(*back, "--database", new_database(instance), data="new")
        with serving(tmp_path / "new", tokens) as board:
            assert board.get("/tasks/acs/board")[2] == shown
            assert board.client("bob").submission(second)["state"] == "scored"
