"""The judge's speed and honesty, each ratio measured side by side in one run.

`python -m benchmarks.evaluation` prints the speed; `--coverage` adds the simulation of
docs/explanation/statistics.md, which takes a few minutes.
"""

from __future__ import annotations

import argparse
import math
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn import metrics as sk

from acsbench.evaluation.bootstrap import bootstrap, percentile_interval
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.intervals import (
    clustered_delong,
    delong,
    logit_interval,
    paired_difference,
)
from acsbench.evaluation.weighted import rank_statistic
from acsbench.predictions import Predictions

N_ROWS, N_PATIENTS, N_MODELS, N_RESAMPLES = 1295, 883, 10, 2000
LARGE = 100_000


def seconds(function: Callable[[], object], *, repeats: int = 3) -> float:
    """CPU time of the best of a few runs: neighbours on the machine disturb the clock."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


class Made(NamedTuple):
    """Labels, scores of several models and patients."""

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    patients: NDArray[np.intp]


def make(n_rows: int, n_patients: int, n_models: int, *, seed: int = 0) -> Made:
    """Scores of correlated models on patients with several rows."""
    rng = np.random.default_rng(seed)
    patients = rng.integers(n_patients, size=n_rows)
    labels = (rng.random(n_patients) < 0.388)[patients].astype(np.int64)
    shared = labels + rng.normal(size=n_patients)[patients]
    log_odds = shared[:, np.newaxis] + rng.normal(size=(n_rows, n_models)) - 1
    return Made(labels, 1 / (1 + np.exp(-log_odds)), patients)


def tables(made: Made) -> tuple[list[Predictions], list[Predictions], pl.DataFrame]:
    """The same as files: test and validation predictions, labels with eight subgroups."""
    n = len(made.labels)
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "ecg_id": [f"e{i:06}" for i in range(n)],
            "patient_id": [f"p{i:06}" for i in made.patients],
            "label": made.labels,
        }
    )
    of_patient = pl.Series(made.patients)
    for column, n_groups in (("sex", 2), ("race", 4), ("site", 2)):
        groups = rng.integers(n_groups, size=int(made.patients.max()) + 1)
        frame = frame.with_columns(
            pl.Series(column, [f"g{groups[patient]}" for patient in of_patient])
        )
    labels = pl.concat(
        [
            frame.with_columns(split=pl.lit(split), ecg_id=pl.lit(split[0]) + pl.col("ecg_id"))
            for split in ("val", "test")
        ]
    )

    def scored(split: str) -> list[Predictions]:
        ids = labels.filter(pl.col("split") == split)["ecg_id"]
        return [
            Predictions(
                pl.DataFrame({"ecg_id": ids, "task": "bench", "score": made.scores[:, model]}),
                f"model{model}",
            )
            for model in range(made.scores.shape[1])
        ]

    return scored("test"), scored("val"), labels


def full_numbers() -> None:
    """10 models x 8 subgroups x 2,000 resamples with everything that `evaluate` does."""
    made = make(N_ROWS, N_PATIENTS, N_MODELS)
    test, val, labels = tables(made)
    config = EvaluateConfig(n_resamples=N_RESAMPLES)
    start, clock = time.process_time(), time.perf_counter()
    results = evaluate(test, labels, val=val, config=config)
    cpu, wall = time.process_time() - start, time.perf_counter() - clock
    n_figures = len(results.frame) + sum(len(table) for table in results.tables.values())
    print(
        f"full numbers, {N_MODELS} models x 8 subgroups x {N_RESAMPLES:,} resamples at "
        f"{N_ROWS:,} rows: {cpu:.1f} s of one core ({wall:.1f} s by the clock), "
        f"{n_figures:,} rows of figures (goal: 10 s)"
    )


def resamples_against_scikit_learn(n_rows: int, n_patients: int, n_resamples: int) -> None:
    """AUROC and average precision of one resample of patients, against a loop of calls."""
    made = make(n_rows, n_patients, 1)
    labels, scores = made.labels, made.scores[:, 0]
    codes = np.unique(made.patients, return_inverse=True)[1]
    rows = np.random.default_rng(0).integers(n_rows, size=n_rows)
    statistic = rank_statistic(labels == 1, scores, codes)
    ours = seconds(
        lambda: bootstrap(
            {"ranks": statistic},
            n_patients=int(codes.max()) + 1,
            n_resamples=n_resamples,
            seed=0,
        )
    )
    loop = seconds(
        lambda: (
            sk.roc_auc_score(labels[rows], scores[rows]),
            sk.average_precision_score(labels[rows], scores[rows]),
        )
    )
    area = seconds(lambda: sk.roc_auc_score(labels[rows], scores[rows]))
    one = ours / n_resamples
    print(
        f"resamples at {n_rows:,} rows: {one * 1e6:,.0f} microseconds each, {loop / one:.0f} times "
        f"as fast as scikit-learn for AUROC and AP, {area / one:.0f} times for AUROC alone "
        f"(goal: {100 if n_rows < LARGE else 20})"
    )


def delong_against_scikit_learn() -> None:
    """One pair of models by DeLong against one AUROC of scikit-learn, at 100,000 rows."""
    made = make(LARGE, LARGE // 2, 2)
    labels, scores, patients = made
    one = seconds(lambda: sk.roc_auc_score(labels, scores[:, 0]), repeats=7)
    plain = seconds(lambda: paired_difference(delong(labels, scores), 0, 1), repeats=7)
    clustered = seconds(
        lambda: paired_difference(clustered_delong(labels, scores, patients), 0, 1), repeats=7
    )
    print(
        f"DeLong of one pair at {LARGE:,} rows: {plain / one:.2f} of one scikit-learn AUROC, "
        f"clustered {clustered / one:.2f} (goal: 2)"
    )


def memory() -> None:
    """Peak of numpy's memory in AUROC and AP of 2,000 resamples: blocks, no rows x resamples."""
    for n_rows in (N_ROWS, LARGE):
        made = make(n_rows, int(n_rows * 0.68), 1)
        codes = np.unique(made.patients, return_inverse=True)[1]
        statistic = rank_statistic(made.labels == 1, made.scores[:, 0], codes)
        n_resamples = N_RESAMPLES if n_rows < LARGE else 400
        tracemalloc.start()
        bootstrap(
            {"ranks": statistic},
            n_patients=int(codes.max()) + 1,
            n_resamples=n_resamples,
            seed=0,
        )
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        whole = n_rows * N_RESAMPLES * 8 / 2**20
        print(
            f"memory of resampling {n_rows:,} rows: {peak:.0f} MiB at most "
            f"(rows x 2,000 resamples would be {whole:,.0f} MiB)"
        )


