"""Real ECGs, out of fold: what networks and features reach on PTB-XL records at 100 Hz.

    python -m benchmarks.real_ecgs PATH/ptbxl_filtered_100hz OUT [MODEL ...]

Four rounds over folds 1 to 8: two folds score, one of the rest chooses, five train. A finished
round is kept in OUT and not repeated, so the script may be stopped and started at any time. The
records are z-scored by their publisher: neither filtering nor amplitude can be judged on them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier

from acsbench.dataset import WaveformDataset, load_dataset
from acsbench.evaluation.intervals import clustered_delong, patient_influence
from acsbench.models.base import Model, make_model
from acsbench.models.calibrate import apply_lines, fit_lines
from acsbench.recording import Waveform
from acsbench.signal.beats import find_r_peaks, median_beat
from acsbench.signal.leads import STANDARD_12
from acsbench.store import SHARD_SIZE, WaveformStore, finish_store, write_shard
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

CLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
ROUNDS = ((1, 2, 3), (3, 4, 5), (5, 6, 7), (7, 8, 1))
"""Two folds that score, and the one that chooses."""
RATE = 100
COMMON: dict[str, Any] = {"recipe": "recorded_12", "threads": 1, "seed": 0, "batch_size": 32}
AUGMENT = {"lead_mask": 0.1, "time_mask": 0.2, "shift_s": 0.5, "amplitude": 0.1}
RESNET = {**COMMON, "width": 12, "hidden": 64, "dropout": 0.2, "epochs": 14, "patience": 14}
S4 = {**COMMON, "width": 64, "n_states": 8, "epochs": 10, "patience": 10, "learning_rate": 8e-3}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("resnet18", {**RESNET, "augment": AUGMENT, "learning_rate": 4e-3}),
    "s4": ("s4", {**S4, "augment": AUGMENT}),
    "s4_plain": ("s4", S4),
}


def build_store(data: Path, folder: Path) -> WaveformStore:
    """Write the published arrays as a store, once."""
    if (folder / "manifest.json").is_file():
        return WaveformStore.open(folder)
    with np.load(data / "signals.npz") as held:
        stored, scale = held["x"], np.float32(held["scale"])
    ids = pl.read_csv(data / "manifest.csv")["ecg_id"]
    order = np.argsort([f"{one:05d}" for one in ids])
    made: list[tuple[str, Waveform]] = [
        (
            f"{ids[int(row)]:05d}",
            Waveform(
                signal=stored[row].T * scale,
                mask=np.ones((12, 1000), np.uint8),
                lead_names=STANDARD_12,
                sampling_rate=RATE,
                units="sd",
            ),
        )
        for row in order
    ]
    shards = [made[i : i + SHARD_SIZE] for i in range(0, len(made), SHARD_SIZE)]
    for number, shard in enumerate(shards):
        write_shard(folder, number, shard, shape=(12, 1000), job="published")
    recipe = {"name": "recorded_12", "version": 1, "parameters": {"as": "published at 100 Hz"}}
    return finish_store(folder, n_shards=len(shards), recipe=recipe, inputs={}, example=made[0][1])


def read_cohort(data: Path) -> pl.DataFrame:
    """Ids, folds, labels; a record whose patient is not known counts as a patient of its own."""
    table = pl.read_csv(data / "manifest.csv").with_columns(
        pl.format("{}", pl.col("ecg_id").cast(pl.String).str.zfill(5)).alias("ecg_id")
    )
    return table.select(
        "ecg_id",
        pl.coalesce(pl.format("p{}", "patient_id"), pl.format("e{}", "ecg_id")).alias("patient_id"),
        "strat_fold",
        pl.col("age").cast(pl.Float64),
        pl.col("sex").cast(pl.Float64),
        *(pl.col(c).cast(pl.Boolean).alias(f"reading_{c.lower()}") for c in CLASSES),
    ).sort("ecg_id")


def datasets(table: pl.DataFrame, store: WaveformStore, number: int) -> list[WaveformDataset]:
    first, second, chooses = ROUNDS[number]
    fold = pl.col("strat_fold")
    split = (
        pl.when(fold.is_in([first, second]))
        .then(pl.lit("test"))
        .when(fold == chooses)
        .then(pl.lit("val"))
        .otherwise(pl.lit("train"))
    )
    frame = table.with_columns(split.alias("split"), is_included=pl.lit(value=True))
    cohort = Cohort(
        frame=frame, flow=pl.DataFrame(), source="ptbxl", scheme="folds", features=("age", "sex")
    )
    tasks = [TASKS[f"ptbxl_{c.lower()}"] for c in CLASSES]
    return [load_dataset(cohort, store, tasks, name) for name in ("train", "val", "test")]


def logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def simple_features(data: WaveformDataset) -> np.ndarray:
    """Median beats, rhythm, and statistics of each lead."""
    rows = []
    for index in range(len(data)):
        signal = data[index].waveform.astype(np.float64)
        peaks = find_r_peaks(np.abs(np.diff(signal, axis=1)).sum(0), sampling_rate=RATE)
        rr = np.diff(peaks) / RATE if len(peaks) > 2 else np.full(2, np.nan)
        row = [len(peaks), np.median(rr), rr.std(), np.abs(np.diff(rr)).mean()]
        for lead in signal:
            beat = median_beat(lead, peaks, before=30, after=50)
            row += list(np.full(40, np.nan) if beat is None else beat[::2])
            steps = np.diff(lead)
            row += [steps.std(), np.abs(steps).max(), stats.skew(lead), stats.kurtosis(lead)]
            row += np.quantile(lead, (0.01, 0.1, 0.9, 0.99)).tolist()
        rows.append(row)
    return np.hstack([np.array(rows, np.float64), data.features])


def boosting(
    train: WaveformDataset, val: WaveformDataset, test: WaveformDataset
) -> list[np.ndarray]:
    """Logits on val and test; the number of trees is chosen on val."""
    x, x_val, x_test = (simple_features(one) for one in (train, val, test))
    scores = []
    for k in range(len(CLASSES)):
        grown = HistGradientBoostingClassifier(
            max_iter=200, learning_rate=0.06, max_leaf_nodes=8, max_features=0.3, random_state=0
        ).fit(x, train.labels[:, k])
        on_val = [p[:, 1] for p in grown.staged_predict_proba(x_val)]
        known = val.labels[:, k]
        best = int(np.argmax([clustered_auroc(known, p) for p in on_val]))
        on_test = list(grown.staged_predict_proba(x_test))[best][:, 1]
        scores.append((logit(on_val[best]), logit(on_test)))
    return [np.column_stack(part) for part in zip(*scores, strict=True)]


def network(name: str, folder: Path) -> Callable[..., list[np.ndarray]]:
    kind, parameters = MODELS[name]

    def run(
        train: WaveformDataset, val: WaveformDataset, test: WaveformDataset
    ) -> list[np.ndarray]:
        model: Model = make_model(kind, **parameters, folder=folder).fit(train, val)
        return [logit(model.predict_proba(one)) for one in (val, test)]

    return run


def clustered_auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    return float(clustered_delong(labels, scores, np.arange(len(labels))).auroc[0])


def run_model(name: str, table: pl.DataFrame, store: WaveformStore, out: Path) -> dict[str, Any]:
    """Out-of-fold scores of a model, calibrated on each round's val."""
    run = boosting if name == "boosting" else network(name, out / name)
    val_logits, parts, seconds = [], [], []
    for number in range(len(ROUNDS)):
        file = out / f"{name}-{number}.npz"
        train, val, test = datasets(table, store, number)
        if not file.is_file():
            wall, cpu = time.perf_counter(), time.process_time()
            on_val, on_test = run(train, val, test)
            spent = [time.perf_counter() - wall, time.process_time() - cpu]
            np.savez(file, val=on_val, test=on_test, seconds=spent)
            print(f"{name}, round {number + 1}: {spent[1] / 60:.1f} CPU minutes", flush=True)
        held = np.load(file)
        lines = fit_lines(held["val"], val.labels)
        val_logits.append(apply_lines(held["val"], lines))
        scores = apply_lines(held["test"], lines)
        parts.append(pl.DataFrame({"ecg_id": test.ecg_ids, "score": scores}))
        seconds.append(held["seconds"])
    pooled = pl.concat(parts).sort("ecg_id")
    return {
        "ids": pooled["ecg_id"],
        "scores": np.array(pooled["score"].to_list()),
        "val": val_logits,
        "minutes": np.array(seconds).max(0) / 60,
    }


