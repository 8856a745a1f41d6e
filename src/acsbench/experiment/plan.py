"""What a command would do and cost, measured on a few records; nothing is written."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from acsbench.cohort.build import build_cohort
from acsbench.errors import StepError
from acsbench.experiment.config import ExperimentConfig, ModelStep
from acsbench.experiment.steps import OpenedSource, datasets, make_step_model, open_step
from acsbench.parallel import default_jobs
from acsbench.recording import Recording
from acsbench.registry import canonical
from acsbench.store import WaveformStore
from acsbench.tables import Cohort
from acsbench.waveforms.recipes import get_recipe

__all__ = ["plan_experiment", "plan_store", "plan_training"]

_TRIAL = 16
"""Records that are processed to estimate the time of the rest."""


def plan_experiment(config: ExperimentConfig) -> dict[str, Any]:
    """Rows, patients per split, parameters, disk and time of a run, without running it.

    A generated hospital is planned from its tables alone, in a temporary folder.
    """
    if canonical(config.source.name) != "synthetic":
        opened = open_step(config.source, seed=config.seed, limit=config.limit)
        return _plan(config, opened, measured=True)
    with tempfile.TemporaryDirectory() as folder:
        options = {**config.source.options, "path": str(Path(folder) / "h"), "waveforms": False}
        step = config.source.model_validate({"name": "synthetic", **options})
        opened = open_step(step, seed=config.seed, limit=config.limit)
        return _plan(config, opened, measured=False)


def _plan(config: ExperimentConfig, opened: OpenedSource, *, measured: bool) -> dict[str, Any]:
    cohort = build_cohort(opened.tables, seed=config.seed, config=config.cohort)
    plan = describe_cohort(cohort)
    models = {s.name: make_step_model(s, seed=config.seed, folder=None) for s in config.models}
    for recipe in dict.fromkeys(m.recipe for m in models.values() if m.recipe is not None):
        if measured:
            parameters = config.process.recipes.get(recipe, {})
            stored = plan_store(opened, cohort, recipe=recipe, parameters=parameters)
            plan |= {f"{recipe}: {key}": value for key, value in stored.items()}
        else:
            plan[f"{recipe}: time"] = "known once the hospital is generated"
    for step in config.models:
        counts = {split: len(datasets(step, cohort, None, split)) for split in ("train", "val")}
        plan[f"{step.name}: records"] = f"train {counts['train']:,}, val {counts['val']:,}"
    return plan


def describe_cohort(cohort: Cohort) -> dict[str, Any]:
    """Rows, and included patients and records per split."""
    included = cohort.frame.filter("is_included")
    plan: dict[str, Any] = {"ECGs": len(cohort), "included ECGs": len(included)}
    for split, rows in sorted(included.group_by("split"), key=lambda pair: str(pair[0][0])):
        patients = rows["patient_id"].n_unique()
        plan[f"split {split[0]}"] = f"{patients:,} patients, {len(rows):,} ECGs"
    return plan


def plan_store(
    opened: OpenedSource, cohort: Cohort, *, recipe: str, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Disk and time of a store, from processing a few records.

    Raises
    ------
    StepError
        When none of them can be processed.
    """
    ids = cohort.frame.filter("is_included")["ecg_id"].to_list()
    make = get_recipe(recipe, **parameters)
    start = time.perf_counter()
    found = opened.source.recordings(ids[:_TRIAL])
    made = [make(recording) for recording in found if isinstance(recording, Recording)]
    if not made:
        raise StepError(f"None of the first {min(_TRIAL, len(ids))} ECGs can be processed.")
    per_record_s = (time.perf_counter() - start) / len(made)
    n_bytes = sum(3 * one.signal.size for one in made) / len(made)
    return {
        "records": len(ids),
        "disk": f"at most {n_bytes * len(ids) / 1e6:,.0f} MB",
        "time": f"about {per_record_s * len(ids) / default_jobs():,.0f} s",
    }


def plan_training(
    step: ModelStep, cohort: Cohort, store: WaveformStore | None, *, seed: int
) -> dict[str, Any]:
    """Records and recipe of a training."""
    model = make_step_model(step, seed=seed, folder=None)
    counts = {split: len(datasets(step, cohort, store, split)) for split in ("train", "val")}
    return {"model": step.model, "recipe": model.recipe, **counts}
