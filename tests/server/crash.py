"""Kill a board's processes at random points under load, and see that its promises hold.

``python tests/server/crash.py --kills 1000`` (`make crash-test`). Web and worker are the real
ones; they are forked from a parent that has imported everything, so that a restart takes a tenth
of a second and a thousand kills take minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from board_world import CARD, GENEROUS, SMALL, Task
from live import on_postgres, prepare
from postgres import new_database, postgres

from acsbench.errors import AcsbenchError
from acsbench.leaderboard.receipts import verify
from acsbench.server.card import ModelCard
from acsbench.server.client import BoardClient

LEASE_S = 4.0
MAX_WAITING = 100  # clients pause then: what is left at the end is a queue, not what got stuck
CONFIG = f"""
lease_seconds = {LEASE_S}
renew_seconds = 1.0
max_attempts = 1000

[limits]
per_address = 1000000
per_account = 1000000
uploads = 1000000
"""
COUNT_WAITING = "SELECT count(*) FROM board_submission WHERE state IN ('queued', 'scoring')"
PEOPLE = ("ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal")


class Forked:
    """A forked child with the face of a `Popen`."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.stdin = os.fdopen(pipe, "wb")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        ends_at = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > ends_at:
                raise subprocess.TimeoutExpired("child", timeout)
            time.sleep(0.01)
        return self.returncode or 0

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def serve(data: Path) -> None:
    """Be the parent: the supervisor of `acsbench serve`, with forked children."""
    from acsbench.server.start import start_django

    config = start_django(data)
    from acsbench.server import urls, web, worker  # noqa: F401  imported once, for all children
    from acsbench.server.serve import Supervisor, listen

    class Forking(Supervisor):
        def _spawn(self, role: str) -> Any:
            read, write = os.pipe()
            pid = os.fork()
            if pid:
                os.close(read)
                return Forked(pid, write)
            try:
                os.close(write)
                os.dup2(read, 0)
                Path("/proc/self/comm").write_text(role)
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_DFL)
                if role == "web":
                    web.main(config, str(self.listener.fileno()))
                else:
                    self.listener.close()
                    worker.main(config)
            except BaseException:  # a forked child never returns into the parent's code
                traceback.print_exc()
                os._exit(1)
            os._exit(0)

    def tell(started: Any) -> None:
        print(json.dumps(dict(started)), flush=True)

    port = int(os.environ["CRASH_PORT"])
    listener = listen(config.model_copy(update={"port": port}))
    Forking(config, listener, max_pause_s=0.0).run(tell=tell)


