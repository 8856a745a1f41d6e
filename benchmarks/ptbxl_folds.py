"""PTB-XL records at 100 Hz as a store, a cohort and rounds of folds; what is judged on them.

The records are z-scored by their publisher: neither filtering nor amplitude can be judged on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.dataset import WaveformDataset, load_dataset
from acsbench.recording import Waveform
from acsbench.signal.leads import PAGE_ROWS, STANDARD_12
from acsbench.store import SHARD_SIZE, WaveformStore, finish_store, write_shard
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

CLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
TASKS_OF_CLASSES = tuple(TASKS[f"ptbxl_{c.lower()}"] for c in CLASSES)
RATE, N_SAMPLES = 100, 1000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Round:
    """Folds that score and the one that chooses; the rest of 1 to 8 train, unless named."""

    test: tuple[int, ...]
    val: int
    train: tuple[int, ...] = ()

    def split_of(self, fold: int) -> str | None:
        """Split of a fold; None where it is left out."""
        if fold in self.test or fold == self.val:
            return "test" if fold in self.test else "val"
        return "train" if fold in self.train or not self.train else None


QUARTERS = (Round((1, 2), 3), Round((3, 4), 5), Round((5, 6), 7), Round((7, 8), 1))
"""Two folds score, one chooses, five train."""
HALVES = (Round((1, 2, 3, 4), 5, (6, 7, 8)), Round((5, 6, 7, 8), 4, (1, 2, 3)))
"""Four folds score, one chooses, three train: two fits for all records."""


def twelve_leads(signal: NDArray[np.float32]) -> Waveform:
    """Twelve leads of ten seconds, as published."""
    return _waveform(signal, STANDARD_12)


def page(signal: NDArray[np.float32]) -> Waveform:
    """Three rows of a printed page: each joins four leads of 2.5 s, as the original trains on."""
    quarter = N_SAMPLES // 4
    place = {lead: row for row, lead in enumerate(STANDARD_12)}
    rows = [
        np.concatenate(
            [
                signal[place[lead], part * quarter : (part + 1) * quarter]
                for part, lead in enumerate(row)
            ]
        )
        for row in PAGE_ROWS
    ]
    return _waveform(np.stack(rows), tuple("+".join(row) for row in PAGE_ROWS))


def _waveform(signal: NDArray[np.float32], names: tuple[str, ...]) -> Waveform:
    return Waveform(
        signal=np.ascontiguousarray(signal),
        mask=np.ones(signal.shape, np.uint8),
        lead_names=names,
        sampling_rate=RATE,
        units="sd",
    )


def build_store(data: Path, folder: Path, *, recipe: str = "recorded_12") -> WaveformStore:
    """Write the published arrays as a store of 12 leads or of pages, once."""
    if (folder / "manifest.json").is_file():
        return WaveformStore.open(folder)
    laid_out = {"recorded_12": twelve_leads, "three_by_four": page}[recipe]
    with np.load(data / "signals.npz") as held:
        stored, scale = held["x"], np.float32(held["scale"])
    ids = read_cohort(data, in_order=False)["ecg_id"]
    order = ids.arg_sort()
    made: list[tuple[str, Waveform]] = [
        (ids[int(row)], laid_out(stored[row].T * scale)) for row in order
    ]
    shards = [made[i : i + SHARD_SIZE] for i in range(0, len(made), SHARD_SIZE)]
    for number, shard in enumerate(shards):
        write_shard(folder, number, shard, shape=made[0][1].signal.shape, job="published")
    config = {"name": recipe, "version": 1, "parameters": {"as": "published at 100 Hz"}}
    return finish_store(folder, n_shards=len(shards), recipe=config, inputs={}, example=made[0][1])


def read_cohort(data: Path, *, in_order: bool = True) -> pl.DataFrame:
    """Ids, folds, labels; a record whose patient is not known counts as a patient of its own."""
    table = pl.read_csv(data / "manifest.csv").with_columns(
        pl.col("ecg_id").cast(pl.String).str.zfill(5)
    )
    found = table.select(
        "ecg_id",
        pl.coalesce(pl.format("p{}", "patient_id"), pl.format("e{}", "ecg_id")).alias("patient_id"),
        "strat_fold",
        pl.col("age").cast(pl.Float64),
        pl.col("sex").cast(pl.Float64),
        *(pl.col(c).cast(pl.Boolean).alias(f"reading_{c.lower()}") for c in CLASSES),
    )
    return found.sort("ecg_id") if in_order else found


def labels_of(table: pl.DataFrame) -> Floats:
    """Labels of the five classes, (records, classes)."""
    wanted = table.select(pl.col(f"reading_{c.lower()}").cast(pl.Float64) for c in CLASSES)
    return wanted.to_numpy()


def patients_of(table: pl.DataFrame) -> NDArray[np.intp]:
    """Number of each record's patient."""
    return np.unique(table["patient_id"].to_numpy(), return_inverse=True)[1]


def cohort_of(table: pl.DataFrame, one: Round) -> Cohort:
    """Records of a round with their splits."""
    split = pl.col("strat_fold").map_elements(one.split_of, return_dtype=pl.String)
    frame = table.with_columns(split.alias("split"), is_included=pl.lit(value=True))
    return Cohort(
        frame=frame.drop_nulls("split"),
        flow=pl.DataFrame(),
        source="ptbxl",
        scheme="folds",
        features=("age", "sex"),
    )


def datasets(table: pl.DataFrame, store: WaveformStore, one: Round) -> list[WaveformDataset]:
    """Train, val and test of a round."""
    cohort = cohort_of(table, one)
    return [
        load_dataset(cohort, store, TASKS_OF_CLASSES, name) for name in ("train", "val", "test")
    ]


def pooled(parts: Iterable[tuple[Sequence[str], Floats]]) -> Floats:
    """Scores of all rounds in the order of their ids."""
    frames = [pl.DataFrame({"ecg_id": ids, "score": scores}) for ids, scores in parts]
    return np.array(pl.concat(frames).sort("ecg_id")["score"].to_list())


def logit(p: Floats) -> Floats:
    """Log odds, kept finite."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    found: Floats = np.log(p / (1 - p))
    return found
