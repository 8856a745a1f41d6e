"""Attacks on hidden labels, against a real board with its default limits."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from board_world import Task
from live import LiveBoard, prepare, serving

from acsbench.errors import QuotaError

N = 1295
DEFAULTS = ""  # the task says nothing: every limit and rule is the default
FAST = "[limits]\nuploads = 100000\nper_account = 100000\nper_address = 100000\n"
"""Requests a minute only slow an attacker down; places and the ladder are what is tested."""


def feedback(board: LiveBoard, who: str, scores: np.ndarray, folder: Path) -> str:
    """Send scores and return what is told about them; waits for the window when none is left."""
    file = folder / f"{who}.csv"
    file.write_bytes(board.task.csv(scores))
    try:
        sent = board.submit(who, file)
    except QuotaError:
        let_a_day_pass(board)
        sent = board.submit(who, file)
    done = board.client(who).wait(sent["submission"]["id"])
    assert done["state"] == "scored"
    return json.dumps(done["feedback"][0])


def let_a_day_pass(board: LiveBoard) -> None:
    """Move every submission a day into the past: the attacker is patient."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(board.data / "board.sqlite3", timeout=30)) as db:
        db.execute(
            "UPDATE board_submission SET created_at = "
            "strftime('%Y-%m-%d %H:%M:%f', created_at, '-1 day')"
        )
        db.commit()


def shown(told: str) -> float | None:
    value = json.loads(told)["shown"]
    return None if value is None else float(value)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("attacks")
    task = Task(folder / "task", n_rows=N, text=DEFAULTS)
    brier = Task(
        folder / "brier",
        slug="brier",
        n_rows=N,
        text='panel = ["auroc", "brier"]\n',
    )
    tokens = prepare(folder / "data", [task, brier], ("ada", "bob", "cyd"), FAST)
    with serving(folder / "data", tokens) as live:
        live.task = task
        yield live


def accuracy(guess: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(guess == labels))


@pytest.mark.slow
def test_reading_labels_out_by_auroc_is_no_better_than_guessing(board, tmp_path: Path) -> None:
    """Powers of two on a few rows, the rest constant: each answer would tell a block of labels."""
    labels = board.task.labels
    guess = np.zeros(N, dtype=int)  # the prevalence is public: guessing says the larger class
    base = max(accuracy(guess, labels), accuracy(1 - guess, labels))
    n_positive = round(0.35 * N)
    for block in range(20):
        rows = np.arange(block * 4, block * 4 + 4)
        scores = np.full(N, 0.5)
        scores[rows] = 0.5 + 0.4 / 2.0 ** np.arange(4)
        told = feedback(board, "ada", scores, tmp_path)
        value = shown(told)
        if value is None:
            continue
        guess[rows] = _best_pattern(value, rows, scores, n_positive)
    read = accuracy(guess, labels)
    assert read < base + 0.02, (read, base)
    signals = _signals(board)
    assert {"probing", "powers_of_two"} & signals


def _best_pattern(
    value: float, rows: np.ndarray, scores: np.ndarray, n_positive: int
) -> np.ndarray:
    """The labels of a block under which the AUROC comes nearest to what was shown."""
    best, nearest = np.zeros(len(rows), dtype=int), np.inf
    for pattern in range(2 ** len(rows)):
        bits = np.array([pattern >> k & 1 for k in range(len(rows))])
        auroc = _auroc_of(bits, scores[rows], n_positive, N)
        if abs(auroc - value) < nearest:
            best, nearest = bits, abs(auroc - value)
    return best


def _auroc_of(bits: np.ndarray, high: np.ndarray, n_positive: int, n: int) -> float:
    """AUROC when the rows of a block stand above a constant background."""
    positives, negatives = n_positive, n - n_positive
    rest_pos, rest_neg = positives - bits.sum(), negatives - (1 - bits).sum()
    wins = bits.sum() * rest_neg + 0.5 * rest_pos * rest_neg
    wins += sum((high[i] > high[j]) for i in np.flatnonzero(bits) for j in np.flatnonzero(1 - bits))
    return float(wins / (positives * negatives))


def _signals(board: LiveBoard) -> set[str]:
    import sqlite3
    import time
    from contextlib import closing

    time.sleep(2)  # files are reviewed when nothing waits
    with closing(sqlite3.connect(board.data / "board.sqlite3", timeout=30)) as db:
        return {kind for (kind,) in db.execute("SELECT DISTINCT kind FROM board_signal")}


