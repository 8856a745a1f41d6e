"""What the splits hold, and the proof that nobody and no waveform stands in two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import polars as pl

from acsbench.errors import TableError, first_few
from acsbench.tables import QUALITY, Cohort, Split, check
from acsbench.tasks import TASKS, Task

__all__ = ["audit_split", "describe_splits"]

_COLUMNS = {
    "check": pl.String,
    "scope": pl.String,
    "n_checked": pl.Int64,
    "n_found": pl.Int64,
    "examples": pl.String,
    "verdict": pl.String,
}
_Row = tuple[str, str, int, int, str, str]


def audit_split(
    cohort: Cohort,
    *,
    quality: pl.DataFrame | None = None,
    tasks: Sequence[Task] | None = None,
    other_stages: Mapping[str, Cohort] | None = None,
) -> pl.DataFrame:
    """Prove from the tables that no patient and no waveform crosses splits, tasks or stages.

    Nothing that the cohort says of itself is believed: everything is counted anew.

    Parameters
    ----------
    cohort : Cohort
        Its included records are audited.
    quality : DataFrame, optional
        See `tables.QUALITY`. Without it, that no waveform crosses is ``not checked``.
    tasks : sequence of Task, optional
        By default all whose population and outcome the cohort holds. A patient who trains one of
        them must not be judged in another.
    other_stages : mapping of str to Cohort, optional
        Cohorts that a model was pre-trained on, by name: who is in test here must not have been in
        their train or val.

    Returns
    -------
    DataFrame
        ``check, scope, n_checked, n_found, examples, verdict`` (``pass``, ``fail`` or ``not
        checked``); examples are ids, so the table is patient-level.
    """
    frame = cohort.frame.filter("is_included")
    if cohort.scheme == "holdout":
        raise TableError("A holdout has one split and no patients: there is nothing to audit.")
    rows = [
        _one_row_each(cohort.frame),
        _crossing("patient in one split", "all tasks", frame, "patient_id"),
        _crossing("visit in one split", "all tasks", frame, "encounter_id"),
        _waveforms(frame, quality),
    ]
    chosen = [one for one in TASKS.values() if _has(cohort, one)] if tasks is None else tasks
    rows += [_between_tasks(cohort, one, two) for one, two in combinations(chosen, 2)]
    rows += [_between_stages(frame, name, s) for name, s in (other_stages or {}).items()]
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def _row(check_: str, scope: str, n_checked: int, found: Sequence[str]) -> _Row:
    examples = first_few(sorted(found), n=3) if found else ""
    return check_, scope, n_checked, len(found), examples, "fail" if found else "pass"


def _one_row_each(frame: pl.DataFrame) -> _Row:
    doubled = frame.filter(pl.col("ecg_id").is_duplicated())["ecg_id"].unique().to_list()
    return _row("ECG has one row", "all records", frame["ecg_id"].n_unique(), doubled)


def _crossing(check_: str, scope: str, frame: pl.DataFrame, key: str) -> _Row:
    known = frame.filter(pl.col(key).is_not_null())
    n_splits = known.group_by(key).agg(pl.col("split").n_unique())
    found = n_splits.filter(pl.col("split") > 1)[key].to_list()
    return _row(check_, scope, len(n_splits), found)


def _waveforms(frame: pl.DataFrame, quality: pl.DataFrame | None) -> _Row:
    name = "waveform in one split"
    if quality is None:
        return name, "all tasks", 0, 0, "", "not checked"
    table = check(quality, QUALITY)
    is_blank = pl.col("reasons").fill_null("").str.contains("all_missing").all()
    hashes = table.group_by("ecg_id").agg(pl.col("raw_sha256").first(), is_blank.alias("is_blank"))
    joined = frame.select("ecg_id", "split").join(hashes.filter(~pl.col("is_blank")), on="ecg_id")
    return _crossing(name, "all tasks", joined, "raw_sha256")


def _has(cohort: Cohort, task: Task) -> bool:
    return {task.population, task.outcome} <= set(cohort.frame.columns)


def _between_tasks(cohort: Cohort, one: Task, two: Task) -> _Row:
    """Patients whose split differs between two tasks."""
    placed = pl.concat(
        cohort.frame.filter(
            pl.col("is_included") & pl.col(task.population) & pl.col(task.outcome).is_not_null()
        ).select("patient_id", "split")
        for task in (one, two)
    )
    scope = f"{one.name} and {two.name}"
    return _crossing("patient in one split over two tasks", scope, placed, "patient_id")


def _between_stages(frame: pl.DataFrame, name: str, stage: Cohort) -> _Row:
    """Who is judged here and was learnt from there."""
    theirs = stage.frame.filter("is_included")
    learnt = theirs.filter(pl.col("split").is_in([str(Split.TRAIN), str(Split.VAL)]))
    judged = frame.filter(pl.col("split") == str(Split.TEST))
    found = set(judged["patient_id"].drop_nulls()) & set(learnt["patient_id"].drop_nulls())
    n_checked = judged["patient_id"].n_unique()
    return _row("test patient unseen in another stage", name, n_checked, sorted(found))


def describe_splits(cohort: Cohort) -> pl.DataFrame:
    """Count what each split holds: the balance of the labels, at a glance.

    Returns
    -------
    DataFrame
        ``split``, ``n_records``, ``n_patients``, and ``n_<outcome>`` for each outcome: the
        included records, of any population, for which it is true.
    """
    positives = (pl.col(name).sum().cast(pl.Int64).alias(f"n_{name}") for name in cohort.outcomes)
    rank = pl.col("split").replace_strict({str(s): i for i, s in enumerate(Split)})
    return (
        cohort.frame.filter("is_included")
        .group_by("split")
        .agg(
            pl.len().cast(pl.Int64).alias("n_records"),
            pl.col("patient_id").drop_nulls().n_unique().cast(pl.Int64).alias("n_patients"),
            *positives,
        )
        .sort(rank)
    )
