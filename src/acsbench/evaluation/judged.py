"""Labels of one task and split, joined one to one with the scores of every model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import InputError, did_you_mean, first_few
from acsbench.predictions import Predictions
from acsbench.tables import Split
from acsbench.tasks import Task

__all__ = ["FLAG_PREFIX", "Judged", "Untested", "gather"]

FLAG_PREFIX = "flag:"
"""What a classical 0/1 finding is called when it is judged as a model."""
_CLIP = 1e-7


@dataclass(frozen=True)
class Untested:
    """Rows whose outcome nobody looked for, and the scores of models that score all of them."""

    rows: pl.DataFrame
    scores: dict[str, NDArray[np.float64]]


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
        The same in [0, 1]; models that give ranks, and 0/1 findings, are not in it.
    kinds : dict of str to str
        ``probability``, ``logit``, ``rank`` or ``flag``, by model.
    n_unlabelled : int
        Records of the split without a label.
    remarks : tuple of str
    val : Judged or None
        The same task on the validation split, of the models that have scores there.
    untested : Untested or None
        Rows of the split without a label because nobody tested them.
    """

    task: str
    version: int | None
    unit: str
    split: str
    rows: pl.DataFrame
    scores: dict[str, NDArray[np.float64]]
    probabilities: dict[str, NDArray[np.float64]]
    kinds: dict[str, str]
    n_unlabelled: int = 0
    remarks: tuple[str, ...] = ()
    val: Judged | None = None
    untested: Untested | None = None

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order given."""
        return list(self.scores)

    @property
    def entries(self) -> list[str]:
        """The models that were entered: all but the 0/1 findings."""
        return [model for model in self.scores if self.kinds[model] != "flag"]

    @property
    def flags(self) -> list[str]:
        """The 0/1 findings that are judged as models."""
        return [model for model in self.scores if self.kinds[model] == "flag"]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """0 and 1, (n,)."""
        return self.rows["label"].to_numpy()

    @cached_property
    def patients(self) -> NDArray[np.intp]:
        """Whose row it is, (n,): numbers in the order of the patients' ids."""
        return self.rows["patient_id"].rank("dense").to_numpy().astype(np.intp) - 1

    @property
    def is_one_class(self) -> bool:
        """No AUROC, no cut, no calibration: nothing to judge."""
        return bool(self.labels.min() == self.labels.max())

    @property
    def n_patients(self) -> int:
        """How many there are."""
        return int(self.patients.max()) + 1

    def no_probability(self, model: str) -> str | None:
        """Why a model has no calibration and utility; None when it has."""
        if model in self.probabilities:
            return None
        if self.kinds[model] == "flag":
            return "a 0/1 finding is no probability"
        return "scores are ranks, not probabilities"

    def subset(self, members: NDArray[np.bool_]) -> Judged:
        """Only the rows that are members."""
        return replace(
            self,
            rows=self.rows.filter(pl.Series(members)),
            scores={model: values[members] for model, values in self.scores.items()},
            probabilities={model: values[members] for model, values in self.probabilities.items()},
        )

    def with_rows(self, rows: pl.DataFrame, scores: dict[str, NDArray[np.float64]]) -> Judged:
        """Other rows with their scores, which are no longer probabilities."""
        return replace(self, rows=rows, scores=scores, probabilities={})

    @cached_property
    def counts(self) -> dict[str, int | None]:
        """What stands beside every figure: records, positives, patients, encounters."""
        visits = "encounter_id" in self.rows.columns
        return {
            "n_records": int(self.rows["n_records"].sum()),
            "n_positive": int(self.rows.filter(pl.col("label") == 1)["n_records"].sum()),
            "n_patients": self.rows["patient_id"].n_unique(),
            "n_encounters": self.rows["encounter_id"].drop_nulls().n_unique() if visits else None,
        }


