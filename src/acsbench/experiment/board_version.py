"""What a board asks of a cohort: the definition of its task, and the table of labels."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from acsbench.errors import InputError
from acsbench.leaderboard.definition import Attestation, BoardTask, Limits, Release, TaskVersion
from acsbench.leaderboard.truth_table import KEYS
from acsbench.report.names import outcome_title
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

__all__ = ["board_version", "split_labels"]

_POPULATIONS = {"is_tested": "patients who were tested", "is_untested": "patients without a test"}
_ATTESTATION = """\
I have not used any record of this holdout, nor anything known of its patients, to train, tune or
choose the model that made these scores. I have not looked at its waveforms by eye to choose them.
"""


def split_labels(cohort: Cohort, name: str, split: str) -> pl.DataFrame:
    """Labelled records of a split, with the columns that divide patients.

    Raises
    ------
    InputError
        When there are none.
    """
    table = (
        TASKS[name]
        .labels(cohort)
        .filter((pl.col("split") == split) & pl.col("label").is_in([0, 1]))
    )
    if table.is_empty():
        raise InputError(f"Split '{split}' has no labelled record of task '{name}'.")
    groups = [column for column in cohort.subgroups if column in table.columns]
    return table.select(*KEYS, *groups)


def board_version(
    name: str,
    table: pl.DataFrame,
    opens: datetime,
    release: Release | None,
    *,
    limits: Limits | None = None,
) -> TaskVersion:
    """What a board asks: a registered task, of the records of a table of labels."""
    task = TASKS[name]
    outcome = outcome_title(task.outcome)
    whose = _POPULATIONS.get(task.population, f"records that are {task.population}")
    definition = BoardTask(
        slug=name,
        title=outcome,
        question=f"{outcome}, among {whose}",
        version=task.version,
        primary=task.primary_metric,
        opens=opens,
        limits=limits or Limits(),
        release=release or Release(),
        attestation=Attestation(version=f"{opens:%Y-%m}"),
    )
    return TaskVersion(definition, tuple(table["ecg_id"]), _ATTESTATION)
