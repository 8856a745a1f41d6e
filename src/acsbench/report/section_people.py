"""Who is in the data: flow, Table 1, and example ECGs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from acsbench.recording import Recording
from acsbench.report.counts import privacy_note, rounded
from acsbench.report.ecg_paper import draw_ecg
from acsbench.report.flow import flow_figure
from acsbench.report.guard import HIDDEN
from acsbench.report.parts import Figure, Note, Section, Table
from acsbench.report.table_one import table_one, units_of
from acsbench.tables import Cohort

__all__ = ["Example", "examples_section", "people_section"]


class Example(NamedTuple):
    """An ECG to draw, the words below it, and the group it stands for."""

    caption: str
    recording: Recording
    group: str = ""


def people_section(cohort: Cohort, *, min_count: int) -> Section:
    """Flow diagram and Table 1 by visit, patient and ECG."""
    tables = [table_one(cohort, unit=unit, min_count=min_count) for unit in units_of(cohort)]
    flow = cohort.flow
    counts = [name for name in flow.columns if name.startswith("n_")]
    shown = flow.with_columns(
        pl.col(name).map_elements(
            lambda n: HIDDEN if (known := rounded(n, min_count)) is None else known,
            return_dtype=pl.Int64,
        )
        for name in counts
    )
    figure = Figure(
        name="flow",
        svg=flow_figure(flow, min_count=min_count),
        caption="Each dashed box says who left, and why. A missing value is a branch of its own.",
        data=shown,
        kind="flow",
    )
    note = privacy_note(min_count)
    parts: list[Figure | Table | Note] = [figure, *tables]
    return Section(
        key="people",
        title="Who is in the data",
        lead="Spread is given as standard deviation (SD) and interquartile range (IQR), not as an "
        "error of the mean. Where nobody was tested, an outcome is not observed, which is not 0.",
        parts=(*parts, *([Note(words=note)] if note else [])),
    )


def examples_section(examples: Sequence[Example], *, with_ids: bool) -> Section | None:
    """ECGs on paper grid, by group."""
    parts: list[Figure | Note] = []
    group = ""
    for number, one in enumerate(examples, 1):
        if one.group and one.group != group:
            parts.append(Note(heading=one.group))
        group = one.group
        parts.append(
            Figure(
                name=f"ecg-{number}",
                svg=draw_ecg(one.recording, title=f"ECG: {one.caption}"),
                caption=_caption(one, with_ids=with_ids),
                data=pl.DataFrame(),
                kind="paper",
            )
        )
    if not parts:
        return None
    return Section(
        key="examples",
        title="Example ECGs",
        lead="Single ECGs prove nothing; they show what the numbers are about.",
        parts=tuple(parts),
    )


def _caption(one: Example, *, with_ids: bool) -> str:
    scale = "10 mm/mV" if one.recording.units == "mV" else "10 mm per standard deviation"
    named = f"{one.caption} ({one.recording.ecg_id})" if with_ids else one.caption
    return f"{named}. 25 mm/s, {scale}."
