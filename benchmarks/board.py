"""The board's speed, each ratio measured side by side in one run: `python -m benchmarks.board`.

CPU time, because neighbours on the machine disturb the clock; the median of five repeats. What
needs a server is in another benchmark.
"""

from __future__ import annotations

import csv
import functools
import gzip
import importlib.util
import io
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from acsbench.evaluation.bootstrap import bootstrap, patient_draws
from acsbench.evaluation.metrics import auroc
from acsbench.evaluation.weighted import rank_statistic
from acsbench.leaderboard.check import check_content
from acsbench.leaderboard.definition import BoardTask, TaskVersion, write_task
from acsbench.leaderboard.encryption import new_key
from acsbench.leaderboard.findings import Checked
from acsbench.leaderboard.ranks import Contender, rank_board
from acsbench.leaderboard.release import feedback, released
from acsbench.leaderboard.scoring import Truth, score, with_resamples
from acsbench.leaderboard.vault import open_vault, seal
from acsbench.leaderboard.worker_store import WorkerStore

SIZES = ((1_295, 883), (70_000, 48_000))
RESAMPLES = 1_000
REPEATS = 5
OPENS = datetime(2027, 1, 1, tzinfo=UTC)


class Made(NamedTuple):
    """A task, its labels, and two files: in another order, and the reference's solution."""

    version: TaskVersion
    truth: Truth
    frame: pl.DataFrame
    upload: bytes
    solution: bytes


def make(n_rows: int, n_patients: int) -> Made:
    rng = np.random.default_rng(0)
    ids = sorted({f"ecg{random.Random(i).getrandbits(40):010x}" for i in range(n_rows)})
    n_rows = len(ids)
    patients = np.unique(rng.integers(n_patients, size=n_rows), return_inverse=True)[1]
    labels = (rng.random(n_patients) < 0.388)[patients].astype(np.int8)
    scores = 1 / (1 + np.exp(1 - labels - rng.normal(size=n_rows)))
    order = rng.permutation(n_rows)
    values = scores.tolist()
    upload = "ecg_id,score\n" + "".join(f"{ids[i]},{values[i]!r}\n" for i in order.tolist())
    solution = "ecg_id,label\n" + "".join(f"{i},{y}\n" for i, y in zip(ids, labels, strict=True))
    frame = pl.DataFrame(
        {"ecg_id": ids, "patient_id": [f"p{p}" for p in patients], "label": labels}
    )
    version = TaskVersion(BoardTask(slug="acs", title="Benchmark", opens=OPENS), tuple(ids))
    return Made(version, Truth(labels, patients), frame, upload.encode(), solution.encode())


