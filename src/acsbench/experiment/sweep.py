"""Models x tasks x seeds, each fitted once; one table, and its spread over seeds."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from acsbench.errors import ConfigError, InputError, StepError
from acsbench.experiment.config import ExperimentConfig, ModelStep, read_experiment
from acsbench.experiment.fits import Fit, FitOnce
from acsbench.experiment.run import make_stores
from acsbench.experiment.steps import cohort_step, open_step
from acsbench.experiment.sweep_table import KEYS, judge_fits, summarise
from acsbench.parallel import Workers, iter_units
from acsbench.provenance import atomic_path, atomic_text, write_manifest
from acsbench.registry import canonical
from acsbench.store import WaveformStore
from acsbench.tables import Cohort

__all__ = ["SweepResult", "cluster_or_local", "fit_folder", "plan_fits", "plan_sweep", "run_sweep"]

log = logging.getLogger("acsbench")


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What a sweep leaves.

    Attributes
    ----------
    folder : Path
    table : DataFrame
        ``model, task, seed, n_seeds``, then as in `Results`: one row an estimate. The ensemble of
        a model's seeds has no ``seed``.
    summary : DataFrame
        Mean, standard deviation and range over seeds of each metric, beside the ensemble.
    failures : DataFrame
        ``model, task, seed, reason`` of fits that failed; started again, they are tried again.
    remarks : tuple of str
    """

    folder: Path
    table: pl.DataFrame
    summary: pl.DataFrame
    failures: pl.DataFrame
    remarks: tuple[str, ...]


def run_sweep(
    config: ExperimentConfig,
    *,
    out: Path | str | None = None,
    workers: Workers | None = None,
) -> SweepResult:
    """Fit every model of an experiment once a seed, and judge all of them.

    Cohort and stores are made once; the seeds are those of the models. Fits that are finished are
    not repeated, and one that fails does not stop the others.

    Parameters
    ----------
    config : ExperimentConfig
        Its section ``sweep`` says what is crossed.
    out : Path, optional
        By default ``runs/<name>-sweep``. Holds ``sweep.csv``, ``summary.csv`` and
        ``failures.csv`` at the end. Seeds, models and tasks may be added later.
    workers : Workers, optional
        How many fits at a time, and where; by default one, which uses every core.

    Raises
    ------
    AcsbenchError
        When no fit can begin.
    """
    folder = Path(out if out is not None else f"runs/{config.name}-sweep").resolve()
    _claim(folder, config)
    opened = open_step(config.source, seed=config.seed, limit=config.limit)
    log.info("building the cohort of %s ECGs", f"{len(opened.tables.ecgs):,}")
    cohort = cohort_step(
        opened,
        folder / "cohort",
        config=config.cohort,
        seed=config.seed,
        workers=cluster_or_local(workers),
    )
    stores = make_stores(config, opened, cohort, folder, cluster_or_local(workers))
    failed: dict[Path, str] = {}
    fits: list[Fit] = []
    for stage in plan_fits(config, folder, stores):
        ready = [_without_failed_members(fit, failed) for fit in stage]
        fits += ready
        failed |= _fit_all(ready, failed, folder / "cohort", workers or Workers(n_jobs=1))
    return _finish(config, folder, cohort, stores, fits, failed)


def cluster_or_local(workers: Workers | None) -> Workers:
    """Who makes cohort and stores: everybody on this machine, or the cluster."""
    return workers if workers is not None and workers.engine == "dask" else Workers()


