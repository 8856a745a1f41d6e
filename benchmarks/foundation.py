"""Foundation models: what frozen features, 8-bit integers and bfloat16 save, and what they cost."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.metrics import roc_auc_score

from acsbench.dataset import WaveformDataset, load_dataset
from acsbench.models.base import load_model, make_model
from acsbench.recording import Waveform
from acsbench.signal.leads import STANDARD_12
from acsbench.store import WaveformStore, finish_store, write_shard
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

N_TRAIN, N_VAL, N_TEST = 96, 32, 128
EPOCHS = 30
SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "conv_dim": (32,) * 5,
}
COMMON: dict[str, Any] = {
    "sizes": SIZES,
    "batch_size": 16,
    "threads": 1,
    "learning_rate": 1e-3,
    "patience": 100,
}


def heart(label: bool, seed: int) -> Waveform:
    """Ten seconds whose ST segment is raised in half of the positives' leads, under noise."""
    rng = np.random.default_rng(seed)
    phase = (np.arange(1000) / 100 * rng.uniform(0.9, 1.5) + rng.random()) % 1
    r = np.exp(-(((phase - 0.4) / 0.02) ** 2))
    t = 0.3 * np.exp(-(((phase - 0.7) / 0.06) ** 2))
    st = np.where((phase > 0.45) & (phase < 0.65), 1.0, 0.0)
    raised = rng.normal(0.0, 0.06, 12) + (0.06 if label else 0.0) * (np.arange(12) % 2)
    signal = rng.uniform(0.5, 1.5, (12, 1)) * (r + t) + raised[:, None] * st
    signal += rng.normal(0, 0.03, signal.shape)
    return Waveform(
        signal=signal.astype(np.float32),
        mask=np.ones(signal.shape, np.uint8),
        lead_names=STANDARD_12,
        sampling_rate=100,
        units="mV",
    )


def splits(folder: Path) -> list[WaveformDataset]:
    """Train, val and test of a made-up hospital."""
    n = N_TRAIN + N_VAL + N_TEST
    ids, labels = [f"e{i:04d}" for i in range(n)], [bool(i % 2) for i in range(n)]
    made = [(ids[i], heart(labels[i], i)) for i in range(n)]
    write_shard(folder, 0, made, shape=(12, 1000), job="benchmark")
    recipe = {"name": "hubert_100hz", "version": 1, "parameters": {}}
    store: WaveformStore = finish_store(
        folder, n_shards=1, recipe=recipe, inputs={}, example=made[0][1]
    )
    frame = pl.DataFrame(
        {
            "ecg_id": ids,
            "patient_id": ids,
            "split": ["train"] * N_TRAIN + ["val"] * N_VAL + ["test"] * N_TEST,
            "stent_or_cabg_010_day": labels,
        }
    ).with_columns(pl.lit(value=True).alias(c) for c in ("is_included", "is_tested"))
    cohort = Cohort(frame=frame, flow=pl.DataFrame(), source="benchmark", scheme="patient")
    return [load_dataset(cohort, store, TASKS["acs"], name) for name in ("train", "val", "test")]


def fit_seconds(data: list[WaveformDataset], epochs: int, **parameters: Any) -> float:
    """Processor time of a training."""
    model = make_model("hubert_ecg", **COMMON, **parameters, epochs=epochs)
    start = time.process_time()
    model.fit(*data[:2])
    return time.process_time() - start


def seconds_per_epoch(data: list[WaveformDataset], *, more: int, **parameters: Any) -> float:
    """Processor time of each epoch after the first."""
    first = fit_seconds(data, 1, **parameters)
    return (fit_seconds(data, 1 + more, **parameters) - first) / more


def report_training(data: list[WaveformDataset], folder: Path) -> None:
    cache = folder / "features"
    start = fit_seconds(data, 1, mode="frozen", cache=cache)
    frozen = seconds_per_epoch(data, more=20, mode="frozen", cache=cache)
    full = seconds_per_epoch(data, more=2, mode="full")
    whole = seconds_per_epoch(data, more=2, mode="full", frozen_stages=())
    print(
        f"  an epoch after the first, {N_TRAIN} ECGs: frozen features {frozen:.3f} s, "
        f"full {full:.2f} s ({full / frozen:.0f} times), with the convolutions {whole:.2f} s "
        f"({whole / frozen:.0f} times); computing the features once took {start:.1f} s"
    )


def score(model: Any, data: WaveformDataset) -> tuple[float, np.ndarray]:
    """Best processor time of two runs, and the scores."""
    times = []
    for _ in range(2):
        start = time.process_time()
        scores = model.predict_proba(data)[:, 1]
        times.append(time.process_time() - start)
    return min(times), scores


def report_inference(data: list[WaveformDataset], folder: Path) -> None:
    train, val, test = data
    torch.manual_seed(0)
    model: Any = make_model("hubert_ecg", **COMMON, epochs=EPOCHS, frozen_stages=()).fit(train, val)
    seconds, scores = score(model, test)
    auroc = roc_auc_score(test.labels, scores)
    print(f"  scoring {len(test)} ECGs, three windows each: {seconds:.1f} s, AUROC {auroc:.3f}")
    for int8 in (False, True):
        name = "ONNX int8" if int8 else "ONNX float32"
        file = folder / f"{name}.onnx"
        model.save_onnx(file, int8=int8)
        taken, other = score(load_model(file), test)
        size = file.stat().st_size / 1e6
        print(
            f"  {name}: {seconds / taken:.2f} times as fast, {size:.1f} MB, AUROC "
            f"{roc_auc_score(test.labels, other) - auroc:+.4f}, largest change of a score "
            f"{np.abs(other - scores).max():.3f}"
        )
    model.config = model.config.model_copy(update={"predict_in": "bf16"})
    taken, other = score(model, test)
    change = roc_auc_score(test.labels, other) - auroc
    said = f"{seconds / taken:.2f} times as fast"
    if not torch.cpu._is_avx512_bf16_supported():
        said = "speed not judged, this processor does not compute in it"
    print(
        f"  bfloat16: {said}; AUROC {change:+.4f}, largest change of a score "
        f"{np.abs(other - scores).max():.3f}"
    )


def main() -> None:
    """Print the ratios; about a minute."""
    logging.getLogger("acsbench").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = splits(folder / "store")
        print("HuBERT-ECG of width 64, three blocks, on made-up ECGs, one thread")
        report_training(data, folder)
        report_inference(data, folder)


if __name__ == "__main__":
    main()
