"""The command line: parse, call one function, print its result.

Nothing heavy is imported before a command runs, so that ``--help`` is quick. Results go to
stdout, everything else to stderr.
"""

from __future__ import annotations

import json as json_module
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from acsbench.errors import AcsbenchError, ConfigError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from acsbench.experiment.config import ExperimentConfig
    from acsbench.tables import Cohort

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """Commands that accept underscores for dashes and suggest the nearest name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0].replace("_", "-")
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            raise UnknownNameError(
                f"There is no command '{name}'.{did_you_mean(name, known)} "
                f"Known: {', '.join(known)}."
            )
        return super().resolve_command(ctx, [name, *args[1:]])


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Diagnose acute coronary syndrome from ECG waveforms, and prove how well you do it.",
)

_debug = False


def _set_debug(value: bool) -> bool:
    global _debug  # noqa: PLW0603  one process, one command line
    _debug = _debug or value
    return value


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, at what cost; write nothing.")
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Use at most N ECGs; the results are marked as not reportable."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of every random choice.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_set_debug, help="Show a traceback on errors.")
]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Worker processes; by default one per usable core.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the config; repeatable."),
]
Out = Annotated[Path, typer.Option(help="Folder to write to.")]
CohortFolder = Annotated[Path, typer.Option("--cohort", help="Folder that `cohort` wrote.")]
StoreFolder = Annotated[Path | None, typer.Option("--store", help="Folder that `process` wrote.")]


def _emit(result: dict[str, Any], text: str, *, as_json: bool) -> None:
    print(json_module.dumps(result, indent=1, default=str) if as_json else text)


def _pairs(values: dict[str, Any]) -> str:
    width = max((len(key) for key in values), default=0)
    return "\n".join(f"{key:<{width}}  {value}" for key, value in values.items())


def _assignments(changes: Sequence[str] | None) -> dict[str, Any]:
    from acsbench.experiment.config import parse_assignment

    return dict(parse_assignment(change) for change in changes or ())


@app.command()
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
    debug: Debug = False,
) -> None:
    """Run the whole road on a generated hospital, to a report, in a few minutes."""
    from acsbench.experiment.demo import demo_config

    more = {} if effect_mv is None else {"effect_mv": effect_mv}
    config = demo_config(
        n_patients=patients, seed=seed or 0, hospital=str(out.parent / "hospital"), **more
    )
    _run(config, out=out, as_json=json, dry_run=dry_run, limit=limit, seed=seed, jobs=jobs)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="Experiment file, TOML.")],
    out: Annotated[Path | None, typer.Option(help="Folder; by default runs/<name>.")] = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    jobs: Jobs = None,
    debug: Debug = False,
) -> None:
    """Run an experiment: raw data to report. Started again, it takes up where it was stopped."""
    from acsbench.experiment.config import read_experiment

    experiment = read_experiment(config, set_ or ())
    _run(experiment, out=out, as_json=json, dry_run=dry_run, limit=limit, seed=seed, jobs=jobs)


def _run(
    config: ExperimentConfig,
    *,
    out: Path | None,
    as_json: bool,
    dry_run: bool,
    limit: int | None,
    seed: int | None,
    jobs: int | None,
) -> None:
    changes = {"seed": seed, "limit": limit}
    config = config.model_copy(update={k: v for k, v in changes.items() if v is not None})
    if dry_run:
        from acsbench.experiment.plan import plan_experiment

        plan = plan_experiment(config)
        return _emit(plan, _pairs(plan), as_json=as_json)
    from acsbench.experiment.run import run_experiment

    done = run_experiment(config, out=out, n_jobs=jobs)
    shared = done.cohort.info["shared_patients"]
    result = {
        "report": str(done.report),
        "shared_patients": shared,
        "results": done.results.overall.to_dicts(),
        "remarks": list(done.results.remarks),
    }
    remarks = "".join(f"Note: {remark}\n" for remark in done.results.remarks)
    closing = f"Patients shared between splits: {shared}\nReport: {done.report}"
    text = f"{done.results}\n\n{remarks}{closing}"
    return _emit(result, text, as_json=as_json)


@app.command()
def cohort(
    source: Annotated[str, typer.Option(help="See `acsbench list sources`.")],
    out: Out,
    path: Annotated[Path | None, typer.Option(help="Folder of the source.")] = None,
    scheme: Annotated[str | None, typer.Option(help="patient, folds, file or paper.")] = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    jobs: Jobs = None,
    debug: Debug = False,
) -> None:
    """Check the quality of a source's ECGs and build its cohort, with every exclusion counted."""
    from acsbench.cohort.build import CohortConfig, build_cohort
    from acsbench.experiment.config import SourceStep
    from acsbench.experiment.steps import cohort_step, open_step
    from acsbench.provenance import parse_config

    options = _assignments(set_)
    of_cohort = {k: options.pop(k) for k in list(options) if k in CohortConfig.model_fields}
    if scheme is not None:
        of_cohort["scheme"] = scheme
    config = parse_config(CohortConfig, of_cohort, where="--set")
    if path is not None:
        options["path"] = str(path)
    step = SourceStep.model_validate({"name": source, **options})
    opened = open_step(step, seed=seed or 0, limit=limit)
    if dry_run:
        built = build_cohort(opened.tables, seed=seed or 0, config=config)
    else:
        built = cohort_step(opened, out, config=config, seed=seed or 0, n_jobs=jobs)
    _emit(_describe(built), _flow_text(built), as_json=json)


