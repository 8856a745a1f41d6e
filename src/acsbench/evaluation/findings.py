"""What the analyses write into: rows of the long table, curves, further tables, remarks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.evaluation.bootstrap import percentile_interval
from acsbench.evaluation.further_tables import schema_of
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.metrics import NotEstimable
from acsbench.results import CURVE_COLUMNS, RESULT_COLUMNS, Curves, Results

__all__ = ["Figure", "Findings", "attempt", "with_percentiles"]

Floats = NDArray[np.float64]
Row = dict[str, Any]

_MAX_CURVE_POINTS = 400


class Figure(NamedTuple):
    """One estimate, as it stands in a row of the results."""

    value: float | None
    method: str
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    reason: str | None = None


def with_percentiles(
    value: float | None, reason: str | None, resampled: Floats, level: float
) -> Figure:
    """Put a value beside its percentile interval, or its reason beside an empty one."""
    if value is None:
        return Figure(None, "patient_bootstrap", reason=reason)
    interval = percentile_interval(resampled, level=level)
    return Figure(value, "patient_bootstrap", *interval[:2], reason=interval.reason)


def attempt(function: Callable[[], float]) -> tuple[float | None, str | None]:
    """Value of a figure, or None and the reason."""
    try:
        value = float(function())
    except NotEstimable as refusal:
        return None, refusal.reason
    return (value, None) if math.isfinite(value) else (None, f"the metric gave {value}")


@dataclass
class Findings:
    """Collector of what one evaluation emits; every analysis adds to it."""

    rows: list[Row] = field(default_factory=list)
    curves: list[pl.DataFrame] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    remarks: list[str] = field(default_factory=list)

    def row(
        self,
        judged: Judged,
        model: str,
        metric: str,
        figure: Figure,
        *,
        subgroup: str = "",
        compared_with: str = "",
    ) -> None:
        """One row of the long table, with the counts of ``judged``."""
        self.rows.append(
            {
                "model": model,
                "task": judged.task,
                "task_version": judged.version,
                "split": judged.split,
                "unit": judged.unit,
                "metric": metric,
                "subgroup": subgroup,
                "compared_with": compared_with,
                **figure._asdict(),
                **judged.counts,
            }
        )

    def curve(
        self,
        judged: Judged,
        model: str,
        kind: str,
        *,
        x: Floats,
        y: Floats,
        band: tuple[Floats, Floats] | None = None,
        n: Any = None,
    ) -> None:
        """Points of one curve, thinned to what a figure can show; both ends are kept."""
        low, high = band if band is not None else (np.full(len(x), np.nan),) * 2
        counts = np.broadcast_to(len(judged.labels) if n is None else n, len(x))
        kept = np.linspace(0, len(x) - 1, min(len(x), _MAX_CURVE_POINTS)).round().astype(np.intp)
        columns = {"x": x, "y": y, "low": low, "high": high}
        points = pl.DataFrame(
            {name: np.asarray(values, dtype=np.float64)[kept] for name, values in columns.items()}
        ).with_columns(
            pl.col("low", "high").fill_nan(None),
            n=pl.Series(counts[kept].astype(np.int64)),
            model=pl.lit(model),
            task=pl.lit(judged.task),
            split=pl.lit(judged.split),
            subgroup=pl.lit(""),
            curve=pl.lit(kind),
        )
        self.curves.append(points.select(list(CURVE_COLUMNS)))

    def entry(self, table: str, judged: Judged, model: str | None = None, **columns: Any) -> None:
        """One row of a further table; what is not given is null.

        ``model`` is left out where a row is of all models.
        """
        about = {"task": judged.task, "split": judged.split}
        if model is not None:
            about["model"] = model
        unknown = columns.keys() - schema_of(table).keys()
        assert not unknown, f"table {table} has no column {unknown}"
        self.tables[table].append(about | columns)

    def results(self, *, level: float) -> Results:
        """Everything as one object."""
        return Results(
            pl.DataFrame(self.rows, schema=RESULT_COLUMNS),
            Curves(pl.concat(self.curves)) if self.curves else Curves.empty(),
            tuple(dict.fromkeys(self.remarks)),
            level,
            {
                name: pl.DataFrame(rows, schema=schema_of(name))
                for name, rows in self.tables.items()
            },
        )