@dataclass
class Load:
    """Clients that send files, keep their keys until they are answered, and note every receipt."""

    address: str
    task: Task
    tokens: dict[str, str]
    watch: Watch
    acknowledged: list[dict[str, Any]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    errors: list[str] = field(default_factory=list)

    def run(self, who: str, start: int) -> None:
        client = BoardClient(self.address, token=self.tokens[who], pause_s=0.02)
        file = self.task.folder / f"{who}.csv"
        seed = start
        while not self.stop.is_set():
            if self.watch.n_waiting > MAX_WAITING:
                self.stop.wait(0.05)
                continue
            seed += 1
            file.write_bytes(self.task.csv(seed=seed, quality=1 + seed % 3))
            try:
                self._send(client, file, seed)
            except Exception:  # told at the end, with its trace
                self.errors.append(traceback.format_exc())
                return

    def _send(self, client: BoardClient, file: Path, seed: int) -> None:
        """Try until the file is acknowledged: a client that knows no more than its own key."""
        ends_at = time.monotonic() + 600
        while True:
            try:
                sent = client.submit(file, "acs", card=ModelCard.model_validate(CARD))
            except AcsbenchError:
                if time.monotonic() > ends_at:
                    raise
                time.sleep(0.05)
                continue
            self.acknowledged.append(sent["receipt"])
            break
        if seed % 7 == 0:
            with contextlib.suppress(AcsbenchError):
                client.pick("acs", sent["receipt"]["submission"])


def children(parent: int) -> list[tuple[str, int]]:
    """Role and process id of each child."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [(Path(f"/proc/{pid}/comm").read_text().strip(), int(pid)) for pid in pids]
    return []


@contextlib.contextmanager
def looking(data: Path) -> Iterator[Any]:
    """A connection to a board's database that only looks; `execute` gives a cursor."""
    from acsbench.server.config import load_config

    config = load_config(data)
    if config.sqlite_file is not None:
        address = f"file:{config.sqlite_file}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as db:
            yield db
        return
    import psycopg

    with psycopg.connect(config.database, autocommit=True) as db:
        yield db


def _instant(value: datetime | str) -> datetime:
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


@dataclass
class Watch:
    """Looks at the database all the time: how long after its lease has a row been in `scoring`?

    Time without any server does not count: when the parent is killed too, somebody outside has to
    start it again.
    """

    data: Path
    up_since: datetime | None = None
    worst_s: float = 0.0
    n_scored: int = 0
    n_waiting: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with looking(self.data) as db:
            while not self.stop.wait(0.2):
                with contextlib.suppress(sqlite3.OperationalError):
                    rows = db.execute(
                        "SELECT lease_until FROM board_submission WHERE state = 'scoring'"
                    ).fetchall()
                    for (until,) in rows:
                        ended = _instant(until)
                        if self.up_since is not None:
                            waits_since = max(ended, self.up_since)
                            late = (datetime.now(UTC) - waits_since).total_seconds()
                            self.worst_s = max(self.worst_s, late)
                    (self.n_scored,) = db.execute("SELECT count(*) FROM board_result").fetchone()
                    (self.n_waiting,) = db.execute(COUNT_WAITING).fetchone()


def start(data: Path, port: int) -> subprocess.Popen[bytes]:
    log = (data.parent / "crash.log").open("ab")
    with log:
        process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(data)],
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "CRASH_PORT": str(port)},
        )
    assert process.stdout is not None
    assert process.stdout.readline(), (data.parent / "crash.log").read_text()[-3000:]
    return process


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def crash(
    folder: Path,
    *,
    kills: int,
    seed: int,
    minutes: float = 1e9,
    database: str = "",
    tell: Any = print,
) -> dict[str, Any]:
    """Run the load, kill, and look at what is left.

    With the address of a PostgreSQL database two web processes and two workers share it.

    Returns
    -------
    dict
        What was counted, and `broken`: the promises that did not hold, empty when all did.
    """
    task = Task(folder / "task", text=SMALL + GENEROUS, n_rows=200)
    data, port = folder / "data", free_port()
    tokens = prepare(data, [task], PEOPLE, on_postgres(database, CONFIG) if database else CONFIG)
    rounds = random.Random(seed)
    parent = start(data, port)
    watch = Watch(data, up_since=datetime.now(UTC))
    load = Load(f"http://127.0.0.1:{port}", task, tokens, watch)
    threads = [
        threading.Thread(target=load.run, args=(who, 100_000 * n), daemon=True)
        for n, who in enumerate(PEOPLE)
    ]
    threads.append(threading.Thread(target=watch.run, daemon=True))
    for thread in threads:
        thread.start()
    killed = {"web": 0, "worker": 0, "parent": 0}
    ends_at = time.monotonic() + 60 * minutes
    while sum(killed.values()) < kills and time.monotonic() < ends_at:
        _let_work(load, watch, rounds)
        if rounds.random() < 0.01:
            watch.up_since = None
            parent.kill()
            parent.wait()
            parent.stdout.close()
            killed["parent"] += 1
            parent = start(data, port)
            watch.up_since = datetime.now(UTC)
            continue
        pids = children(parent.pid)
        for role in rounds.choice([("web",), ("worker",), ("web", "worker")]):
            of_role = [pid for name, pid in pids if name == role]
            if of_role:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rounds.choice(of_role), signal.SIGKILL)
                    killed[role] += 1
        if sum(killed.values()) % 50 == 0:
            tell(f"{killed} {len(load.acknowledged)} acknowledged", flush=True)
    load.stop.set()
    for thread in threads[:-1]:
        thread.join(600)
    broken = [*load.errors, *_settled(data, LEASE_S + 60)]
    watch.stop.set()
    threads[-1].join()
    parent.terminate()
    parent.wait(60)
    parent.stdout.close()
    broken += judge(data, load.acknowledged)
    if watch.worst_s > 5:
        broken.append(f"a row stayed in scoring {watch.worst_s:.1f} s beyond its lease")
    return {
        "seed": seed,
        "killed": killed,
        "acknowledged": len(load.acknowledged),
        "worst_s_beyond_lease": round(watch.worst_s, 2),
        "broken": broken,
    }


