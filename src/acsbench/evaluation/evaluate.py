"""evaluate: join predictions and labels one to one, then estimate, overall and by subgroup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from acsbench import registry
from acsbench.errors import PredictionsError, TableError, UnknownNameError, did_you_mean
from acsbench.evaluation.intervals import (
    Covariance,
    Metric,
    clustered_delong,
    logit_interval,
    paired_difference,
    patient_bootstrap,
)
from acsbench.evaluation.metrics import NotEstimableError, roc_curve
from acsbench.predictions import Predictions, merge
from acsbench.provenance import StepConfig
from acsbench.results import CURVE_COLUMNS, RESULT_COLUMNS, Curves, Results
from acsbench.tables import LABELS, SPLITS, check, read_labels
from acsbench.tasks import TASKS, Task

__all__ = ["EvaluateConfig", "evaluate"]

_CURVE_POINTS = 400
_MOST_GROUPS = 10
_NO_SUBGROUP = ("task", "split", "encounter_id", "patient_id", "ecg_id")


class EvaluateConfig(StepConfig):
    """How predictions are judged.

    Attributes
    ----------
    metrics : tuple of str
        Registered metrics; AUROC has both intervals, others the bootstrap's.
    n_resamples : int
        Of the patient bootstrap.
    level : float
        Of every interval.
    seed : int
    subgroups : tuple of str or None
        Label columns to divide by; None takes every text column of at most 10 values.
    min_class : int
        Subgroups with fewer records of either class get no estimate.
    compare : bool
        Report the paired difference of every two models.
    """

    metrics: tuple[str, ...] = ("auroc", "auprc")
    n_resamples: int = Field(default=2000, ge=100)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    seed: int = Field(default=0, ge=0)
    subgroups: tuple[str, ...] | None = None
    min_class: int = Field(default=10, ge=1)
    compare: bool = True


@dataclass(frozen=True, kw_only=True)
class _Joined:
    """Rows of one task that are scored, in the order of their ids; scores are (n, models)."""

    task: str
    version: int | None
    split: str
    unit: str
    rows: pl.DataFrame
    models: list[str]
    scores: NDArray[np.float64]

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.rows["label"].to_numpy().astype(np.int64)

    @property
    def patients(self) -> NDArray[np.int64]:
        return self.rows["patient_id"].rank("dense").to_numpy().astype(np.int64)

    def where(self, keep: NDArray[np.bool_]) -> _Joined:
        return _Joined(
            task=self.task,
            version=self.version,
            split=self.split,
            unit=self.unit,
            rows=self.rows.filter(pl.Series(keep)),
            models=self.models,
            scores=self.scores[keep],
        )

    def row(self, **values: Any) -> dict[str, Any]:
        visits = self.rows["encounter_id"] if "encounter_id" in self.rows.columns else None
        base: dict[str, Any] = {
            **dict.fromkeys(RESULT_COLUMNS),
            "compared_with": "",
            "task": self.task,
            "task_version": self.version,
            "split": self.split,
            "unit": self.unit,
            "subgroup": "",
            "n_records": len(self.rows),
            "n_positive": int(self.labels.sum()),
            "n_patients": self.rows["patient_id"].n_unique(),
            "n_encounters": None if visits is None else visits.drop_nulls().n_unique(),
        }
        return {**base, **values}


def evaluate(
    predictions: Predictions | Sequence[Predictions] | Path | str,
    labels: pl.DataFrame | Path | str,
    task: Task | str | None = None,
    *,
    split: str = "test",
    config: EvaluateConfig | None = None,
) -> Results:
    """Judge one or several models' scores against labels.

    Parameters
    ----------
    predictions : Predictions, sequence of Predictions, or path
        Every labelled record of the split needs one score from each model.
    labels : DataFrame or path
        ``ecg_id, patient_id, label`` and more; see `tables.LABELS`. Rows of other splits and rows
        with an empty label are ignored, and counted in the remarks.
    task : Task or str, optional
        By default each task that the predictions name.
    split : str
        Labels without a ``split`` column are all "test".
    config : EvaluateConfig, optional

    Returns
    -------
    Results
        With ROC curves.

    Raises
    ------
    PredictionsError, TableError
        When scores and labels do not fit one to one; all findings at once.
    """
    config = config or EvaluateConfig()
    models = _as_list(predictions)
    merge(models)  # refuses two models of one name
    table = read_labels(Path(labels)) if not isinstance(labels, pl.DataFrame) else labels
    table = check(table, LABELS)
    _check_split(table, split)
    names = [task] if task is not None else list(dict.fromkeys(t for m in models for t in m.tasks))
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    remarks: list[str] = []
    for name in names:
        joined, ignored = _join(models, table, name, split)
        remarks += ignored
        rows += _overall(joined, config)
        rows += _subgroups(joined, config)
        rows += _differences(joined, config) if config.compare else []
        curves += _roc(joined)
    if len(names) > 1:
        rows += _macro(rows, [m.model for m in models], split)
    return Results(
        pl.DataFrame(rows, schema=RESULT_COLUMNS),
        Curves(pl.DataFrame(curves, schema=CURVE_COLUMNS)),
        tuple(remarks),
    )


def _as_list(predictions: Predictions | Sequence[Predictions] | Path | str) -> list[Predictions]:
    if isinstance(predictions, Predictions):
        return [predictions]
    if isinstance(predictions, str | Path):
        return [Predictions.read(predictions)]
    if not predictions:
        raise PredictionsError("There are no predictions to judge.")
    return list(predictions)


def _check_split(table: pl.DataFrame, split: str) -> None:
    found = table["split"].unique().to_list() if "split" in table.columns else ["test"]
    if split not in found:
        raise TableError(
            f"The labels hold no row of split '{split}'.{did_you_mean(split, SPLITS)} "
            f"Found: {', '.join(sorted(found))}."
        )


def _join(
    models: Sequence[Predictions], table: pl.DataFrame, task: Task | str, split: str
) -> tuple[_Joined, list[str]]:
    """Pair every labelled record of a task and split with each model's score."""
    found = task if isinstance(task, Task) else _known(task)
    name = task if isinstance(task, str) else task.name
    mine = table.filter(pl.col("task") == name) if "task" in table.columns else table
    if mine.is_empty():
        known = table["task"].unique().to_list()
        raise TableError(f"The labels hold no task '{name}'.{did_you_mean(name, known)}")
    in_split = mine.filter(pl.col("split") == split) if "split" in mine.columns else mine
    labelled = in_split.filter(pl.col("label").is_not_null()).sort("ecg_id")
    if labelled.is_empty():
        raise TableError(f"No row of split '{split}' has a label for task '{name}'.")
    if labelled["label"].n_unique() < 2:
        raise TableError(
            f"All {len(labelled):,} labels of task '{name}' in split '{split}' are "
            f"{labelled['label'][0]}: nothing can be told apart. Use more patients."
        )
    ids = labelled["ecg_id"].to_list()
    columns = []
    for model in models:
        model.check_ids(ids, task=name, known=table["ecg_id"].to_list())
        scored = model.frame.filter(pl.col("task") == name)
        score_of = dict(zip(scored["ecg_id"], scored["score"], strict=True))
        columns.append([score_of[ecg_id] for ecg_id in ids])
    remarks = []
    if len(in_split) > len(labelled):
        n_empty = len(in_split) - len(labelled)
        remarks.append(f"Task {name}: {n_empty:,} records without a label are not scored.")
    joined = _Joined(
        task=name,
        version=found.version if found else None,
        split=split,
        unit="record",
        rows=labelled,
        models=[model.model for model in models],
        scores=np.array(columns, dtype=np.float64).T,
    )
    is_by_visit = found is not None and found.unit == "encounter"
    return (
        _by_encounter(joined, str(found.aggregate)) if is_by_visit and found else joined
    ), remarks


