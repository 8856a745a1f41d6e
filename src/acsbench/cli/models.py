"""Commands of makers: train, sweep, predict."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from acsbench.cli.options import (
    CohortFolder,
    Debug,
    DryRun,
    Engine,
    Json,
    Limit,
    Out,
    Scheduler,
    Seed,
    Set,
    StoreFolder,
    assignments,
    emit,
    pairs,
    workers,
)
from acsbench.errors import StepError

__all__ = ["predict", "sweep", "train"]


def train(
    model: Annotated[str, typer.Argument(help="See `acsbench list models`.")],
    cohort: CohortFolder,
    task: Annotated[list[str], typer.Option(help="See `acsbench list tasks`; repeatable.")],
    out: Out,
    store: StoreFolder = None,
    init_from: Annotated[Path | None, typer.Option(help="Trained model to start from.")] = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    debug: Debug = False,
) -> None:
    """Train a model on train, choosing on val."""
    from acsbench.experiment.config import ModelStep
    from acsbench.experiment.limit import load_cohort
    from acsbench.experiment.plan import plan_training
    from acsbench.experiment.steps import train_step
    from acsbench.provenance import parse_config
    from acsbench.registry import canonical
    from acsbench.store import WaveformStore

    body = {
        "name": out.name,
        "model": canonical(model),
        "task": task[0] if len(task) == 1 else tuple(task),
        "parameters": assignments(set_),
    }
    step = parse_config(ModelStep, body, where="train")
    built = load_cohort(cohort, limit=limit)
    opened = WaveformStore.open(store) if store is not None else None
    if dry_run:
        plan = plan_training(step, built, opened, seed=seed or 0)
        return emit(plan, pairs(plan), as_json=json)
    train_step(step, built, opened, out, seed=seed or 0, init_from=init_from)
    result = {"model": str(out), "name": step.name, "tasks": list(step.tasks)}
    return emit(result, pairs(result), as_json=json)


def sweep(
    config: Annotated[Path, typer.Argument(help="Experiment file, TOML; its [sweep] is optional.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default runs/<name>-sweep.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of seeds.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Name of a model of the file; repeatable.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Fit every model for this task; repeatable.")
    ] = None,
    ensemble: Annotated[bool | None, typer.Option(help="Judge the ensemble of seeds.")] = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Fits at a time; by default 1, on every core.")
    ] = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    debug: Debug = False,
) -> None:
    """Fit models x tasks x seeds into one table. Finished fits are kept, failed ones listed."""
    from acsbench.experiment.config import read_experiment
    from acsbench.experiment.sweep import plan_sweep, run_sweep
    from acsbench.experiment.sweep_table import summary_text

    told = {"seeds": seeds, "models": model, "tasks": task, "ensemble": ensemble}
    changes = [f"sweep.{key}={_toml(value)}" for key, value in told.items() if value is not None]
    changes += [
        f"{key}={value}" for key, value in (("seed", seed), ("limit", limit)) if value is not None
    ]
    experiment = read_experiment(config, [*(set_ or ()), *changes])
    if dry_run:
        plan = plan_sweep(experiment)
        return emit(plan, pairs(plan), as_json=json)
    done = run_sweep(experiment, out=out, workers=workers(jobs or 1, engine, scheduler))
    result = {
        "table": str(done.folder / "sweep.csv"),
        "summary": done.summary.to_dicts(),
        "failures": done.failures.to_dicts(),
        "remarks": list(done.remarks),
    }
    notes = "".join(f"Note: {remark}\n" for remark in done.remarks)
    emit(result, f"{summary_text(done.summary)}\n\n{notes}{result['table']}", as_json=json)
    if len(done.failures):
        raise StepError(
            f"{len(done.failures):,} fits failed; see {done.folder / 'failures.csv'}. The others "
            "are kept: start again to try these once more."
        )
    return None


def _toml(value: object) -> str:
    """Write a bool, number or list of text as TOML does, which here is as JSON does."""
    return json_module.dumps(value)


def predict(
    model: Annotated[Path, typer.Argument(help="Folder that `train` wrote.")],
    cohort: CohortFolder,
    task: Annotated[list[str], typer.Option(help="The model's tasks; repeatable.")],
    out: Out,
    store: StoreFolder = None,
    split: Annotated[str, typer.Option(help="train, val, test or holdout.")] = "test",
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    debug: Debug = False,
) -> None:
    """Score a split with a trained model. Writes `<model>--<task>--<split>.csv`."""
    from acsbench.experiment.config import ModelStep
    from acsbench.experiment.limit import load_cohort
    from acsbench.experiment.steps import datasets, write_predictions
    from acsbench.models.base import load_model
    from acsbench.models.base import predict as score
    from acsbench.store import WaveformStore

    step = ModelStep(name=model.resolve().name, model="loaded", task=tuple(task))
    opened = WaveformStore.open(store) if store is not None else None
    data = datasets(step, load_cohort(cohort, limit=limit), opened, split)
    result: dict[str, Any] = {"records": len(data), "without waveform": len(data.failed)}
    if not dry_run:
        scored = score(load_model(model), data, name=step.name)
        result["files"] = [str(file) for file in write_predictions(scored, split, out)]
    emit(result, pairs(result), as_json=json)
