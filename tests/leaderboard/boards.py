"""Tasks, files and truths of the tests."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from acsbench.leaderboard.definition import BoardTask, Release, TaskVersion

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
