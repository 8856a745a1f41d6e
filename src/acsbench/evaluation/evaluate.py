"""Judge predictions against labels: overall, in subgroups, and models against each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import InputError, did_you_mean
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.figures import (
    RANK_METRICS,
    Figure,
    auroc_covariance,
    bootstrap_figures,
    clustered_figures,
    point_estimate,
    resample,
    roc_points,
    with_percentiles,
)
from acsbench.evaluation.inputs import (
    Judged,
    PredictionsLike,
    gather,
    read_inputs,
    resolve_tasks,
)
from acsbench.evaluation.intervals import paired_difference
from acsbench.predictions import Predictions
from acsbench.results import RESULT_COLUMNS, Curves, Results
from acsbench.tables import LABELS
from acsbench.tasks import Task

__all__ = ["EvaluateConfig", "evaluate"]

_MAX_SUBGROUP_VALUES = 10


Row = dict[str, Any]


def evaluate(
    predictions: PredictionsLike | Sequence[PredictionsLike],
    labels: pl.DataFrame | Path | str,
    task: Task | str | None = None,
    *,
    split: str = "test",
    config: EvaluateConfig | None = None,
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
    split : str
        Rows of the labels that are judged; labels without the column are all ``test``.
    config : EvaluateConfig, optional

    Returns
    -------
    Results
        Per task: overall rows of every model, subgroups, paired differences; then macro averages
        of models that score several tasks. The order of rows in the inputs changes nothing.

    Raises
    ------
    InputError
        When inputs break their contract, do not fit each other, or leave nothing to judge.
    """
    config = config or EvaluateConfig()
    named = task.name if isinstance(task, Task) else task
    models, table = read_inputs(predictions, labels, task=named)
    tasks = resolve_tasks(task, models, table)
    judged = [
        gather(
            one,
            [*models, *_flag_predictions(config.flags, table, one, split=split)],
            table,
            split=split,
            only_if_scored=task is None,
        )
        for one in tasks
    ]
    rows: list[Row] = []
    remarks: list[str] = []
    for one in judged:
        remarks.extend(one.remarks)
        rows.extend(_overall(one, config, remarks))
        rows.extend(_in_subgroups(one, config))
        if config.compare and "auroc" in config.metrics:
            rows.extend(_differences(one, config))
    rows.extend(_macro(judged, config))
    points = [roc_points(one, model) for one in judged for model in one.models]
    return Results(
        pl.DataFrame(rows, schema=RESULT_COLUMNS), Curves(pl.concat(points)), tuple(remarks)
    )


def _flag_predictions(
    columns: Sequence[str], labels: pl.DataFrame, task: Task | str, *, split: str
) -> list[Predictions]:
    """Classical findings as models: present is 1, absent 0."""
    name = task.name if isinstance(task, Task) else task
    rows = labels.filter(pl.col("task") == name) if "task" in labels.columns else labels
    if "split" in labels.columns:
        rows = rows.filter(pl.col("split") == split)
    rows = rows.filter(pl.col("label").is_not_null())
    flags = []
    for column in columns:
        _require_column(rows, column, "flags")
        score = rows[column].cast(pl.Float64, strict=False)
        if not score.is_in([0.0, 1.0]).fill_null(value=False).all():
            raise InputError(
                f"The labels' column '{column}' cannot be a flag: it holds values other than "
                "0 and 1, or missing ones."
            )
        frame = rows.select("ecg_id", pl.lit(name).alias("task"), score.alias("score"))
        flags.append(Predictions(frame, f"flag:{column}"))
    return flags


def _require_column(rows: pl.DataFrame, column: str, key: str) -> None:
    if column not in rows.columns:
        raise InputError(
            f"{key} names '{column}', and the labels have no such column."
            f"{did_you_mean(column, rows.columns)}"
        )


def _row(judged: Judged, model: str, metric: str, figure: Figure, **where: str) -> Row:
    """One row of the results; ``where`` is ``subgroup`` or ``compared_with``."""
    return {
        "model": model,
        "task": judged.task,
        "task_version": judged.version,
        "split": judged.split,
        "unit": judged.unit,
        "metric": metric,
        "subgroup": "",
        "compared_with": "",
        **where,
        **figure._asdict(),
        **judged.counts(),
    }


def _overall(judged: Judged, config: EvaluateConfig, remarks: list[str]) -> Iterator[Row]:
    sampled, n_degenerate = bootstrap_figures(judged, config.metrics, config)
    if n_degenerate:
        remarks.append(
            f"Task {judged.task}: {n_degenerate:,} of {config.n_resamples:,} resamples held one "
            "class only and were left out of the bootstrap intervals."
        )
    clustered = clustered_figures(judged, config) if "auroc" in config.metrics else {}
    for model in judged.models:
        if model in clustered:
            yield _row(judged, model, "auroc", clustered[model])
        for metric in config.metrics:
            yield _row(judged, model, metric, sampled[metric, model])