def _known(name: str) -> Task | None:
    """Return the registered task, or None: someone's own task needs no registration to be judged."""
    try:
        return TASKS[name]
    except UnknownNameError:
        return None


def _by_encounter(joined: _Joined, aggregate: str) -> _Joined:
    """Make one row of a visit: its records' scores joined, its label the highest of theirs."""
    rows = joined.rows.with_row_index("_row")
    if "encounter_id" not in rows.columns or rows["encounter_id"].has_nulls():
        raise TableError(
            f"Task '{joined.task}' is judged by visit; every label needs encounter_id."
        )
    order = ["ecg_order", "ecg_id"] if "ecg_order" in rows.columns else ["ecg_id"]
    groups = (
        rows.sort("encounter_id", *order)
        .group_by("encounter_id", maintain_order=True)
        .agg(pl.exclude("label", "_row").first(), pl.col("label").max(), pl.col("_row"))
    )
    scores = joined.scores
    if aggregate == "mean_logit":
        clipped = np.clip(scores, 1e-7, 1 - 1e-7)
        scores = np.log(clipped / (1 - clipped))
    pick = {
        "mean_logit": lambda part: part.mean(axis=0),
        "max": lambda part: part.max(axis=0),
        "first": lambda part: part[0],
    }[aggregate]
    joined_scores = np.stack([pick(scores[list(index)]) for index in groups["_row"]])
    return _Joined(
        task=joined.task,
        version=joined.version,
        split=joined.split,
        unit="encounter",
        rows=groups.drop("_row"),
        models=joined.models,
        scores=joined_scores,
    )


def _overall(joined: _Joined, config: EvaluateConfig) -> Iterator[dict[str, Any]]:
    if "auroc" in config.metrics:
        yield from _auroc_rows(joined, config)
    for name in config.metrics:
        metric: Metric = registry.load("metrics", name)
        yield from _bootstrap_rows(joined, config, name, metric)