def gather(
    task: Task | str,
    predictions: Sequence[Predictions],
    labels: pl.DataFrame,
    *,
    split: str,
    one_of_several: bool,
) -> Judged:
    """Join the labels of one task and split with the scores of every model, one to one.

    Parameters
    ----------
    task : Task or str
    predictions : sequence of Predictions
    labels : DataFrame
        Checked against `tables.LABELS`.
    split : str
    one_of_several : bool
        Of several tasks: leave out models without a row of this one, and let it have one class,
        instead of refusing both.

    Raises
    ------
    InputError
        On an unknown or empty split, a split of one class (of a single task), and scores that do
        not fit the rows.
    """
    name = task.name if isinstance(task, Task) else task
    of_task = labels.filter(pl.col("task") == name) if "task" in labels.columns else labels
    rows, unlabelled = _labelled_rows(of_task, split=split, task=name)
    untested = _untested(unlabelled, rows)
    n_unlabelled = len(unlabelled) - len(untested)
    if rows["label"].n_unique() == 1 and not one_of_several:
        raise InputError(
            f"All {len(rows):,} labelled rows of split '{split}' of task '{name}' have the label "
            f"{rows['label'][0]}. Judging needs both classes."
        )
    scored = [p for p in predictions if not one_of_several or name in p.tasks]
    ids, known = rows["ecg_id"].to_list(), of_task["ecg_id"].to_list()
    used = pl.concat([rows.select("ecg_id"), untested.select("ecg_id")])
    remarks = _remarks(scored, used, task=name, split=split, n_unlabelled=n_unlabelled)
    for one in scored:
        one.check_ids(ids, task=name, known=known)
    kinds = {p.model: "flag" if p.model.startswith(FLAG_PREFIX) else p.scores_are for p in scored}
    judged = Judged(
        task=name,
        version=task.version if isinstance(task, Task) else None,
        unit="record",
        split=split,
        rows=rows.with_columns(n_records=pl.lit(1, dtype=pl.Int64)),
        scores={p.model: _aligned(p.frame, rows, name) for p in scored},
        probabilities={
            p.model: _aligned(frame, rows, name)
            for p in scored
            if kinds[p.model] != "flag" and (frame := p.probabilities()) is not None
        },
        kinds=kinds,
        n_unlabelled=n_unlabelled,
        remarks=remarks,
        untested=None if untested.is_empty() else _with_scores(untested, scored, name),
    )
    if isinstance(task, Task) and task.unit == "encounter":
        return _by_encounter(judged, task)
    return judged


def _labelled_rows(
    labels: pl.DataFrame, *, split: str, task: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of the split with a label, and those without one; both sorted by id."""
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
    chosen = chosen.sort("ecg_id")
    rows = chosen.filter(pl.col("label").is_not_null())
    if rows.is_empty():
        held = (
            dict(labels.group_by("split").len().sort("split").rows()) if "split" in labels else {}
        )
        raise InputError(
            f"Split '{split}' of task '{task}' holds no labelled row: {len(chosen):,} rows, none "
            f"with a label. Rows of each split in the labels: {held or len(labels)}."
        )
    return rows, chosen.filter(pl.col("label").is_null())


def _untested(unlabelled: pl.DataFrame, labelled: pl.DataFrame) -> pl.DataFrame:
    """Those without a label who were not tested, where all who have one were."""
    if "is_tested" not in labelled or not labelled["is_tested"].fill_null(value=False).all():
        return unlabelled.clear()
    return unlabelled.filter(~pl.col("is_tested"))


def _with_scores(rows: pl.DataFrame, predictions: Sequence[Predictions], task: str) -> Untested:
    scores = {p.model: _aligned(p.frame, rows, task) for p in predictions}
    return Untested(rows, {m: values for m, values in scores.items() if not np.isnan(values).any()})


def _remarks(
    predictions: Sequence[Predictions],
    used: pl.DataFrame,
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
        n_ignored = len(of_task.join(used, on="ecg_id", how="anti"))
        if n_ignored:
            remarks.append(
                f"{one.model}: {n_ignored:,} scores of task {task} belong to other splits or to "
                "records without a label, and are ignored."
            )
    return tuple(remarks)


def _aligned(scores: pl.DataFrame, rows: pl.DataFrame, task: str) -> NDArray[np.float64]:
    mine = scores.filter(pl.col("task") == task).select("ecg_id", "score")
    joined = rows.select("ecg_id").join(mine, on="ecg_id", how="left", maintain_order="left")
    return joined["score"].to_numpy().astype(np.float64)


def _by_encounter(judged: Judged, task: Task) -> Judged:
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

    def joined(model: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if task.aggregate == "first":
            return values[[rows[0] for rows in members]]
        if task.aggregate == "max":
            return np.array([values[rows].max() for rows in members])
        if judged.kinds[model] == "flag":  # a visit has a finding when one of its records has it
            return np.array([values[rows].max() for rows in members])
        if judged.kinds[model] == "rank":
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
