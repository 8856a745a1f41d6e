"""Named inclusion steps, each counted: the flow diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import polars as pl

from acsbench.tables import FLOW

__all__ = [
    "UNREADABLE",
    "Branch",
    "Copies",
    "Criterion",
    "FlowRow",
    "LeadReason",
    "Timing",
    "apply_criteria",
    "count_branches",
    "flow_table",
    "inclusion_criteria",
    "quality_summary",
]

UNREADABLE = "*"
"""Lead name of an ECG that could not be read at all; see `tables.QUALITY`."""

LeadReason: TypeAlias = Literal[
    "all_missing",
    "missing",
    "flat",
    "clipped",
    "too_small",
    "too_large",
    "out_of_range",
    "limb_law",
    "augmented_law",
    "arm_reversal",
    "noise",
    "hum",
    "wander",
    "no_beats",
    "heart_rate",
    "detectors_disagree",
    "overlap",
    "duplicate",
    "too_short",
    "too_long",
]
"""What `check_quality` can find wrong with one lead."""

Copies: TypeAlias = Literal["visit", "patient", "keep"]
Timing: TypeAlias = Literal["first_of_visit", "before_procedure"]

FlowRow: TypeAlias = dict[str, str | int]
"""One row of `tables.FLOW`, before it is numbered."""


@dataclass(frozen=True)
class Criterion:
    """One step: records for which ``drop`` is true leave, under this name.

    Attributes
    ----------
    name : str
        Stands in the flow and in the column ``exclusion``.
    description : str
        Why they leave, for people.
    drop : Expr
        A missing value drops nobody; where missing matters, it is a step of its own.
    """

    name: str
    description: str
    drop: pl.Expr


@dataclass(frozen=True)
class Branch:
    """A part of the included records that the flow counts; branches may overlap."""

    name: str
    holds: pl.Expr


def quality_summary(
    quality: pl.DataFrame, excluded: Sequence[str], excluded_any: Sequence[str] = ()
) -> pl.DataFrame:
    """One row per ECG: whether it is unusable, why it is unwanted, and the hash of its samples.

    Parameters
    ----------
    quality : DataFrame
        See `tables.QUALITY`.
    excluded : sequence of str
        Reason codes that make an ECG unusable when every lead has one of them. An ECG that
        could not be read is unusable whatever they are.
    excluded_any : sequence of str
        Reason codes of which one in one lead is enough.

    Returns
    -------
    DataFrame
        ``ecg_id``, ``is_unusable``, ``unwanted`` (the first of ``excluded_any`` that it has), and
        ``raw_sha256``. An unusable ECG has no hash: blank pages are equal to each other without
        being copies.
    """
    codes = pl.col("reasons").fill_null("").str.split(" ")
    is_bad_lead = codes.list.set_intersection(list(excluded)).list.len() > 0
    is_unusable = (pl.col("lead") == UNREADABLE).any() | is_bad_lead.all()
    unwanted = pl.coalesce(
        pl.when(codes.list.contains(code).any()).then(pl.lit(code)) for code in excluded_any
    )
    summary = quality.group_by("ecg_id").agg(
        is_unusable.alias("is_unusable"),
        (unwanted if excluded_any else pl.lit(None, pl.String)).alias("unwanted"),
        pl.col("raw_sha256").first(),
    )
    return summary.with_columns(pl.when(~pl.col("is_unusable")).then("raw_sha256"))


def inclusion_criteria(
    *,
    has_encounters: bool,
    has_quality: bool,
    excluded_any: Sequence[str] = (),
    copies: Copies = "visit",
    timing: Sequence[Timing] = (),
) -> list[Criterion]:
    """Steps in the order of the flow diagram.

    Parameters
    ----------
    has_encounters : bool
        Whether the source knows visits.
    has_quality : bool
        Whether the columns of `quality_summary` and ``is_shared_waveform`` are there.
    excluded_any : sequence of str
        Reason codes that each get a step.
    copies : "visit", "patient" or "keep"
        Of bit-identical ECGs of one visit, or of one patient, the one with the smallest id stays.
    timing : sequence of "first_of_visit", "before_procedure"
        Needs ``ecg_order``, and ``days_before_procedure`` (see `build._derive`).
    """
    steps = _visit_steps() if has_encounters else []
    if has_quality:
        steps += _waveform_steps(copies)
        steps += [
            Criterion(f"quality: {code}", "a lead has this reason code", pl.col("unwanted") == code)
            for code in excluded_any
        ]
    return steps + _timing_steps(timing)


def _visit_steps() -> list[Criterion]:
    return [
        Criterion(
            "ECG without a visit",
            "its outcome is unknown: outcomes belong to visits",
            pl.col("encounter_id").is_null(),
        ),
        Criterion(
            "exclusion flag missing",
            "nobody knows whether the visit may be used",
            pl.col("exclude_modeling").is_null(),
        ),
        Criterion(
            "excluded for modeling",
            "the frail and chronically ill may go untreated for other reasons",
            pl.col("exclude_modeling"),
        ),
    ]


def _waveform_steps(copies: Copies) -> list[Criterion]:
    steps = [
        Criterion(
            "ECG unreadable or blank",
            "no file, a broken one, or a reason to exclude in every lead",
            pl.col("is_unusable"),
        ),
        Criterion(
            "one waveform under two patients",
            "one of them is not whose heart it is, and nobody can say which",
            pl.col("is_shared_waveform"),
        ),
    ]
    if copies == "keep":
        return steps
    # without visits, a patient's copies are copies all the same
    where = pl.coalesce("encounter_id", "patient_id") if copies == "visit" else pl.col("patient_id")
    is_copy = ~pl.struct(where, "raw_sha256").is_first_distinct()
    copy_step = Criterion(
        f"copy of an ECG of the {copies}",
        f"bit-identical to an ECG of the same {copies} with a smaller id",
        pl.col("raw_sha256").is_not_null() & is_copy,
    )
    return [*steps, copy_step]


def _timing_steps(timing: Sequence[Timing]) -> list[Criterion]:
    steps: list[Criterion] = []
    if "before_procedure" in timing:
        days = pl.col("days_before_procedure")
        steps += [
            Criterion(
                "day of the ECG or of the procedure missing",
                "nobody can say which came first",
                pl.col("has_procedure") & days.is_null(),
            ),
            Criterion(
                "ECG on the day of the procedure",
                "days are all that is known: it may show the treated heart",
                days == 0,
            ),
            Criterion(
                "ECG after the procedure", "an ECG after the stent carries the answer", days < 0
            ),
        ]
    if "first_of_visit" in timing:
        visit = pl.coalesce("encounter_id", "patient_id")
        # of those that are left: the first usable one, where the very first is blank
        is_later = pl.col("ecg_order") > pl.col("ecg_order").min().over(visit)
        steps.append(
            Criterion("not the first ECG of the visit", "one ECG stands for a visit", is_later)
        )
    return steps


def apply_criteria(
    frame: pl.DataFrame, criteria: Sequence[Criterion]
) -> tuple[pl.DataFrame, list[FlowRow]]:
    """Name the step that drops each record, and count what every step leaves.

    Parameters
    ----------
    frame : DataFrame
        Sorted by ``ecg_id``: of several copies, the first row stays.
    criteria : sequence of Criterion
        In the order in which they drop.

    Returns
    -------
    frame : DataFrame
        With ``exclusion`` (null for the included) and ``is_included``; no row is removed.
    flow : list of dict
        A start row, then a dropped and a kept row for each step.
    """
    flow = [_count("all", "start", frame)]
    remaining = frame
    reasons = [pl.DataFrame(schema={"ecg_id": pl.String, "exclusion": pl.String})]
    for criterion in criteria:
        leaves = remaining.select(criterion.drop.fill_null(value=False)).to_series()
        dropped, remaining = remaining.filter(leaves), remaining.filter(~leaves)
        reasons.append(dropped.select("ecg_id", pl.lit(criterion.name).alias("exclusion")))
        flow += [
            _count(criterion.name, "dropped", dropped),
            _count("remaining", "kept", remaining),
        ]
    marked = frame.join(pl.concat(reasons), on="ecg_id", how="left", maintain_order="left")
    return marked.with_columns(pl.col("exclusion").is_null().alias("is_included")), flow


def count_branches(frame: pl.DataFrame, branches: Sequence[Branch]) -> list[FlowRow]:
    """Count how the included records divide; missing values are a branch of their own."""
    included = frame.filter("is_included")
    return [_count(branch.name, "branch", included.filter(branch.holds)) for branch in branches]


def _count(step: str, kind: str, frame: pl.DataFrame) -> FlowRow:
    return {
        "step": step,
        "kind": kind,
        "n_encounters": frame["encounter_id"].drop_nulls().n_unique(),
        "n_patients": frame["patient_id"].drop_nulls().n_unique(),
        "n_records": len(frame),
    }


def flow_table(rows: Sequence[FlowRow]) -> pl.DataFrame:
    """Number the rows of a flow; see `tables.FLOW`."""
    schema = {c.name: pl.String if c.kind == "text" else pl.Int64 for c in FLOW.columns[1:]}
    table = pl.DataFrame(list(rows), schema=schema).with_row_index("order")
    return table.cast({"order": pl.Int64})