def _describe(built: Cohort) -> dict[str, Any]:
    return {
        "flow": built.flow.to_dicts(),
        "info": dict(built.info),
        "split_fingerprint": built.split_fingerprint,
    }


def _flow_text(built: Cohort) -> str:
    lines = [f"{'':2}{'step':<46}{'visits':>9}{'patients':>10}{'ECGs':>9}"]
    for row in built.flow.iter_rows(named=True):
        sign = {"dropped": "- ", "branch": "  . "}.get(row["kind"], "  ")
        counts = f"{row['n_encounters']:>9,}{row['n_patients']:>10,}{row['n_records']:>9,}"
        lines.append(f"{sign + row['step']:<48}{counts}")
    lines.append(f"Patients shared between splits: {built.info['shared_patients']}")
    return "\n".join(lines)


@app.command()
def process(
    cohort: CohortFolder,
    out: Out,
    recipe: Annotated[str, typer.Option(help="See `acsbench list recipes`.")] = "three_by_four",
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    jobs: Jobs = None,
    debug: Debug = False,
) -> None:
    """Make the waveform store of a cohort; a killed run goes on where it was."""
    from acsbench.experiment.plan import plan_store
    from acsbench.experiment.steps import reopen_source, store_step
    from acsbench.registry import canonical
    from acsbench.tables import Cohort

    built = Cohort.load(cohort)
    opened = reopen_source(cohort)
    parameters = _assignments(set_)
    if dry_run:
        plan = plan_store(opened, built, recipe=canonical(recipe), parameters=parameters)
        return _emit(plan, _pairs(plan), as_json=json)
    store = store_step(
        opened, built, out, recipe=canonical(recipe), parameters=parameters, n_jobs=jobs
    )
    result = {"store": str(out), **store.manifest.config, **store.manifest.info}
    return _emit(result, _pairs(result), as_json=json)


@app.command()
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
    seed: Seed = None,
    debug: Debug = False,
) -> None:
    """Train a model on train, choosing on val."""
    from acsbench.experiment.config import ModelStep
    from acsbench.experiment.plan import plan_training
    from acsbench.experiment.steps import train_step
    from acsbench.provenance import parse_config
    from acsbench.registry import canonical
    from acsbench.store import WaveformStore
    from acsbench.tables import Cohort

    body = {
        "name": out.name,
        "model": canonical(model),
        "task": task[0] if len(task) == 1 else tuple(task),
        "parameters": _assignments(set_),
    }
    step = parse_config(ModelStep, body, where="train")
    built = Cohort.load(cohort)
    opened = WaveformStore.open(store) if store is not None else None
    if dry_run:
        plan = plan_training(step, built, opened, seed=seed or 0)
        return _emit(plan, _pairs(plan), as_json=json)
    train_step(step, built, opened, out, seed=seed or 0, init_from=init_from)
    result = {"model": str(out), "name": step.name, "tasks": list(step.tasks)}
    return _emit(result, _pairs(result), as_json=json)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Folder that `train` wrote.")],
    cohort: CohortFolder,
    task: Annotated[list[str], typer.Option(help="The model's tasks; repeatable.")],
    out: Out,
    store: StoreFolder = None,
    split: Annotated[str, typer.Option(help="train, val, test or holdout.")] = "test",
    json: Json = False,
    dry_run: DryRun = False,
    debug: Debug = False,
) -> None:
    """Score a split; writes `<model>--<task>--<split>.csv`."""
    from acsbench.experiment.config import ModelStep
    from acsbench.experiment.steps import datasets, predict_step
    from acsbench.models.base import load_model
    from acsbench.store import WaveformStore
    from acsbench.tables import Cohort

    step = ModelStep(name=model.resolve().name, model="loaded", task=tuple(task))
    opened = WaveformStore.open(store) if store is not None else None
    data = datasets(step, Cohort.load(cohort), opened, split)
    result: dict[str, Any] = {"records": len(data), "without waveform": len(data.failed)}
    if not dry_run:
        files = predict_step(load_model(model), data, out, name=step.name)
        result["files"] = [str(file) for file in files]
    _emit(result, _pairs(result), as_json=json)


