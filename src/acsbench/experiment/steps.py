"""The steps of a run, each with its folder and manifest; skipped when the manifest still holds."""

from __future__ import annotations

import inspect
import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from acsbench import registry
from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.dataset import WaveformDataset, load_dataset
from acsbench.errors import InputError
from acsbench.experiment.config import ModelStep, ProcessStep, SourceStep
from acsbench.experiment.limit import limit_tables
from acsbench.models.base import Model, load_model, make_model, model_maker
from acsbench.parallel import Workers
from acsbench.predictions import Predictions
from acsbench.provenance import (
    MANIFEST_NAME,
    atomic_path,
    atomic_text,
    file_sha256,
    holds,
    json_sha256,
    read_manifest,
    write_manifest,
)
from acsbench.sources.base import Source, open_source
from acsbench.store import WaveformStore
from acsbench.tables import Cohort, Tables, read_table
from acsbench.tasks import TASKS
from acsbench.waveforms.process import process_waveforms
from acsbench.waveforms.quality import check_quality
from acsbench.waveforms.quality_summary import quality_svg, summarise_quality

__all__ = [
    "OpenedSource",
    "cohort_step",
    "make_step_model",
    "model_fingerprint",
    "open_step",
    "predictions_path",
    "quality_step",
    "reopen_source",
    "store_step",
    "stores_step",
    "train_step",
    "write_predictions",
]


log = logging.getLogger("acsbench")


@dataclass(frozen=True, kw_only=True)
class OpenedSource:
    """A source with its tables, and how it was opened."""

    step: SourceStep
    source: Source
    tables: Tables
    limit: int | None


def open_step(step: SourceStep, *, seed: int = 0, limit: int | None = None) -> OpenedSource:
    """Open a source and read its tables; with ``limit``, of at most so many ECGs."""
    options = step.options
    if registry.accepts(registry.load("sources", step.name), "seed"):
        options.setdefault("seed", seed)
    source = open_source(step.name, **options)
    tables = source.tables()
    resolved = SourceStep.model_validate({"name": registry.canonical(step.name), **options})
    return OpenedSource(
        step=resolved,
        source=source,
        tables=tables if limit is None else limit_tables(tables, limit),
        limit=limit,
    )


def _checked(opened: OpenedSource, folder: Path, *, workers: Workers | None) -> pl.DataFrame:
    """Check the quality of every ECG and write ``quality.parquet``."""
    ids = list(opened.tables.ecgs["ecg_id"])
    parts = folder / "quality-parts"
    quality = check_quality(opened.source, ids=ids, folder=parts, workers=workers)
    with atomic_path(folder / "quality.parquet") as temporary:
        quality.write_parquet(temporary)
    shutil.rmtree(parts, ignore_errors=True)  # no ECG, no folder
    return quality


def quality_step(
    opened: OpenedSource, folder: Path, *, workers: Workers | None = None
) -> pl.DataFrame:
    """Check the quality of every ECG; table, summary and picture are kept in ``folder``."""
    wanted = {"source": opened.step.model_dump(mode="json"), "limit": opened.limit}
    inputs = {"tables": opened.tables.fingerprint}
    if holds(folder, step="quality", config=wanted, inputs=inputs):
        return read_table(folder / "quality.parquet")
    quality = _checked(opened, folder, workers=workers)
    with atomic_path(folder / "summary.csv") as temporary:
        summarise_quality(quality).write_csv(temporary)
    atomic_text(folder / "quality.svg", quality_svg(quality, title=opened.step.name))
    write_manifest(
        folder,
        step="quality",
        config=wanted,
        inputs=inputs,
        outputs=["quality.parquet", "quality.svg", "summary.csv"],
        patient_level=["quality.parquet"],
    )
    return quality


def cohort_step(
    opened: OpenedSource,
    folder: Path,
    *,
    config: CohortConfig,
    seed: int,
    workers: Workers | None = None,
) -> Cohort:
    """Check the quality of every ECG, unless told not to, build the cohort, and keep both."""
    wanted = {
        "source": opened.step.model_dump(mode="json"),
        "limit": opened.limit,
        "cohort": config.model_dump(mode="json"),
        "seed": seed,
    }
    inputs = {"tables": opened.tables.fingerprint}
    if holds(folder, step="cohort", config=wanted, inputs=inputs):
        return Cohort.load(folder)
    quality = _checked(opened, folder, workers=workers) if config.check_quality else None
    cohort = build_cohort(opened.tables, quality=quality, seed=seed, config=config)
    checked = [] if quality is None else ["quality.parquet"]
    write_manifest(
        folder,
        step="cohort",
        config=wanted,
        inputs=inputs,
        outputs=[*cohort.save(folder), *checked],
        patient_level=["cohort.parquet", *checked],
        info={"split_fingerprint": cohort.split_fingerprint, **cohort.info},
    )
    return cohort


def reopen_source(cohort_folder: Path) -> OpenedSource:
    """Open the source that a saved cohort was built from."""
    manifest = read_manifest(cohort_folder)
    if manifest.step != "cohort":
        raise InputError(f"{cohort_folder} is the output of step '{manifest.step}', not a cohort.")
    step = SourceStep.model_validate(manifest.config["source"])
    return open_step(step, seed=manifest.config["seed"], limit=manifest.config["limit"])


