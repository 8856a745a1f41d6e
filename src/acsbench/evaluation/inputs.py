"""What a user gives, files or tables, to checked predictions and checked labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from acsbench.errors import InputError, did_you_mean, first_few
from acsbench.predictions import Predictions, ScoresAre, merge, parse_name_and_file
from acsbench.tables import LABELS, check, read_labels
from acsbench.tasks import TASKS, Task

__all__ = ["Given", "PredictionsLike", "default_task", "match_val", "read_inputs", "resolve_tasks"]

PredictionsLike = Predictions | pl.DataFrame | Path | str


@dataclass(frozen=True)
class Given:
    """Checked inputs: predictions, those of the validation split under equal names, labels."""

    models: list[Predictions]
    val: list[Predictions]
    labels: pl.DataFrame


def read_inputs(
    predictions: PredictionsLike | Sequence[PredictionsLike],
    labels: pl.DataFrame | Path | str,
    *,
    val: PredictionsLike | Sequence[PredictionsLike] | None,
    task: str | None,
) -> Given:
    """Bring whatever was given to checked predictions and checked labels.

    Predictions without a column ``task`` are of the task asked for, or of the only one that the
    labels name, or of one called ``task``.

    Raises
    ------
    InputError
        When nothing is given, two models share a name, validation predictions belong to no model,
        or a table breaks its contract.
    """
    table = check(labels, LABELS) if isinstance(labels, pl.DataFrame) else read_labels(Path(labels))
    name = default_task(table, task)
    models = [_as_predictions(one, task=name) for one in _as_list(predictions)]
    if not models:
        raise InputError("No predictions are given. Name at least one file or table.")
    merge(models)  # refuses two models of one name
    kinds = {one.model: one.scores_are for one in models}
    given = [_as_predictions(one, task=name, kinds=kinds) for one in _as_list(val)]
    return Given(models, match_val(models, given), table)


def _as_list(
    given: PredictionsLike | Sequence[PredictionsLike] | None,
) -> Sequence[PredictionsLike]:
    if given is None:
        return []
    return [given] if isinstance(given, (Predictions, pl.DataFrame, Path, str)) else given


def _as_predictions(
    given: PredictionsLike, *, task: str, kinds: Mapping[str, ScoresAre] | None = None
) -> Predictions:
    if isinstance(given, Predictions):
        return given
    if isinstance(given, pl.DataFrame):
        if "task" not in given.columns:
            given = given.with_columns(pl.lit(task).alias("task"))
        return Predictions(given, "predictions")
    name, _ = parse_name_and_file(given)
    scores_are: ScoresAre = (kinds or {}).get(name, "probability")
    return Predictions.read(given, task=task, scores_are=scores_are)


def match_val(models: Sequence[Predictions], val: Sequence[Predictions]) -> list[Predictions]:
    """Give validation predictions the names of their models: by equal name, else by order.

    Raises
    ------
    InputError
        When names do not decide it and the counts differ, or a model and its validation
        predictions do not hold the same kind of scores.
    """
    names = [one.model for one in models]
    by_name = {one.model: one for one in val if one.model in names}
    others = [one for one in val if one.model not in names]
    without = [name for name in names if name not in by_name]
    if len(by_name) + len(others) != len(val):
        raise InputError("Two validation predictions have one name. Name them with NAME=FILE.")
    if others and len(others) != len(without):
        raise InputError(
            f"The validation predictions {first_few([one.model for one in others])} have the name "
            f"of no model ({first_few(names)}), and with {len(without):,} models left their order "
            "does not say which is whose. Name them with NAME=FILE."
        )
    by_name |= {
        name: replace(one, model=name) for name, one in zip(without, others, strict=bool(others))
    }
    for model in models:
        mine = by_name.get(model.model)
        if mine is not None and mine.scores_are != model.scores_are:
            raise InputError(
                f"The scores of '{model.model}' are of the kind '{model.scores_are}' and those of "
                f"its validation predictions of the kind '{mine.scores_are}'. Cuts carry over "
                "between scores of one kind only."
            )
    return [by_name[name] for name in names if name in by_name]


def default_task(labels: pl.DataFrame, task: str | None) -> str:
    """Task of predictions that do not say: the one asked for, or the labels' only one."""
    named = labels["task"].unique().to_list() if "task" in labels.columns else []
    return task or (str(named[0]) if len(named) == 1 else "task")


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