@app.command()
def evaluate(
    predictions: Annotated[list[str], typer.Argument(help="CSV or Parquet files, or NAME=FILE.")],
    labels: Annotated[Path, typer.Option(help="ecg_id, patient_id, label, ...")],
    out: Annotated[Path | None, typer.Option(help="Folder for results.csv and the report.")] = None,
    task: Annotated[str | None, typer.Option(help="Task of files without a task column.")] = None,
    split: Annotated[str, typer.Option(help="Split that is judged.")] = "test",
    scores_are: Annotated[str, typer.Option(help="probability, logit or rank.")] = "probability",
    json: Json = False,
    dry_run: DryRun = False,
    seed: Seed = None,
    debug: Debug = False,
) -> None:
    """Judge prediction files against labels: needs neither torch nor the rest of the pipeline."""
    from acsbench.evaluation.evaluate import EvaluateConfig
    from acsbench.evaluation.evaluate import evaluate as judge
    from acsbench.predictions import Predictions
    from acsbench.report.page import write_report
    from acsbench.tables import read_labels

    known = ("probability", "logit", "rank")
    if scores_are not in known:
        raise ConfigError(f"--scores-are {scores_are} is none of {', '.join(known)}.")
    table = read_labels(labels)
    scored = [
        Predictions.read(file, task=task or "task", scores_are=scores_are)  # type: ignore[arg-type]  # one of the three, as just checked
        for file in predictions
    ]
    if dry_run:
        plan = {p.model: f"{len(p.frame):,} scores of {', '.join(p.tasks)}" for p in scored}
        return _emit(plan, _pairs(plan), as_json=json)
    results = judge(scored, table, task, split=split, config=EvaluateConfig(seed=seed or 0))
    if out is not None:
        results.to_csv(out / "results.csv")
        write_report(results, out, title="Evaluation", facts={"Seed": str(seed or 0)})
    return _emit({"results": results.frame.to_dicts()}, str(results), as_json=json)


@app.command()
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
    _emit({"report": str(written)}, f"Report: {written}", as_json=json)


@app.command()
def show(
    ecg_id: Annotated[str, typer.Argument(help="Id of the ECG.")],
    source: Annotated[str, typer.Option(help="See `acsbench list sources`.")],
    out: Annotated[Path, typer.Option(help="PNG or SVG file to write, or a folder for it.")],
    path: Annotated[Path | None, typer.Option(help="Folder of the source.")] = None,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    debug: Debug = False,
) -> None:
    """Draw one ECG on paper grid, as PNG or SVG."""
    from acsbench.report.ecg_paper import save_ecg
    from acsbench.sources.base import open_source

    options = _assignments(set_)
    if path is not None:
        options["path"] = str(path)
    opened = open_source(source, **options)
    known = opened.tables().ecgs["ecg_id"]
    if ecg_id not in known:
        hint = did_you_mean(ecg_id, known)
        raise UnknownNameError(f"Source '{source}' holds no ECG '{ecg_id}'.{hint}")
    recording = next(iter(opened.recordings([ecg_id])))
    if isinstance(recording, Exception):
        raise recording
    file = out if out.suffix in (".png", ".svg") else out / f"{ecg_id}.png"
    if not dry_run:
        save_ecg(recording, path=file)
    _emit({"file": str(file)}, str(file), as_json=json)


@app.command(name="list")
def list_(
    kind: Annotated[str, typer.Argument(help="models, sources, recipes, tasks or metrics.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List what is registered, plug-ins included."""
    from acsbench.registry import KINDS, names

    if kind not in KINDS:
        raise UnknownNameError(
            f"There is no list of '{kind}'.{did_you_mean(kind, KINDS)} Known: {', '.join(KINDS)}."
        )
    found = names(kind)
    _emit({kind: found}, "\n".join(found), as_json=json)


@app.command()
def doctor(
    out: Annotated[Path, typer.Option(help="Folder that runs would write to.")] = Path(),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check this machine: Python, libraries, extras, cores, disk."""
    from acsbench.experiment.doctor import examine

    findings = examine(out)
    lines = [f"{'ok ' if f.is_fine else 'BAD'} {f.what}: {f.detail}" for f in findings]
    _emit({"findings": [f._asdict() for f in findings]}, "\n".join(lines), as_json=json)
    if not all(f.is_fine for f in findings):
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0 fine, 1 failed, 2 bad input or usage, 130 interrupted.
    """
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("acsbench").setLevel(logging.INFO)
    sys.exit(_guarded(list(sys.argv[1:] if arguments is None else arguments)))


# typer brings its own copy of click from some version on; this is ClickException in either
_UsageProblem: Any = typer.BadParameter.__mro__[2]


def _guarded(arguments: list[str]) -> int:
    """Run a command and turn whatever ends it into an exit code."""
    try:
        code = app(arguments, standalone_mode=False)
    except typer.Exit as leaving:
        code = leaving.exit_code
    except _UsageProblem as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("Interrupted. Finished work is kept; start again to go on.", 130)
    except BrokenPipeError:
        # the reader of our stdout left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except AcsbenchError as error:
        if _debug:
            raise
        code = _complain(f"Error: {error}", error.exit_code)
    except MemoryError:
        code = _complain("Error: out of memory. Use fewer worker processes (--jobs 1).", 1)
    return code if isinstance(code, int) else 0


def _complain(message: str, exit_code: int) -> int:
    print(message, file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    main()
