"""From predictions and labels to aligned arrays: one label and one score per model and row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import InputError, did_you_mean, first_few
from acsbench.predictions import Predictions, merge
from acsbench.tables import LABELS, Split, check, read_labels
from acsbench.tasks import TASKS, Task

__all__ = ["Judged", "PredictionsLike", "gather", "read_inputs", "resolve_tasks"]

PredictionsLike = Predictions | pl.DataFrame | Path | str

_CLIP = 1e-7


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Rows of one task and split, in the order of their ids, with every model's scores.

    Attributes
    ----------
    task : str
    version : int or None
        None for a task that is not registered.
    unit : str
        ``record`` or ``encounter``: what a row is.
    split : str
    rows : DataFrame
        The labels' columns, and ``n_records``: the ECGs behind a row.
    scores : dict of str to array of shape (n,)
        By model; any order-preserving number.
    probabilities : dict of str to array of shape (n,)
        The same in [0, 1]; of a model that gives ranks, the ranks.
    remarks : tuple of str
    """

    task: str
    version: int | None
    unit: str
    split: str
    rows: pl.DataFrame
    scores: dict[str, NDArray[np.float64]]
    probabilities: dict[str, NDArray[np.float64]]
    remarks: tuple[str, ...] = ()

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order given."""
        return list(self.scores)

    @property
    def labels(self) -> NDArray[np.int64]:
        """0 and 1, (n,)."""
        return self.rows["label"].to_numpy()

    @property
    def patients(self) -> NDArray[Any]:
        """Whose row it is, (n,)."""
        return self.rows["patient_id"].to_numpy()

    def subset(self, members: NDArray[np.bool_]) -> Judged:
        """Only the rows that are members."""
        return replace(
            self,
            rows=self.rows.filter(pl.Series(members)),
            scores={model: values[members] for model, values in self.scores.items()},
            probabilities={model: values[members] for model, values in self.probabilities.items()},
        )

    def counts(self) -> dict[str, int | None]:
        """What stands beside every figure: records, positives, patients, encounters."""
        visits = "encounter_id" in self.rows.columns
        return {
            "n_records": int(self.rows["n_records"].sum()),
            "n_positive": int(self.rows.filter(pl.col("label") == 1)["n_records"].sum()),
            "n_patients": self.rows["patient_id"].n_unique(),
            "n_encounters": self.rows["encounter_id"].drop_nulls().n_unique() if visits else None,
        }


def read_inputs(
    predictions: PredictionsLike | Sequence[PredictionsLike],
    labels: pl.DataFrame | Path | str,
    *,
    task: str | None,
) -> tuple[list[Predictions], pl.DataFrame]:
    """Bring whatever was given to checked predictions and checked labels.

    Raises
    ------
    InputError
        When nothing is given, two models share a name, or a table breaks its contract.
    """
    if isinstance(predictions, (Predictions, pl.DataFrame, Path, str)):
        predictions = [predictions]
    if not predictions:
        raise InputError("No predictions are given. Name at least one file or table.")
    models = [_as_predictions(one, task=task) for one in predictions]
    merge(models)  # refuses two models of one name
    if isinstance(labels, pl.DataFrame):
        return models, check(labels, LABELS)
    return models, read_labels(Path(labels))


def _as_predictions(given: PredictionsLike, *, task: str | None) -> Predictions:
    if isinstance(given, Predictions):
        return given
    if isinstance(given, pl.DataFrame):
        if "task" not in given.columns and task is not None:
            given = given.with_columns(pl.lit(task).alias("task"))
        return Predictions(given, "predictions")
    return Predictions.read(given, task=task)


def resolve_tasks(
    task: Task | str | None, predictions: Sequence[Predictions], labels: pl.DataFrame
) -> list[Task | str]:
    """List the tasks to judge: the one asked for, or those that the predictions name.

    A task that is not registered stays a name: it has no version, and its unit is the record.

    Raises
    ------
    InputError
        When the labels do not hold a task, or do not say which of several they are of.
    """
    asked = (
        [task] if task is not None else list(dict.fromkeys(t for p in predictions for t in p.tasks))
    )
    names = [one.name if isinstance(one, Task) else one for one in asked]
    if "task" in labels.columns:
        held = labels["task"].unique().sort().to_list()
        for name in names:
            if name not in held:
                raise InputError(
                    f"The labels have no row of task '{name}'.{did_you_mean(name, held)} "
                    f"They hold: {', '.join(held) or 'nothing'}. Name the task with --task."
                )
    elif len(names) > 1:
        raise InputError(
            f"The predictions name {len(names)} tasks ({first_few(names)}) and the labels have no "
            "column 'task' to tell theirs. Add the column, or name one task with --task."
        )
    return [one if isinstance(one, Task) else TASKS.get(one, one) for one in asked]


def gather(
    task: Task | str,
    predictions: Sequence[Predictions],
    labels: pl.DataFrame,
    *,
    split: str,
    only_if_scored: bool,
) -> Judged:
    """Join the labels of one task and split with the scores of every model, one to one.

    Parameters
    ----------
    task : Task or str
    predictions : sequence of Predictions
    labels : DataFrame
        Checked against `tables.LABELS`.
    split : str
    only_if_scored : bool
        Leave out models without a row of this task, instead of refusing them.

    Raises
    ------
    InputError
        On an unknown or empty split, a split of one class, and scores that do not fit the rows.
    """
    name = task.name if isinstance(task, Task) else task
    of_task = labels.filter(pl.col("task") == name) if "task" in labels.columns else labels
    rows, n_unlabelled = _labelled_rows(of_task, split=split, task=name)
    scored = [p for p in predictions if not only_if_scored or name in p.tasks]
    ids, known = rows["ecg_id"].to_list(), of_task["ecg_id"].to_list()
    remarks = _remarks(scored, rows, task=name, split=split, n_unlabelled=n_unlabelled)
    for one in scored:
        one.check_ids(ids, task=name, known=known)
    judged = Judged(
        task=name,
        version=task.version if isinstance(task, Task) else None,
        unit="record",
        split=split,
        rows=rows.with_columns(n_records=pl.lit(1, dtype=pl.Int64)),
        scores={p.model: _aligned(p.frame, rows, name) for p in scored},
        probabilities={p.model: _aligned(_in_0_1(p), rows, name) for p in scored},
        remarks=remarks,
    )
    if isinstance(task, Task) and task.unit == "encounter":
        return _by_encounter(judged, task, scored)
    return judged


def _in_0_1(predictions: Predictions) -> pl.DataFrame:
    probabilities = predictions.probabilities()
    return predictions.frame if probabilities is None else probabilities


def _labelled_rows(labels: pl.DataFrame, *, split: str, task: str) -> tuple[pl.DataFrame, int]:
    """Rows of the split with a label, sorted by id, and how many have none."""
    if split not in list(Split):
        raise InputError(
            f"There is no split '{split}'.{did_you_mean(split, list(Split))} "
            f"A split is one of {', '.join(Split)}."
        )
    if "split" not in labels.columns:
        if split != Split.TEST:
            raise InputError(
                f"The labels have no column 'split', so all their rows are 'test', not '{split}'. "
                "Add the column, or leave --split out."
            )
        chosen = labels
    else:
        chosen = labels.filter(pl.col("split") == split)
    rows = chosen.filter(pl.col("label").is_not_null()).sort("ecg_id")
    if rows.is_empty():
        held = (
            dict(labels.group_by("split").len().sort("split").rows()) if "split" in labels else {}
        )
        raise InputError(
            f"Split '{split}' of task '{task}' holds no labelled row: {len(chosen):,} rows, none "
            f"with a label. Rows of each split in the labels: {held or len(labels)}."
        )
    if rows["label"].n_unique() == 1:
        raise InputError(
            f"All {len(rows):,} labelled rows of split '{split}' of task '{task}' have the label "
            f"{rows['label'][0]}. Judging needs both classes."
        )
    return rows, len(chosen) - len(rows)


def _remarks(
    predictions: Sequence[Predictions],
    rows: pl.DataFrame,
    *,
    task: str,
    split: str,
    n_unlabelled: int,
) -> tuple[str, ...]:
    remarks = []
    if n_unlabelled:
        remarks.append(
            f"Task {task}: {n_unlabelled:,} records of split {split} have no label and are not "
            "scored."
        )
    for one in predictions:
        of_task = one.frame.filter(pl.col("task") == task)
        n_ignored = len(of_task.join(rows, on="ecg_id", how="anti"))
        if n_ignored:
            remarks.append(
                f"{one.model}: {n_ignored:,} scores of task {task} belong to other splits or to "
                "records without a label, and are ignored."
            )
    return tuple(remarks)


def _aligned(scores: pl.DataFrame, rows: pl.DataFrame, task: str) -> NDArray[np.float64]:
    mine = scores.filter(pl.col("task") == task).select("ecg_id", "score")
    joined = rows.select("ecg_id").join(mine, on="ecg_id", how="left", maintain_order="left")
    return joined["score"].to_numpy()


def _by_encounter(judged: Judged, task: Task, predictions: Sequence[Predictions]) -> Judged:
    """One row a visit: its first record's columns, its scores joined by the task's rule."""
    _check_visits(judged, task)
    ordering = ["ecg_order"] if "ecg_order" in judged.rows.columns else []
    order = judged.rows.with_row_index("row").sort(["encounter_id", *ordering, "ecg_id"])
    visits = order.group_by("encounter_id", maintain_order=True).agg(
        pl.exclude("row", "n_records").first(),
        pl.len().cast(pl.Int64).alias("n_records"),
        pl.col("row"),
    )
    members = [np.asarray(rows) for rows in visits["row"].to_list()]
    kinds = {p.model: p.scores_are for p in predictions}

    def joined(model: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if task.aggregate == "first":
            return values[[rows[0] for rows in members]]
        if task.aggregate == "max":
            return np.array([values[rows].max() for rows in members])
        if kinds[model] == "rank":
            raise InputError(
                f"Task '{task.name}' joins the scores of a visit by their mean logit, and the "
                f"scores of '{model}' are ranks. Give probabilities or logits."
            )
        clipped = np.clip(judged.probabilities[model], _CLIP, 1 - _CLIP)
        logits = np.log(clipped / (1 - clipped))
        means = np.array([logits[rows].mean() for rows in members])
        return np.asarray(1 / (1 + np.exp(-means)))

    return replace(
        judged,
        unit="encounter",
        rows=visits.drop("row"),
        scores={m: joined(m, values) for m, values in judged.scores.items()},
        probabilities={m: joined(m, values) for m, values in judged.probabilities.items()},
    )


def _check_visits(judged: Judged, task: Task) -> None:
    needed = ["encounter_id", *(["ecg_order"] if task.aggregate == "first" else [])]
    for column in needed:
        if column not in judged.rows.columns or judged.rows[column].has_nulls():
            raise InputError(
                f"Task '{task.name}' is judged per visit (aggregate '{task.aggregate}') and needs "
                f"the labels' column '{column}', filled in every row."
            )
    for column in ("label", "patient_id"):
        mixed = judged.rows.group_by("encounter_id").agg(pl.col(column).n_unique().alias("n"))
        bad = mixed.filter(pl.col("n") > 1)["encounter_id"].sort()
        if len(bad):
            raise InputError(
                f"{len(bad):,} visits of task '{task.name}' have more than one {column} "
                f"(first: {first_few(bad.to_list(), n=3)}). A visit has one."
            )
