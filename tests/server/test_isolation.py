"""The web process cannot reach the vault key, the labels, or a score at full precision."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from board_world import SMALL, Task
from live import LiveBoard, prepare, serving

pytestmark = pytest.mark.slow
TWO_USERS = 'web_user = "nobody"\nworker_user = "daemon"\n'


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory):
    """A board with two scored entries."""
    folder = tmp_path_factory.mktemp("isolation")
    task = Task(folder / "task", text=SMALL, n_rows=400)
    tokens = prepare(folder / "data", [task])
    with serving(folder / "data", tokens) as live:
        live.task = task
        for who, quality in (("ada", 1.5), ("bob", 0.7)):
            file = folder / f"{who}.csv"
            file.write_bytes(task.csv(quality=quality, seed=len(who) + ord(who[0])))
            public_id = live.submit(who, file)["submission"]["id"]
            assert live.client(who).wait(public_id)["state"] == "scored"
            picked = live.client(who).pick("acs", public_id)
        live.wait_for_board(picked["board_version"])
        yield live


def secrets_of(board: LiveBoard) -> list[bytes]:
    """The vault key in every spelling."""
    text = (board.data / "keys" / "vault.key").read_bytes().strip()
    raw = base64.b64decode(text)
    return [raw, text, raw.hex().encode(), base64.urlsafe_b64encode(raw).rstrip(b"=")]


def memory_of(pid: int) -> bytes:
    """Everything a process has written in its memory."""
    parts = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            bounds, rights = re.match(r"(\S+) (\S+)", line).groups()
            if not rights.startswith("rw"):
                continue
            first, last = (int(one, 16) for one in bounds.split("-"))
            try:
                memory.seek(first)
                parts.append(memory.read(last - first))
            except (OSError, OverflowError, ValueError):
                continue
    return b"".join(parts)


def test_the_web_process_has_no_key_in_environment_or_memory(board) -> None:
    pids = board.children()
    web = memory_of(pids["web"]) + Path(f"/proc/{pids['web']}/environ").read_bytes()
    assert len(web) > 10_000_000  # we did read it
    assert not [spelling for spelling in secrets_of(board) if spelling in web]
    if os.geteuid() == 0:  # the search finds what is there
        assert any(one in memory_of(pids["worker"]) for one in secrets_of(board))


def test_the_web_process_has_no_secret_file_open(board) -> None:
    pid = board.children()["web"]
    opened = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]  # noqa: PTH115  sockets have no path
    inside = [one for one in opened if str(board.data) in one]
    assert not [one for one in inside if re.search(r"vault|worker/|scores\.key", one)], inside


def may_read(path: Path, user: str, *, group_of: str) -> bool:
    """Whether a user may open a file or list a folder: asked of the kernel by a child."""
    import pwd

    who, groups = pwd.getpwnam(user), [pwd.getpwnam(group_of).pw_gid]
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setgid(who.pw_gid)
            os.setuid(who.pw_uid)
            os.close(os.open(path, os.O_RDONLY))
        except PermissionError:
            os._exit(1)
        except BaseException:  # a forked child never returns into the test
            os._exit(2)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 1)
    return code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to users")
def test_two_users_share_the_database_and_nothing_secret(tmp_path: Path) -> None:
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if parent.name.startswith(("pytest", "popen", "test_")):
            parent.chmod(0o755)  # the users have to pass
    task = Task(tmp_path / "task", text=SMALL)
    prepare(tmp_path / "data", [task], ("ada",), TWO_USERS)
    data = tmp_path / "data"
    web, worker = "nobody", "daemon"
    for secret in ("keys/vault.key", "keys/scores.key", "vaults", "vaults/acs-v1.vault", "worker"):
        assert not may_read(data / secret, web, group_of=web), secret
        assert may_read(data / secret, worker, group_of=web), secret
    for own in ("keys/receipts.key", "keys/metrics.token", "board.sqlite3", "blobs", "incoming"):
        assert may_read(data / own, web, group_of=web), own
    assert not may_read(data / "keys/receipts.key", worker, group_of=web)
    assert not may_read(data / "board.sqlite3", "games", group_of="games")


def full_precision(board: LiveBoard) -> set[str]:
    """Digits of every score that the worker keeps, from the fourth decimal on."""
    code = (
        "import json, sys; from pathlib import Path\n"
        "from acsbench.leaderboard.master_key import read_master_key\n"
        "from acsbench.leaderboard.worker_store import WorkerStore\n"
        "data = Path(sys.argv[1])\n"
        "store = WorkerStore(data / 'worker', read_master_key(f'file:{data}/keys/vault.key'))\n"
        "values = []\n"
        "for one in sys.argv[2:]:\n"
        "    scored = store.get(one, 'acs-v1')\n"
        "    values += [v for v in scored.values.values() if v is not None]\n"
        "    values += [float(v) for r in scored.resamples.values() for v in r]\n"
        "print(json.dumps([repr(v) for v in values]))"
    )
    ids = [one["submission"] for one in json.loads(board.get("/tasks/acs/board")[2])["entries"]]
    done = subprocess.run(
        [sys.executable, "-c", code, str(board.data), *ids],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {digits[:7] for digits in json.loads(done.stdout) if len(digits) >= 7}


def test_full_precision_is_nowhere_the_web_role_can_read(board) -> None:
    wanted = full_precision(board)
    assert len(wanted) > 200
    ids = [one["submission"] for one in json.loads(board.get("/tasks/acs/board")[2])["entries"]]
    readable = [board.log.read_bytes()]
    readable += [path.read_bytes() for path in board.data.glob("board.sqlite3*")]
    for who in ("ada", "bob"):
        paths = ["/tasks", "/tasks/acs", "/tasks/acs/board", "/submissions", "/audit/head", "/keys"]
        paths += [f"/compare?a={ids[0]}&b={ids[1]}"]
        paths += [
            f"/submissions/{one}{rest}" for one in ids for rest in ("", "/receipt", "/events")
        ]
        for path in paths:
            _, headers, body = board.get(path, who)
            readable += [body, str(headers).encode()]
    text = b"\n".join(readable).decode("latin-1")
    # the seconds of a time, 10.626982, hold no score
    numbers = set(re.findall(r"(?<!\d)[01]\.\d{5}", text))
    found = numbers & wanted
    assert not found, found


def test_no_label_and_no_row_of_a_file_is_in_the_log(board) -> None:
    log = board.log.read_text()
    assert "submission.scored" in log
    assert board.task.ids[0] not in log
    for line in log.splitlines():
        if line.startswith("{"):
            assert set(json.loads(line)) <= {
                *("at", "level", "event", "owner", "pid", "request_id", "method", "path", "status"),
                *("ms", "submission", "attempt", "role"),
            }
