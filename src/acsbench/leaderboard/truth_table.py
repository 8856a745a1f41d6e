"""The host's table of hidden labels, checked before it is sealed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from acsbench.errors import VaultError, first_few
from acsbench.leaderboard.definition import TaskVersion
from acsbench.tables import read_table

__all__ = ["KEYS", "check_truth", "read_truth", "subgroup_columns"]

KEYS = ("ecg_id", "patient_id", "label")
_NO_SUBGROUPS = (*KEYS, "task", "encounter_id", "split", "is_tested", "ecg_order")
_MAX_SUBGROUP_VALUES = 20


def read_truth(path: Path, version: TaskVersion) -> pl.DataFrame:
    """Read a labels file (CSV or Parquet) of one task version; see `check_truth`."""
    return check_truth(read_table(path, text_columns=("ecg_id", "patient_id")), version)


def check_truth(frame: pl.DataFrame, version: TaskVersion) -> pl.DataFrame:
    """Labels in the order of the public ids: ``ecg_id, patient_id, label`` and subgroups as text.

    Parameters
    ----------
    frame : DataFrame
        With a column ``task``, only its rows of this task count.
    version : TaskVersion

    Raises
    ------
    VaultError
        With all findings: ids that are not the public ones, doubled ids, labels other than 0 and
        1, too few of a class, rows without patient. It names ids, never a label.
    """
    missing = [name for name in KEYS if name not in frame.columns]
    if missing:
        raise VaultError(f"The labels have no column {', '.join(missing)}.")
    if "task" in frame.columns:
        frame = frame.filter(pl.col("task") == version.task.slug)
    frame = frame.with_columns(pl.col("ecg_id", "patient_id").cast(pl.String))
    label = pl.col("label").cast(pl.String).str.strip_chars().replace({"0.0": "0", "1.0": "1"})
    frame = frame.with_columns(label)
    findings = list(_findings(frame, version))
    if findings:
        raise VaultError(
            "\n".join([f"The labels do not fit task version {version.name}:", *findings])
        )
    columns = [*KEYS, *subgroup_columns(frame)]
    ordered = pl.DataFrame({"ecg_id": version.ids}).join(
        frame, on="ecg_id", how="left", maintain_order="left"
    )
    return ordered.select(columns).with_columns(pl.col("label").cast(pl.Int8))


def _findings(frame: pl.DataFrame, version: TaskVersion) -> Iterator[str]:
    ids, public = frame["ecg_id"], pl.Series(version.ids)

    def named(found: pl.Series, words: str) -> Iterator[str]:
        if len(found):
            yield f"  {len(found):,} {words} (first: {first_few(found.to_list(), n=3)})."

    doubled = ids.filter(ids.is_duplicated()).drop_nulls().unique(maintain_order=True)
    yield from named(public.filter(~public.is_in(ids.implode())), "public ids have no label")
    yield from named(ids.filter(~ids.is_in(public.implode())), "ids are not in the public list")
    yield from named(doubled, "ids stand there more than once")
    odd = frame.filter(~pl.col("label").is_in(["0", "1"]).fill_null(value=False))["ecg_id"]
    yield from named(odd, "ids have a label other than 0 and 1")
    without = pl.col("patient_id").is_null() | (pl.col("patient_id").str.strip_chars() == "")
    yield from named(frame.filter(without)["ecg_id"], "ids have no patient_id")
    least = version.task.release.min_per_class
    for value, words in (("1", "positive"), ("0", "negative")):
        if int((frame["label"] == value).sum()) < least:
            yield (
                f"  Fewer than {least:,} rows are {words} (release.min_per_class). Take more "
                "patients, or lower it for a trial."
            )


def subgroup_columns(frame: pl.DataFrame) -> list[str]:
    """Text columns of few values, beside those with a meaning of their own."""
    return [
        name
        for name, dtype in frame.schema.items()
        if name not in _NO_SUBGROUPS
        and dtype == pl.String
        and frame[name].n_unique() <= _MAX_SUBGROUP_VALUES
    ]
