"""Results and Curves: what a judge hands to reports and boards, as long tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import polars as pl

from acsbench.errors import InputError, MissingPathError, TableError
from acsbench.provenance import atomic_path, atomic_text
from acsbench.tables import read_table

__all__ = ["CURVE_COLUMNS", "RESULT_COLUMNS", "Curves", "Results", "format_estimate"]

RESULT_COLUMNS: dict[str, type[pl.DataType]] = {
    "model": pl.String,
    "compared_with": pl.String,
    "task": pl.String,
    "task_version": pl.Int64,
    "split": pl.String,
    "unit": pl.String,
    "subgroup": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p_value": pl.Float64,
    "n_records": pl.Int64,
    "n_positive": pl.Int64,
    "n_patients": pl.Int64,
    "n_encounters": pl.Int64,
    "method": pl.String,
    "reason": pl.String,
}
CURVE_COLUMNS: dict[str, type[pl.DataType]] = {
    "model": pl.String,
    "task": pl.String,
    "split": pl.String,
    "subgroup": pl.String,
    "curve": pl.String,
    "x": pl.Float64,
    "y": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n": pl.Int64,
}
_SCHEMA_VERSION = 1
_TEXT_NEVER_NULL = (
    "model",
    "compared_with",
    "task",
    "split",
    "unit",
    "subgroup",
    "metric",
    "curve",
)


def format_estimate(value: float | None, low: float | None, high: float | None) -> str:
    """Write an estimate as ``0.703 (0.671-0.733)``; ``not estimable`` when there is none."""
    if value is None:
        return "not estimable"
    if low is None or high is None:
        return f"{value:.3f}"
    to = " to " if low < 0 else "-"  # a dash beside a minus is hard to read
    return f"{value:.3f} ({low:.3f}{to}{high:.3f})"


def _conform(frame: pl.DataFrame, columns: dict[str, type[pl.DataType]], what: str) -> pl.DataFrame:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise TableError(f"{what} lack the columns {', '.join(missing)}.")
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in columns.items())
    return frame.with_columns(pl.col(n).fill_null("") for n in _TEXT_NEVER_NULL if n in columns)


@dataclass(frozen=True)
class Curves:
    """Points of curves (``roc``, ...), one row a point; see `CURVE_COLUMNS`."""

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", _conform(self.frame, CURVE_COLUMNS, "Curves"))

    @classmethod
    def empty(cls) -> Self:
        """No points."""
        return cls(pl.DataFrame(schema=CURVE_COLUMNS))


@dataclass(frozen=True)
class Results:
    """Estimates with intervals, one row an estimate; see `RESULT_COLUMNS`.

    Attributes
    ----------
    frame : DataFrame
        Overall rows have an empty ``subgroup``, others ``column=value``. ``compared_with`` is
        empty except for paired differences (value = model minus the other). What cannot be
        computed is null, with a ``reason``.
    curves : Curves
    remarks : tuple of str
        What a reader has to know: rows ignored, checkpoints of another split, `--limit`.
    level : float
        Coverage aimed at by every interval in it.
    tables : mapping of str to DataFrame
        What does not fit the long table: operating points, budgets, pairs, ranks, ...; listed in
        docs/reference/results.md. An analysis that does not apply has no table.
    """

    frame: pl.DataFrame
    curves: Curves = field(default_factory=Curves.empty)
    remarks: tuple[str, ...] = ()
    level: float = 0.95
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", _conform(self.frame, RESULT_COLUMNS, "Results"))

    def table(self, name: str) -> pl.DataFrame:
        """One of the further tables; without columns and rows where it does not apply."""
        return self.tables.get(name, pl.DataFrame())

    @property
    def overall(self) -> pl.DataFrame:
        """Rows over all records, without comparisons."""
        return self.frame.filter((pl.col("subgroup") == "") & (pl.col("compared_with") == ""))

    def value(self, model: str, metric: str, *, task: str | None = None) -> float | None:
        """One overall estimate.

        Raises
        ------
        KeyError
            When there is no such row.
        """
        row = self._one(model, metric, task)
        found: float | None = row["value"]
        return found

    def interval(
        self, model: str, metric: str, *, task: str | None = None
    ) -> tuple[float, float] | None:
        """Interval of one overall estimate, by the first method listed; None if not estimable."""
        row = self._one(model, metric, task)
        return None if row["low"] is None else (row["low"], row["high"])

    def _one(self, model: str, metric: str, task: str | None) -> dict[str, Any]:
        rows = self.overall.filter((pl.col("model") == model) & (pl.col("metric") == metric))
        if task is not None:
            rows = rows.filter(pl.col("task") == task)
        if rows.is_empty():
            raise KeyError(f"No result of model '{model}', metric '{metric}', task '{task}'.")
        return rows.row(0, named=True)

    @classmethod
    def concat(cls, results: Sequence[Results]) -> Self:
        """Put several evaluations (of tasks, splits) into one, each remark once.

        Raises
        ------
        InputError
            When there is none, or their intervals are of different levels.
        """
        levels = sorted({one.level for one in results})
        if len(levels) != 1:
            raise InputError(
                f"{len(results)} results with intervals of the levels {levels} cannot be put "
                "into one. Evaluate them with one level."
            )
        names = dict.fromkeys(name for one in results for name in one.tables)
        return cls(
            pl.concat(one.frame for one in results),
            Curves(pl.concat(one.curves.frame for one in results)),
            tuple(dict.fromkeys(remark for one in results for remark in one.remarks)),
            levels[0],
            {
                name: pl.concat(
                    (one.tables[name] for one in results if name in one.tables),
                    how="diagonal_relaxed",
                )
                for name in names
            },
        )

    def save(self, folder: Path) -> list[str]:
        """Write everything as Parquet and CSV, and what is no table as ``results.json``.

        Returns
        -------
        list of str
            Names of the files, relative to the folder, sorted.
        """
        frames = {"results": self.frame, "curves": self.curves.frame}
        frames |= {f"tables/{name}": frame for name, frame in self.tables.items()}
        for name, frame in frames.items():
            with atomic_path(folder / f"{name}.parquet") as temporary:
                frame.write_parquet(temporary)
            with atomic_path(folder / f"{name}.csv") as temporary:
                frame.write_csv(temporary)
        body = {
            "schema_version": _SCHEMA_VERSION,
            "level": self.level,
            "remarks": self.remarks,
            "tables": sorted(self.tables),
        }
        atomic_text(folder / "results.json", json.dumps(body, indent=1) + "\n")
        written = [f"{name}.{kind}" for name in frames for kind in ("csv", "parquet")]
        return sorted([*written, "results.json"])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        MissingPathError, TableError
            When the folder holds no results, or those of a later version of acsbench.
        """
        file = folder / "results.json"
        if not file.is_file():
            raise MissingPathError(f"There is no {file}: {folder} holds no results.")
        body = json.loads(file.read_text(encoding="utf-8"))
        if body["schema_version"] > _SCHEMA_VERSION:
            raise TableError(
                f"{file} has the schema version {body['schema_version']}, and this acsbench reads "
                f"up to {_SCHEMA_VERSION}. Update acsbench."
            )
        return cls(
            read_table(folder / "results.parquet"),
            Curves(read_table(folder / "curves.parquet")),
            tuple(body["remarks"]),
            body["level"],
            {name: read_table(folder / "tables" / f"{name}.parquet") for name in body["tables"]},
        )

    def to_csv(self, path: Path) -> Path:
        """Write the estimates as CSV, numbers in full precision."""
        with atomic_path(path) as temporary:
            self.frame.write_csv(temporary)
        return path

    @classmethod
    def read_csv(cls, path: Path) -> Self:
        """Read what `to_csv` wrote; curves are not in it."""
        return cls(read_table(path))

    def __str__(self) -> str:
        """Headlines of every task and model as a table of text; the rest is in the tables."""
        lines = []
        for keys, rows in self.overall.group_by("task", "split", maintain_order=True):
            lines += [*_heading(rows, *map(str, keys)), f"{'':<30}{_titles(self.level)}"]
            for (model,), mine in rows.group_by("model", maintain_order=True):
                cells = "".join(f"{_headline(mine, metric):<23}" for metric in _HEADLINES)
                lines.append(f"{model!s:<30}{cells}".rstrip())
                missing = mine.filter((pl.col("metric") == "auroc") & pl.col("value").is_null())
                lines += [f"    auroc is not estimable: {why}" for why in missing["reason"][:1]]
        return "\n".join(lines).lstrip("\n")


_HEADLINES = ("auroc", "auprc", "brier", "cal_slope")


def _titles(level: float) -> str:
    return "".join(f"{f'{name} ({100 * level:.4g} %)':<23}" for name in _HEADLINES).rstrip()


def _heading(rows: pl.DataFrame, task: str, split: str) -> list[str]:
    first = rows.row(0, named=True)
    counts = (
        f"{first['n_positive']:,} of {first['n_records']:,} records positive, "
        f"{first['n_patients']:,} patients"
    )
    return ["", f"Task {task or 'macro averages'}, {split}: {counts}"]


def _headline(rows: pl.DataFrame, metric: str) -> str:
    """Write the estimate by the first method listed; a dash where there is none."""
    found = rows.filter(pl.col("metric").is_in([metric, f"macro_{metric}"]))
    if found.is_empty():
        return "-"
    row = found.row(0, named=True)
    return "-" if row["value"] is None else format_estimate(row["value"], row["low"], row["high"])