def _in_subgroups(judged: Judged, config: EvaluateConfig) -> Iterator[Row]:
    """AUROC by clustered DeLong, and metrics of other packages by the patient bootstrap."""
    others = [name for name in config.metrics if name not in RANK_METRICS]
    for subgroup, members in _subgroups(judged, config):
        group = judged.subset(members)
        reason = _too_few(group, config.min_class)
        figures: dict[tuple[str, str], Figure] = {}
        if reason is None and "auroc" in config.metrics:
            clustered = clustered_figures(group, config)
            figures |= {("auroc", model): figure for model, figure in clustered.items()}
        if reason is None and others:
            figures |= bootstrap_figures(group, others, config)[0]
        names = [name for name in config.metrics if name == "auroc" or name in others]
        for model, metric in itertools.product(group.models, names):
            method = "clustered_delong_logit" if metric == "auroc" else "patient_bootstrap"
            figure = figures.get((metric, model), Figure(None, method, reason=reason))
            yield _row(group, model, metric, figure, subgroup=subgroup)


def _subgroups(judged: Judged, config: EvaluateConfig) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Every ``column=value`` with its members; rows without a value belong to none."""
    columns = config.subgroups
    if columns is None:
        columns = _text_columns(judged.rows)
    for column in columns:
        _require_column(judged.rows, column, "subgroups")
        values = judged.rows[column].cast(pl.String)
        for value in values.drop_nulls().unique().sort():
            yield f"{column}={value}", (values == value).fill_null(value=False).to_numpy()


def _text_columns(rows: pl.DataFrame) -> tuple[str, ...]:
    own = [column.name for column in LABELS.columns]
    return tuple(
        name
        for name, dtype in rows.schema.items()
        if dtype == pl.String
        and name not in own
        and rows[name].drop_nulls().n_unique() <= _MAX_SUBGROUP_VALUES
    )


def _too_few(group: Judged, min_class: int) -> str | None:
    n_positive = int(group.labels.sum())
    if n_positive < min_class:
        return f"fewer than {min_class} positives"
    if len(group.labels) - n_positive < min_class:
        return f"fewer than {min_class} negatives"
    return None


def _differences(judged: Judged, config: EvaluateConfig) -> Iterator[Row]:
    """Every pair of models: AUROC of the first minus that of the second."""
    result = auroc_covariance(judged)
    for first, second in itertools.combinations(range(len(judged.models)), 2):
        found = paired_difference(result, first, second, level=config.level)
        figure = Figure(
            found.delta,
            "paired_clustered_delong",
            low=found.low,
            high=found.high,
            p_value=found.p_value,
            reason=found.reason,
        )
        other = judged.models[second]
        yield _row(judged, judged.models[first], "auroc", figure, compared_with=other)


def _macro(judged: Sequence[Judged], config: EvaluateConfig) -> Iterator[Row]:
    """Mean over tasks of every model that scores several, on patients drawn for all at once."""
    everyone = np.unique(np.concatenate([one.patients for one in judged]))
    if len(judged) < 2:
        return
    sampled = [resample(one, config.metrics, config, everyone).values for one in judged]
    for model in dict.fromkeys(model for one in judged for model in one.models):
        mine = [i for i, one in enumerate(judged) if model in one.scores]
        if len(mine) < 2:
            continue
        for metric in config.metrics:
            points = [point_estimate(judged[i], model, metric) for i in mine]
            values = [value for value, _ in points if value is not None]
            reason = next((reason for _, reason in points if reason), None)
            columns = [sampled[i][metric][:, judged[i].models.index(model)] for i in mine]
            figure = with_percentiles(
                float(np.mean(values)) if reason is None else None,
                reason,
                np.mean(columns, axis=0),
                config.level,
            )
            yield _macro_row([judged[i] for i in mine], model, f"macro_{metric}", figure)


def _macro_row(judged: Sequence[Judged], model: str, metric: str, figure: Figure) -> Row:
    """Counts of a macro average: labels of all its tasks, patients and visits once each."""
    keys = ["patient_id", "label", "n_records"]
    visits = all("encounter_id" in one.rows.columns for one in judged)
    keys += ["encounter_id"] if visits else []
    pooled = Judged(
        task="",
        version=None,
        unit=judged[0].unit,
        split=judged[0].split,
        rows=pl.concat(one.rows.select(keys) for one in judged),
        scores={},
        probabilities={},
    )
    return _row(pooled, model, metric, figure)
