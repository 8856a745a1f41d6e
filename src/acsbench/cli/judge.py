"""Commands of judges, for anybody with two CSV files: evaluate, compare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from acsbench.cli.options import (
    Debug,
    DryRun,
    Json,
    Limit,
    Seed,
    Set,
    assignments,
    emit,
    pairs,
)
from acsbench.errors import ConfigError

__all__ = ["compare", "evaluate"]


def evaluate(
    predictions: Annotated[list[str], typer.Argument(help="CSV or Parquet files, or NAME=FILE.")],
    labels: Annotated[Path, typer.Option(help="ecg_id, patient_id, label, ...")],
    val: Annotated[
        list[str] | None,
        typer.Option(help="Scores of the validation rows, for cuts and recalibration; repeatable."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results and the report.")] = None,
    task: Annotated[str | None, typer.Option(help="Task of files without a task column.")] = None,
    split: Annotated[str, typer.Option(help="Split that is judged.")] = "test",
    scores_are: Annotated[str, typer.Option(help="probability, logit or rank.")] = "probability",
    min_count: Annotated[
        int,
        typer.Option(min=0, help="Hide counts of 1 to N in the report, as restricted data ask."),
    ] = 0,
    set_: Set = None,
    json: Json = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    seed: Seed = None,
    debug: Debug = False,
) -> None:
    """Judge prediction files against labels. Needs neither torch nor the rest of the pipeline."""
    from acsbench.evaluation.evaluate import EvaluateConfig
    from acsbench.evaluation.evaluate import evaluate as judge
    from acsbench.evaluation.inputs import default_task
    from acsbench.experiment.limit import limit_judged, not_reportable
    from acsbench.predictions import Predictions
    from acsbench.provenance import parse_config
    from acsbench.report.page import write_report
    from acsbench.tables import read_labels

    asked = {**assignments(set_), **({} if seed is None else {"seed": seed})}
    config = parse_config(EvaluateConfig, asked, where="--set")
    known = ("probability", "logit", "rank")
    if scores_are not in known:
        raise ConfigError(f"--scores-are {scores_are} is none of {', '.join(known)}.")
    table = read_labels(labels)
    scored, on_val = (
        [
            Predictions.read(file, task=default_task(table, task), scores_are=scores_are)  # type: ignore[arg-type]  # one of the three, as just checked
            for file in files
        ]
        for files in (predictions, val or [])
    )
    if dry_run:
        plan = {p.model: f"{len(p.frame):,} scores of {', '.join(p.tasks)}" for p in scored}
        return emit(plan, pairs(plan), as_json=json)
    if limit is not None:
        scored, on_val, table = limit_judged(scored, on_val, table, limit)
    results = judge(scored, table, task, val=on_val or None, split=split, config=config)
    if limit is not None:
        results = replace(results, remarks=(not_reportable(limit), *results.remarks))
    if out is not None:
        results.save(out)
        facts = {"Seed": str(config.seed)}
        write_report(results, out, title="Evaluation", facts=facts, min_count=min_count)
    result = {"results": results.frame.to_dicts(), "remarks": list(results.remarks)}
    remarks = "".join(f"\nNote: {remark}" for remark in results.remarks)
    return emit(result, f"{results}{remarks}", as_json=json)


def compare(
    first: Annotated[Path, typer.Argument(help="Folder of a run, or of `evaluate`.")],
    second: Annotated[Path, typer.Argument(help="The other one.")],
    out: Annotated[Path | None, typer.Option(help="CSV file for all estimates.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare the results of two runs. What changed in settings, and in every estimate."""
    from acsbench.provenance import atomic_path
    from acsbench.report.compare import compare_runs

    found = compare_runs(first, second)
    if out is not None:
        with atomic_path(out) as temporary:
            found.estimates.write_csv(temporary)
    result = {
        "remarks": list(found.remarks),
        "settings": found.settings.to_dicts(),
        "estimates": found.estimates.to_dicts(),
    }
    emit(result, str(found), as_json=json)