def _auroc_rows(
    joined: _Joined, config: EvaluateConfig, subgroup: str = ""
) -> Iterator[dict[str, Any]]:
    """AUROC of every model with its clustered interval on the logit scale."""
    for k, model in enumerate(joined.models):
        row = joined.row(
            model=model, subgroup=subgroup, metric="auroc", method="clustered_delong_logit"
        )
        try:
            row["value"] = float(_single(joined, k).auroc[0])
            variance = float(_single(joined, k).covariance[0, 0])
            row["low"], row["high"] = logit_interval(row["value"], variance, level=config.level)
        except NotEstimableError as error:
            row["reason"] = str(error)
        yield row


def _single(joined: _Joined, k: int) -> Covariance:
    return clustered_delong(joined.labels, joined.scores[:, k], joined.patients)


def _bootstrap_rows(
    joined: _Joined, config: EvaluateConfig, name: str, metric: Metric
) -> Iterator[dict[str, Any]]:
    draws = patient_bootstrap(
        joined.labels,
        joined.scores,
        joined.patients,
        metric=metric,
        n_resamples=config.n_resamples,
        seed=config.seed,
    )
    for k, model in enumerate(joined.models):
        row = joined.row(model=model, metric=name, method="patient_bootstrap")
        try:
            row["value"] = float(metric(joined.labels, joined.scores[:, k]))
            row["low"], row["high"] = draws.interval(k, level=config.level)
        except NotEstimableError as error:
            row["reason"] = str(error)
        yield row


def _subgroups(joined: _Joined, config: EvaluateConfig) -> Iterator[dict[str, Any]]:
    for column in _subgroup_columns(joined.rows, config):
        for value in sorted(joined.rows[column].drop_nulls().unique().to_list()):
            subgroup = f"{column}={value}"
            part = joined.where((joined.rows[column] == value).fill_null(value=False).to_numpy())
            n_positive = int(part.labels.sum())
            n_negative = len(part.rows) - n_positive
            if min(n_positive, n_negative) >= config.min_class:
                yield from _auroc_rows(part, config, subgroup)
                continue
            few = "positives" if n_positive < config.min_class else "negatives"
            reason = f"fewer than {config.min_class} {few}"
            for model in joined.models:
                yield part.row(
                    model=model,
                    subgroup=subgroup,
                    metric="auroc",
                    method="clustered_delong_logit",
                    reason=reason,
                )


def _subgroup_columns(rows: pl.DataFrame, config: EvaluateConfig) -> list[str]:
    if config.subgroups is not None:
        missing = [name for name in config.subgroups if name not in rows.columns]
        if missing:
            hint = did_you_mean(missing[0], rows.columns)
            raise TableError(f"The labels have no column '{missing[0]}' to divide by.{hint}")
        return list(config.subgroups)
    return [
        name
        for name, dtype in rows.schema.items()
        if dtype == pl.String and name not in _NO_SUBGROUP and rows[name].n_unique() <= _MOST_GROUPS
    ]


def _differences(joined: _Joined, config: EvaluateConfig) -> Iterator[dict[str, Any]]:
    if len(joined.models) < 2:
        return
    try:
        estimates = clustered_delong(joined.labels, joined.scores, joined.patients)
    except NotEstimableError as error:
        reason: str | None = str(error)
    else:
        reason = None
    for first, second in combinations(range(len(joined.models)), 2):
        row = joined.row(
            model=joined.models[first],
            compared_with=joined.models[second],
            metric="auroc",
            method="paired_clustered_delong",
            reason=reason,
        )
        if reason is None:
            try:
                found = paired_difference(estimates, first, second, level=config.level)
                row |= {"value": found.value, "low": found.low, "high": found.high}
                row["p_value"] = found.p_value
            except NotEstimableError as error:
                row["reason"] = str(error)
        yield row


def _roc(joined: _Joined) -> Iterator[dict[str, Any]]:
    for k, model in enumerate(joined.models):
        curve = roc_curve(joined.labels, joined.scores[:, k])
        points = np.arange(curve.fpr.size)
        if points.size > _CURVE_POINTS:
            points = np.unique(np.linspace(0, points[-1], _CURVE_POINTS).round().astype(int))
        for point in points:
            yield {
                **dict.fromkeys(CURVE_COLUMNS),
                "model": model,
                "task": joined.task,
                "split": joined.split,
                "subgroup": "",
                "curve": "roc",
                "x": float(curve.fpr[point]),
                "y": float(curve.tpr[point]),
                "n": len(joined.rows),
            }


def _macro(
    rows: Sequence[dict[str, Any]], models: Sequence[str], split: str
) -> Iterator[dict[str, Any]]:
    """Mean over tasks; its interval would need patients that all tasks share."""
    for model in models:
        values = [
            row["value"]
            for row in rows
            if row["model"] == model
            and row["method"] == "clustered_delong_logit"
            and row["subgroup"] == ""
        ]
        known = [value for value in values if value is not None]
        yield {
            **dict.fromkeys(RESULT_COLUMNS),
            "model": model,
            "task": "macro",
            "split": split,
            "unit": "record",
            "metric": "macro_auroc",
            "value": float(np.mean(known)) if len(known) == len(values) else None,
            "method": "mean_over_tasks",
            "reason": "no interval: tasks have different records",
        }
