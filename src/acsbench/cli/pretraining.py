"""Commands of learning without labels: pretrain, label-efficiency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acsbench.cli.models import machines
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
    assignments,
    emit,
    pairs,
    workers,
)
from acsbench.errors import ConfigError, StepError

__all__ = ["label_efficiency", "pretrain"]


def pretrain(
    method: Annotated[
        str,
        typer.Argument(help="cpc (contrast), masked (reconstruction) or hubert (clusters)."),
    ],
    store: Annotated[Path, typer.Option("--store", help="Folder that `process` wrote.")],
    out: Out,
    cohort: Annotated[
        Path | None,
        typer.Option(
            "--cohort",
            help="Folder that `cohort` wrote: val, test and holdout patients are left out.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Log now and then what the frozen features know of a task, on val."),
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(help="Pre-trained or published model to go on from.")
    ] = None,
    devices: Annotated[str | None, typer.Option(help="On each node, or auto.")] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Machines.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="As Lightning names it: ddp, fsdp, ...")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="32-true or bf16-mixed.")] = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    debug: Debug = False,
) -> None:
    """Learn from ECGs without labels. The folder is what `train --init-from` takes."""
    from acsbench.experiment.limit import load_cohort
    from acsbench.experiment.pretraining import plan_pretraining, pretrain_step
    from acsbench.store import WaveformStore

    if limit is not None and cohort is None:
        raise ConfigError("--limit counts a cohort's ECGs: give --cohort, or a smaller store.")
    told = {"init_from": init_from, "seed": seed}
    parameters = {
        **assignments(set_),
        **machines(devices=devices, nodes=nodes, strategy=strategy, precision=precision),
        **{key: value for key, value in told.items() if value is not None},
    }
    opened = WaveformStore.open(store)
    built = None if cohort is None else load_cohort(cohort, limit=limit)
    if dry_run:
        plan = plan_pretraining(method, parameters, opened, built).told()
        return emit(plan, pairs(plan), as_json=json)
    done = pretrain_step(method, parameters, opened, out, cohort=built, probe_task=task)
    if not done.pop("rank"):
        emit(done, pairs(done), as_json=json)
    return None


def label_efficiency(
    cohort: CohortFolder,
    store: Annotated[Path, typer.Option("--store", help="Folder that `process` wrote.")],
    task: Annotated[str, typer.Option(help="See `acsbench list tasks`.")],
    out: Out,
    pretrained: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR", help="Folder of `pretrain`, {seed} in it filled in; repeatable."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Network of the controls; by default the pre-trained one.")
    ] = None,
    mode: Annotated[list[str] | None, typer.Option(help="frozen or full; by default both.")] = None,
    share: Annotated[
        list[float] | None,
        typer.Option(help="Of the labels, above 0 and up to 1; by default 0.05, 0.2 and 1."),
    ] = None,
    epochs: Annotated[
        list[int] | None, typer.Option(help="Of a full training, one for each share.")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Of labelled patients, at each share.")] = 10,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
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
    """Tell how many labels pre-training saves: methods x shares of labels x draws, and a figure."""
    from acsbench.experiment.label_efficiency import (
        counted_fits,
        label_efficiency_text,
        run_label_efficiency,
        study_of,
    )
    from acsbench.experiment.limit import load_cohort
    from acsbench.store import WaveformStore

    opened = WaveformStore.open(store)
    first = seed or 0
    config = study_of(
        task,
        pretrained or (),
        model=model,
        modes=mode or ("frozen", "full"),
        parameters={"recipe": opened.recipe, **assignments(set_)},
        shares=share,
        epochs=epochs,
        draws=draws,
        seeds=range(first, first + seeds),
    )
    if dry_run:
        plan = counted_fits(config)
        return emit(plan, pairs(plan), as_json=json)
    rounds = {"0": load_cohort(cohort, limit=limit)}
    who = workers(jobs or 1, engine, scheduler)
    done = run_label_efficiency(config, rounds, opened, out, workers=who)
    result = {
        "table": str(out / "table.csv"),
        "figure": str(out / "figure.svg"),
        "rows": done.table.to_dicts(),
        "failures": done.failures.to_dicts(),
    }
    text = f"{label_efficiency_text(done.table)}\n\n{result['table']}\n{result['figure']}"
    emit(result, text, as_json=json)
    if len(done.failures):
        raise StepError(
            f"{len(done.failures):,} fits failed; see {out / 'failures.csv'}. The others are "
            "kept: start again to try these once more."
        )
    return None
