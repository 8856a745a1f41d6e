"""What pre-training without labels is worth on real ECGs, and on a generated hospital.

    python -m benchmarks.label_efficiency ptbxl PATH/ptbxl_filtered_100hz OUT
    python -m benchmarks.label_efficiency hospital OUT [EFFECT_MV ...]
    python -m benchmarks.label_efficiency ensemble PATH/ptbxl_filtered_100hz OUT

``ptbxl``: folds 1 to 8 out of fold in four rounds. For each round and seed, an encoder is
pre-trained on the five training folds without their labels, by contrast (cpc) and, as a control, by
masked reconstruction; then MI is learnt from 5 %, 20 % and 100 % of the labels. ``hospital``: an
encoder learns from all training patients, of whom few were tested, and ACS is learnt from the
tested, at three effect sizes; with none there is nothing to find. ``ensemble``: after ``ptbxl``,
the best pre-trained method and a supervised `s4` of the best recipe (`benchmarks.ablation`),
calibrated on val, together and alone. Everything finished is kept in OUT.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from scipy.special import logit

from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.dataset import load_dataset
from acsbench.evaluation.replicates import Area, area, estimate_over_fits, mean_area
from acsbench.experiment.config import SourceStep
from acsbench.experiment.label_config import LabelEfficiencyConfig, plan_fits
from acsbench.experiment.label_efficiency import run_label_efficiency
from acsbench.experiment.label_fits import LabelFitOnce, Method, patients_of, read_fit
from acsbench.experiment.pretraining import pretrain_step
from acsbench.experiment.steps import open_step, quality_step, store_step
from acsbench.models.base import make_model
from acsbench.models.calibrate import apply_lines, fit_lines
from acsbench.parallel import Workers
from acsbench.provenance import atomic_path
from acsbench.store import WaveformStore
from acsbench.tables import Cohort
from acsbench.tasks import TASKS
from benchmarks.ablation import REVISED
from benchmarks.ptbxl_folds import QUARTERS, build_store, cohort_of, read_cohort

SEEDS = (0, 1, 2)
DRAWS = {"ptbxl_mi": 10, "acs": 5}
"""Of labelled patients at each low level, by task."""
SIZES = {
    "width": 64,
    "kernels": (3, 3, 1, 1),
    "strides": (2, 2, 1, 1),
    "n_layers": 2,
    "n_states": 8,
}
COMMON: dict[str, Any] = {"sizes": SIZES, "threads": 1}
PRETRAIN: dict[str, dict[str, Any]] = {
    "cpc": {"learning_rate": 3e-3, "n_negatives": 64, "epochs": 10},
    "masked": {"learning_rate": 3e-3, "epochs": 6},
}
FINE_TUNE: dict[str, Any] = {
    **COMMON,
    "batch_size": 16,
    "learning_rate": 3e-3,
    "head_learning_rate": 3e-3,
    "n_windows": 2,
    "at_once": 32,
}
EPOCHS = (32, 16, 10)
"""Of a full training, by share of labels; a training window is a quarter of a record."""
EFFECTS_MV = (0.0, 0.18, 0.36)
N_PATIENTS = 1200
RECIPE, RECIPE_PARAMETERS = "twelve_lead_10s", {"target_rate": 100, "high_hz": 40}


def methods(out: Path, recipe: str, names: Sequence[str]) -> tuple[Method, ...]:
    """Each pre-training frozen, contrast fine-tuned too, and the controls."""
    parameters = {**FINE_TUNE, "recipe": recipe}
    start = {name: str(out / "pretrained" / name / "{round}-{seed}") for name in names}
    frozen = (
        Method(name=f"{name}-frozen", mode="frozen", init_from=place, parameters=parameters)
        for name, place in start.items()
    )
    return (
        Method(name="scratch", parameters=parameters),
        Method(name="cpc-fine-tuned", init_from=start["cpc"], parameters=parameters),
        *frozen,
        Method(name="random-frozen", mode="frozen", parameters=parameters),
    )


def pretrain_all(
    out: Path, rounds: Mapping[str, Cohort], store: WaveformStore, names: Sequence[str]
) -> None:
    """Pre-train what is not there yet, and tell what it cost."""
    for name in names:
        for round_name, cohort in rounds.items():
            for seed in SEEDS:
                folder = out / "pretrained" / name / f"{round_name}-{seed}"
                spent = folder / "seconds.txt"
                start = time.process_time()
                parameters = {**COMMON, **PRETRAIN[name], "seed": seed}
                pretrain_step(name, parameters, store, folder, cohort=cohort)
                if not spent.is_file():
                    spent.write_text(f"{time.process_time() - start:.1f}")
                    print(f"{folder.name}, {name}: {spent.read_text()} CPU s", flush=True)


def config_of(
    out: Path, store: WaveformStore, task: str, names: Sequence[str]
) -> LabelEfficiencyConfig:
    """What is crossed."""
    return LabelEfficiencyConfig(
        task=task,
        methods=methods(out, store.recipe, names),
        epochs=EPOCHS,
        draws=DRAWS[task],
        seeds=SEEDS,
    )


def study(
    out: Path,
    rounds: Mapping[str, Cohort],
    store: WaveformStore,
    task: str,
    names: Sequence[str] = tuple(PRETRAIN),
) -> None:
    """Pre-train, fit and print one study."""
    pretrain_all(out, rounds, store, names)
    config = config_of(out, store, task, names)
    start = time.process_time()
    done = run_label_efficiency(config, rounds, store, out)
    with (out / "cpu_seconds.txt").open("a") as stream:
        stream.write(f"{time.process_time() - start:.0f}\n")
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=3):
        print(done.table)
        if len(done.failures):
            print(done.failures)


def ptbxl_rounds(data: Path) -> dict[str, Cohort]:
    """Four cohorts: two folds score, one chooses, five train."""
    return {str(n): cohort_of(read_cohort(data), one) for n, one in enumerate(QUARTERS)}


def ptbxl(data: Path, out: Path) -> None:
    """MI on PTB-XL."""
    store = build_store(data, out / "store")
    study(out / "ptbxl", ptbxl_rounds(data), store, "ptbxl_mi")


def hospital(out: Path, effect_mv: float) -> None:
    """ACS in a generated hospital."""
    place = out / f"hospital-{effect_mv:g}"
    step = SourceStep.model_validate(
        {
            "name": "synthetic",
            "path": place / "hospital",
            "n_patients": N_PATIENTS,
            "rates": "returning",
            "effect_mv": effect_mv,
        }
    )
    opened = open_step(step)
    quality = quality_step(opened, place / "quality", workers=Workers(n_jobs=1))
    fractions = {"train": 0.6, "val": 0.1, "test": 0.3}
    config = CohortConfig.model_validate({"scheme": "patient", "fractions": fractions})
    cohort = build_cohort(opened.tables, quality=quality, seed=0, config=config)
    store = store_step(
        opened,
        cohort,
        place / "store",
        recipe=RECIPE,
        parameters=RECIPE_PARAMETERS,
        workers=Workers(n_jobs=1),
    )
    print(f"\nEffect {effect_mv:g} mV", flush=True)
    study(place, {"0": cohort}, store, "acs", ["cpc"])


def supervised(data: Path, out: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Logits on val and test of the best supervised recipe, by round and seed."""
    store, found = build_store(data, out / "store"), {}
    for name, cohort in ptbxl_rounds(data).items():
        for seed in SEEDS:
            file = out / "ptbxl" / "supervised" / f"{name}-{seed}.npz"
            if not file.is_file():
                start = time.process_time()
                train, val, test = (
                    load_dataset(cohort, store, TASKS["ptbxl_mi"], s)
                    for s in ("train", "val", "test")
                )
                model = make_model("s4", **REVISED, seed=seed).fit(train, val)
                scores = {
                    key: logit(np.clip(model.predict_proba(one)[:, 1], 1e-12, 1 - 1e-12))
                    for key, one in (("val", val), ("test", test))
                }
                with atomic_path(file) as temporary, temporary.open("wb") as stream:
                    np.savez(stream, **scores)
                print(
                    f"supervised {file.stem}: {time.process_time() - start:.0f} CPU s", flush=True
                )
            with np.load(file) as held:
                found[name, seed] = dict(held)
    return found


