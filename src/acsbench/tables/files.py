"""Tables from files: CSV and Parquet."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import polars as pl

from acsbench.errors import MissingPathError, TableError, did_you_mean
from acsbench.tables.columns import LABELS
from acsbench.tables.schema import cast_column, check

__all__ = ["read_labels", "read_table", "with_natural_types"]

_LONGEST_HEAD = 1_000_000


def read_table(path: Path, *, text_columns: tuple[str, ...] = ()) -> pl.DataFrame:
    """Read a CSV (plain or ``.gz``) or Parquet file; CSV cells stay text until a schema casts them.

    Raises
    ------
    MissingPathError, TableError
        When the file is not there, or cannot be read as a table.
    """
    if not path.is_file():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise MissingPathError(f"There is no file {path}.{did_you_mean(path.name, beside)}")
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            return frame.with_columns(pl.col(c).cast(pl.String) for c in text_columns if c in frame)
        _refuse_other_spellings(path)
        return pl.read_csv(path, infer_schema=False, null_values=["", "NA", "NaN", "nan"])
    except (pl.exceptions.PolarsError, OSError, EOFError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as a table: {_in_words(error)}") from None


def _refuse_other_spellings(path: Path) -> None:
    """Tell of what spreadsheets write beside plain CSV; a byte-order mark and CRLF are fine."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        start = file.readline(_LONGEST_HEAD)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise TableError(f"{path} is encoded in UTF-16. Save it as CSV in UTF-8.")
    for separator, name in ((b";", "semicolons"), (b"\t", "tabs")):
        if separator in start and b"," not in start:
            raise TableError(
                f"The columns of {path} are separated by {name}. Save it with commas, and with a "
                "point in decimal numbers."
            )


def _in_words(error: Exception) -> str:
    """What is wrong with a table, without the advice that is meant for programmers."""
    told = str(error).split("\n")[0].strip().removesuffix(".")
    if "utf-8" in told.lower():
        return f"{told}. Save it as CSV in UTF-8."
    if "more fields than defined" in told:
        return "a line has more cells than the first one. Put cells that hold commas into quotes."
    return f"{told}."


def read_labels(path: Path) -> pl.DataFrame:
    """Read and check a labels file (CSV or Parquet); see `LABELS`."""
    frame = check(read_table(path, text_columns=("ecg_id", "patient_id")), LABELS, where=path)
    return with_natural_types(frame)


def with_natural_types(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn text columns of numbers, or of true and false, into such; ids, as `*_id`, stay text."""
    casts = []
    for name, dtype in frame.schema.items():
        if dtype != pl.String or name.endswith("_id"):
            continue
        n_missing = frame[name].null_count()
        numbers = frame[name].cast(pl.Float64, strict=False)
        is_flag = frame[name].str.to_lowercase().is_in(("true", "false")).sum() > 0
        typed = cast_column(frame[name], "flag") if is_flag else numbers
        if typed.null_count() == n_missing:
            casts.append(typed)
    return frame.with_columns(casts)