def _claim(folder: Path, config: ExperimentConfig) -> None:
    """Refuse a folder of other data or of other models of the same names."""
    path = folder / "config.toml"
    if path.is_file():
        before = read_experiment(path)
        there = {step.name: step for step in before.models}
        other = [s.name for s in config.models if there.get(s.name, s) != s]
        if other or _rest(before) != _rest(config):
            raise InputError(
                f"{folder} holds a sweep of another config "
                f"({'model ' + other[0] if other else 'source, cohort or evaluation'} differs). "
                "Its results stay as they are: choose another folder with --out, or another name."
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty and not a sweep. Choose another with --out.")
    atomic_text(path, config.to_toml())


def _rest(config: ExperimentConfig) -> dict[str, object]:
    return config.model_dump(exclude={"models", "sweep", "report", "compare_flags"})


def plan_fits(
    config: ExperimentConfig, folder: Path, stores: dict[str, WaveformStore | None]
) -> list[list[Fit]]:
    """Stages of fits; those of one stage need those of the stages before it alone.

    Raises
    ------
    ConfigError
        When a model sets its own seed.
    """
    seeds = config.sweep.seed_list(config.seed)
    stages: dict[int, list[Fit]] = {}
    level: dict[str, int] = {}
    for step in _wanted(config):
        if "seed" in step.parameters:
            raise ConfigError(
                f"Model '{step.name}' sets its own seed, which is the sweep's to set."
            )
        level[step.name] = level.get(str(step.init_from), -1) + 1
        store = stores[step.name]
        place = None if store is None else store.folder
        for one, seed in itertools.product(_crossed(step, config), seeds):
            fit = Fit(
                step=one,
                seed=seed,
                folder=fit_folder(folder, one, seed),
                store=place,
                start=_start(one, seed, config, folder),
            )
            stages.setdefault(level[step.name], []).append(fit)
    alone = [stages[number] for number in sorted(stages)]
    return [*alone, list(_ensembles(config, alone, folder))]


def plan_sweep(config: ExperimentConfig) -> dict[str, int]:
    """Number of fits of each model, without opening the source."""
    n_seeds = len(config.sweep.seed_list(config.seed))
    fits = {one.name: n_seeds * len(_crossed(one, config)) for one in _wanted(config)}
    return {**fits, "fits in all": sum(fits.values())}


def _wanted(config: ExperimentConfig) -> list[ModelStep]:
    """Models asked for, and those they start from, in the order of the file."""
    wanted = set(config.sweep.models or (step.name for step in config.models))
    for step in reversed(config.models):
        if step.name in wanted and step.init_from is not None:
            wanted.add(step.init_from)
    return [step for step in config.models if step.name in wanted]


def _crossed(step: ModelStep, config: ExperimentConfig) -> list[ModelStep]:
    is_start = step.name in {other.init_from for other in config.models}
    if is_start or not config.sweep.tasks:
        return [step]
    return [step.model_copy(update={"task": canonical(task)}) for task in config.sweep.tasks]


def fit_folder(folder: Path, step: ModelStep, seed: int | str) -> Path:
    """Folder of a fit, or with ``ensemble`` for a seed of the ensemble, in a sweep's folder."""
    tasks = "+".join(step.tasks)
    return folder / "fits" / step.name.replace(":", "_") / tasks / f"seed-{seed}"


def _start(step: ModelStep, seed: int, config: ExperimentConfig, folder: Path) -> Path | None:
    if step.init_from is None:
        return None
    other = next((one for one in config.models if one.name == step.init_from), None)
    if other is not None:
        return fit_folder(folder, other, seed)
    place = Path(step.init_from)
    return place.resolve() if place.exists() else place  # hf:OWNER/NAME stays as it is


def _ensembles(
    config: ExperimentConfig, stages: Sequence[Sequence[Fit]], folder: Path
) -> Iterator[Fit]:
    """One ensemble for each model and task of at least two seeds; ranks cannot be joined."""
    by_step: dict[tuple[str, tuple[str, ...]], list[Fit]] = {}
    for fit in itertools.chain(*stages):
        by_step.setdefault((fit.step.name, fit.step.tasks), []).append(fit)
    for fits in by_step.values():
        first = fits[0]
        if not config.sweep.ensemble or len(fits) < 2 or first.step.model.startswith("flag:"):
            continue
        members = [{"folder": str(fit.folder)} for fit in fits]
        parameters: dict[str, object] = {"members": members}
        if first.store is not None:
            parameters["recipe"] = WaveformStore.open(first.store).recipe
        step = ModelStep(
            name=first.step.name, model="ensemble", task=first.step.task, parameters=parameters
        )
        yield replace(
            first, step=step, seed=None, folder=fit_folder(folder, step, "ensemble"), start=None
        )


def _without_failed_members(fit: Fit, failed: dict[Path, str]) -> Fit:
    """Join the seeds that could be fitted."""
    if fit.seed is not None:
        return fit
    members = [m for m in fit.step.parameters["members"] if Path(m["folder"]) not in failed]
    parameters = {**fit.step.parameters, "members": members}
    return replace(fit, step=fit.step.model_copy(update={"parameters": parameters}))


def _fit_all(
    fits: Sequence[Fit], failed: dict[Path, str], cohort: Path, workers: Workers
) -> dict[Path, str]:
    """Fit one stage; return why fits failed, by their folder."""
    lost = {
        fit.folder: f"the model it starts from failed: {failed[fit.start]}"
        for fit in fits
        if fit.start in failed
    }
    lost |= {
        fit.folder: "every seed failed"
        for fit in fits
        if fit.seed is None and not fit.step.parameters["members"]
    }
    todo = [fit for fit in fits if fit.folder not in lost]
    reasons = iter_units(FitOnce(cohort), todo, workers=workers, label="fitting")
    for fit, reason in zip(todo, reasons, strict=True):
        if reason is not None:
            log.warning("%s failed: %s", fit, reason)
            lost[fit.folder] = reason
    return lost


def _finish(
    config: ExperimentConfig,
    folder: Path,
    cohort: Cohort,
    stores: dict[str, WaveformStore | None],
    fits: Sequence[Fit],
    failed: dict[Path, str],
) -> SweepResult:
    failures = pl.DataFrame(
        [
            (fit.step.name, "+".join(fit.step.tasks), fit.seed, failed[fit.folder])
            for fit in fits
            if fit.folder in failed
        ],
        schema={**dict.fromkeys(KEYS, pl.String), "seed": pl.Int64, "reason": pl.String},
        orient="row",
    )
    done = [fit for fit in fits if fit.folder not in failed]
    if not done:
        raise StepError(
            f"All {len(fits):,} fits failed, the first of them: {failures['reason'][0]}"
        )
    log.info("judging %d fits", len(done))
    table, remarks = judge_fits(config, cohort, stores, done)
    summary = summarise(table)
    for name, frame in (("sweep", table), ("summary", summary), ("failures", failures)):
        with atomic_path(folder / f"{name}.csv") as temporary:
            frame.write_csv(temporary)
    write_manifest(
        folder,
        step="sweep",
        config=config.model_dump(mode="json"),
        inputs={"split": cohort.split_fingerprint},
        outputs=["config.toml", "failures.csv", "summary.csv", "sweep.csv"],
        info={"limit": config.limit, "exact_counts": ["sweep.csv"] if cohort.min_count else []},
    )
    return SweepResult(
        folder=folder, table=table, summary=summary, failures=failures, remarks=remarks
    )
