"""The demo: one command, a board of generated data, and a file to send to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[dict[str, Any]]:
    log = folder.parent / "demo.log"
    words = ["serve", "--demo", "--data", str(folder), "--port", "0", "--json"]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "acsbench", *words],
            stdout=subprocess.PIPE,
            stderr=stream,
            cwd=folder.parent,
        )
    try:
        said = b""
        while not said.endswith(b"\n}\n"):
            line = process.stdout.readline()
            assert line, log.read_text()
            said += line
        yield json.loads(said)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def submit(said: dict[str, Any], file: str, *more: str) -> subprocess.CompletedProcess[str]:
    about = said["demo"]
    token = about["people"][about["entrant"]]["token"]
    env = {**os.environ, "ACSBENCH_SERVER": said["address"], "ACSBENCH_TOKEN": token}
    command = ["submit", about[file], "--task", "acs", "--card", about["card"]]
    command += ["--attest", about["attestation"], *more]
    return subprocess.run(
        [sys.executable, "-m", "acsbench", *command],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def board(said: dict[str, Any], task: str = "acs") -> dict[str, Any]:
    with urlopen(f"{said['address']}/api/v1/tasks/{task}/board", timeout=60) as answer:
        return json.load(answer)


def test_a_demo_has_a_full_board_takes_a_file_and_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "board"
    with demo(folder) as said:
        assert "generated" in said["notice"]
        for task in ("acs", "mace"):
            shown = board(said, task)
            assert [entry["is_baseline"] for entry in shown["entries"]].count(True) == 3
            assert shown["n_entries"] == 6
        # nothing is scored by hand: models that see the planted signal are ahead of one finding
        value = {e["team"]["slug"]: float(e["panel"][0]["value"]) for e in board(said)["entries"]}
        assert value["harbour-ecg-lab"] > value["st-elevation-as-read"] + 0.1
        refused = submit(said, "mistakes")
        assert refused.returncode == 2
        for code in ("E21_DUPLICATE_ID", "E22_MISSING_ID", "E32_RANGE"):
            assert code in refused.stdout
        sent = submit(said, "example", "--pick", "--wait")
        assert sent.returncode == 0, sent.stderr
    started = time.monotonic()
    with demo(folder) as again:
        assert time.monotonic() - started < 60
        assert again["demo"] == said["demo"]
        assert submit(again, "example").returncode == 0  # the same file: nothing is counted twice


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = subprocess.run(
        [sys.executable, "-m", "acsbench", "serve", "--demo", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no demo board" in done.stderr
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