def cpu_ms(function: Callable[[], object], *, repeats: int = REPEATS, inner: int = 1) -> float:
    """Median CPU time of a call, in milliseconds."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(inner):
            function()
        times.append((time.process_time() - start) / inner)
    return 1e3 * statistics.median(times)


def reference_scorer(upload: bytes, solution: bytes) -> dict[str, float]:
    """What the usual competition platform does: read two files, sort, compare by position.

    A plain restatement without its data frames and downloads, on a public and a private part; it
    checks nothing.
    """
    rows = [sorted(csv.reader(io.StringIO(f.decode()))) for f in (upload, solution)]
    scores, labels = (
        [float(value) for _, value in one if value not in ("score", "label")] for one in rows
    )
    cut = len(labels) // 3
    return {
        "public_score": float(roc_auc_score(labels[:cut], scores[:cut])),
        "private_score": float(roc_auc_score(labels[cut:], scores[cut:])),
    }


def reference_with_data_frames(upload: bytes, solution: bytes) -> dict[str, float]:
    """The same by data frames, as the platform has it: part by part, picked by id and sorted."""
    import pandas as pd  # noqa: PLC0415  not a dependency

    truth, sent = (pd.read_csv(io.BytesIO(file)) for file in (solution, upload))
    truth["part"] = np.where(np.arange(len(truth)) < len(truth) // 3, "public", "private")
    values = {}
    for part in ("public", "private"):
        mine = truth[truth["part"] == part].drop(columns="part")
        theirs = sent[sent["ecg_id"].isin(mine["ecg_id"])]
        mine, theirs = (f.sort_values("ecg_id").reset_index(drop=True) for f in (mine, theirs))
        values[f"{part}_score"] = float(roc_auc_score(mine["label"], theirs["score"]))
    return values


def strict_and_two_aurocs(made: Made) -> tuple[float, float]:
    found = check_content(made.upload, made.version)
    assert isinstance(found, Checked)
    cut, labels = len(found.scores) // 3, made.truth.labels
    return auroc(labels[:cut], found.scores[:cut]), auroc(labels[cut:], found.scores[cut:])


def sklearn_resamples(made: Made, scores: np.ndarray, *, n: int) -> list[float]:
    labels, patients = made.truth.labels, made.truth.patients
    (drawn,) = patient_draws(made.truth.n_patients, n_resamples=n, seed=0)
    values = []
    for resample in range(n):
        rows = np.repeat(np.arange(len(labels)), drawn[patients, resample].astype(int))
        values.append(float(roc_auc_score(labels[rows], scores[rows])))
    return values


def our_resamples(made: Made, scores: np.ndarray, *, n: int) -> np.ndarray:
    statistic = rank_statistic(made.truth.labels == 1, scores, made.truth.patients)
    draws = {"n_patients": made.truth.n_patients, "n_resamples": n, "seed": 0}
    return bootstrap({"ranks": statistic}, **draws)["ranks"][:, 0]


def row(what: str, value: str, goal: str) -> None:
    print(f"{what:<72}{value:>16}   goal {goal}", flush=True)


def check_rows(made: Made, goal_ms: float, goal_ratio: float) -> None:
    n = made.version.n_rows
    inner = 20 if n < 10_000 else 1
    ours = cpu_ms(lambda: check_content(made.upload, made.version), inner=inner)
    row(f"check + align {n:,} rows, CPU", f"{ours:.2f} ms", f"<= {goal_ms:g} ms")
    both = cpu_ms(lambda: strict_and_two_aurocs(made), inner=inner)
    for words, reference in references().items():
        theirs = reference(made.upload, made.solution)
        mine = strict_and_two_aurocs(made)
        np.testing.assert_allclose(mine, list(theirs.values()), rtol=0, atol=1e-12)
        value = cpu_ms(functools.partial(reference, made.upload, made.solution))
        row(
            f"strict check + align + two AUROCs against {words}, {n:,} rows",
            f"{value / both:.1f} x",
            f">= {goal_ratio:g} x  ({both:.2f} against {value:.1f} ms)",
        )


def references() -> dict[str, Callable[[bytes, bytes], dict[str, float]]]:
    """The reference scorer in plain Python, and with data frames where pandas is installed."""
    found = {"the reference, plain": reference_scorer}
    if importlib.util.find_spec("pandas") is not None:
        found["it with data frames"] = reference_with_data_frames
    return found


def resample_rows(made: Made, goal_ms: float, goal_ratio: float) -> None:
    n = made.version.n_rows
    scores = check_content(made.upload, made.version).scores
    few = 50 if n < 10_000 else 10
    np.testing.assert_allclose(
        our_resamples(made, scores, n=few), sklearn_resamples(made, scores, n=few), atol=1e-12
    )
    ours = cpu_ms(lambda: our_resamples(made, scores, n=RESAMPLES))
    loop = cpu_ms(lambda: sklearn_resamples(made, scores, n=few), repeats=3) * RESAMPLES / few
    row(
        f"{RESAMPLES:,} clustered AUROC resamples, {n:,} rows, CPU",
        f"{ours:.0f} ms",
        f"<= {goal_ms:g} ms",
    )
    row(
        f"the same against a scikit-learn loop, {n:,} rows",
        f"{loop / ours:.0f} x",
        f">= {goal_ratio:g} x  ({loop:,.0f} ms, from {few})",
    )


def durable_row(made: Made) -> None:
    """Accepted to scored without the database: read, open, join, score, feedback, store."""
    master = new_key()
    sealed = seal(made.frame, made.version, master)
    truth = open_vault(sealed.data, made.version, master).truth
    with tempfile.TemporaryDirectory() as folder:
        store, blob = WorkerStore(Path(folder) / "store", master), Path(folder) / "blob"
        blob.write_bytes(made.upload)

        def once() -> None:
            found = check_content(blob.read_bytes(), made.version)
            assert isinstance(found, Checked)
            scored = score(found.scores, truth, made.version)
            feedback(scored, None, truth, made.version)
            store.put("s1", made.version.name, scored)

        value = cpu_ms(once, inner=5)
    row("judge's part of accepted-to-scored, 1,295 rows, CPU", f"{value:.2f} ms", "<= 5 ms in all")


def board_rows(made: Made, *, n_entries: int = 100) -> None:
    """The second step of a submission, and a board of many entries."""
    scores = check_content(made.upload, made.version).scores
    first = score(scores, made.truth, made.version)
    second = cpu_ms(lambda: with_resamples(first, made.truth, made.version), repeats=3)
    row("2,000 resamples of the whole panel, 1,295 rows, CPU", f"{second:.0f} ms", "none")
    rng = np.random.default_rng(1)
    entries = []
    for number in range(n_entries):
        other = np.clip(scores + 0.1 * rng.normal(size=len(scores)), 0, 1)
        full = with_resamples(score(other, made.truth, made.version), made.truth, made.version)
        entries.append(Contender(f"s{number}", full, OPENS))
    value = cpu_ms(lambda: rank_board(entries, made.truth, made.version), repeats=1)
    row(f"ranks and all pairs of {n_entries} entries, CPU", f"{value:.0f} ms", "none")
    released(entries[0].scored, made.version)


_MEMORY = """
import sys
from pathlib import Path
from acsbench.leaderboard.check import check_file
from acsbench.leaderboard.definition import read_task

def status(name):
    line = next(l for l in open("/proc/self/status") if l.startswith(name))
    return int(line.split()[1]) / 1024

folder = Path(sys.argv[1])
version = read_task(folder)
version.index.by_hash
before = status("VmRSS")
check_file(folder / "upload.csv.gz", version)
print(status("VmHWM") - before)
"""


def memory_row(made: Made) -> None:
    """Growth of a process that has the task at hand and reads one upload, its first."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_task(made.version, Path(name))
        (folder / "upload.csv.gz").write_bytes(gzip.compress(made.upload, 1))
        command = [sys.executable, "-c", _MEMORY, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    row(
        f"memory growth for an upload of {made.version.n_rows:,} rows (gzip)",
        f"{float(done.stdout):.0f} MB",
        "< 64 MB",
    )


def main() -> None:
    """Print the rows that need no server."""
    small, large = (make(*size) for size in SIZES)
    check_rows(small, 1, 20)
    check_rows(large, 25, 8)
    resample_rows(small, 40, 30)
    resample_rows(large, 900, 12)
    durable_row(small)
    board_rows(small)
    memory_row(large)


if __name__ == "__main__":
    main()
