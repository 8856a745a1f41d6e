"""Real ECGs, out of fold: what networks and features reach on PTB-XL records at 100 Hz.

    python -m benchmarks.real_ecgs PATH/ptbxl_filtered_100hz OUT [MODEL ...]

Four rounds over folds 1 to 8: two folds score, one of the rest chooses, five train. A finished
round is kept in OUT under a fingerprint of its settings, so the script may be stopped and started
at any time; the table is made again from those files.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from scipy import stats
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from acsbench.dataset import WaveformDataset
from acsbench.models.base import make_model
from acsbench.models.calibrate import apply_lines, fit_lines
from acsbench.provenance import atomic_path, json_sha256
from acsbench.signal.beats import find_r_peaks, median_beat
from acsbench.store import WaveformStore
from benchmarks.areas import area
from benchmarks.ptbxl_folds import (
    CLASSES,
    QUARTERS,
    RATE,
    Floats,
    build_store,
    datasets,
    labels_of,
    logit,
    patients_of,
    pooled,
    read_cohort,
)

COMMON: dict[str, Any] = {"recipe": "recorded_12", "threads": 1, "batch_size": 32, "patience": 99}
AUGMENT = {"amplitude": 0.1, "lead_mask": 0.1, "time_mask": 0.2}
RESNET = {
    **COMMON,
    "width": 12,
    "hidden": 64,
    "dropout": 0.2,
    "epochs": 14,
    "learning_rate": 4e-3,
    "augment": {**AUGMENT, "shift_s": 0.5},
}
S4 = {
    **COMMON,
    "width": 32,
    "n_states": 8,
    "epochs": 24,
    "learning_rate": 1.2e-2,
    "augment": {**AUGMENT, "crop_s": 2.5},
}
S4_REVISED = {**S4, "norm": "batch", "elementwise": True, "augment": {"crop_s": 2.5}}
"""As `benchmarks.ablation` speaks for; it saw folds 1 to 4, so its clean folds are 5 to 8."""
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "boosting": ("boosting", {"learning_rate": 0.05, "max_leaf_nodes": 6, "max_features": 0.1}),
    "extra_trees": (
        "extra_trees",
        {"n_estimators": 300, "min_samples_leaf": 2, "max_features": 0.1},
    ),
    "random_convolutions": ("random_convolutions", {"n_kernels": 400, "seed": 0}),
    "resnet": ("resnet18", {**RESNET, "seed": 0}),
    **{f"resnet_{seed}": ("resnet18", {**RESNET, "seed": seed}) for seed in range(1, 5)},
    "s4": ("s4", {**S4, "seed": 0}),
    **{f"s4_{seed}": ("s4", {**S4, "seed": seed}) for seed in range(1, 5)},
    "s4_revised": ("s4", {**S4_REVISED, "seed": 0}),
}
"""Settings were chosen on the val fold of the first round alone, which is fold 3."""
MEANS = {
    "mean of five ResNets": ("resnet", "resnet_1", "resnet_2", "resnet_3", "resnet_4"),
    "mean of five S4s": ("s4", "s4_1", "s4_2", "s4_3", "s4_4"),
    "mean of ten networks": (
        *("resnet", "resnet_1", "resnet_2", "resnet_3", "resnet_4"),
        *("s4", "s4_1", "s4_2", "s4_3", "s4_4"),
    ),
    "mean of features": ("boosting", "extra_trees", "random_convolutions"),
    "mean of features and S4": ("boosting", "extra_trees", "random_convolutions", "s4"),
    "mean of all": tuple(name for name in MODELS if name != "s4_revised"),
}
MAX_TREES = 300
"""Of boosting; how many of them are used is chosen on val."""


class OutOfFold(NamedTuple):
    """Logits of all records, (n, classes), as given and calibrated, and each round's on val.

    Rounds are fitted apart: only on a common scale can their scores be pooled. The minutes are
    those of the longest round.
    """

    raw: Floats
    logits: Floats
    on_val: list[Floats]
    wall: float
    cpu: float


def simple_features(signal: Floats) -> list[float]:
    """Median beats, rhythm, and statistics of each lead, (leads, samples)."""
    peaks = find_r_peaks(np.abs(np.diff(signal, axis=1)).sum(0), sampling_rate=RATE)
    rr = np.diff(peaks) / RATE if len(peaks) > 2 else np.full(2, np.nan)
    row = [len(peaks), np.median(rr), rr.std(), np.abs(np.diff(rr)).mean()]
    for lead in signal:
        beat = median_beat(lead, peaks, before=30, after=50)
        row += list(np.full(40, np.nan) if beat is None else beat[::2])
        steps = np.diff(lead)
        row += [steps.std(), np.abs(steps).max(), stats.skew(lead), stats.kurtosis(lead)]
        row += np.quantile(lead, (0.01, 0.1, 0.9, 0.99)).tolist()
    return row


def features_of(data: WaveformDataset, file: Path) -> Floats:
    """Features of a split's records; each record's are measured once and kept in ``file``."""
    store = data.store
    assert store is not None
    if not file.is_file():
        ids = store.index["ecg_id"]
        rows = [simple_features(store.read(i).signal.astype(np.float64)) for i in ids]
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, np.array(rows))
    return np.hstack([np.load(file)[data.rows], data.features])


def boosting(
    splits: list[WaveformDataset], *, folder: Path, parameters: dict[str, Any]
) -> list[Floats]:
    """Logits on val and test; the number of trees is chosen on val."""
    x, x_val, x_test = (features_of(one, folder / "features.npy") for one in splits)
    train, val, _ = splits
    scores = []
    for label, on in zip(train.labels.T, val.labels.T, strict=True):
        grown = HistGradientBoostingClassifier(max_iter=MAX_TREES, random_state=0, **parameters)
        grown.fit(x, label)
        staged = [p[:, 1] for p in grown.staged_predict_proba(x_val)]
        best = int(np.argmax([roc_auc_score(on, p) for p in staged]))
        on_test = list(grown.staged_predict_proba(x_test))[best][:, 1]
        scores.append((logit(staged[best]), logit(on_test)))
    return [np.column_stack(part) for part in zip(*scores, strict=True)]


def extra_trees(
    splits: list[WaveformDataset], *, folder: Path, parameters: dict[str, Any]
) -> list[Floats]:
    """Logits on val and test of one forest for all classes."""
    x, *others = (np.nan_to_num(features_of(one, folder / "features.npy")) for one in splits)
    grown = ExtraTreesClassifier(random_state=0, **parameters).fit(x, splits[0].labels)
    return [
        logit(np.column_stack([p[:, 1] for p in grown.predict_proba(other)])) for other in others
    ]


def convolution_features(signals: Tensor, *, n_kernels: int, seed: int) -> Floats:
    """Share of time above a threshold, and maximum, of random dilated kernels over some leads.

    After ROCKET (Dempster, Petitjean and Webb, Data Mining and Knowledge Discovery 34:1454, 2020).
    """
    draw = torch.Generator().manual_seed(seed)
    parts = []
    for dilation in (1, 2, 4, 8, 16, 32):
        weights = torch.randn(n_kernels, signals.shape[1], 9, generator=draw)
        weights -= weights.mean(-1, keepdim=True)
        weights *= torch.rand(n_kernels, signals.shape[1], 1, generator=draw) < 0.3
        thresholds = torch.randn(n_kernels, 1, generator=draw)
        for batch in signals.split(64):
            found = nn.functional.conv1d(batch, weights, padding=4 * dilation, dilation=dilation)
            above = (found > thresholds).float().mean(-1)
            parts.append(torch.cat([above, found.amax(-1)], 1))
    n = -(-len(signals) // 64)
    by_dilation = [torch.cat(parts[i : i + n]) for i in range(0, len(parts), n)]
    return torch.cat(by_dilation, 1).double().numpy()


def random_convolutions(
    splits: list[WaveformDataset], *, folder: Path, parameters: dict[str, Any]
) -> list[Floats]:
    """Logits on val and test of a penalised regression, whose penalty is chosen on val."""
    store = splits[0].store
    assert store is not None
    file = folder / f"convolutions-{json_sha256(parameters)[:8]}.npy"
    if not file.is_file():
        torch.set_num_threads(1)
        signals = np.stack([store.read(i).signal for i in store.index["ecg_id"]])
        found = convolution_features(torch.from_numpy(signals), **parameters)
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, found)
    held = np.load(file)
    x, x_val, x_test = (np.hstack([held[one.rows], one.features]) for one in splits)
    scores = []
    for label, on in zip(splits[0].labels.T, splits[1].labels.T, strict=True):
        fitted = [
            make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=300)).fit(x, label)
            for c in (1e-5, 1e-4, 1e-3)
        ]
        best = max(fitted, key=lambda one: roc_auc_score(on, one.decision_function(x_val)))
        scores.append((best.decision_function(x_val), best.decision_function(x_test)))
    return [np.column_stack(part) for part in zip(*scores, strict=True)]


def network(
    splits: list[WaveformDataset], *, kind: str, folder: Path, parameters: dict[str, Any]
) -> list[Floats]:
    """Logits on val and test of a network that val chose the epoch of."""
    train, val, test = splits
    model = make_model(kind, **parameters, folder=folder).fit(train, val)
    return [logit(model.predict_proba(one)) for one in (val, test)]


def out_of_fold(name: str, table: pl.DataFrame, store: WaveformStore, out: Path) -> OutOfFold:
    """Run the rounds of a model that are not there yet, and pool them, calibrated on val."""
    kind, parameters = MODELS[name]
    on_features = {
        "boosting": boosting,
        "extra_trees": extra_trees,
        "random_convolutions": random_convolutions,
    }
    run: Callable[[list[WaveformDataset]], list[Floats]] = (
        partial(on_features[kind], folder=out, parameters=parameters)
        if kind in on_features
        else partial(network, kind=kind, folder=out / "training", parameters=parameters)
    )
    raw, calibrated, on_vals, seconds = [], [], [], []
    for number, one in enumerate(QUARTERS, 1):
        file = out / f"{name}-{json_sha256([kind, parameters])[:8]}-{number}.npz"
        splits = datasets(table, store, one)
        if not file.is_file():
            wall, cpu = time.perf_counter(), time.process_time()
            on_val, on_test = run(splits)
            spent = [time.perf_counter() - wall, time.process_time() - cpu]
            with atomic_path(file) as temporary, temporary.open("wb") as stream:
                np.savez(stream, val=on_val, test=on_test, seconds=spent)
            print(f"{name}, round {number}: {spent[1] / 60:.1f} CPU minutes", flush=True)
        held = np.load(file)
        lines = fit_lines(held["val"], splits[1].labels)
        raw.append((splits[2].ecg_ids, held["test"]))
        calibrated.append((splits[2].ecg_ids, apply_lines(held["test"], lines)))
        on_vals.append(apply_lines(held["val"], lines))
        seconds.append(held["seconds"])
    wall, cpu = np.max(seconds, axis=0) / 60
    return OutOfFold(pooled(raw), pooled(calibrated), on_vals, wall, cpu)


def mean_on_val(members: list[OutOfFold], table: pl.DataFrame, store: WaveformStore) -> float:
    """Macro AUROC of a mean of models on val, mean of the rounds: what a choice may look at."""
    found = []
    for number, one in enumerate(QUARTERS):
        labels = datasets(table, store, one)[1].labels
        scores = np.mean([member.on_val[number] for member in members], axis=0)
        found.append(roc_auc_score(labels, scores, average="macro"))
    return float(np.mean(found))


def main(data: Path, out: Path, names: list[str]) -> None:
    """Run what is not yet there and print the table; minutes are those of the longest round."""
    out.mkdir(parents=True, exist_ok=True)
    store, table = build_store(data, out / "store"), read_cohort(data)
    labels, patients = labels_of(table), patients_of(table)
    found = {name: out_of_fold(name, table, store, out) for name in names}
    members = {name: (name,) for name in names} | {
        name: of for name, of in MEANS.items() if set(of) <= set(names)
    }
    logits = {
        name: np.mean([found[one].logits for one in of], axis=0) for name, of in members.items()
    }
    areas = {name: area(labels, values, patients) for name, values in logits.items()}
    print(f"{len(table):,} ECGs, {patients.max() + 1:,} patients, folds 1 to 8, out of fold\n")
    print("| model | on val | calibrated on val, pooled | as given | to boosting ", end="")
    print("| CPU (wall) minutes |" + "".join(f" {c} |" for c in CLASSES))
    print("|---" * (6 + len(CLASSES)) + "|")
    for name, one in areas.items():
        on_val = mean_on_val([found[other] for other in members[name]], table, store)
        cells = [name, f"{on_val:.3f}", f"{one.value:.3f} ± {one.reach:.3f}", "", "", ""]
        if name != "boosting" and "boosting" in areas:
            difference = one.minus(areas["boosting"])
            cells[4] = f"{difference.value:+.3f} ± {difference.reach:.3f}"
        if name in found:
            cells[3] = f"{area(labels, found[name].raw, patients).value:.3f}"
            cells[5] = f"{found[name].cpu:.1f} ({found[name].wall:.1f})"
        of_class = [
            area(labels[:, [k]], logits[name][:, [k]], patients) for k in range(len(CLASSES))
        ]
        print("| " + " | ".join(cells + [f"{a.value:.3f}" for a in of_class]) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(MODELS))
