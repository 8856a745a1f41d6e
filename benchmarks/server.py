"""A board at work, on loopback: `python -m benchmarks server`, with `board` by `make bench-server`.

CPU time where neighbours disturb the clock; wall time where a person waits, with the machine's load
beside it.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np

from acsbench.leaderboard.definition import write_task
from acsbench.server.card import ModelCard
from acsbench.server.client import BoardClient
from benchmarks.board import SIZES, Made, make, row

CARD = ModelCard(
    name="benchmark",
    kind="other",
    training_data="none",
    external_data="none",
    pretraining="none",
    holdout_seen=False,
    intended_use="measuring",
    code_url="",
    paper="",
    contact="nobody",
)
N_TEAMS = 10
RATE, SECONDS = 10, 20
LIMITS = "[limits]\nper_address = 100000\nper_account = 100000\nuploads = 100000\n"
_COMMON = """
import json, sys, time
from pathlib import Path
from acsbench.server.start import start_django
plan = json.loads(sys.argv[1])
config = start_django(Path(plan["data"]))
from acsbench.server import operate, setup
from acsbench.server.database import migrate
from acsbench.server.keys import master_key
"""
_SET_UP = (
    _COMMON
    + """
setup.create_folders(config)
migrate(config)
operate.load_task(Path(plan["task"]), Path(plan["labels"]), config, master_key(config))
tokens = []
for n in range(plan["teams"]):
    email = f"team{n}@example.org"
    operate.new_account(email)
    operate.new_team(f"Team {n}")
    operate.add_member(f"team-{n}", email, "acs")
    tokens.append(operate.new_token(email, scopes=["read", "submit"], days=1).text)
print(json.dumps(tokens))
"""
)
_DURABLE = (
    _COMMON
    + """
from acsbench.server.accept import Sender, Upload, accept
from acsbench.server.card import ModelCard
from acsbench.server.models import Account, Submission, TaskVersion, Team
from acsbench.server.worker import Worker
account, team = Account.objects.first(), Team.objects.first()
sender = Sender(account, team, TaskVersion.objects.select_related("task").get())
worker = Worker(config, master_key(config))
card = ModelCard.model_validate_json(plan["card"])
files = [path.read_bytes() for path in sorted(Path(plan["files"]).glob("*.csv"))]
spent = []
for data in files:
    start = time.process_time()
    accept(Upload(data=data, card=card), sender, config)
    middle = time.process_time()
    assert worker._score()
    spent.append((middle - start, time.process_time() - middle))
assert set(Submission.objects.values_list("state", flat=True)) == {"scored"}
print(json.dumps(spent[5:]))
"""
)


def python(code: str, plan: dict[str, object]) -> str:
    command = [sys.executable, "-c", code, json.dumps(plan)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def write_board(folder: Path, made: Made, *, n_teams: int) -> list[str]:
    """A data folder with a task of generous limits; tokens of its teams."""
    limits = {"valid_per_24h": 100_000, "valid_total": 100_000}
    task = made.version.task.model_copy(
        update={
            "limits": made.version.task.limits.model_copy(update=limits),
            "opens": datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        }
    )
    write_task(type(made.version)(task, made.version.ids), folder / "task")
    made.frame.write_csv(folder / "labels.csv")
    (folder / "data").mkdir()
    (folder / "data" / "board.toml").write_text(LIMITS)
    plan = {
        "data": str(folder / "data"),
        "task": str(folder / "task"),
        "labels": str(folder / "labels.csv"),
        "teams": n_teams,
    }
    tokens: list[str] = json.loads(python(_SET_UP, plan))
    return tokens


def variants(made: Made, n: int) -> Iterator[bytes]:
    """The file with one score changed: each is another submission."""
    head, first, rest = made.upload.split(b"\n", 2)
    ecg_id = first.split(b",")[0]
    for k in range(n):
        yield b"\n".join([head, b"%s,0.%06d" % (ecg_id, k + 1), rest])


@contextmanager
def serving(data: Path) -> Iterator[tuple[str, int]]:
    """`acsbench serve`; its address and process id."""
    command = [sys.executable, "-m", "acsbench", "serve", "--data", str(data), "--port", "0"]
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        said = b""
        while not said.rstrip().endswith(b"}"):
            line = process.stdout.readline()
            assert line, (data.parent / "log").read_text()
            said += line
        address = json.loads(said)["address"]
        while not BoardClient(address).ready():
            time.sleep(0.05)
        yield address, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        if process.stdout:
            process.stdout.close()


def first_start_row() -> None:
    with tempfile.TemporaryDirectory() as name:
        started = time.monotonic()
        (Path(name) / "data").mkdir()
        with serving(Path(name) / "data"):
            seconds = time.monotonic() - started
    row(
        f"first start to a ready board, load {os.getloadavg()[0]:.0f}",
        f"{seconds:.1f} s",
        "<= 10 s",
    )


def durable_row(made: Made) -> None:
    """Accept and score in one process, so that its CPU is all there is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_board(folder, made, n_teams=1)
        (folder / "files").mkdir()
        for n, content in enumerate(variants(made, 45)):
            (folder / "files" / f"{n:03d}.csv").write_bytes(content)
        plan = {
            "data": str(folder / "data"),
            "files": str(folder / "files"),
            "card": CARD.model_dump_json(),
        }
        spent = np.array(json.loads(python(_DURABLE, plan))) * 1e3
    accept, score = (statistics.median(column) for column in spent.T)
    total = statistics.median(spent.sum(axis=1))
    row("accepted to scored, whole durable path, CPU", f"{total:.1f} ms", "<= 5 ms")
    row("  of that: check, store, quota, receipt", f"{accept:.1f} ms", "")
    row("  of that: lease, score, release, result", f"{score:.1f} ms", "")


