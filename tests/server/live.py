"""A real board for tests: `acsbench serve` in processes of its own, on a free loopback port."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from board_world import CARD, Task
from postgres import new_database

from acsbench.server.card import ModelCard
from acsbench.server.client import BoardClient

_SET_UP = """
import json, sys
from pathlib import Path
from acsbench.server.start import start_django
plan = json.loads(sys.argv[1])
config = start_django(Path(plan["data"]))
from acsbench.server import operate, setup
from acsbench.server.database import migrate
from acsbench.server.keys import master_key
setup.create_folders(config)
migrate(config)
for folder, labels in plan["tasks"]:
    operate.load_task(Path(folder), Path(labels), config, master_key(config))
tokens = {}
for who in plan["people"]:
    email = f"{who}@example.org"
    operate.new_account(email)
    operate.new_team(f"Team {who}")
    for slug in plan["slugs"]:
        operate.add_member(f"team-{who}", email, slug)
    tokens[who] = operate.new_token(email, scopes=["read", "submit"], days=1).text
setup.give_to_users(config)
print(json.dumps(tokens))
"""


_SERVE = (sys.executable, "-m", "acsbench", "serve")


@dataclass
class LiveBoard:
    """A board that runs, and how to talk to it."""

    data: Path
    address: str
    process: subprocess.Popen[bytes]
    tokens: dict[str, str]
    log: Path
    pids: dict[str, int] = field(default_factory=dict)

    def client(self, who: str) -> BoardClient:
        return BoardClient(self.address, token=self.tokens[who])

    def submit(self, who: str, file: Path, task: str = "acs") -> dict[str, Any]:
        return self.client(who).submit(file, task, card=ModelCard.model_validate(CARD))

    def get(self, path: str, who: str | None = None) -> tuple[int, dict[str, str], bytes]:
        return self.request("GET", path, who)

    def request(
        self,
        method: str,
        path: str,
        who: str | None = None,
        body: bytes | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if who:
            sent["Authorization"] = f"Bearer {self.tokens[who]}"
        request = Request(f"{self.address}/api/v1{path}", body, sent, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except HTTPError as refusal:
            with refusal:
                return refusal.code, dict(refusal.headers), refusal.read()

    def children(self) -> dict[str, int]:
        """Process ids of ``web``, ``web-2``, ``worker``, as the kernel knows them now."""
        found = {}
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in listed.split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"acsbench.server" in words:
                    role = words[words.index(b"acsbench.server") + 1].decode()
                    n = sum(name.partition("-")[0] == role for name in found)
                    found[f"{role}-{n + 1}" if n else role] = int(pid)
        return found

    def wait_for_board(self, version: int, task: str = "acs") -> dict[str, Any]:
        ends_at = time.monotonic() + 60
        while time.monotonic() < ends_at:
            board = json.loads(self.get(f"/tasks/{task}/board")[2])
            if board["version"] >= version:
                return board
            time.sleep(0.05)
        raise AssertionError(f"the board stays at version {board['version']}")


def on_postgres(address: str, config: str = "") -> str:
    """A configuration with a database at an address and two processes of each kind."""
    return f'database = "{address}"\n{config}\n[processes]\nweb = 2\nworkers = 2\n'


def prepare(
    data: Path, tasks: list[Task], people: tuple[str, ...] = ("ada", "bob"), config: str = ""
) -> dict[str, str]:
    """Make a data folder with tasks and people; the tokens of the people.

    Where ACSBENCH_TEST_POSTGRES names an instance, the board gets a database of its own there, two
    web processes and two workers.
    """
    data.mkdir(parents=True, exist_ok=True)
    instance = os.environ.get("ACSBENCH_TEST_POSTGRES")
    if instance and "database" not in config:
        config = on_postgres(new_database(instance), config)
    (data / "board.toml").write_text(config)
    plan = {
        "data": str(data),
        "tasks": [(str(task.folder), str(task.labels_file)) for task in tasks],
        "people": people,
        "slugs": [task.slug for task in tasks],
    }
    done = subprocess.run(
        [sys.executable, "-c", _SET_UP, json.dumps(plan)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def serving(
    data: Path, tokens: dict[str, str], env: dict[str, str] | None = None
) -> Iterator[LiveBoard]:
    """`acsbench serve` until the block ends."""
    log = data.parent / f"{data.name}.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "acsbench",
                "serve",
                "--data",
                str(data),
                "--port",
                "0",
                "--json",
            ],
            stdout=subprocess.PIPE,
            stderr=stream,
            env={**os.environ, **(env or {})},
        )
    try:
        board = _started(data, process, tokens, log)
        yield board
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
            process.stdout.close()


def _started(
    data: Path, process: subprocess.Popen[bytes], tokens: dict[str, str], log: Path
) -> LiveBoard:
    said = b""
    while not said.rstrip().endswith(b"}"):
        line = process.stdout.readline()
        assert line, log.read_text()
        said += line
    board = LiveBoard(data, json.loads(said)["address"], process, tokens, log)
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        with contextlib.suppress(OSError):
            if json.loads(board.get("/readyz")[2])["worker"]:
                return board
        time.sleep(0.1)
    raise AssertionError(log.read_text())