def ensemble(data: Path, out: Path) -> None:
    """Best pre-trained method and best supervised one with all labels: alone and together."""
    study_folder, store = out / "ptbxl", WaveformStore.open(out / "store")
    rounds = ptbxl_rounds(data)
    config = config_of(study_folder, store, "ptbxl_mi", tuple(PRETRAIN))
    once = LabelFitOnce(rounds=rounds, store=store.folder, task="ptbxl_mi", folder=study_folder)
    table = pl.read_csv(study_folder / "table.csv").filter(pl.col("share") == 1)
    best = table.filter(pl.col("method").str.starts_with("cpc")).sort("auroc")["method"][-1]
    pretrained = {
        (fit.round_name, fit.seed): read_fit(once(fit)[0])
        for fit in plan_fits(config, list(rounds))
        if fit.method.name == best and fit.share == 1
    }
    everybody = read_cohort(data)["patient_id"].unique().sort().to_numpy().astype(str)
    areas: dict[str, list[Area]] = {best: [], "supervised": [], "together": []}
    members = {best: pretrained, "supervised": supervised(data, out)}
    for seed in SEEDS:
        of_rounds: dict[str, list[Area]] = {name: [] for name in areas}
        for name, cohort in rounds.items():
            val, test = (load_dataset(cohort, store, TASKS["ptbxl_mi"], s) for s in ("val", "test"))
            who = np.searchsorted(everybody, patients_of(test, cohort))
            calibrated = {
                key: apply_lines(
                    held[name, seed]["test"][:, None],
                    fit_lines(held[name, seed]["val"][:, None], val.labels),
                )
                for key, held in members.items()
            }
            calibrated["together"] = np.mean(list(calibrated.values()), axis=0)
            for key, scores in calibrated.items():
                labels = test.labels[:, None].astype(np.float64)
                of_rounds[key].append(area(labels, scores, who, n_patients=len(everybody)))
        for key, parts in of_rounds.items():
            areas[key].append(mean_area(parts))
    print("| model | AUROC | together - alone | p |\n|---|---|---|---|")
    for key, found in areas.items():
        alone = estimate_over_fits(found, SEEDS)
        pairs = [a.minus(b) for a, b in zip(areas["together"], found, strict=True)]
        more = estimate_over_fits(pairs, SEEDS)
        shown = f"{more.value:+.3f} ({more.low:+.3f} to {more.high:+.3f}) | {more.p_value:.3f}"
        print(
            f"| {key} | {alone.value:.3f} ({alone.low:.3f}-{alone.high:.3f}) | "
            f"{'|' if key == 'together' else shown} |"
        )


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    what, *rest = arguments
    if what == "ptbxl":
        ptbxl(Path(rest[0]), Path(rest[1]))
    elif what == "ensemble":
        ensemble(Path(rest[0]), Path(rest[1]))
    else:
        for effect_mv in [float(one) for one in rest[1:]] or EFFECTS_MV:
            hospital(Path(rest[0]), effect_mv)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("ptbxl", "hospital", "ensemble"):
        sys.exit(__doc__)
    main(sys.argv[1:])
