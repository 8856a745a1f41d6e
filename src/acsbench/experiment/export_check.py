"""Which files of a folder are about single patients, and which may leave the place of the data.

A verdict rests on what a file holds, not on its name: columns of ids, ids in its text, counts. It
helps whoever has to decide; the agreement under which the data were given has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from acsbench.errors import MissingPathError

__all__ = ["ExportFinding", "Verdict", "examine_export"]

Verdict = Literal["patient-level", "small counts", "weights", "may leave"]

_IDS = ("ecg_id", "patient_id", "encounter_id")
_TABLES = (".csv", ".parquet")
_TEXTS = (".html", ".json", ".toml", ".md", ".svg", ".txt", ".log", ".jsonl", ".cff")
_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".onnx", ".skops", ".joblib")
_SHORTEST_ID = 6
"""A shorter id could be any number of a page."""
_TOKEN = re.compile(r"[\w.-]+")


class ExportFinding(NamedTuple):
    """One file.

    Attributes
    ----------
    file : str
        Path below the folder.
    verdict : "patient-level", "small counts", "weights" or "may leave"
    reason : str
    """

    file: str
    verdict: Verdict
    reason: str


def examine_export(folder: Path, *, min_count: int = 10) -> list[ExportFinding]:
    """Look at every file of a run, a store, a cohort or any other folder.

    Parameters
    ----------
    folder : Path
    min_count : int
        Counts from 1 to this number are small.

    Raises
    ------
    MissingPathError
    """
    if not folder.is_dir():
        raise MissingPathError(f"There is no folder {folder}. Give the folder of a run.")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    ids = {one for path in files if path.suffix in _TABLES for one in _ids_of(path)}
    return [
        ExportFinding(str(path.relative_to(folder)), *_judge(path, ids, min_count))
        for path in files
    ]


def _judge(path: Path, ids: set[str], min_count: int) -> tuple[Verdict, str]:
    if path.suffix in _TABLES:
        return _judge_table(path, min_count)
    if path.suffix in _TEXTS:
        return _judge_text(path, ids)
    if path.suffix in _WEIGHTS:
        return "weights", "learnt from patients; ask the owner of the data before you share it"
    return "patient-level", f"a {path.suffix or 'nameless'} file may hold single records"


def _judge_table(path: Path, min_count: int) -> tuple[Verdict, str]:
    table = _read(path)
    if table is None:
        return "patient-level", "cannot be read as a table; look at it yourself"
    found = [name for name in _IDS if name in table.columns]
    if found:
        return "patient-level", f"has the column {found[0]}, {len(table):,} rows"
    for name in table.columns:
        if not name.startswith("n_") or not table[name].dtype.is_numeric():
            continue
        small = table[name].is_between(1, min_count)
        if small.any():
            return "small counts", f"{name} holds {int(small.sum()):,} counts of 1 to {min_count}"
    return "may leave", "no ids, no small count in a column n_..."


def _judge_text(path: Path, ids: set[str]) -> tuple[Verdict, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "patient-level", "cannot be read as text; look at it yourself"
    named = ids.intersection(_TOKEN.findall(text))
    if named:
        return "patient-level", f"names {len(named):,} ids of the tables beside it"
    return "may leave", f"names no id of {_SHORTEST_ID} or more characters of the tables beside it"


def _ids_of(path: Path) -> Iterator[str]:
    table = _read(path)
    for name in _IDS:
        if table is not None and name in table.columns:
            texts = table[name].drop_nulls().cast(pl.String)
            yield from texts.filter(texts.str.len_chars() >= _SHORTEST_ID)


def _read(path: Path) -> pl.DataFrame | None:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        types = dict.fromkeys(_IDS, pl.String)
        return pl.read_csv(path, schema_overrides=types, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return None
