"""Results and Curves: what a judge hands to reports and boards, as two long tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import polars as pl

from acsbench.errors import TableError
from acsbench.provenance import atomic_path
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
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


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
    """

    frame: pl.DataFrame
    curves: Curves = field(default_factory=Curves.empty)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", _conform(self.frame, RESULT_COLUMNS, "Results"))

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
        """Overall estimates as a table of text."""
        lines = []
        for row in self.overall.iter_rows(named=True):
            estimate = format_estimate(row["value"], row["low"], row["high"])
            reason = f"  [{row['reason']}]" if row["reason"] else ""
            lines.append(
                f"{row['task']:<10} {row['split']:<5} {row['model']:<28} {row['metric']:<8} "
                f"{estimate:<22} {row['method']:<24} {row['n_positive']:>6,} of "
                f"{row['n_records']:,} records, {row['n_patients']:,} patients{reason}"
            )
        return "\n".join(lines)
