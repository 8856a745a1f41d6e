"""Results of one task as its sections look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from acsbench.report.charts import Look, looks
from acsbench.report.names import is_finding
from acsbench.report.numbers import interval_title
from acsbench.results import Results

__all__ = ["Row", "TaskView"]

Row = dict[str, Any]


@dataclass(frozen=True)
class TaskView:
    """One task of results that `guard` has passed.

    Attributes
    ----------
    results : Results
    task : str
    min_count : int
        What hidden counts are written as.
    """

    results: Results
    task: str
    min_count: int = 0

    def key(self, name: str) -> str:
        """Anchor or file name within the task."""
        safe = "".join(c if c.isalnum() and c.isascii() else "-" for c in f"{self.task}-{name}")
        return safe.lower()

    @cached_property
    def frame(self) -> pl.DataFrame:
        """All estimates of the task."""
        return self.results.frame.filter(pl.col("task") == self.task)

    @cached_property
    def overall(self) -> pl.DataFrame:
        """Estimates over all records, without comparisons."""
        return self.frame.filter((pl.col("subgroup") == "") & (pl.col("compared_with") == ""))

    @cached_property
    def curves(self) -> pl.DataFrame:
        """Points of all curves over all records."""
        frame = self.results.curves.frame
        return frame.filter((pl.col("task") == self.task) & (pl.col("subgroup") == ""))

    @cached_property
    def ordered(self) -> list[str]:
        """Models and findings, the best AUROC first, those without one last."""
        rows = self.overall.filter(pl.col("metric") == "auroc").unique(
            "model", keep="first", maintain_order=True
        )
        return rows.sort("value", "model", descending=[True, False], nulls_last=True)[
            "model"
        ].to_list()

    @property
    def models(self) -> list[str]:
        """Models alone, in that order."""
        return [name for name in self.ordered if not is_finding(name)]

    @property
    def findings(self) -> list[str]:
        """Classical findings alone, in that order."""
        return [name for name in self.ordered if is_finding(name)]

    @cached_property
    def look(self) -> dict[str, Look]:
        """How each model is drawn."""
        return looks(self.ordered)

    @property
    def interval(self) -> str:
        """Name of the intervals, as ``95 % interval``."""
        return interval_title(self.results.level)

    def table(self, name: str) -> pl.DataFrame:
        """Rows of a further table, models in order; without columns where it does not apply."""
        frame = self.results.table(name)
        if "task" not in frame.columns:
            return pl.DataFrame()
        frame = frame.filter(pl.col("task") == self.task)
        if "feature" not in frame.columns:
            return frame
        # a finding has one name here, whether it is a column or used as a model
        flag = pl.concat_str(pl.lit("flag:"), pl.col("feature").str.strip_prefix("flag:"))
        return frame.with_columns(flag.alias("feature"))

    def rows(self, name: str, **wanted: Any) -> list[Row]:
        """Rows of a further table whose columns have the values wanted."""
        frame = self.table(name)
        for column, value in wanted.items():
            if column in frame.columns:
                frame = frame.filter(pl.col(column) == value)
        return list(frame.iter_rows(named=True))

    def headline(self, metric: str, method: str | None = None) -> dict[str, Row]:
        """First estimate of a metric, by model."""
        rows = self.overall.filter(pl.col("metric") == metric)
        if method is not None:
            rows = rows.filter(pl.col("method") == method)
        first = rows.unique("model", keep="first", maintain_order=True)
        return {row["model"]: row for row in first.iter_rows(named=True)}

    def drawn(self, curve: str) -> list[str]:
        """Models that have a curve of this kind, in order, then whatever else has."""
        found = set(self.curves.filter(pl.col("curve") == curve)["model"])
        return [n for n in self.ordered if n in found] + sorted(found - set(self.ordered))

    def points(self, curve: str, models: Sequence[str] | None = None) -> pl.DataFrame:
        """Points of a kind of curve, for a figure's CSV."""
        frame = self.curves.filter(pl.col("curve") == curve)
        if models is not None:
            frame = frame.filter(pl.col("model").is_in(models))
        return frame.select("model", "curve", "x", "y", "low", "high", "n")
