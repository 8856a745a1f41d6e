"""Files that are meant to hurt, sent to a board that runs."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from board_world import GENEROUS, SMALL, Task
from live import LiveBoard, prepare, serving

ROWS = 70_000
FAST = "[limits]\nuploads = 100000\nper_account = 100000\nper_address = 100000\n"
ROOM_MB = 64


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("hostile")
    task = Task(folder / "task", n_rows=ROWS, text=SMALL + GENEROUS)
    tokens = prepare(folder / "data", [task], ("ada",), FAST)
    with serving(folder / "data", tokens) as live:
        live.task = task
        yield live


def memory_mb(pid: int) -> float:
    """Resident memory at its highest, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def send(board: LiveBoard, body: bytes, kind: str = "text/csv") -> tuple[int, str]:
    status, _, answer = board.request(
        "POST", "/tasks/acs/submissions", "ada", body, Content_Type=kind
    )
    return status, json.loads(answer).get("code", "")


@pytest.mark.slow
def test_hostile_files_are_refused_in_words_and_cost_little_memory(
    board: LiveBoard, tmp_path: Path
) -> None:
    web = board.children()["web"]
    send(board, b"ecg_id,score\n")  # whatever is made once is made now
    before = memory_mb(web)
    bomb = gzip.compress(b"ecg_id,score\n" + b"0" * 300_000_000)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * 100_000_000)
    ids = board.task.ids
    formulas = "".join(f"{i},=1+1\n" for i in ids)
    told = {
        "gzip bomb": send(board, bomb),
        "gzip in gzip": send(board, gzip.compress(gzip.compress(board.task.csv()))),
        "zip bomb": send(board, zipped.getvalue()),
        "half a gzip": send(board, gzip.compress(board.task.csv())[:-9]),
        "one endless line": send(board, b"ecg_id,score\n" + b"x" * 13_000_000),
        "nothing but quotes": send(board, b'ecg_id,score\n"' + b'""' * 5_000_000),
        "NUL": send(board, board.task.csv().replace(b",0.", b",\x000.", 1)),
        "formulas": send(board, ("ecg_id,score\n" + formulas).encode()),
        "UTF-16": send(board, board.task.csv().decode().encode("utf-16")),
        "too many rows": send(board, board.task.csv() * 8),
        "nothing": send(board, b""),
    }
    assert {status for status, _ in told.values()} == {422}, told
    assert all(re.match(r"E\d\d_", code) for _, code in told.values()), told
    assert told["gzip bomb"][1] == "E04_EXPANDS"
    assert told["formulas"][1] == "E30_NOT_NUMBER"
    assert send(board, b"x" * 34_000_000)[0] == 413
    assert board.get("/healthz")[0] == 200
    assert board.children()["web"] == web, "the web process has died and come back"
    assert memory_mb(web) - before < 4 * ROOM_MB


@pytest.mark.slow
def test_seventy_thousand_rows_are_taken_and_scored(board: LiveBoard, tmp_path: Path) -> None:
    file = tmp_path / "all.csv.gz"
    file.write_bytes(gzip.compress(board.task.csv()))
    sent = board.submit("ada", file)
    assert board.client("ada").wait(sent["submission"]["id"])["state"] == "scored"
