"""Figures of the report: SVG text whose ink follows the page, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from acsbench.report.names import is_finding, model_title
from acsbench.report.svg import INK, drawing, svg_text
from acsbench.results import format_estimate

__all__ = ["forest_figure", "roc_figure"]

# Okabe and Ito's colours that stand out on white and on near-black
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P")


def _axes(figure: Figure) -> Any:
    figure.set_facecolor("none")
    axes = figure.add_subplot(facecolor="none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return axes


def roc_figure(
    curves: pl.DataFrame, estimates: pl.DataFrame, *, task: str, min_count: int = 0
) -> str:
    """ROC curves of the models, and each classical finding as a point.

    Parameters
    ----------
    curves : DataFrame
        Rows of `results.Curves`.
    estimates : DataFrame
        Overall rows of `results.Results`; AUROC stands in the legend.
    task : str
    min_count : int
        With one, curves are drawn to a hundredth: the steps of a finer one count the positives.
    """
    points = curves.filter(
        (pl.col("task") == task) & (pl.col("curve") == "roc") & (pl.col("subgroup") == "")
    )
    if min_count:
        points = points.with_columns(pl.col("x", "y").round(2))
    models = points["model"].unique(maintain_order=True).to_list()
    labels = _legend_labels(estimates.filter(pl.col("task") == task), models)
    with drawing():
        figure = Figure(figsize=(6.4, 5.4 + 0.2 * len(models)), layout="constrained")
        axes = _axes(figure)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.7)
        lines = [name for name in models if not is_finding(name)]
        for number, name in enumerate(lines):
            rows = points.filter(pl.col("model") == name)
            axes.plot(
                rows["x"].to_numpy(),
                rows["y"].to_numpy(),
                color=COLOURS[number % len(COLOURS)],
                linestyle=_DASHES[number // len(COLOURS) % len(_DASHES)],
                linewidth=1.8,
                label=labels[name],
            )
        _draw_flags(axes, points, labels)
        _frame_roc(axes, n_models=len(models))
        return svg_text(figure, title=f"ROC curves, task {task}")


def _legend_labels(estimates: pl.DataFrame, models: Sequence[str]) -> dict[str, str]:
    headline = estimates.filter(pl.col("method") == "clustered_delong_logit")
    auroc = {
        row["model"]: format_estimate(row["value"], row["low"], row["high"])
        for row in headline.iter_rows(named=True)
    }
    # matplotlib drops labels that begin with an underscore
    return {name: f" {model_title(name)}  {auroc.get(name, '')}".rstrip() for name in models}


def _draw_flags(axes: Any, points: pl.DataFrame, labels: dict[str, str]) -> None:
    flags = [name for name in labels if is_finding(name)]
    at_an_end = pl.col("x") == pl.col("y")
    for number, name in enumerate(flags):
        cut = points.filter(
            (pl.col("model") == name) & ~(at_an_end & pl.col("x").is_in([0.0, 1.0]))
        )
        axes.plot(
            cut["x"].to_numpy(),
            cut["y"].to_numpy(),
            linestyle="none",
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=7,
            markerfacecolor="none",
            markeredgecolor=INK,
            label=labels[name],
        )


def _frame_roc(axes: Any, *, n_models: int) -> None:
    axes.set_xlabel("1 - specificity (false positive rate)")
    axes.set_ylabel("sensitivity (true positive rate)")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    if n_models:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(0, -0.13),
            frameon=False,
            fontsize=10,
            labelcolor=INK,
        )


def forest_figure(estimates: pl.DataFrame, *, task: str) -> str:
    """AUROC of every model with its interval by patient, the best on top.

    Parameters
    ----------
    estimates : DataFrame
        Overall rows of `results.Results`; those without a value are left out.
    task : str
    """
    rows = estimates.filter(
        (pl.col("task") == task)
        & (pl.col("method") == "clustered_delong_logit")
        & pl.col("value").is_not_null()
    ).sort("value", "model", descending=[False, True])
    with drawing():
        figure = Figure(figsize=(6.4, 0.8 + 0.34 * len(rows)), layout="constrained")
        axes = _axes(figure)
        axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.7)
        for height, row in enumerate(rows.iter_rows(named=True)):
            is_flag = is_finding(row["model"])
            colour = INK if is_flag else COLOURS[0]
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=2)
            axes.plot([row["value"]], [height], marker="s" if is_flag else "o", color=colour)
        axes.set_yticks(np.arange(len(rows)), [model_title(name) for name in rows["model"]])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel("AUROC with its interval by patient")
        return svg_text(figure, title=f"AUROC of every model with its interval, task {task}")
