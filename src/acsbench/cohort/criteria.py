"""Named inclusion steps, each counted: the flow diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from acsbench.tables import FLOW

__all__ = ["UNREADABLE", "Criterion", "apply_criteria", "inclusion_criteria", "quality_summary"]

UNREADABLE = "*"
"""Lead name of an ECG that could not be read at all; see `tables.QUALITY`."""


@dataclass(frozen=True)
class Criterion:
    """One step: records for which ``drop`` is true leave, under this name."""

    name: str
    drop: pl.Expr


def quality_summary(quality: pl.DataFrame, excluded: Sequence[str]) -> pl.DataFrame:
    """One row per ECG: whether it is unusable, and the hash of its raw samples.

    Parameters
    ----------
    quality : DataFrame
        See `tables.QUALITY`.
    excluded : sequence of str
        Reason codes that make an ECG unusable when every lead has one of them.
    """
    bad_lead = (
        pl.col("reasons")
        .fill_null("")
        .str.split(" ")
        .list.set_intersection(list(excluded))
        .list.len()
        > 0
    )
    return quality.group_by("ecg_id").agg(
        ((pl.col("lead") == UNREADABLE).any() | bad_lead.all()).alias("is_unusable"),
        pl.col("raw_sha256").first(),
    )


def inclusion_criteria(*, has_encounters: bool, has_quality: bool) -> list[Criterion]:
    """Steps in the order of the flow diagram.

    Parameters
    ----------
    has_encounters : bool
        Whether the source knows visits.
    has_quality : bool
        Whether the columns of `quality_summary` are there.
    """
    steps: list[Criterion] = []
    if has_encounters:
        steps += [
            Criterion("ECG without a visit", pl.col("encounter_id").is_null()),
            Criterion("exclusion flag missing", pl.col("exclude_modeling").is_null()),
            Criterion("excluded for modeling", pl.col("exclude_modeling")),
        ]
    if has_quality:
        hearts = pl.col("patient_id").n_unique().over("raw_sha256")
        # without visits, a patient's copies are copies all the same
        copy = pl.struct(pl.coalesce("encounter_id", "patient_id"), "raw_sha256")
        known = pl.col("raw_sha256").is_not_null()
        steps += [
            Criterion("ECG unreadable or blank", pl.col("is_unusable")),
            Criterion("one waveform under two patients", known & (hearts > 1)),
            Criterion("copy of an ECG of the visit", known & ~copy.is_first_distinct()),
        ]
    return steps


def apply_criteria(
    frame: pl.DataFrame, criteria: Sequence[Criterion]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Name the step that drops each record, and count what every step leaves.

    Returns
    -------
    frame : DataFrame
        With ``exclusion`` (null for the included) and ``is_included``; no row is removed.
    flow : DataFrame
        See `tables.FLOW`.
    """
    counts = [_count("all", "start", frame)]
    remaining = frame
    dropped: list[pl.DataFrame] = []
    for criterion in criteria:
        leaves = criterion.drop.fill_null(value=False)
        marked = remaining.with_columns(leaves.alias("_leaves"))
        gone = marked.filter("_leaves").drop("_leaves")
        remaining = marked.filter(~pl.col("_leaves")).drop("_leaves")
        dropped.append(gone.select("ecg_id", pl.lit(criterion.name).alias("exclusion")))
        counts += [
            _count(criterion.name, "dropped", gone),
            _count("remaining", "kept", remaining),
        ]
    empty = pl.DataFrame(schema={"ecg_id": pl.String, "exclusion": pl.String})
    frame = frame.join(pl.concat([empty, *dropped]), on="ecg_id", how="left")
    frame = frame.with_columns(pl.col("exclusion").is_null().alias("is_included"))
    return frame, flow_table(counts)


def branches(frame: pl.DataFrame, named: Sequence[tuple[str, pl.Expr]]) -> pl.DataFrame:
    """Count how the included records divide; missing values are a branch of their own."""
    included = frame.filter("is_included")
    return flow_table([_count(name, "branch", included.filter(rows)) for name, rows in named])


def _count(step: str, kind: str, frame: pl.DataFrame) -> dict[str, str | int]:
    return {
        "step": step,
        "kind": kind,
        "n_encounters": frame["encounter_id"].drop_nulls().n_unique(),
        "n_patients": frame["patient_id"].drop_nulls().n_unique(),
        "n_records": len(frame),
    }


def flow_table(counts: Sequence[dict[str, str | int]]) -> pl.DataFrame:
    """Number the rows of a flow."""
    schema = {c.name: pl.String if c.kind == "text" else pl.Int64 for c in FLOW.columns[1:]}
    return (
        pl.DataFrame(list(counts), schema=schema).with_row_index("order").cast({"order": pl.Int64})
    )
