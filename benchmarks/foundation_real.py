"""Real ECGs: each foundation model's random control and full training on PTB-XL at 100 Hz.

    python -m benchmarks.foundation_real PATH/ptbxl_filtered_100hz OUT [MODEL ...]

Small networks from random weights, since the published ones are not given here: what a frozen
random backbone reaches under a trained head is what any pre-training has to beat, and the full
training says what the architecture learns by itself. One round of `benchmarks.real_ecgs`, thinned
to `N_RECORDS`: two folds score, one chooses, the rest train. A finished model is kept in OUT and
not trained again.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from acsbench.dataset import WaveformDataset
from acsbench.models.base import load_model, make_model
from acsbench.models.trainee import mean_auroc
from benchmarks.ptbxl_folds import QUARTERS, build_store, datasets, read_cohort

COMMON: dict[str, Any] = {
    "recipe": "recorded_12",
    "threads": 1,
    "seed": 0,
    "batch_size": 16,
    "patience": 20,
    "head_learning_rate": 3e-3,
}
MODELS: dict[str, dict[str, Any]] = {
    "hubert_ecg": {
        "sizes": {
            "hidden_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 96,
            "conv_dim": (24,) * 5,
            "num_conv_pos_embeddings": 16,
        },
        "learning_rate": 3e-3,
        "frozen_stages": (),
        "n_windows": 1,
    },
    "ecgfounder": {
        "sizes": {
            "stem": 16,
            "widths": (16, 32, 32, 64, 64),
            "depths": (1, 1, 1, 1, 1),
            "group_width": 16,
        },
        "learning_rate": 3e-3,
    },
    "ecg_cpc": {
        "sizes": {"width": 48, "n_layers": 2, "n_states": 8},
        "learning_rate": 5e-3,
        "n_windows": 2,
    },
}
N_RECORDS = {"train": 300, "val": 120, "test": 357}
EPOCHS = {"frozen": 20, "full": 4}


def first(data: WaveformDataset) -> WaveformDataset:
    """The first records of a split, in the order of their ids."""
    n = N_RECORDS[str(data.split)]
    return replace(
        data,
        ecg_ids=data.ecg_ids[:n],
        rows=data.rows[:n],
        feature_frame=data.feature_frame[:n],
        _labels=data.labels[:n],
    )


def run(name: str, mode: str, data: list[Any], out: Path) -> str:
    """Train where that is still to be done, and tell a row of the table."""
    train, val, test = data
    folder = out / f"{name}-{mode}"
    spent = folder / "seconds.txt"
    if not spent.is_file():
        start = time.process_time()
        model = make_model(
            name,
            **COMMON,
            **MODELS[name],
            mode=mode,
            epochs=EPOCHS[mode],
            folder=folder / "training",
        )
        model.fit(train, val).save(folder)
        spent.write_text(f"{time.process_time() - start:.1f}")
    model = load_model(folder)
    network: Any = model.network
    n = sum(p.numel() for p in network.parameters())
    area = mean_auroc(test.labels, model.predict_proba(test))
    what = "frozen random backbone, head" if mode == "frozen" else "full, from random weights"
    return f"| {name} | {what} | {n:,} | {area:.3f} | {float(spent.read_text()) / 60:.1f} |"


def main(data: Path, out: Path, names: list[str]) -> None:
    """Run what is not yet there and print the table."""
    logging.getLogger("acsbench").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    rows = [
        first(one)
        for one in datasets(read_cohort(data), build_store(data, out / "store"), QUARTERS[0])
    ]
    print(f"{len(rows[0])} train, {len(rows[1])} val, {len(rows[2])} test ECGs", flush=True)
    print("| model | training | parameters | macro AUROC | CPU minutes |\n|---|---|---|---|---|")
    for name in names:
        for mode in EPOCHS:
            print(run(name, mode, rows, out), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(MODELS))
