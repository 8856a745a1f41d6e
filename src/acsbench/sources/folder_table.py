"""The table of a described folder: one row per record, its columns under our names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from acsbench.errors import RecordingError, TableError
from acsbench.sources.arrays import open_array
from acsbench.sources.base import remembered
from acsbench.sources.description import SignalsPart, TablePart, read_description
from acsbench.tables import Column, Schema, check, read_table

__all__ = ["read_records"]


@remembered
def read_records(file: Path, description: Path, array: Path | None) -> pl.DataFrame:
    """Read and check the table.

    Parameters
    ----------
    file : Path
        The table.
    description : Path
        The TOML file.
    array : Path or None
        The one file that holds all records, for format ``npz``.

    Returns
    -------
    DataFrame
        The table's columns, and ``ecg_id``, ``patient_id``, ``sex`` with ``age``, ``ecg_date`` and
        ``row`` where described.

    Raises
    ------
    MissingPathError, ConfigError, TableError
    """
    about = read_description(description)
    part, signals = about.table, about.signals
    raw = read_table(file, text_columns=tuple(filter(None, (part.ecg_id, part.patient_id))))
    frame = check(_with_age_values(raw, part), _schema(part, signals.columns), where=file)
    _refuse_unknown_sexes(frame, part, file)
    ours = {part.age: "age", part.date: "ecg_date", part.row: "row"}
    frame = frame.with_columns(
        pl.col(part.ecg_id).alias("ecg_id"),
        _or_nothing(part.patient_id, pl.String).alias("patient_id"),
        _sex(part).alias("sex"),
        *(pl.col(theirs).alias(name) for theirs, name in ours.items() if theirs is not None),
    )
    return frame if array is None else _with_rows(frame, part, signals, file, array)


def _with_rows(
    frame: pl.DataFrame, part: TablePart, signals: SignalsPart, file: Path, path: Path
) -> pl.DataFrame:
    """Check that the one array has a row for each record."""
    if part.row is None:
        frame = frame.with_columns(pl.int_range(pl.len()).alias("row"))
    try:
        with open_array(path.name, path, key=signals.array) as array:
            shape = array.shape
    except RecordingError as error:
        raise TableError(f"{path}: {error.reason}: {error.detail}") from None
    n_rows = shape[0] if len(shape) == 3 else 0
    outside = frame.filter(~pl.col("row").is_between(0, n_rows - 1))
    if not outside.is_empty() or (part.row is None and n_rows != len(frame)):
        raise TableError(
            f"{path.name} holds an array of shape {shape}, {file.name} has {len(frame):,} records; "
            "expected one row (leads, samples) per record. Give the place of each record in a "
            "column (table.row) if they differ."
        )
    return frame


def _schema(part: TablePart, file_columns: Sequence[str]) -> Schema:
    optional: dict[str | None, Column] = {
        part.patient_id: Column(part.patient_id or "", "text"),
        part.age: Column(part.age or "", "number", low=0, high=130),
        part.sex: Column(part.sex or "", "text"),
        part.date: Column(part.date or "", "date"),
        part.fold: Column(part.fold or "", "integer"),
        part.row: Column(part.row or "", "integer", nullable=False, low=0),
    }
    columns = {name: column for name, column in optional.items() if name is not None}
    columns |= {name: Column(name, "flag") for name in part.labels}
    columns |= {name: Column(name, "number") for name in part.features if name not in columns}
    columns |= {name: Column(name, "text") for name in part.subgroups if name not in columns}
    columns |= {name: Column(name, "text", nullable=False) for name in file_columns}
    columns[part.ecg_id] = Column(part.ecg_id, "text", nullable=False)
    return Schema(part.file, (part.ecg_id,), tuple(columns.values()))


def _with_age_values(raw: pl.DataFrame, part: TablePart) -> pl.DataFrame:
    """Replace cells that stand for an age; a number matches however it is written."""
    if part.age is None or part.age not in raw.columns or not part.age_values:
        return raw
    cells = raw[part.age].cast(pl.String).to_list()
    meaning = {_as_written(name): age for name, age in part.age_values.items()}
    found = [None if cell is None else str(meaning.get(_as_written(cell), cell)) for cell in cells]
    return raw.with_columns(pl.Series(part.age, found, dtype=pl.String))


def _as_written(cell: str) -> str | float:
    try:
        return float(cell)
    except ValueError:
        return cell.strip()


def _refuse_unknown_sexes(frame: pl.DataFrame, part: TablePart, file: Path) -> None:
    """A value that nobody explained is a mistake in the description; nothing is unknown."""
    if part.sex is None:
        return
    known = [value for values in part.sex_values.values() for value in values]
    strange = frame.filter(pl.col(part.sex).is_in(known).not_())[part.sex].unique().to_list()
    if strange:
        raise TableError(
            f"{file}, column {part.sex}: {sorted(strange)} mean no sex. Say what they mean: "
            'table.sex_values = { Male = ["M"], Female = ["F"] }, or leave the cells empty.'
        )


def _sex(part: TablePart) -> pl.Expr:
    if part.sex is None:
        return pl.lit(None, pl.String)
    meaning = {value: sex for sex, values in part.sex_values.items() for value in values}
    return pl.col(part.sex).replace_strict(meaning, default=None, return_dtype=pl.String)


def _or_nothing(name: str | None, dtype: Any) -> pl.Expr:
    return pl.lit(None, dtype) if name is None else pl.col(name)
