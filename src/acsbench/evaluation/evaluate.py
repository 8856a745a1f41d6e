"""Judge predictions against labels: overall, in subgroups, and models against each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from acsbench import registry
from acsbench.errors import InputError, did_you_mean
from acsbench.evaluation.calibration_figures import calibration_figures
from acsbench.evaluation.comparisons import compare
from acsbench.evaluation.config import EvaluateConfig, Section
from acsbench.evaluation.feature_figures import feature_figures
from acsbench.evaluation.findings import Figure, Findings
from acsbench.evaluation.guideline_features import FEATURES
from acsbench.evaluation.inputs import Given, PredictionsLike, read_inputs, resolve_tasks
from acsbench.evaluation.judged import FLAG_PREFIX, Judged, gather
from acsbench.evaluation.macro import macro_figures
from acsbench.evaluation.operating_figures import operating_figures
from acsbench.evaluation.original_figures import original_figures
from acsbench.evaluation.other_metrics import other_figures
from acsbench.evaluation.ranking import rank_figures
from acsbench.evaluation.selective_figures import selective_figures
from acsbench.evaluation.sensitivity import sensitivity_figures
from acsbench.evaluation.subgroup_figures import (
    SUBGROUP_METRICS,
    subgroup_figures,
    with_derived_groups,
)
from acsbench.evaluation.utility_figures import utility_figures
from acsbench.evaluation.weighted import Metric
from acsbench.predictions import Predictions
from acsbench.results import Results
from acsbench.tables import Split
from acsbench.tasks import Task

__all__ = ["EvaluateConfig", "evaluate"]

_MAX_ROW_DRAWS = 200_000_000
"""Rows x resamples of one model; beyond, there are fewer resamples and a remark says so."""


def evaluate(
    predictions: PredictionsLike | Sequence[PredictionsLike],
    labels: pl.DataFrame | Path | str,
    task: Task | str | None = None,
    *,
    val: PredictionsLike | Sequence[PredictionsLike] | None = None,
    split: str = "test",
    config: EvaluateConfig | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> Results:
    """Judge the predictions of one or more models.

    Parameters
    ----------
    predictions : Predictions, DataFrame, path, or a sequence of them
        ``ecg_id, task, score``; a path may be ``NAME=FILE``.
    labels : DataFrame or path
        See `tables.LABELS`. Rows without a label are not scored.
    task : Task or str, optional
        By default every task that the predictions name.
    val : as predictions, optional
        Scores of the labels' validation rows, from which cuts and recalibration come. Matched to
        the predictions by model name, else by order.
    split : str
        Rows of the labels that are judged; labels without the column are all ``test``.
    config : EvaluateConfig, optional
    metrics : mapping of str to function, optional
        Further metrics ``(labels, scores) -> float``: they get intervals and subgroups. One
        without an answer raises `metrics.NotEstimable`, or returns NaN.

    Returns
    -------
    Results
        Per task: overall rows of every model, subgroups, paired differences, curves and further
        tables; then macro averages of models that score several tasks. The order of rows in the
        inputs changes nothing.

    Raises
    ------
    InputError
        When inputs break their contract, do not fit each other, or leave nothing to judge.
    """
    config = config or EvaluateConfig()
    named = task.name if isinstance(task, Task) else task
    given = read_inputs(predictions, labels, val=val, task=named)
    given = replace(given, labels=with_derived_groups(given.labels))
    asked = {name: registry.load("metrics", name) for name in config.metrics}
    asked |= metrics or {}
    findings = Findings()
    tasks = resolve_tasks(task, given.models, given.labels)
    several = len(tasks) > 1
    judged = [_gather(one, given, config, split=split, several=several) for one in tasks]
    for one in judged:
        _judge(one, asked, given.labels, _affordable(one, config, findings), findings)
    macro_figures(judged, asked, config, findings)
    return findings.results(level=config.level)


def _affordable(judged: Judged, config: EvaluateConfig, findings: Findings) -> EvaluateConfig:
    """Fewer resamples for a million rows."""
    n = max(100, _MAX_ROW_DRAWS // len(judged.labels))
    if n >= config.n_resamples:
        return config
    findings.remarks.append(
        f"Task {judged.task}: {n:,} resamples instead of {config.n_resamples:,}, for there are "
        f"{len(judged.labels):,} rows."
    )
    return config.model_copy(update={"n_resamples": n})


def _gather(
    task: Task | str, given: Given, config: EvaluateConfig, *, split: str, several: bool
) -> Judged:
    """Test rows of a task with their validation rows, and the 0/1 findings as models of both."""
    flags = _flag_predictions(config.flags, given.labels, task, split=split)
    judged = gather(
        task, [*given.models, *flags], given.labels, split=split, one_of_several=several
    )
    name = judged.task
    val = [one for one in given.val if name in one.tasks]
    if not val:
        return judged
    if "split" not in given.labels.columns:
        raise InputError(
            "There are validation predictions, and the labels have no column 'split' to say which "
            "rows are 'val'. Add the column."
        )
    names = tuple(flag.model.removeprefix(FLAG_PREFIX) for flag in flags)
    flags = _flag_predictions(names, given.labels, task, split=Split.VAL, strict=False)
    of_val = gather(task, [*val, *flags], given.labels, split=Split.VAL, one_of_several=several)
    remarks = tuple(f"Validation: {remark}" for remark in of_val.remarks)
    if of_val.is_one_class:
        remark = f"Task {name}: the validation rows are of one class, and give no cuts."
        return replace(judged, remarks=(*judged.remarks, remark))
    return replace(judged, val=of_val, remarks=(*judged.remarks, *remarks))


def _judge(
    judged: Judged,
    asked: Mapping[str, Metric],
    labels: pl.DataFrame,
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    findings.remarks.extend(judged.remarks)
    _describe(judged, config, findings)
    if judged.is_one_class:
        for model, metric in itertools.product(judged.models, asked):
            nothing = Figure(None, "patient_bootstrap", reason="one class")
            findings.row(judged, model, metric, nothing)
        return
    sample = rank_figures(judged, config, findings)
    extra = {name: asked[name] for name in asked if name not in SUBGROUP_METRICS}
    whole = judged, config, findings
    analyses: dict[Section, Callable[[], None]] = {
        "operating_points": lambda: operating_figures(*whole),
        "calibration": lambda: calibration_figures(*whole),
        "utility": lambda: utility_figures(*whole),
        "comparisons": lambda: compare(judged, sample, config, findings),
        "subgroups": lambda: subgroup_figures(judged, extra, config, findings),
        "features": lambda: feature_figures(*whole),
        "sensitivity": lambda: sensitivity_figures(*whole),
        "selective_testing": lambda: selective_figures(*whole),
        "original": lambda: original_figures(judged, sample, labels, config, findings),
    }
    for section, analyse in analyses.items():
        if section == "comparisons":  # all overall rows of single models stand before it
            _brought(judged, asked, config, findings)
        if section in config.sections:
            analyse()


def _brought(
    judged: Judged, asked: Mapping[str, Metric], config: EvaluateConfig, findings: Findings
) -> None:
    """Metrics that were asked for and that no section has written."""
    written = {row["metric"] for row in findings.rows if row["task"] == judged.task}
    others = {name: metric for name, metric in asked.items() if name not in written}
    for (name, model), figure in other_figures(judged, others, config).items():
        findings.row(judged, model, name, figure)


def _describe(judged: Judged, config: EvaluateConfig, findings: Findings) -> None:
    """What was judged, and by how: the table ``evaluated``, and one row a model."""
    n, n_positive = len(judged.labels), int(judged.labels.sum())
    findings.entry(
        "evaluated",
        judged,
        None,
        task_version=judged.version,
        unit=judged.unit,
        **judged.counts,
        n_rows=n,
        n_negative=n - n_positive,
        prevalence=n_positive / n,
        n_unlabelled=judged.n_unlabelled,
        max_rows_per_patient=int(np.bincount(judged.patients).max()),
        n_val_rows=None if judged.val is None else len(judged.val.labels),
        n_resamples=config.n_resamples,
        seed=config.seed,
        level=config.level,
    )
    for model in judged.models:
        findings.entry(
            "models",
            judged,
            model,
            scores_are=judged.kinds[model],
            has_val=judged.val is not None and model in judged.val.scores,
            n_distinct_scores=len(set(judged.scores[model].tolist())),
        )


def _flag_predictions(
    columns: Sequence[str] | None,
    labels: pl.DataFrame,
    task: Task | str,
    *,
    split: str,
    strict: bool = True,
) -> list[Predictions]:
    """Classical findings as models: present is 1, absent 0.

    Findings that nobody asked for by name, and all of those where ``strict`` is off, are left out
    where they are not 0 or 1 in every row.
    """
    name = task.name if isinstance(task, Task) else task
    rows = labels.filter(pl.col("task") == name) if "task" in labels.columns else labels
    if "split" in labels.columns:
        rows = rows.filter(pl.col("split") == split)
    rows = rows.filter(pl.col("label").is_not_null())
    asked = strict and columns is not None
    flags = []
    for column in columns if columns is not None else FEATURES:
        if column not in rows.columns:
            if not asked:
                continue
            raise InputError(
                f"flags names '{column}', and the labels have no such column."
                f"{did_you_mean(column, rows.columns)}"
            )
        score = rows[column].cast(pl.Float64, strict=False)
        if not score.is_in([0.0, 1.0]).fill_null(value=False).all():
            if not asked:
                continue
            raise InputError(
                f"The labels' column '{column}' cannot be a flag: it holds values other than "
                "0 and 1, or missing ones."
            )
        frame = rows.select("ecg_id", pl.lit(name).alias("task"), score.alias("score"))
        flags.append(Predictions(frame, f"{FLAG_PREFIX}{column}", "rank"))
    return flags
