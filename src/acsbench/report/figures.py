"""Figures of the report: SVG text whose ink follows the page, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from acsbench.report.svg import INK, drawing, svg_text
from acsbench.report.tables import model_title, small
from acsbench.results import format_estimate

__all__ = ["flow_figure", "forest_figure", "roc_figure"]

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


def roc_figure(curves: pl.DataFrame, estimates: pl.DataFrame, *, task: str) -> str:
    """ROC curves of the models, and each classical finding as a point.

    Parameters
    ----------
    curves : DataFrame
        Rows of `results.Curves`.
    estimates : DataFrame
        Overall rows of `results.Results`; AUROC stands in the legend.
    task : str
    """
    points = curves.filter(
        (pl.col("task") == task) & (pl.col("curve") == "roc") & (pl.col("subgroup") == "")
    )
    models = points["model"].unique(maintain_order=True).to_list()
    labels = _legend_labels(estimates.filter(pl.col("task") == task), models)
    with drawing():
        figure = Figure(figsize=(6.4, 5.4 + 0.2 * len(models)), layout="constrained")
        axes = _axes(figure)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.7)
        lines = [name for name in models if not name.startswith("flag:")]
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
    flags = [name for name in labels if name.startswith("flag:")]
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
            is_flag = row["model"].startswith("flag:")
            colour = INK if is_flag else COLOURS[0]
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=2)
            axes.plot([row["value"]], [height], marker="s" if is_flag else "o", color=colour)
        axes.set_yticks(np.arange(len(rows)), [model_title(name) for name in rows["model"]])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel("AUROC with its interval by patient")
        return svg_text(figure, title=f"AUROC of every model with its interval, task {task}")


_COUNTS = (("visits", "n_encounters"), ("patients", "n_patients"), ("ECGs", "n_records"))
_BOX_WIDTH, _BOX_HEIGHT, _GAP, _SIDE = 300, 52, 34, 270


def flow_figure(flow: pl.DataFrame, *, min_count: int = 0) -> str:
    """Boxes of who remains, with who left at each step beside them, then the branches.

    Parameters
    ----------
    flow : DataFrame
        See `tables.FLOW`.
    min_count : int
        Counts of 1 to this number are not shown; where they hide who left, totals are rounded.
    """
    rows = list(flow.iter_rows(named=True))
    branches = [row for row in rows if row["kind"] == "branch"]
    main = [row for row in rows if row["kind"] in ("start", "kept")]
    dropped = [row for row in rows if row["kind"] == "dropped"]
    hiding = [key for _, key in _COUNTS if any(0 < row[key] <= min_count for row in dropped)]
    parts: list[str] = []
    step = _BOX_HEIGHT + _GAP
    for number, row in enumerate(main):
        name = "All records" if row["kind"] == "start" else "Remaining"
        parts += _box(0, number * step, name, row, min_count, rounded=hiding)
        if number:
            leaving = dropped[number - 1]
            y = number * step - _GAP / 2
            parts.append(_line(_BOX_WIDTH / 2, y - _GAP / 2, _BOX_WIDTH / 2, y + _GAP / 2))
            parts.append(_line(_BOX_WIDTH / 2, y, _BOX_WIDTH + 30, y))
            side_y = y - _BOX_HEIGHT / 2
            parts += _box(_BOX_WIDTH + 30, side_y, leaving["step"], leaving, min_count, dashed=True)
    top = len(main) * step
    for number, row in enumerate(branches):
        y = top + number * (_BOX_HEIGHT + 12)
        parts += _box(40, y, row["step"], row, min_count)
        middle = y + _BOX_HEIGHT / 2
        parts += [_line(15, top - _GAP, 15, middle), _line(15, middle, 40, middle)]
    height = top + len(branches) * (_BOX_HEIGHT + 12) + 4
    return (
        f'<svg role="img" aria-label="Flow of records" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="-2 -2 {_BOX_WIDTH + 30 + _SIDE + 34} {height}">'
        f"<title>Flow of records: who is included, and who left at each step</title>"
        f"{''.join(parts)}</svg>"
    )


def _box(
    x: float,
    y: float,
    name: str,
    row: dict[str, Any],
    min_count: int,
    *,
    dashed: bool = False,
    rounded: Sequence[str] = (),
) -> Sequence[str]:
    counts = [
        f"{_about(row[key], min_count) if key in rounded else small(row[key], min_count)} {word}"
        for word, key in _COUNTS
    ]
    text = ", ".join(counts)
    style = ' stroke-dasharray="4 3"' if dashed else ""
    frame = (
        f'<rect x="{x}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="6" fill="none" '
        f'stroke="currentColor"{style}/>'
    )
    return frame, _text(x + 12, y + 21, name, bold=True), _text(x + 12, y + 41, text)


def _about(count: int, min_count: int) -> str:
    """Round a total whose difference to the next box would give a hidden count away."""
    step = 10 * -(-min_count // 10)
    return small(count, min_count) if count <= min_count else f"~{round(count / step) * step:,}"


def _text(x: float, y: float, words: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{14 if bold else 13}"{weight} fill="currentColor">'
        f"{escape(words)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="currentColor"/>'
