"""Example ECGs: a few for the report, and the groups that the original drew."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from acsbench.evaluation.guideline_features import FEATURES
from acsbench.evaluation.reproduction import example_groups
from acsbench.predictions import Predictions
from acsbench.recording import Recording
from acsbench.report.ecg_sheet import save_sheet
from acsbench.report.section_people import Example
from acsbench.sources.base import Source
from acsbench.tables import Cohort
from acsbench.tasks import Task

__all__ = ["choose_examples", "draw_original_examples"]


def choose_examples(
    scored: Predictions, task: Task, cohort: Cohort, source: Source, *, n: int
) -> list[Example]:
    """Test ECGs with and without the outcome, with and without a classical finding.

    Of each group the one with the middle score: neither the best nor the worst that a model can.
    """
    rows = task.select(cohort, "test")
    has_finding = pl.lit(value=False)
    for flag in cohort.flags:
        has_finding = has_finding | pl.col(flag).fill_null(value=False)
    groups = rows.select(
        "ecg_id",
        pl.when(task.outcome).then(pl.lit("positive")).otherwise(pl.lit("negative")).alias("label"),
        has_finding.alias("has_finding"),
    )
    ranked = scored.frame.filter(pl.col("task") == task.name).join(groups, on="ecg_id")
    chosen: dict[str, tuple[str, str]] = {}
    for label in ("positive", "negative"):
        for has in (True, False):
            mine = ranked.filter((pl.col("label") == label) & (pl.col("has_finding") == has))
            if mine.is_empty():
                continue
            row = mine.sort("score", "ecg_id").row(len(mine) // 2, named=True)
            finding = f", {'with' if has else 'without'} a classical finding"
            group = f"Label {label}{finding if cohort.flags else ''}"
            caption = f"{scored.model} gave it {row['score']:.2f}, the middle score of this group"
            chosen[row["ecg_id"]] = (caption, group)
    found = source.recordings(list(chosen)[:n])
    return [
        Example(chosen[one.ecg_id][0], one, chosen[one.ecg_id][1])
        for one in found
        if isinstance(one, Recording)
    ]


def draw_original_examples(task: Task, cohort: Cohort, source: Source, folder: Path) -> list[Path]:
    """Draw rows 10 to 25 of each of the original's four groups (E10), a sheet a group.

    Nothing is drawn where the source does not give the four findings, or a group is that small.
    """
    rows = task.select(cohort, "test")
    if not set(FEATURES) <= set(rows.columns):
        return []
    flags = [pl.col(name).cast(pl.Int64) for name in FEATURES]
    chosen = example_groups(
        rows.select("ecg_id", pl.col(task.outcome).cast(pl.Int64).alias("label"), *flags)
    )
    files = []
    for (group,), members in chosen.group_by("group", maintain_order=True):
        found = source.recordings(list(members["ecg_id"]))
        recordings = [one for one in found if isinstance(one, Recording)]
        if recordings:
            name = str(group).replace("_", "-")
            file = folder / f"original-examples-{name}.png"
            files.append(save_sheet(recordings, path=file, title=str(group).replace("_", " ")))
    return files
