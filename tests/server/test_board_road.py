"""The road that hosts and entrants walk, against a board that runs."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from board_world import CARD, SMALL, Task
from live import prepare, serving

pytestmark = pytest.mark.slow


def run(*words: str, token: str = "", server: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "ACSBENCH_TOKEN": token, "ACSBENCH_SERVER": server}
    command = [sys.executable, "-m", "acsbench", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def write_card(folder: Path) -> Path:
    values = {**CARD, "holdout_seen": "false"}
    lines = [f'{key} = "{value}"' for key, value in values.items()]
    path = folder / "card.toml"
    path.write_text("\n".join(lines).replace('"false"', "false"))
    return path


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("road")
    task = Task(folder / "task", text=SMALL, n_rows=400)
    tokens = prepare(folder / "data", [task], ("ada", "bob", "cyd"), "[limits]\nuploads = 1000\n")
    with serving(folder / "data", tokens) as live:
        live.task = task
        yield live


def test_from_a_file_to_the_board_and_back_to_the_proof(board, tmp_path: Path) -> None:
    card = write_card(tmp_path)
    sent = {}
    for who, quality in (("ada", 2.5), ("bob", 0.4)):
        file = tmp_path / f"{who}.csv.gz"

        file.write_bytes(gzip.compress(board.task.csv(quality=quality, seed=len(who))))
        done = run(
            *("submit", str(file), "--task", "acs", "--card", str(card), "--wait", "--json"),
            *("--receipt", str(tmp_path / f"{who}.json")),
            token=board.tokens[who],
            server=board.address,
        )
        assert done.returncode == 0, done.stderr
        sent[who] = json.loads(done.stdout)
        assert sent[who]["submission"]["state"] == "scored"
        assert sent[who]["submission"]["feedback"][0]["shown"].startswith("0.")
        picked = board.client(who).pick("acs", sent[who]["submission"]["id"])
    ranked = board.wait_for_board(picked["board_version"])
    first, second = ranked["entries"]
    assert (first["team"]["slug"], second["team"]["slug"]) == ("team-ada", "team-bob")
    for row in ranked["entries"]:
        value = row["panel"][0]
        assert float(value["low"]) <= float(value["value"]) <= float(value["high"])
        assert row["rank_low"] <= row["rank"] <= row["rank_high"]
        assert row["tie_group"]
    assert ranked["pairs"][0]["word"] == "higher"
    assert ranked["n_tied_with_leader"] == 1
    shown = run("board", "acs", server=board.address)
    assert "Team ada: a model" in shown.stdout, shown.stderr
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(board.client("ada").keys()))
    proven = run("verify", str(tmp_path / "ada.json"), "--keys", str(keys))
    assert proven.returncode == 0, proven.stderr
    forged = json.loads((tmp_path / "ada.json").read_text()) | {"rows": "1"}
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    assert run("verify", str(tmp_path / "forged.json"), "--keys", str(keys)).returncode != 0
    again = run("server", "rescore", "--check", "--data", str(board.data), "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == {"results": 2, "differences": []}
    whole = run("server", "audit", "verify", "--data", str(board.data))
    assert whole.returncode == 0, whole.stdout + whole.stderr


def test_findings_are_told_in_full_and_end_with_2(board, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(board.task.csv().replace(b"acs000003,", b"acs000004,"))
    done = run(
        *("submit", str(file), "--task", f"{board.address}/tasks/acs"),
        *("--card", str(write_card(tmp_path))),
        token=board.tokens["ada"],
    )
    assert done.returncode == 2
    assert "E21_DUPLICATE_ID" in done.stdout
    assert "E22_MISSING_ID" in done.stdout
    assert "acs000003" in done.stdout


def test_no_server_is_3_no_place_is_4_and_no_token_is_2(board, tmp_path: Path) -> None:
    file, card = tmp_path / "a.csv", str(write_card(tmp_path))
    file.write_bytes(board.task.csv())
    words = ("submit", str(file), "--task", "acs", "--card", card)
    nowhere = run(*words, token="acsb_x", server="http://127.0.0.1:9")
    assert nowhere.returncode == 3
    assert "Nothing is lost" in nowhere.stderr
    assert run(*words, server=board.address).returncode == 2
    lost = run(*words, "--token-file", str(tmp_path / "lost"), server=board.address)
    assert lost.returncode == 2
    assert "There is no token file" in lost.stderr
    codes = []
    for seed in range(20, 23):
        file.write_bytes(board.task.csv(seed=seed))
        codes.append(run(*words, token=board.tokens["bob"], server=board.address).returncode)
    assert codes[-1] == 4


def test_fifty_parallel_uploads_for_one_place_give_exactly_one_201(board) -> None:
    first, _, _ = post(board, board.task.csv(seed=500))
    assert first == 201
    statuses = []
    threads = [
        threading.Thread(target=lambda n=n: statuses.append(post(board, board.task.csv(seed=n))[0]))
        for n in range(600, 650)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while 201 not in statuses:  # all met while another was being looked at
        statuses.append(post(board, board.task.csv(seed=600))[0])
    assert sorted(set(statuses)) == [201, 429]
    assert statuses.count(201) == 1
    assert post(board, board.task.csv(seed=700))[0] == 429


def post(board, content: bytes):
    """Send a file as a form, once, without trying again."""
    card = json.dumps(CARD).encode()
    body = (
        b'--b\r\nContent-Disposition: form-data; name="card"\r\n\r\n' + card + b"\r\n--b\r\n"
        b'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        + content
        + b"\r\n--b--\r\n"
    )
    kind = "multipart/form-data; boundary=b"
    return board.request("POST", "/tasks/acs/submissions", "cyd", body, Content_Type=kind)


def test_a_killed_process_is_started_again(board) -> None:
    before = board.children()
    assert {"web", "worker"} <= set(before)
    for pid in before.values():
        os.kill(pid, 9)
    ends_at = time.monotonic() + 60
    while set(board.children().values()) & set(before.values()) or len(board.children()) < len(
        before
    ):
        assert time.monotonic() < ends_at
        time.sleep(0.1)
    assert board.get("/healthz")[0] == 200  # waits in the parent's socket until web is back