def store_step(
    opened: OpenedSource,
    cohort: Cohort,
    folder: Path,
    *,
    recipe: str,
    parameters: dict[str, Any] | None = None,
    max_failed_share: float = 0.05,
    workers: Workers | None = None,
) -> WaveformStore:
    """Process the cohort's waveforms; finished shards are not made again."""
    return process_waveforms(
        opened.source,
        cohort,
        recipe=recipe,
        parameters=parameters or {},
        folder=folder,
        max_failed_share=max_failed_share,
        workers=workers,
    )


def stores_step(
    recipes: Iterable[str | None],
    opened: OpenedSource,
    cohort: Cohort,
    folder: Path,
    *,
    process: ProcessStep,
    workers: Workers | None = None,
) -> dict[str | None, WaveformStore]:
    """Make a store for each recipe, in ``folder/<recipe>``; models of features only have none."""
    stores: dict[str | None, WaveformStore] = {}
    for recipe in dict.fromkeys(one for one in recipes if one is not None):
        log.info("processing waveforms: recipe %s", recipe)
        stores[recipe] = store_step(
            opened,
            cohort,
            folder / recipe,
            recipe=recipe,
            parameters=process.recipes.get(recipe),
            max_failed_share=process.max_failed_share,
            workers=workers,
        )
    return stores


def make_step_model(step: ModelStep, *, seed: int, folder: Path | None, **extra: Any) -> Model:
    """Make the unfitted model of a step, seeded by the run unless it sets its own seed.

    A model that takes a ``folder`` keeps its checkpoints there, which is what lets it resume.
    """
    parameters = {**step.parameters, **extra}
    maker = model_maker(step.model)
    if registry.accepts(maker, "seed") and not step.model.startswith("flag:"):
        parameters.setdefault("seed", seed)
    if folder is not None and "folder" in inspect.signature(maker).parameters:
        parameters["folder"] = folder
    return make_model(step.model, **parameters)


def train_step(
    step: ModelStep,
    cohort: Cohort,
    store: WaveformStore | None,
    folder: Path,
    *,
    seed: int,
    init_from: Path | None = None,
) -> Model:
    """Fit a model on train, choosing on val, and save it in ``folder``."""
    extra: dict[str, Any] = {} if init_from is None else {"init_from": init_from}
    wanted = {**step.model_dump(mode="json"), "seed": seed}
    inputs = {"split": cohort.split_fingerprint, "cohort": _cohort_fingerprint(cohort)}
    if store is not None:
        inputs["store"] = store.manifest.fingerprint
    inputs |= _weights_taken(step, init_from)
    if holds(folder, step="train", config=wanted, inputs=inputs):
        return load_model(folder)
    model = make_step_model(step, seed=seed, folder=folder / "training", **extra)
    train, val = (datasets(step, cohort, store, split) for split in ("train", "val"))
    model.fit(train, val)
    if getattr(model, "rank", 0):
        return model  # every process of a distributed training comes here; the first one writes
    model.save(folder)
    files = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != "manifest.json")
    info = {
        "n_train": len(train),
        "n_val": len(val),
        "remarks": list(getattr(model, "remarks", ())),
    }
    write_manifest(folder, step="train", config=wanted, inputs=inputs, outputs=files, info=info)
    return model


def _weights_taken(step: ModelStep, init_from: Path | None) -> dict[str, str]:
    """Fingerprints of what a model starts from or consists of, where it lies on this machine."""
    places = {"init_from": init_from, "init": step.parameters.get("init")}
    members = step.parameters.get("members", ())  # of an ensemble
    places |= {str(one["folder"]): one["folder"] for one in members if "folder" in one}
    return {
        name: model_fingerprint(Path(place))
        for name, place in places.items()
        if place is not None and Path(place).exists()
    }


def model_fingerprint(model: Path) -> str:
    """Fingerprint of a step's folder, of a published checkpoint, or of a folder of such."""
    if model.is_file():
        return file_sha256(model)
    if (model / MANIFEST_NAME).is_file():
        return read_manifest(model).fingerprint
    return json_sha256([file_sha256(file) for file in sorted(model.glob("*")) if file.is_file()])


def _cohort_fingerprint(cohort: Cohort) -> str:
    return str(cohort.frame.hash_rows(seed=0).sum())


def datasets(
    step: ModelStep,
    cohort: Cohort,
    store: WaveformStore | None,
    split: str,
    *,
    untested: bool = False,
) -> WaveformDataset:
    """Records of one split for the tasks of a step; see `load_dataset`."""
    tasks = [TASKS[name] for name in step.tasks]
    asked = tasks[0] if len(tasks) == 1 else tasks
    return load_dataset(cohort, store, asked, split, untested=untested)


def predictions_path(folder: Path, model: str, task: str, split: str = "test") -> Path:
    """``<model>--<task>--<split>.csv``."""
    return folder / f"{model.replace(':', '_')}--{task}--{split}.csv"


def write_predictions(scored: Predictions, split: str, folder: Path) -> list[Path]:
    """Write a file per task; see `predictions_path`."""
    return [
        replace(scored, frame=scored.frame.filter(pl.col("task") == task)).write(
            predictions_path(folder, scored.model, task, split)
        )
        for task in scored.tasks
    ]