def simulate(sizes: NDArray[np.intp], *, correlation: float, auroc: float, seed: int) -> Made:
    """Patients whose ECGs share an outcome and a part of their score (binormal)."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(len(sizes)), sizes)
    labels = (rng.random(len(sizes)) < 0.388)[patients].astype(np.int64)
    # AUROC 0.75 is a distance of 0.954 standard deviations
    distance = {0.75: 0.9538726}[auroc]
    shared = rng.normal(size=len(sizes))[patients] * math.sqrt(correlation)
    own = rng.normal(size=len(patients)) * math.sqrt(1 - correlation)
    return Made(labels, (distance * labels + shared + own)[:, np.newaxis], patients)


def ecgs_per_patient(n_patients: int, n_more: float, *, seed: int) -> NDArray[np.intp]:
    """One ECG each, and n_more on average: 0.8 is one more in four of five patients."""
    chance = n_more - math.floor(n_more)
    more = np.random.default_rng(seed).random(n_patients) < chance
    return 1 + math.floor(n_more) + more.astype(np.intp)


def coverage(*, n_sets: int = 4000, n_bootstrapped: int = 1000) -> None:
    """How often 95 % intervals hold the true AUROC, by ECGs a patient."""
    truth = 0.75
    for name, n_patients, n_more in (("1.0", 1295, 0.0), ("1.8", 719, 0.8), ("4.0", 324, 3.0)):
        hits = {"clustered DeLong": 0, "plain DeLong": 0}
        bootstrapped = 0
        for seed in range(n_sets):
            sizes = ecgs_per_patient(n_patients, n_more, seed=10**6 + seed)
            made = simulate(sizes, correlation=0.7, auroc=truth, seed=seed)
            results = {
                "clustered DeLong": clustered_delong(*made),
                "plain DeLong": delong(made.labels, made.scores),
            }
            for method, result in results.items():
                low, high, _ = logit_interval(float(result.auroc[0]), result.covariance[0, 0])
                hits[method] += low is not None and high is not None and low <= truth <= high
            if seed < n_bootstrapped:
                statistic = rank_statistic(made.labels == 1, made.scores[:, 0], made.patients)
                values = bootstrap(
                    {"ranks": statistic}, n_patients=len(sizes), n_resamples=400, seed=seed
                )["ranks"][:, 0]
                low, high, _ = percentile_interval(values)
                bootstrapped += low is not None and high is not None and low <= truth <= high
        shares = ", ".join(f"{method} {n / n_sets:.3f}" for method, n in hits.items())
        print(
            f"coverage at {name} ECGs a patient, correlation 0.7, {n_sets:,} sets: {shares}, "
            f"patient bootstrap {bootstrapped / n_bootstrapped:.3f} (of {n_bootstrapped:,})",
            flush=True,
        )


def main() -> None:
    """Print every figure of the judge's speed."""
    full_numbers()
    resamples_against_scikit_learn(N_ROWS, N_PATIENTS, N_RESAMPLES)
    delong_against_scikit_learn()
    resamples_against_scikit_learn(LARGE, LARGE // 2, 600)
    memory()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coverage", action="store_true", help="add the simulation")
    asked = parser.parse_args()
    main()
    if asked.coverage:
        coverage()
