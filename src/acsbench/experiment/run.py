"""The whole road: source, quality, cohort, stores, models, predictions, results, report."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acsbench.errors import InputError
from acsbench.experiment.config import ExperimentConfig, ModelStep, read_experiment
from acsbench.experiment.external import judge_elsewhere
from acsbench.experiment.judging import Trained, flag_models, judge_all, score_all
from acsbench.experiment.run_report import report_on
from acsbench.experiment.steps import (
    OpenedSource,
    cohort_step,
    make_step_model,
    open_step,
    stores_step,
    train_step,
)
from acsbench.parallel import Workers
from acsbench.provenance import atomic_text, read_manifest, write_manifest
from acsbench.results import Results
from acsbench.store import WaveformStore
from acsbench.tables import Cohort

__all__ = ["RunResult", "finish_run", "make_stores", "rewrite_report", "run_experiment"]

log = logging.getLogger("acsbench")


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run leaves.

    Attributes
    ----------
    folder : Path
    report : Path
    results : Results
    cohort : Cohort
    elsewhere : dict of str to Path
        Reports on other data, by the names of ``evaluate_on``.
    """

    folder: Path
    report: Path
    results: Results
    cohort: Cohort
    elsewhere: dict[str, Path]


def run_experiment(
    config: ExperimentConfig,
    *,
    out: Path | str | None = None,
    n_jobs: int | None = None,
    workers: Workers | None = None,
) -> RunResult:
    """Run every step of an experiment; finished steps are not repeated.

    Parameters
    ----------
    config : ExperimentConfig
    out : Path, optional
        By default ``runs/<name>``. Holds ``report.html``, ``results.csv``, ``predictions/``,
        ``config.toml`` and ``manifest.json`` at the end.
    n_jobs : int, optional
        Worker processes on this machine; by default one per usable core. No result depends on it.
    workers : Workers, optional
        Says where to work, in the place of ``n_jobs``: on a Dask cluster, say.

    Raises
    ------
    AcsbenchError
    """
    folder = Path(out) if out is not None else Path("runs") / config.name
    workers = workers or Workers(n_jobs=n_jobs)
    _claim(folder, config)
    log.info("reading the source '%s'", config.source.name)
    opened = open_step(config.source, seed=config.seed, limit=config.limit)
    log.info("checking the quality of %s ECGs, building the cohort", f"{len(opened.tables.ecgs):,}")
    cohort = cohort_step(
        opened, folder / "cohort", config=config.cohort, seed=config.seed, workers=workers
    )
    log.info("patients shared between splits: %d", cohort.info["shared_patients"])
    trained = _train_all(config, opened, cohort, folder, workers)
    log.info("scoring and judging on test")
    selective = "selective_testing" in config.evaluate.sections
    scored = score_all(trained, cohort, folder / "predictions", untested=selective)
    results = judge_all(scored, cohort, config, folder / "labels")
    report = finish_run(config, opened, cohort, results, folder)
    elsewhere = {
        name: judge_elsewhere(
            name, config, trained, cohort, folder / "evaluate_on" / name, workers=workers
        )
        for name in config.evaluate_on
    }
    return RunResult(
        folder=folder, report=report, results=results, cohort=cohort, elsewhere=elsewhere
    )


def _claim(folder: Path, config: ExperimentConfig) -> None:
    """Write the resolved config first, so that a folder never mixes two runs."""
    path = folder / "config.toml"
    text = config.to_toml()
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise InputError(
            f"{folder} holds a run of another config ({path.name} differs). Its results stay as "
            "they are: choose another folder with --out, or remove this one."
        )
    if folder.is_dir() and not path.is_file() and any(folder.iterdir()):
        raise InputError(
            f"{folder} is not empty and not a run of acsbench. Choose another folder with --out."
        )
    atomic_text(path, text)


def make_stores(
    config: ExperimentConfig,
    opened: OpenedSource,
    cohort: Cohort,
    folder: Path,
    workers: Workers,
) -> dict[str, WaveformStore | None]:
    """Store of each model of a run, by the model's name; None for models of features only."""
    # every model is made once before anything slow, so that a wrong name or parameter shows now
    recipes = {
        step.name: make_step_model(step, seed=config.seed, folder=None).recipe
        for step in config.models
    }
    stores = stores_step(
        recipes.values(),
        opened,
        cohort,
        folder / "stores",
        process=config.process,
        workers=workers,
    )
    return {name: stores.get(recipe) for name, recipe in recipes.items()}


def _train_all(
    config: ExperimentConfig,
    opened: OpenedSource,
    cohort: Cohort,
    folder: Path,
    workers: Workers,
) -> list[Trained]:
    stores = make_stores(config, opened, cohort, folder, workers)
    trained = []
    for step in config.models:
        log.info("training %s on task %s", step.name, ", ".join(step.tasks))
        store = stores[step.name]
        model = train_step(
            step,
            cohort,
            store,
            folder / "models" / step.name.replace(":", "_"),
            seed=config.seed,
            init_from=_start(step, config, folder),
        )
        trained.append(Trained(step=step, model=model, store=store))
    return trained + (flag_models(config.models, cohort) if config.compare_flags else [])


def _start(step: ModelStep, config: ExperimentConfig, folder: Path) -> Path | None:
    if step.init_from is None:
        return None
    if step.init_from in [other.name for other in config.models]:
        return folder / "models" / step.init_from
    return Path(step.init_from)


def finish_run(
    config: ExperimentConfig,
    opened: OpenedSource,
    cohort: Cohort,
    results: Results,
    folder: Path,
) -> Path:
    """Write results, report and manifest of a run; return the report."""

    def below(name: str) -> list[str]:
        return [str(p.relative_to(folder)) for p in sorted((folder / name).glob("*.csv"))]

    written = results.save(folder)
    report = report_on(config, opened, cohort, results, folder, folder)
    rows = [*below("predictions"), *below("labels")]
    body: dict[str, Any] = config.model_dump(mode="json")
    write_manifest(
        folder,
        step="run",
        config=body,
        inputs={"tables": opened.tables.fingerprint, "split": cohort.split_fingerprint},
        outputs=["config.toml", "report.html", *written, *rows],
        patient_level=rows,
        info={
            "shared_patients": cohort.info["shared_patients"],
            "limit": config.limit,
            # the report hides small counts; these files hold them as they are
            "exact_counts": list(written) if cohort.min_count else [],
        },
    )
    return report


def rewrite_report(folder: Path, out: Path | None = None, *, with_ids: bool = False) -> Path:
    """Write the report of a finished run again; nothing is processed or trained anew.

    Parameters
    ----------
    folder : Path
        The run's folder.
    out : Path, optional
        By default the run's own folder.
    with_ids : bool
        Show ids and dates.

    Raises
    ------
    MissingPathError
        When the folder holds no finished run.
    """
    read_manifest(folder)
    config = read_experiment(folder / "config.toml")
    shown = config.report.model_copy(update={"with_ids": with_ids})
    config = config.model_copy(update={"report": shown})
    opened = open_step(config.source, seed=config.seed, limit=config.limit)
    cohort = Cohort.load(folder / "cohort")
    return report_on(config, opened, cohort, Results.load(folder), folder, out or folder)
