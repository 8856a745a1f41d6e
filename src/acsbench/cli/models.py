"""Commands of makers: train, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from acsbench.cli.options import (
    CohortFolder,
    Debug,
    DryRun,
    Json,
    Limit,
    Out,
    Seed,
    Set,
    StoreFolder,
    assignments,
    emit,
    pairs,
)

__all__ = ["predict", "train"]


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
