"""Commands of whole runs: demo, run, report, list, new, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acsbench.cli.help import kinds_of_lists
from acsbench.cli.options import (
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
    emit,
    pairs,
    workers,
)
from acsbench.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from acsbench.experiment.config import ExperimentConfig
    from acsbench.parallel import Workers

__all__ = ["demo", "doctor", "list_", "new", "report", "run"]


def demo(
    out: Out = Path("runs/demo"),
    patients: Annotated[int, typer.Option(min=50, help="Size of the generated hospital.")] = 1500,
    effect_mv: Annotated[
        float | None, typer.Option(min=0, help="Size of the planted ST change, in mV.")
    ] = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    jobs: Jobs = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    debug: Debug = False,
) -> None:
    """Run the whole road on a generated hospital. A few minutes, to a report."""
    from acsbench.experiment.demo import demo_config

    more = {} if effect_mv is None else {"effect_mv": effect_mv}
    config = demo_config(
        n_patients=patients, seed=seed or 0, hospital=str(out.parent / "hospital"), **more
    )
    who = workers(jobs, engine, scheduler)
    _run(config, out=out, as_json=json, dry_run=dry_run, limit=limit, seed=seed, who=who)


def run(
    config: Annotated[Path, typer.Argument(help="Experiment file, TOML.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default runs/<name>.")] = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    jobs: Jobs = None,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    debug: Debug = False,
) -> None:
    """Run an experiment: raw data to report. Started again, it takes up where it was stopped."""
    from acsbench.experiment.config import read_experiment

    experiment = read_experiment(config, set_ or ())
    who = workers(jobs, engine, scheduler)
    _run(experiment, out=out, as_json=json, dry_run=dry_run, limit=limit, seed=seed, who=who)


def _run(
    config: ExperimentConfig,
    *,
    out: Path | None,
    as_json: bool,
    dry_run: bool,
    limit: int | None,
    seed: int | None,
    who: Workers,
) -> None:
    changes = {"seed": seed, "limit": limit}
    config = config.model_copy(update={k: v for k, v in changes.items() if v is not None})
    if dry_run:
        from acsbench.experiment.plan import plan_experiment

        plan = plan_experiment(config)
        return emit(plan, pairs(plan), as_json=as_json)
    from acsbench.experiment.run import run_experiment

    done = run_experiment(config, out=out, workers=who)
    shared = done.cohort.info["shared_patients"]
    result = {
        "report": str(done.report),
        "evaluated_on": {name: str(page) for name, page in done.elsewhere.items()},
        "shared_patients": shared,
        "results": done.results.overall.to_dicts(),
        "remarks": list(done.results.remarks),
    }
    remarks = "".join(f"Note: {remark}\n" for remark in done.results.remarks)
    closing = f"Patients shared between splits: {shared}\nReport: {done.report}"
    closing += "".join(f"\nJudged on {name}: {page}" for name, page in done.elsewhere.items())
    return emit(result, f"{done.results}\n\n{remarks}{closing}", as_json=as_json)


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default the run's own.")] = None,
    with_ids: Annotated[bool, typer.Option("--with-ids", help="Show ids and dates.")] = False,
    json: Json = False,
    dry_run: DryRun = False,
    debug: Debug = False,
) -> None:
    """Write the report of a run again, from its results."""
    from acsbench.experiment.run import rewrite_report

    written = folder / "report.html" if dry_run else rewrite_report(folder, out, with_ids=with_ids)
    emit({"report": str(written)}, f"Report: {written}", as_json=json)


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="models, sources, recipes, tasks or metrics; by default all of them.",
            autocompletion=kinds_of_lists,
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List what is registered, plug-ins included."""
    from acsbench.registry import KINDS, names

    if kind is None:
        found = {str(one): names(one) for one in KINDS}
        return emit(found, pairs({k: ", ".join(v) for k, v in found.items()}), as_json=json)
    if kind not in KINDS:
        raise UnknownNameError(
            f"There is no list of '{kind}'.{did_you_mean(kind, KINDS)} Known: {', '.join(KINDS)}."
        )
    return emit({kind: names(kind)}, "\n".join(names(kind)), as_json=json)


def new(
    kind: Annotated[str, typer.Argument(help="model, source or metric.")],
    name: Annotated[str, typer.Argument(help="Its name, for example my_network.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default NAME, here.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Start a model, source or metric of your own. A package that works, to be changed."""
    from acsbench.experiment.plug_ins import new_plug_in

    folder = new_plug_in(kind, name, out)
    text = f"{folder}: install it with `pip install -e {folder}`, then see its README.md."
    emit({"folder": str(folder)}, text, as_json=json)


def doctor(
    out: Annotated[Path, typer.Option(help="Folder that runs would write to.")] = Path(),
    export: Annotated[
        Path | None,
        typer.Option(help="Tell instead which files of this run are about single patients."),
    ] = None,
    min_count: Annotated[
        int, typer.Option(min=0, help="With --export: counts of 1 to N are small.")
    ] = 10,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check this machine, or what of a run may leave it."""
    from acsbench.experiment.doctor import examine

    if export is not None:
        from acsbench.experiment.export_check import examine_export

        files = examine_export(export, min_count=min_count)
        lines = [f"{one.verdict:<13} {one.file}: {one.reason}" for one in files]
        return emit({"files": [one._asdict() for one in files]}, "\n".join(lines), as_json=json)
    findings = examine(out)
    lines = [f"{'ok ' if f.is_fine else 'BAD'} {f.what}: {f.detail}" for f in findings]
    emit({"findings": [f._asdict() for f in findings]}, "\n".join(lines), as_json=json)
    if not all(f.is_fine for f in findings):
        raise typer.Exit(2)
    return None
