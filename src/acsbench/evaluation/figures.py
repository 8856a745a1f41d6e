"""Figures of the models on one set of aligned rows: estimates, intervals, curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench import registry
from acsbench.evaluation.bootstrap import (
    Bootstrap,
    Metric,
    patient_bootstrap,
    percentile_interval,
)
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.inputs import Judged
from acsbench.evaluation.intervals import AurocCovariance, clustered_delong, logit_interval
from acsbench.evaluation.metrics import NotEstimable, roc_curve
from acsbench.results import CURVE_COLUMNS

__all__ = [
    "RANK_METRICS",
    "Figure",
    "auroc_covariance",
    "bootstrap_figures",
    "clustered_figures",
    "point_estimate",
    "resample",
    "roc_points",
    "with_percentiles",
]

RANK_METRICS = ("auroc", "auprc")
"""Metrics of order alone: they take raw scores, where a logit turned probability may tie at 1."""
_MAX_CURVE_POINTS = 400


class Figure(NamedTuple):
    """One estimate, as it stands in a row of the results."""

    value: float | None
    method: str
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    reason: str | None = None


def auroc_covariance(judged: Judged) -> AurocCovariance:
    """AUROC of every model and their clustered covariance, in the order of `judged.models`."""
    scores = np.column_stack(list(judged.scores.values()))
    return clustered_delong(judged.labels, scores, judged.patients)


def clustered_figures(judged: Judged, config: EvaluateConfig) -> dict[str, Figure]:
    """AUROC of every model by clustered DeLong, interval on the logit scale."""
    result = auroc_covariance(judged)
    figures = {}
    for index, model in enumerate(judged.models):
        value = float(result.auroc[index])
        interval = logit_interval(value, result.covariance[index, index], level=config.level)
        figures[model] = Figure(
            value,
            "clustered_delong_logit",
            low=interval.low,
            high=interval.high,
            reason=result.reason or interval.reason,
        )
    return figures


def _functions(metrics: Sequence[str]) -> dict[str, Metric]:
    return {name: registry.load("metrics", name) for name in metrics}


def _scores_for(judged: Judged, metric: str) -> dict[str, NDArray[np.float64]]:
    """Ranks are enough for the metrics of order; any other metric gets probabilities."""
    return judged.scores if metric in RANK_METRICS else judged.probabilities


def resample(
    judged: Judged, metrics: Sequence[str], config: EvaluateConfig, patients: NDArray[Any]
) -> Bootstrap:
    """Bootstrap metrics of order on scores, and all others on probabilities, on equal draws."""
    values: dict[str, NDArray[np.float64]] = {}
    n_degenerate = 0
    of_order = [name for name in metrics if name in RANK_METRICS]
    others = [name for name in metrics if name not in RANK_METRICS]
    for names in filter(None, (of_order, others)):
        sampled = patient_bootstrap(
            judged.labels,
            np.column_stack(list(_scores_for(judged, names[0]).values())),
            judged.patients,
            _functions(names),
            n_resamples=config.n_resamples,
            seed=config.seed,
            drawn_from=patients,
        )
        values |= sampled.values
        n_degenerate = sampled.n_degenerate
    return Bootstrap(values, n_degenerate)


def point_estimate(judged: Judged, model: str, metric: str) -> tuple[float | None, str | None]:
    """Value of a metric, or None and the reason."""
    function: Metric = registry.load("metrics", metric)
    try:
        value = float(function(judged.labels, _scores_for(judged, metric)[model]))
    except NotEstimable as refusal:
        return None, refusal.reason
    return (value, None) if np.isfinite(value) else (None, f"the metric gave {value}")


def bootstrap_figures(
    judged: Judged, metrics: Sequence[str], config: EvaluateConfig
) -> tuple[dict[tuple[str, str], Figure], int]:
    """Metrics with intervals by (metric, model), and the count of one-class resamples."""
    sampled = resample(judged, metrics, config, judged.patients)
    figures = {}
    for metric in metrics:
        for index, model in enumerate(judged.models):
            value, reason = point_estimate(judged, model, metric)
            column = sampled.values[metric][:, index]
            figures[metric, model] = with_percentiles(value, reason, column, config.level)
    return figures, sampled.n_degenerate


def with_percentiles(
    value: float | None, reason: str | None, resampled: NDArray[np.float64], level: float
) -> Figure:
    """Put a value beside its percentile interval, or its reason beside an empty one."""
    if value is None:
        return Figure(None, "patient_bootstrap", reason=reason)
    interval = percentile_interval(resampled, level=level)
    return Figure(value, "patient_bootstrap", *interval[:2], reason=interval.reason)


def roc_points(judged: Judged, model: str) -> pl.DataFrame:
    """ROC curve of a model, thinned to what a figure can show; both ends are kept."""
    curve = roc_curve(judged.labels, judged.scores[model])
    n_points = min(len(curve.fpr), _MAX_CURVE_POINTS)
    kept = np.linspace(0, len(curve.fpr) - 1, n_points).round().astype(np.intp)
    points = pl.DataFrame({"x": curve.fpr[kept], "y": curve.tpr[kept]}).with_columns(
        pl.lit(model).alias("model"),
        pl.lit(judged.task).alias("task"),
        pl.lit(judged.split).alias("split"),
        pl.lit("").alias("subgroup"),
        pl.lit("roc").alias("curve"),
        pl.lit(None, dtype=pl.Float64).alias("low"),
        pl.lit(None, dtype=pl.Float64).alias("high"),
        pl.lit(len(judged.labels), dtype=pl.Int64).alias("n"),
    )
    return points.select(list(CURVE_COLUMNS))
