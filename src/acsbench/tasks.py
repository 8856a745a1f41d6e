"""Tasks: which records, which outcome, under one name and version.

A task whose meaning changes gets a new version, never a quiet edit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from acsbench import registry
from acsbench.errors import HoldoutError, TableError, did_you_mean
from acsbench.tables import LABELS, Cohort, Split

__all__ = ["OWN_LABEL", "TASKS", "Task"]

OWN_LABEL = "label_"
"""Task ``label_<column>`` asks for a label that a user brought, among all who are included."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A binary question about a record or a visit. Several tasks make a multi-label problem.

    Attributes
    ----------
    name : str
    version : int
        A new meaning is a new number; old results keep theirs.
    population : str
        A boolean cohort column. ``is_included`` is implied.
    outcome : str
        A boolean cohort column; missing values never train or score.
    horizon_days : int or None
        Days after the visit in which the outcome counts; None for a reading of the ECG itself.
    unit : "record" or "encounter"
        What one row of a result stands for.
    aggregate : str, optional
        How the scores of a visit's records become one; needed for the unit "encounter".
    primary_metric : str
    reference : str
        Where the definition comes from.
    """

    name: str
    version: int
    population: str
    outcome: str
    horizon_days: int | None
    unit: Literal["record", "encounter"] = "record"
    aggregate: Literal["mean_logit", "max", "first"] | None = None
    primary_metric: str = "auroc"
    reference: str

    def __post_init__(self) -> None:
        if self.unit == "encounter" and self.aggregate is None:
            raise ValueError(f"Task '{self.name}' has the unit 'encounter' and needs an aggregate.")

    def select(self, cohort: Cohort, split: Split | str) -> pl.DataFrame:
        """Rows of the cohort that belong to this task and split, in the order of their ids.

        Raises
        ------
        TableError
            When the cohort has no such column, or the selection is empty.
        """
        split = Split(split)
        members = self._member(cohort) & (pl.col("split") == str(split))
        if split is not Split.HOLDOUT:
            members &= pl.col(self.outcome).is_not_null()
        rows = cohort.frame.filter(members).sort("ecg_id")
        if rows.is_empty():
            counts = dict(cohort.frame.group_by("split").len().sort("split").rows())
            raise TableError(
                f"Split '{split}' of task '{self.name}' is empty: no record is included, in "
                f"population '{self.population}' and has the outcome '{self.outcome}'. "
                f"The cohort's splits hold {counts} records of any population."
            )
        return rows

    def untested(self, cohort: Cohort, split: Split | str) -> pl.DataFrame:
        """Rows of this split whose outcome nobody looked for; none for a task of other people."""
        asks_the_tested = self.population == "is_tested"
        outside = pl.col("is_included") & pl.col("is_untested") & pl.lit(asks_the_tested)
        return cohort.frame.filter(outside & (pl.col("split") == str(split))).sort("ecg_id")

    def labels(self, cohort: Cohort) -> pl.DataFrame:
        """Labels of this task over all splits but the holdout; see `tables.LABELS`.

        Records of the population with a missing outcome keep their row with an empty label, and so
        do the untested of the test split, of whom selective testing has to be judged.

        Raises
        ------
        HoldoutError
            When the cohort is a holdout: it has no labels.
        """
        if cohort.frame["split"].eq(str(Split.HOLDOUT)).all():
            raise HoldoutError(
                f"This cohort is a holdout: it has no labels for task '{self.name}'. "
                "Send its predictions to whoever keeps them."
            )
        own = [column.name for column in LABELS.columns if column.name not in ("label", "task")]
        kept = [
            name
            for name in dict.fromkeys([*own, "age", *cohort.subgroups, *cohort.flags])
            if name in cohort.frame.columns
        ]
        members = cohort.frame.filter(
            self._member(cohort) & (pl.col("split") != str(Split.HOLDOUT))
        ).with_columns(pl.col(self.outcome).cast(pl.Int64).alias("label"))
        untested = self.untested(cohort, Split.TEST).with_columns(
            pl.lit(None, pl.Int64).alias("label")
        )
        return (
            pl.concat([members, untested])
            .sort("ecg_id")
            .select(*kept[:2], "label", pl.lit(self.name).alias("task"), *kept[2:])
        )

    def _member(self, cohort: Cohort) -> pl.Expr:
        if cohort.frame["split"].eq(str(Split.HOLDOUT)).all():
            column = f"holdout_{self.name}"
            if column not in cohort.frame.columns:
                raise TableError(f"The holdout names no records of task '{self.name}'.")
            return pl.col(column)
        for column in (self.population, self.outcome):
            if column not in cohort.frame.columns:
                hint = did_you_mean(column, cohort.frame.columns)
                raise TableError(
                    f"Task '{self.name}' needs the cohort column '{column}', which source "
                    f"'{cohort.source}' does not give.{hint}"
                )
        return pl.col("is_included") & pl.col(self.population)


_NIGHTINGALE = "Nightingale ed-bwh-ecg v1, doi:10.48815/N5CC7R; ACS-BenchWork"
_PTBXL = (
    "Wagner et al., Sci Data 7:154 (2020), doi:10.1038/s41597-020-0495-6; diagnostic class at any "
    "likelihood. A reading of the ECG, not an outcome."
)

ACS = Task(
    name="acs",
    version=1,
    population="is_tested",
    outcome="stent_or_cabg_010_day",
    horizon_days=10,
    reference=_NIGHTINGALE,
)
MACE = Task(
    name="mace",
    version=1,
    population="is_untested",
    outcome="macetrop_pos_or_death_030",
    horizon_days=30,
    reference=_NIGHTINGALE,
)


_MIMIC = (
    "MIMIC-IV-ECG, doi:10.13026/4nqg-sb35, linked to MIMIC-IV, doi:10.13026/kpb9-mt58, by billing "
    "codes of ICD-9 and ICD-10"
)
MIMIC_ACS_PCI = Task(
    name="mimic_acs_pci",
    version=1,
    population="is_tested",
    outcome="pci_or_cabg_010_day",
    horizon_days=10,
    reference=f"{_MIMIC}: intervention or bypass among the catheterized, the open twin of 'acs'.",
)
MIMIC_I21 = Task(
    name="mimic_i21",
    version=1,
    population="is_included",
    outcome="diagnosis_i21",
    horizon_days=None,
    reference=(
        f"{_MIMIC}: discharge diagnosis I21 (410.x0, 410.x1 before 2015), in any position, of the "
        "visit; compare Strodthoff et al., Eur Heart J Digit Health 5:454 (2024), "
        "doi:10.1093/ehjdh/ztae039."
    ),
)


def _ptbxl(superclass: str) -> Task:
    return Task(
        name=f"ptbxl_{superclass}",
        version=1,
        population="is_included",
        outcome=f"reading_{superclass}",
        horizon_days=None,
        reference=_PTBXL,
    )


PTBXL_NORM = _ptbxl("norm")
PTBXL_MI = _ptbxl("mi")
PTBXL_STTC = _ptbxl("sttc")
PTBXL_CD = _ptbxl("cd")
PTBXL_HYP = _ptbxl("hyp")


def _own(name: str) -> Task:
    column = name.removeprefix(OWN_LABEL)
    return Task(
        name=name,
        version=1,
        population="is_included",
        outcome=column,
        horizon_days=None,
        reference=f"The column '{column}' of the source, as whoever brought it defined it.",
    )


class _Tasks(Mapping[str, Task]):
    """All registered tasks by name, plug-ins included; and ``label_<column>`` for any column."""

    def __getitem__(self, name: str) -> Task:
        if name.startswith(OWN_LABEL) and name not in registry.names("tasks"):
            return _own(name)
        task: Task = registry.load("tasks", name)
        return task

    def __iter__(self) -> Iterator[str]:
        return iter(registry.names("tasks"))

    def __len__(self) -> int:
        return len(registry.names("tasks"))


TASKS: Mapping[str, Task] = _Tasks()