def _let_work(load: Load, watch: Watch, rounds: random.Random) -> None:
    """Mostly wait until both processes have done something since the last kill, then a bit longer.

    Without the wait a slow machine would only ever be killed while it starts.
    """
    taken, scored, ends_at = len(load.acknowledged), watch.n_scored, time.monotonic() + 60
    if rounds.random() < 0.7:
        while time.monotonic() < ends_at:
            if len(load.acknowledged) > taken and watch.n_scored > scored:
                break
            time.sleep(0.005)
    time.sleep(rounds.expovariate(1 / 0.1))


def _settled(data: Path, seconds: float) -> list[str]:
    """Wait until all is scored; stuck is what is not after so many seconds."""
    ends_at = time.monotonic() + seconds
    with looking(data) as db:
        while True:
            (left,) = db.execute(COUNT_WAITING).fetchone()
            if not left:
                return []
            if time.monotonic() > ends_at:
                return [f"{left} submissions are stuck"]
            time.sleep(0.2)


def judge(data: Path, acknowledged: list[dict[str, Any]]) -> list[str]:
    """Compare what clients were told with what is on the disk."""
    broken = []
    with looking(data) as db:
        rows = {
            public_id: (sha256, state, json.loads(receipt) if isinstance(receipt, str) else receipt)
            for public_id, sha256, state, receipt in db.execute(
                "SELECT public_id, sha256, state, receipt FROM board_submission"
            )
        }
        results = dict(
            db.execute(
                "SELECT s.public_id, count(r.id) FROM board_submission s LEFT JOIN board_result r "
                "ON r.submission_id = s.id GROUP BY s.public_id"
            ).fetchall()
        )
        told = db.execute(
            "SELECT object, action, count(*) FROM board_audit WHERE action LIKE 'submission.%' "
            "GROUP BY object, action"
        ).fetchall()
        (n_attempts,) = db.execute(
            "SELECT count(*) FROM board_attempt WHERE outcome = 'accepted'"
        ).fetchone()
    keys = json.loads((data / "keys" / "public-keys.json").read_text())
    for receipt in acknowledged:
        verify(receipt, keys)
        sha256, state, stored = rows.get(receipt["submission"], ("", "lost", {}))
        if (state, sha256, stored) != ("scored", receipt["sha256"], receipt):
            broken.append(f"{receipt['submission']} was acknowledged and is {state}")
        if not (data / "blobs" / receipt["sha256"][:2] / receipt["sha256"]).is_file():
            broken.append(f"the file of {receipt['submission']} is lost")
    broken += [f"{one} has {n} results" for one, n in results.items() if n != 1]
    broken += [f"{one}: {action} {n} times" for one, action, n in told if n != 1]
    if len(told) != 2 * len(rows) or n_attempts != len(rows):
        broken.append(f"{len(rows)} rows, {len(told)} audit entries, {n_attempts} attempts")
    done = subprocess.run(
        [sys.executable, "-m", "acsbench", "server", "audit", "verify", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        broken.append(done.stdout + done.stderr)
    return broken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop then at the latest")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--postgres", action="store_true", help="on an instance of its own")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve)
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = new_database(stack.enter_context(postgres())) if asked.postgres else ""
        started = time.monotonic()
        limits = {"kills": asked.kills, "minutes": asked.minutes}
        found = crash(folder, seed=asked.seed, database=database, **limits)
        found["seconds"] = round(time.monotonic() - started)
    print(json.dumps(found, indent=1))
    sys.exit(1 if found["broken"] else 0)


if __name__ == "__main__":
    main()
