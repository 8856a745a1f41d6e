"""Commands of makers: train, sweep, predict, export-onnx."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acsbench.cli.help import names_of
from acsbench.cli.options import (
    CohortFolder,
    Debug,
    DryRun,
    Engine,
    Jobs,
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
from acsbench.errors import ConfigError, StepError

if TYPE_CHECKING:
    from acsbench.parallel import Workers

__all__ = ["export_onnx", "machines", "predict", "sweep", "train"]


def train(
    model: Annotated[
        str,
        typer.Argument(help="See `acsbench list models`.", autocompletion=names_of("models")),
    ],
    cohort: CohortFolder,
    task: Annotated[
        list[str],
        typer.Option(
            help="See `acsbench list tasks`; repeatable.", autocompletion=names_of("tasks")
        ),
    ],
    out: Out,
    store: StoreFolder = None,
    init_from: Annotated[Path | None, typer.Option(help="Trained model to start from.")] = None,
    devices: Annotated[
        str | None, typer.Option(help="Of a network: devices on each node, or auto.")
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Of a network: machines.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Of a network, as Lightning names it: ddp, fsdp, ...")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of a network: 32-true or bf16-mixed.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="Of a foundation model: frozen, head_first or full.")
    ] = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    debug: Debug = False,
) -> None:
    """Train a model on train, choosing on val. Under torchrun or SLURM, as one of their ranks."""
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
        "parameters": {
            **assignments(set_),
            **machines(devices=devices, nodes=nodes, strategy=strategy, precision=precision),
            **({} if mode is None else {"mode": canonical(mode)}),
        },
    }
    step = parse_config(ModelStep, body, where="train")
    built = load_cohort(cohort, limit=limit)
    opened = WaveformStore.open(store) if store is not None else None
    if dry_run:
        plan = plan_training(step, built, opened, seed=seed or 0)
        return emit(plan, pairs(plan), as_json=json)
    trained = train_step(step, built, opened, out, seed=seed or 0, init_from=init_from)
    if getattr(trained, "rank", 0):
        return None  # one of several processes tells
    result = {"model": str(out), "name": step.name, "tasks": list(step.tasks)}
    return emit(result, pairs(result), as_json=json)


def machines(**told: Any) -> dict[str, Any]:
    """Return what was told, devices as a number where it is one."""
    known = {key: value for key, value in told.items() if value is not None}
    if str(known.get("devices", "")).isdecimal():
        known["devices"] = int(known["devices"])
    return known


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
    model: Annotated[
        str, typer.Argument(help="Folder that `train` wrote, .onnx file, or checkpoint.")
    ],
    out: Out,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Bare waveforms: files, folders, a holdout. Or give --cohort."),
    ] = None,
    cohort: Annotated[
        Path | None, typer.Option("--cohort", help="Folder that `cohort` wrote.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="By default the model's tasks; repeatable.")
    ] = None,
    store: StoreFolder = None,
    split: Annotated[str, typer.Option(help="Of a cohort: train, val, test, holdout.")] = "test",
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    jobs: Jobs = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    debug: Debug = False,
) -> None:
    """Score bare waveforms, or a split of a cohort. Writes `<model>--<task>--<split>.csv`."""
    if (cohort is None) == (not paths):
        raise ConfigError(
            "Say what to score: paths of waveforms, or --cohort with --store, one of the two."
        )
    name = Path(model).resolve().name.removesuffix(".onnx").removesuffix(".ckpt")
    if cohort is not None:
        result = _predict_split(
            model, name, cohort, store, task or (), split, out, limit=limit, dry_run=dry_run
        )
        return emit(result, pairs(result), as_json=json)
    if limit is not None:
        raise ConfigError("--limit is for cohorts; name fewer files.")
    who = workers(jobs, engine, scheduler)
    result = _predict_files(model, name, paths or (), task or (), out, who, dry_run=dry_run)
    emit(result, pairs(result), as_json=json)
    if result["failed"]:
        raise StepError(
            f"{result['failed']:,} files could not be scored; see {out / 'failures.csv'}."
        )
    return None


def _predict_split(
    model: str,
    name: str,
    cohort: Path,
    store: Path | None,
    task: Sequence[str],
    split: str,
    out: Path,
    *,
    limit: int | None,
    dry_run: bool,
) -> dict[str, Any]:
    from acsbench.experiment.config import ModelStep
    from acsbench.experiment.limit import load_cohort
    from acsbench.experiment.score_files import model_tasks
    from acsbench.experiment.steps import datasets, write_predictions
    from acsbench.models.base import load_model
    from acsbench.models.base import predict as score
    from acsbench.store import WaveformStore

    trained = load_model(model)
    step = ModelStep(name=name, model="loaded", task=model_tasks(trained, task))
    opened = WaveformStore.open(store) if store is not None else None
    data = datasets(step, load_cohort(cohort, limit=limit), opened, split)
    result: dict[str, Any] = {"records": len(data), "without waveform": len(data.failed)}
    if not dry_run:
        scored = score(trained, data, name=name)
        result["files"] = [str(file) for file in write_predictions(scored, split, out)]
    return result


def _predict_files(
    model: str,
    name: str,
    paths: Sequence[Path],
    task: Sequence[str],
    out: Path,
    who: Workers,
    *,
    dry_run: bool,
) -> dict[str, Any]:
    from acsbench.experiment.score_files import find_waveforms, model_tasks, score_files
    from acsbench.experiment.steps import write_predictions
    from acsbench.models.base import load_model

    trained = load_model(model)
    if dry_run:
        tasks = ", ".join(model_tasks(trained, task))
        return {"records": len(find_waveforms(paths).files), "tasks": tasks, "failed": 0}
    done = score_files(trained, paths, tasks=task, name=name, work=out / ".waveforms", workers=who)
    done.write_failures(out)
    return {
        "records": done.predictions.frame["ecg_id"].n_unique(),
        "failed": len(done.failures),
        "files": [str(file) for file in write_predictions(done.predictions, "holdout", out)],
    }


def export_onnx(
    model: Annotated[
        str, typer.Argument(help="Folder that `train` wrote, or a published checkpoint.")
    ],
    file: Annotated[Path, typer.Argument(help="File to write, .onnx; a model for `predict`.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="8-bit matrices: smaller, quicker, not quite the same.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Export a network for onnxruntime. Checked against torch before the file is left."""
    from acsbench.models.base import load_model

    if file.suffix != ".onnx":
        raise ConfigError(f"{file} has to end in .onnx.")
    loaded: Any = load_model(model)
    if not hasattr(loaded, "save_onnx"):
        raise ConfigError(f"{model} is no network; only networks can be exported.")
    loaded.save_onnx(file, int8=int8)
    emit({"file": str(file)}, str(file), as_json=json)