def macro(labels: np.ndarray, scores: np.ndarray, codes: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean AUROC over the classes and each patient's influence on it."""
    n = int(codes.max()) + 1
    areas = [clustered_auroc(labels[:, k], scores[:, k]) for k in range(len(CLASSES))]
    influence = [
        patient_influence(labels[:, k], scores[:, k], codes, n=n).reshape(n, -1)[:, 0]
        for k in range(len(CLASSES))
    ]
    return float(np.mean(areas)), np.mean(influence, axis=0)


def main(data: Path, out: Path, names: list[str]) -> None:
    """Run what is not yet there and print the table."""
    store, table = build_store(data, out / "store"), read_cohort(data)
    labels = table.select(f"reading_{c.lower()}" for c in CLASSES).to_numpy().astype(float)
    codes = np.unique(table["patient_id"].to_numpy(), return_inverse=True)[1]
    found = {name: run_model(name, table, store, out) for name in names}
    scores = {name: one["scores"] for name, one in found.items()}
    networks = [name for name in names if name != "boosting"]
    if len(networks) > 1:
        scores["mean of networks"] = np.mean([scores[n] for n in networks], axis=0)
    if len(names) > 1:
        scores["mean of all"] = np.mean([scores[n] for n in names], axis=0)
    baseline = macro(labels, scores["boosting"], codes) if "boosting" in scores else None
    print(f"{len(table):,} ECGs, {codes.max() + 1:,} patients, pooled out-of-fold macro AUROC")
    for name, values in scores.items():
        area, influence = macro(labels, values, codes)
        line = f"{name:18} {area:.3f} +- {1.96 * np.sqrt((influence**2).sum()):.3f}"
        if name in found:
            wall, cpu = found[name]["minutes"]
            line += f"  longest round {cpu:.1f} CPU minutes ({wall:.1f} on a shared machine)"
        if baseline is not None and name != "boosting":
            spread = 1.96 * np.sqrt(((influence - baseline[1]) ** 2).sum())
            line += f"; to boosting {area - baseline[0]:+.3f} +- {spread:.3f}"
        print(line)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or ["boosting", *MODELS])
