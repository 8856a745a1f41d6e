"""Tasks, files and truths of the tests."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl

from acsbench.leaderboard.definition import BoardTask, Release, TaskVersion
from acsbench.leaderboard.scoring import Truth

IDS = tuple(f"ecg{n:04x}" for n in range(1, 9))
OPENS = datetime(2027, 1, 1, tzinfo=UTC)


def make_version(ids=IDS, *, slug="acs", title="A task", release=None, **changes) -> TaskVersion:
    release = release or Release(min_per_class=2, n_resamples=200)
    task = BoardTask(slug=slug, title=title, opens=OPENS, release=release, **changes)
    return TaskVersion(task, tuple(ids))


def many_ids(n: int) -> tuple[str, ...]:
    return tuple(f"ecg{n:010x}" for n in range(1, n + 1))


def csv(scores, *, header="ecg_id,score", end="\n") -> bytes:
    rows = scores.items() if isinstance(scores, dict) else scores
    return (header + end + "".join(f"{i},{score}{end}" for i, score in rows)).encode()


def good_scores(ids=IDS) -> dict[str, str]:
    return {ecg_id: f"{(n + 1) / (len(ids) + 2):.4f}" for n, ecg_id in enumerate(ids)}


def shuffled(items, seed=0):
    items = list(items)
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[i] for i in order]


def make_rows(n=300, n_patients=220, *, prevalence=0.4, seed=0):
    """Labels and patients of several rows, as arrays."""
    rng = np.random.default_rng(seed)
    patients = np.unique(rng.integers(n_patients, size=n), return_inverse=True)[1]
    labels = (rng.random(n_patients) < prevalence)[patients].astype(np.int8)
    return labels, patients


def make_truth(n=300, n_patients=220, *, prevalence=0.4, seed=0) -> Truth:
    labels, patients = make_rows(n, n_patients, prevalence=prevalence, seed=seed)
    part = np.random.default_rng(seed + 1).random(n_patients)[patients] < 0.3
    return Truth(labels, patients, {}, part)


def model_scores(truth: Truth, *, quality=1.0, noise=1.0, seed=0):
    """Probabilities that know something of the labels; the same seed shares most of the noise."""
    rng = np.random.default_rng([seed, 5])
    x = quality * truth.labels + noise * rng.normal(size=len(truth.labels))
    return 1 / (1 + np.exp(-x))


def truth_frame(version: TaskVersion, truth: Truth) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ecg_id": version.ids,
            "patient_id": [f"p{p:05}" for p in truth.patients],
            "label": truth.labels,
            "sex": ["Female" if p % 2 else "Male" for p in truth.patients],
        }
    )
