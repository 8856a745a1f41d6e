"""A planted signal that any model finds, as a store and a cohort."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from acsbench.dataset import WaveformDataset, load_dataset
from acsbench.recording import Waveform
from acsbench.store import WaveformStore, finish_store, write_shard
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

N = 60
SMALL = {"width": 2, "hidden": 4, "epochs": 2, "batch_size": 8, "threads": 1, "dropout": 0.1}


def waveform(label: int, seed: int) -> Waveform:
    """A sine, upright for positives: a signal that any network finds."""
    rng = np.random.default_rng(seed)
    sign = 1 if label else -1
    signal = rng.normal(0, 0.05, (3, 1000)) + sign * np.sin(np.arange(1000) / 20) ** 2
    return Waveform(
        signal=signal.astype(np.float32),
        mask=np.ones((3, 1000), np.uint8),
        lead_names=("a", "b", "c"),
        sampling_rate=100,
        units="mV",
    )


def make_store(folder: Path) -> WaveformStore:
    """Sixty records of three leads, 10 s at 100 Hz."""
    made = [(f"e{i:02d}", waveform(i % 2, i)) for i in range(N)]
    write_shard(folder, 0, made, shape=(3, 1000), job="j")
    recipe = {"name": "three_by_four", "version": 1, "parameters": {}}
    return finish_store(folder, n_shards=1, recipe=recipe, inputs={}, example=made[0][1])


def cohort(*, swap: bool = False) -> Cohort:
    """32 train, 12 val and 16 test records, half of each positive."""
    splits = ["train" if i < 32 else "val" if i < 44 else "test" for i in range(N)]
    if swap:
        splits[0], splits[-1] = splits[-1], splits[0]
    labels = [bool(i % 2) for i in range(N)]
    frame = pl.DataFrame(
        {
            "ecg_id": [f"e{i:02d}" for i in range(N)],
            "patient_id": [f"p{i:02d}" for i in range(N)],
            "split": splits,
            "is_included": [True] * N,
            "is_tested": [True] * N,
            "is_untested": [True] * N,
            "stent_or_cabg_010_day": labels,
            "macetrop_pos_or_death_030": labels,
            "has_st_eleva": [i % 3 == 0 for i in range(N)],
            "age": [50.0 + i for i in range(N)],
        }
    )
    return Cohort(
        frame=frame,
        flow=pl.DataFrame(),
        source="hand",
        scheme="patient",
        features=("has_st_eleva", "age"),
    )


def sets(store: WaveformStore | None, task: str = "acs") -> Iterator[WaveformDataset]:
    """Train, val and test."""
    for split in ("train", "val", "test"):
        yield load_dataset(cohort(), store, TASKS[task], split)
