"""What each part of `acsbench_s4` brings on real ECGs, against the original's recipe.

    python -m benchmarks.ablation PATH/ptbxl_filtered_100hz OUT N_ROUNDS [VARIANT ...]

Every variant is fitted with three seeds in one or two rounds over folds 1 to 8 (four folds score,
one chooses, three train), on as many samples as any other: an epoch on crops of 2.5 s counts a
quarter.
One part is changed at a time, from our recipe and from the original's. A finished fit is kept in
OUT under a fingerprint of its settings, so the script may be stopped and started at any time.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from acsbench.models.base import make_model
from acsbench.models.calibrate import apply_lines, fit_lines
from acsbench.provenance import atomic_path, json_sha256
from acsbench.store import WaveformStore
from benchmarks.areas import Area, area, difference, mean_area, spread
from benchmarks.ptbxl_folds import (
    HALVES,
    Floats,
    build_store,
    datasets,
    labels_of,
    logit,
    patients_of,
    pooled,
    read_cohort,
)

SEEDS = (0, 1, 2)
EPOCHS = 4
"""Of whole records; four times as many of crops."""
MI = 1

SIZE: dict[str, Any] = {"width": 32, "threads": 1, "batch_size": 32, "patience": 99}
AUGMENT = {"amplitude": 0.1, "lead_mask": 0.1, "time_mask": 0.2}
OURS = {
    **SIZE,
    "recipe": "recorded_12",
    "use_mask": True,
    "n_states": 8,
    "learning_rate": 1.2e-2,
    "epochs": 4 * EPOCHS,
    "augment": {**AUGMENT, "crop_s": 2.5},
}
UNCROPPED = {**OURS, "epochs": EPOCHS, "augment": AUGMENT}
ORIGINAL = {
    **SIZE,
    "recipe": "three_by_four",
    "n_states": 64,
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "schedule": "plateau",
    "epochs": EPOCHS,
}
REVISED = {
    **OURS,
    "use_mask": False,
    "norm": "batch",
    "elementwise": True,
    "augment": {"crop_s": 2.5},
}
"""What the first round speaks for; the second one, which chose nothing, judges it."""
CYCLE = {"learning_rate": 1.2e-2, "weight_decay": 1e-2, "schedule": "cosine"}


class Variant(NamedTuple):
    """A recipe, and the one that differs from it in one part."""

    parameters: dict[str, Any]
    against: str


VARIANTS = {
    "ours": Variant(OURS, "original"),
    "original": Variant(ORIGINAL, ""),
    "original, our learning rate and schedule": Variant({**ORIGINAL, **CYCLE}, "original"),
    "whole records, no crops": Variant(UNCROPPED, "ours"),
    "joined page, no crops": Variant(
        {**UNCROPPED, "recipe": "three_by_four"}, "whole records, no crops"
    ),
    "no change but crops": Variant({**OURS, "augment": {"crop_s": 2.5}}, "ours"),
    "no mask": Variant({**OURS, "use_mask": False}, "ours"),
    "constant learning rate": Variant(
        {**OURS, "schedule": "constant", "learning_rate": 3e-3}, "ours"
    ),
    "label smoothing 0.05": Variant({**OURS, "label_smoothing": 0.05}, "ours"),
    "64 states": Variant({**OURS, "n_states": 64}, "ours"),
    "dropout of single values": Variant({**OURS, "elementwise": True}, "ours"),
    "batch norm": Variant({**OURS, "norm": "batch"}, "ours"),
    "class weights": Variant({**OURS, "class_weights": True}, "ours"),
    "no weight decay": Variant({**OURS, "weight_decay": 0.0}, "ours"),
    "revised": Variant(REVISED, "ours"),
}


class Fitted(NamedTuple):
    """Out-of-fold logits as the network gives them and calibrated on val, and CPU seconds."""

    raw: Floats
    calibrated: Floats
    seconds: float


def fit(
    name: str,
    seed: int,
    table: pl.DataFrame,
    stores: dict[str, WaveformStore],
    out: Path,
    *,
    n_rounds: int,
) -> Fitted:
    """Rounds of a variant with one seed."""
    parameters = {**VARIANTS[name].parameters, "seed": seed}
    raw, calibrated, seconds = [], [], []
    for number, one in enumerate(HALVES[:n_rounds]):
        file = out / f"{json_sha256(parameters)[:12]}-{number}.npz"
        train, val, test = datasets(table, stores[parameters["recipe"]], one)
        if not file.is_file():
            start = time.process_time()
            model = make_model("s4", **parameters).fit(train, val)
            found = {
                "val": logit(model.predict_proba(val)),
                "test": logit(model.predict_proba(test)),
            }
            spent = time.process_time() - start
            with atomic_path(file) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **found, seconds=spent)
            print(f"{name}, seed {seed}, round {number + 1}: {spent:.0f} CPU s", flush=True)
        held = np.load(file)
        raw.append((test.ecg_ids, held["test"]))
        calibrated.append(
            (test.ecg_ids, apply_lines(held["test"], fit_lines(held["val"], val.labels)))
        )
        seconds.append(float(held["seconds"]))
    return Fitted(pooled(raw), pooled(calibrated), float(np.mean(seconds)))


class Judged(NamedTuple):
    """Macro AUROC and that of MI, by seed."""

    macro: list[Area]
    mi: list[Area]


def judge(fits: list[Fitted], labels: Floats, patients: NDArray[np.intp]) -> Judged:
    """AUROC of the logits pooled over rounds, calibrated so that rounds share a scale."""
    return Judged(
        [area(labels, one.calibrated, patients) for one in fits],
        [area(labels[:, [MI]], one.calibrated[:, [MI]], patients) for one in fits],
    )


def shown(ours: list[Area], theirs: list[Area]) -> str:
    """Paired difference with half of its interval."""
    return "{:+.3f} ± {:.3f}".format(*difference(ours, theirs))


def main(data: Path, out: Path, names: list[str], *, n_rounds: int = len(HALVES)) -> None:
    """Fit what is not there yet and print the tables."""
    out.mkdir(parents=True, exist_ok=True)
    table = read_cohort(data)
    stores = {r: build_store(data, out / r, recipe=r) for r in ("recorded_12", "three_by_four")}
    fits = {
        n: [fit(n, seed, table, stores, out, n_rounds=n_rounds) for seed in SEEDS] for n in names
    }
    scored = table.filter(
        pl.col("strat_fold").is_in([f for one in HALVES[:n_rounds] for f in one.test])
    )
    labels, patients = labels_of(scored), patients_of(scored)
    judged = {name: judge(found, labels, patients) for name, found in fits.items()}
    print(f"\n{len(scored):,} ECGs out of fold, {n_rounds} of 2 rounds, {len(SEEDS)} seeds\n")
    print("| variant | macro AUROC (sd of seeds) | MI | against | macro | MI | CPU s a fit |")
    print("|---" * 7 + "|")
    for name, one in judged.items():
        against = VARIANTS[name].against
        cells = [name, f"{mean_area(one.macro).value:.3f} ({spread(one.macro):.3f})"]
        cells += [f"{mean_area(one.mi).value:.3f}"]
        if against in judged:
            other = judged[against]
            cells += [against, shown(one.macro, other.macro), shown(one.mi, other.mi)]
        else:
            cells += ["", "", ""]
        seconds = np.mean([f.seconds for f in fits[name]])
        print("| " + " | ".join([*cells, f"{seconds:.0f}"]) + " |")
    if "ours" in fits:
        print_calibration(fits["ours"], labels)
        together = np.mean([one.calibrated for one in fits["ours"]], axis=0)
        mean_of_seeds = area(labels, together, patients)
        print(
            f"mean of the {len(SEEDS)} seeds' logits: {mean_of_seeds.value:.3f}, "
            f"to one seed {shown([mean_of_seeds] * len(SEEDS), judged['ours'].macro)}"
        )


def print_calibration(fits: list[Fitted], labels: Floats) -> None:
    """What slope and intercept, fitted on val, do for the probabilities."""
    for what in ("raw", "calibrated"):
        losses = [
            log_loss(label, 1 / (1 + np.exp(-column)))
            for one in fits
            for label, column in zip(labels.T, getattr(one, what).T, strict=True)
        ]
        slopes = [line[0] for one in fits for line in fit_lines(getattr(one, what), labels)]
        print(
            f"{what}: mean log loss {np.mean(losses):.4f}, calibration slope {np.mean(slopes):.2f}"
        )


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        sys.argv[4:] or list(VARIANTS),
        n_rounds=int(sys.argv[3]),
    )
