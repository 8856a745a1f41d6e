"""The offline commands: what they print, and the code they leave with."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from boards import csv, good_scores, make_version

from acsbench.cli import main
from acsbench.errors import BoardError, NetworkError
from acsbench.leaderboard.check import check_file
from acsbench.leaderboard.definition import write_task
from acsbench.leaderboard.fetch import fetch_json, fetch_task
from acsbench.leaderboard.findings import as_text
from acsbench.leaderboard.receipts import make_score_record, new_signing_key, public_keys

VERSION = make_version()
GOOD = good_scores()


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as leaving:
        main([str(argument) for argument in arguments])
    return int(leaving.value.code or 0)


@pytest.fixture
def task(tmp_path):
    return write_task(VERSION, tmp_path / "acs")


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.csv.gz"
    path.write_bytes(gzip.compress(csv(GOOD)))
    return path


@pytest.fixture
def board():
    """A server that answers as a board's public pages do."""
    answers = {
        "/api/v1/tasks/acs": json.dumps({**VERSION.public(), "label_commitment": "c"}).encode(),
        "/api/v1/tasks/acs/ids.csv": VERSION.ids_csv(),
        "/api/v1/tasks/mace": b"[1]",
        "/api/v1/tasks/other": json.dumps(VERSION.public()).encode(),
        "/api/v1/tasks/other/ids.csv": make_version(["x"]).ids_csv(),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path in answers
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(answers.get(self.path, b"{}"))

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_good_file_is_fine_by_folder_file_and_url(task, scores, board, capsys):
    url, _ = board
    for place in (task, task / "task.toml", f"{url}/tasks/acs", f"{url}/api/v1/tasks/acs/"):
        assert run("check", scores, "--task", place) == 0
        sha256 = check_file(scores, VERSION).sha256
        assert capsys.readouterr().out == f"Fine: 8 rows for task acs-v1, SHA-256 {sha256}.\n"


def test_a_bad_file_gets_the_server_s_own_text_and_code_two(task, tmp_path, capsys):
    path = tmp_path / "scores.csv"
    path.write_bytes(csv({**GOOD, "ecg0002": "high", "ecg0003": "7"}))
    assert run("check", path, "--task", task) == 2
    found = check_file(path, VERSION)
    assert capsys.readouterr().out == as_text(found.findings) + "\n"
    assert run("check", path, "--task", task, "--json") == 2
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.problem()))


def test_notices_stand_before_the_verdict(task, tmp_path, capsys):
    path = tmp_path / "scores.csv"
    path.write_bytes(csv(dict.fromkeys(GOOD, "0.5")))
    assert run("check", path, "--task", task) == 0
    first, last, _ = capsys.readouterr().out.split("\n")
    assert first == "W02_CONSTANT: All scores are equal; AUROC will be 0.5."
    assert last.startswith("Fine: 8 rows")


def test_a_server_that_does_not_answer_is_code_three_and_a_wrong_address_code_two(
    scores, board, capsys
):
    url, _ = board
    for place, code, words in (
        (f"{url}/tasks/none", 3, "answered 404"),
        ("http://127.0.0.1:1/tasks/acs", 3, "cannot be reached"),
        (f"{url}/tasks/mace", 2, "does not answer with JSON"),
        (f"{url}/tasks/other", 2, "has the SHA-256"),
        (f"{url}/somewhere", 2, "names no task"),
    ):
        assert run("check", scores, "--task", place) == code
        assert words in capsys.readouterr().err


def test_a_fetched_task_is_the_task(board):
    url, _ = board
    assert fetch_task(f"{url}/tasks/acs") == VERSION
    with pytest.raises(BoardError, match="neither https"):
        fetch_json("file:///etc/passwd")
    with pytest.raises(NetworkError):
        fetch_json("http://127.0.0.1:1/x")


def test_a_record_is_verified_against_a_file_or_a_server(tmp_path, board, capsys):
    url, answers = board
    key = new_signing_key(tmp_path / "signing.key")
    record = make_score_record(
        submission="s1",
        version=VERSION,
        released={"n_rows": 8},
        scored_at=datetime(2027, 1, 2, tzinfo=UTC),
        key=key,
    )
    receipt, keys = tmp_path / "receipt.json", tmp_path / "keys.json"
    receipt.write_text(json.dumps(record))
    keys.write_text(json.dumps(public_keys([key])))
    answers["/api/v1/keys"] = keys.read_bytes()
    for place in (keys, url, f"{url}/", f"{url}/api/v1/keys"):
        assert run("verify", receipt, "--keys", place) == 0
        assert capsys.readouterr().out.startswith("Verified.\nkind")
    assert run("verify", receipt, "--keys", keys, "--json") == 0
    assert json.loads(capsys.readouterr().out)["verified"] is True
    receipt.write_text(json.dumps({**record, "submission": "s2"}))
    assert run("verify", receipt, "--keys", keys) == 2
    assert "signature does not fit" in capsys.readouterr().err
    for content in ("[1]", "{", ""):
        receipt.write_text(content)
        assert run("verify", receipt, "--keys", keys) == 2
        assert "holds no JSON object" in capsys.readouterr().err
    assert run("verify", tmp_path / "nothing", "--keys", keys) == 2


def test_make_task_explains_itself_and_refuses_bad_values(tmp_path, capsys):
    assert run("board", "make-task", "--help") == 0
    shown = capsys.readouterr().out
    assert "--json" in shown
    assert "--debug" in shown
    out = ("--cohort", tmp_path, "--out", tmp_path / "out")
    assert run("board", "make-task", *out, "--policy", "laddder") == 2
    assert "policy" in capsys.readouterr().err
    assert run("board", "make_task", *out, "--opens", "soon") == 2
    assert "2027-01-01T00:00Z" in capsys.readouterr().err
    assert run("board", "make-task", *out) == 2
    assert "cohort.parquet" in capsys.readouterr().err


def test_a_check_needs_neither_torch_nor_cryptography_nor_django(task, scores):
    program = f"""
import sys
from acsbench.cli import main
try:
    main(["check", {str(scores)!r}, "--task", {str(task)!r}])
except SystemExit as leaving:
    assert leaving.code == 0
heavy = {{"torch", "cryptography", "django", "pyarrow", "sklearn", "scipy"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
