"""What a table has to be: columns, types and keys, and one check that tells everything at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from acsbench.errors import TableError, did_you_mean, first_few

__all__ = ["Column", "Kind", "Schema", "cast_column", "check"]

Kind = Literal["text", "flag", "integer", "number", "date", "datetime"]
_DTYPES: dict[Kind, pl.DataType] = {
    "text": pl.String(),
    "flag": pl.Boolean(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
    kind : str
        ``text``, ``flag`` (true, false, missing), ``integer``, ``number``, ``date``, ``datetime``.
    required : bool
        The column must exist.
    nullable : bool
        Cells may be missing.
    values : tuple, optional
        The closed set of values allowed.
    pattern : str, optional
        Regular expression that every text must match from start to end.
    low, high : float, optional
        Smallest and largest number allowed.
    """

    name: str
    kind: Kind
    required: bool = True
    nullable: bool = True
    values: tuple[Any, ...] | None = None
    pattern: str | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Schema:
    """The columns that mean something in a table; further columns are kept as they are.

    ``key_if_there`` names columns that belong to the key where the table has them.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    key_if_there: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """Return the column of that name, or None."""
        return next((c for c in self.columns if c.name == name), None)


def check(frame: pl.DataFrame, schema: Schema, *, where: str | Path | None = None) -> pl.DataFrame:
    """Cast a table to its schema, or raise one error with everything that is wrong in it.

    Parameters
    ----------
    frame : DataFrame
        The table as read.
    schema : Schema
        What it has to be.
    where : str or Path, optional
        The file, for the message.

    Returns
    -------
    DataFrame
        The same rows, schema columns cast to their types, other columns untouched.

    Raises
    ------
    TableError
        Listing missing columns (with the nearest name found), values of the wrong type or
        outside the allowed set, missing cells, and duplicated keys.
    """
    findings: list[str] = []
    for column in schema.columns:
        if column.name not in frame.columns:
            if column.required:
                hint = did_you_mean(column.name, frame.columns)
                findings.append(f"column '{column.name}' is missing.{hint}")
            continue
        cast = cast_column(frame[column.name], column.kind)
        findings.extend(_cell_findings(frame[column.name], cast, column))
        frame = frame.with_columns(cast)
    key = [*schema.key, *(name for name in schema.key_if_there if name in frame.columns)]
    if set(key) <= set(frame.columns):
        findings.extend(_key_findings(frame, key))
    if findings:
        place = f" ({where})" if where is not None else ""
        raise TableError(
            "\n".join(
                [f"Table '{schema.name}'{place} cannot be used:", *(f"  {f}" for f in findings)]
            )
        )
    return frame


_TRUE = ("true", "t", "yes", "1", "1.0")
_FALSE = ("false", "f", "no", "0", "0.0")


def cast_column(values: pl.Series, kind: Kind) -> pl.Series:
    """Cast without raising; what does not fit becomes null, and is found by comparison."""
    column = pl.col(values.name)
    text = values.dtype == pl.String
    if values.dtype == _DTYPES[kind]:
        expression = column
    elif kind == "flag" and text:
        word = column.str.strip_chars().str.to_lowercase()
        expression = pl.when(word.is_in(_TRUE)).then(True).when(word.is_in(_FALSE)).then(False)
    elif kind == "flag" and values.dtype.is_numeric():
        expression = pl.when(column == 1).then(True).when(column == 0).then(False)
    elif kind == "integer":
        number = column.cast(pl.Float64, strict=False)
        whole = number.is_finite() & (number == number.round())
        expression = pl.when(whole).then(number).cast(pl.Int64)
    elif kind == "date" and text:
        expression = column.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    elif kind == "datetime" and text:
        expression = column.str.to_datetime(time_unit="us", strict=False)
    else:
        expression = column.cast(_DTYPES[kind], strict=False)
    return values.to_frame().select(expression.alias(values.name)).to_series()


def _cell_findings(raw: pl.Series, cast: pl.Series, column: Column) -> Iterator[str]:
    blank = raw.is_null()
    if raw.dtype == pl.String:
        blank = blank | (raw.str.strip_chars() == "").fill_null(value=False)
    if raw.dtype.is_float():
        blank = blank | raw.is_nan().fill_null(value=False)

    def finding(bad: pl.Series, rule: str) -> Iterator[str]:
        rows = bad.fill_null(value=False).arg_true()
        if len(rows):
            shown = [f"row {row + 1}: {raw[row]!r}" for row in rows[:3]]
            yield f"column '{column.name}': {len(rows):,} {rule} ({first_few(shown)})."

    if not column.nullable:
        yield from finding(blank, "missing values; every row needs one")
    yield from finding(cast.is_null() & ~blank, f"values are not of the type {column.kind}")
    if column.values is not None:
        allowed = ", ".join(str(v) for v in column.values)
        yield from finding(~cast.is_in(list(column.values)), f"values are none of {allowed}")
    if column.pattern is not None:
        yield from finding(
            ~cast.str.contains(f"^(?:{column.pattern})$"),
            f"values break the pattern {column.pattern}",
        )
    if column.low is not None:
        yield from finding(cast < column.low, f"values are below {column.low}")
    if column.high is not None:
        yield from finding(cast > column.high, f"values are above {column.high}")


def _key_findings(frame: pl.DataFrame, key: list[str]) -> Iterator[str]:
    doubled = frame.select(key).is_duplicated() & frame[key[0]].is_not_null()
    if doubled.any():
        examples = frame.filter(doubled).select(key).unique(maintain_order=True)
        shown = [" / ".join(str(v) for v in row) for row in examples.head(3).iter_rows()]
        yield (
            f"key {' + '.join(key)}: {len(examples):,} values stand in more than one row "
            f"({first_few(shown)}); keys are unique."
        )