@pytest.mark.slow
def test_brier_cannot_be_asked_for_more_often_than_entries_are_picked(
    board, tmp_path: Path
) -> None:
    """Brier at full precision tells 40 labels an upload; here it is three decimals, three picks."""
    brier = Task(tmp_path / "again", slug="brier", n_rows=N, text='panel = ["auroc", "brier"]\n')
    labels, guess = brier.labels, np.zeros(N, dtype=int)
    base = max(accuracy(guess, labels), accuracy(1 - guess, labels))
    client = board.client("cyd")
    for block in range(3):
        rows = np.arange(block * 30, block * 30 + 30)
        scores = np.full(N, 0.5)
        scores[rows] = 0.5 + 0.5 / 2.0 ** np.arange(30)
        file = tmp_path / "probe.csv"
        file.write_bytes(brier.csv(scores))
        try:
            sent = board.submit("cyd", file, "brier")
        except QuotaError:
            let_a_day_pass(board)
            sent = board.submit("cyd", file, "brier")
        done = client.wait(sent["submission"]["id"])
        assert "brier" not in done["feedback"][0]["text"]
        picked = client.pick("brier", sent["submission"]["id"])
        row = board.wait_for_board(picked["board_version"], "brier")["entries"][0]
        value = float(next(one["value"] for one in row["panel"] if one["metric"] == "brier"))
        guess[rows] = _read_brier(value, scores, rows)
    read = accuracy(guess, labels)
    assert read < base + 0.02, (read, base)
    let_a_day_pass(board)
    file.write_bytes(brier.csv(np.linspace(0, 1, N)))
    sent = board.submit("cyd", file, "brier")
    client.wait(sent["submission"]["id"])
    with pytest.raises(QuotaError, match="picks"):
        client.pick("brier", sent["submission"]["id"])


def _read_brier(value: float, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Greedy bits of n * Brier: sum (s - y)^2 = sum s^2 - sum over positives of (2 s - 1)."""
    left = float(np.sum(scores**2)) - value * len(scores)
    bits = np.zeros(len(rows), dtype=int)
    for k, row in enumerate(rows):
        weight = 2 * scores[row] - 1
        if left >= weight:
            bits[k], left = 1, left - weight
    return bits


@pytest.mark.slow
def test_hill_climbing_inflates_the_shown_value_by_less_than_a_half_percent(
    board, tmp_path: Path
) -> None:
    """Random steps away from an honest model, keeping each that seems better."""
    task = board.task
    rng = np.random.default_rng(1)
    honest = task.scores(quality=0.8, seed=3)
    best, first = honest, shown(feedback(board, "bob", honest, tmp_path))
    assert first is not None
    value = first
    for _ in range(19):
        step = np.clip(best + 0.05 * rng.normal(size=N), 0, 1)
        told = shown(feedback(board, "bob", step, tmp_path))
        if told is not None and told > value:
            best, value = step, told
    assert value - first < 0.005  # noise makes an honest model no better in truth
    let_a_day_pass(board)
    with pytest.raises(QuotaError, match="in all"):
        board.submit("bob", _file(tmp_path, task.csv(honest * 0.99)))


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content)
    return path


def normal(text: str) -> str:
    """Leave out what is released, and what differs between any two boards: ids, times, hashes."""
    text = re.sub(r'"feedback": \[.*?\]', '"feedback": "<released>"', text)
    text = re.sub(r"\b[0-9a-hjkmnp-tv-z]{16}\b", "<id>", text)
    text = re.sub(r"\b[0-9a-f]{16,64}\b|[A-Za-z0-9+/]{86}==", "<hash>", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)", "<time>", text)


@pytest.mark.slow
def test_boards_with_other_labels_answer_alike_up_to_what_is_released(tmp_path: Path) -> None:
    answers = []
    for seed in (0, 1):
        task = Task(tmp_path / f"task{seed}", n_rows=N, seed=seed)
        same = Task(tmp_path / "files", n_rows=N, seed=0)
        tokens = prepare(tmp_path / f"data{seed}", [task], ("ada",))
        with serving(tmp_path / f"data{seed}", tokens) as board:
            answers.append(_conversation(board, same, tmp_path))
            log = [
                re.sub(r'"(ms|pid|owner|path)": [^,}]+', "", normal(line))
                for line in board.log.read_text().splitlines()
                if '"request"' in line and "/readyz" not in line
            ]
            answers[-1].append(("log", "\n".join(sorted(log))))
    assert answers[0] == answers[1]


def _conversation(board: LiveBoard, task: Task, folder: Path) -> list[tuple[str, str]]:
    """Everything an entrant can ask, good and bad, without what is released."""
    said = []
    form = board.submit("ada", _file(folder, task.csv()))
    done = board.client("ada").wait(form["submission"]["id"])
    assert "AUROC" in done.pop("feedback")[0]["text"]
    said.append(("scored", normal(json.dumps(done))))
    bad = task.csv().replace(task.ids[3].encode(), task.ids[4].encode())
    for body in (
        task.csv(),
        task.csv(),
        bad,
        b"",
        b"PK\x03\x04",
        task.csv(seed=1),
        task.csv(seed=2),
    ):
        status, headers, answer = board.request(
            "POST", "/tasks/acs/submissions", "ada", body, Content_Type="text/csv"
        )
        said.append((str(status), normal(answer.decode()) + _kept(headers)))
        if status == 201:  # what follows is asked when the worker is done, here and there
            board.client("ada").wait(json.loads(answer)["submission"]["id"])
    for path in ("/tasks/acs/ids.csv", "/tasks/acs", "/audit/head", "/tasks/acs/quota"):
        status, headers, answer = board.get(path, "ada")
        said.append((path, normal(answer.decode()) + _kept(headers)))
    return said


def _kept(headers: dict[str, str]) -> str:
    varying = ("date", "x-request-id", "etag", "content-length", "retry-after")
    return str(sorted((k.lower(), v) for k, v in headers.items() if k.lower() not in varying))