def latency_row(made: Made) -> None:
    """Ten teams send one file a second each; the board's own times of receipt and score."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = write_board(folder, made, n_teams=N_TEAMS)
        files = [folder / f"{n}.csv" for n in range(RATE * SECONDS)]
        for file, content in zip(files, variants(made, len(files)), strict=True):
            file.write_bytes(content)
        with serving(folder / "data") as (address, _):
            threads = [
                threading.Thread(target=_send, args=(address, token, files[n::N_TEAMS], n))
                for n, token in enumerate(tokens)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            time.sleep(5)
        with closing(sqlite3.connect(folder / "data" / "board.sqlite3")) as db:
            times = db.execute("SELECT created_at, scored_at FROM board_submission").fetchall()
    waits = [
        (datetime.fromisoformat(b) - datetime.fromisoformat(a)).total_seconds() for a, b in times
    ]
    first, last = min(a for a, _ in times), max(a for a, _ in times)
    span = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
    p50, p99 = np.percentile(waits, [50, 99])
    what = f"receipt to score p99, {len(times) / span:.1f} a second, load {os.getloadavg()[0]:.0f}"
    row(what, f"{p99:.2f} s", "< 1 s")
    row("  median", f"{p50:.2f} s", "")


def _send(address: str, token: str, files: list[Path], offset: int) -> None:
    client = BoardClient(address, token=token)
    due = time.monotonic() + offset / N_TEAMS
    for file in files:
        time.sleep(max(0.0, due - time.monotonic()))
        client.submit(file, "acs", card=CARD)
        due += N_TEAMS / RATE


def memory_row(made: Made) -> None:
    """Peak of the web process while it takes a first full file, over its peak before."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (token,) = write_board(folder, made, n_teams=1)
        file = folder / "upload.csv.gz"
        with serving(folder / "data") as (address, parent):
            client = BoardClient(address, token=token)
            client.get_task("acs")
            web = _web_of(parent)
            before = _peak_mb(web)
            file.write_bytes(gzip.compress(made.upload, 1))
            client.submit(file, "acs", card=CARD)
            growth = _peak_mb(web) - before
    row(
        f"memory growth of web, upload of {made.version.n_rows:,} rows",
        f"{growth:.0f} MB",
        "< 64 MB",
    )


def _web_of(parent: int) -> int:
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if b"\0web\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise AssertionError("no web process")


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    assert found
    return int(found.group(1)) / 1024


def main() -> None:
    """Print the rows that need a server and no page."""
    small, large = (make(*size) for size in SIZES)
    first_start_row()
    durable_row(small)
    latency_row(small)
    memory_row(large)


if __name__ == "__main__":
    main()
