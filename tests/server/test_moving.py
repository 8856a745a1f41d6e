"""A board's rows move to PostgreSQL whole, and the board goes on there."""

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
def test_rows_move_and_the_board_goes_on(tmp_path: Path) -> None:
    task = Task(tmp_path / "task", text=SMALL)
    tokens = prepare(tmp_path / "data", [task], config="[limits]\nuploads = 1000\n")
    file = tmp_path / "a.csv"

    def server(*words: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "acsbench", "server", *words]
        done = subprocess.run(
            [*command, "--data", str(tmp_path / "data")],
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
