"""Figures of the report: SVG text whose ink follows the page, light or dark."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from acsbench.report.tables import model_title, small
from acsbench.results import format_estimate

__all__ = ["flow_figure", "forest_figure", "roc_figure"]

# Okabe and Ito's colours that stand out on white and on near-black
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_INK = "#010203"
"""A colour nothing else has; replaced by the page's own."""
_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P")


def _svg(figure: Figure, title: str) -> str:
    stream = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        metadata = {"Date": None, "Creator": None, "Title": title}
        figure.savefig(stream, format="svg", transparent=True, metadata=metadata)
    text = stream.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    return text.replace(
        "<svg ", '<svg role="img" aria-label="' + escape(title, quote=True) + '" ', 1
    )


def _axes(figure: Figure) -> Any:
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_INK)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
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
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = _axes(figure)
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.7, linestyle=(0, (2, 3)), alpha=0.6)
    points = curves.filter((pl.col("task") == task) & (pl.col("curve") == "roc"))
    auroc = {
        row["model"]: format_estimate(row["value"], row["low"], row["high"])
        for row in estimates.filter(
            (pl.col("task") == task) & (pl.col("method") == "clustered_delong_logit")
        ).iter_rows(named=True)
    }
    models = points["model"].unique(maintain_order=True).to_list()
    lines = [name for name in models if not name.startswith("flag:")]
    for number, name in enumerate(lines):
        rows = points.filter(pl.col("model") == name)
        axes.plot(
            rows["x"].to_numpy(),
            rows["y"].to_numpy(),
            color=COLOURS[number % len(COLOURS)],
            linestyle=_DASHES[number // len(COLOURS) % len(_DASHES)],
            linewidth=1.8,
            label=f"{model_title(name)}  {auroc.get(name, '')}",
        )
    flags = [name for name in models if name.startswith("flag:")]
    for number, name in enumerate(flags):
        inner = points.filter((pl.col("model") == name) & (pl.col("x") > 0) & (pl.col("x") < 1))
        axes.plot(
            inner["x"].to_numpy(),
            inner["y"].to_numpy(),
            linestyle="none",
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=7,
            markerfacecolor="none",
            markeredgecolor=_INK,
            label=f"{model_title(name)}  {auroc.get(name, '')}",
        )
    axes.set_xlabel("1 - specificity (false positive rate)")
    axes.set_ylabel("sensitivity (true positive rate)")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    legend = axes.legend(
        loc="upper left", bbox_to_anchor=(0, -0.13), frameon=False, fontsize=9, labelcolor=_INK
    )
    legend.set_in_layout(True)
    return _svg(figure, f"ROC curves, task {task}")


def forest_figure(estimates: pl.DataFrame, *, task: str) -> str:
    """AUROC of every model with its clustered 95 % interval."""
    rows = estimates.filter(
        (pl.col("task") == task)
        & (pl.col("method") == "clustered_delong_logit")
        & pl.col("value").is_not_null()
    ).sort("value")
    figure = Figure(figsize=(6.4, 0.6 + 0.34 * len(rows)), layout="constrained")
    axes = _axes(figure)
    axes.axvline(0.5, color=_INK, linewidth=0.7, linestyle=(0, (2, 3)), alpha=0.6)
    for height, row in enumerate(rows.iter_rows(named=True)):
        is_flag = row["model"].startswith("flag:")
        colour = _INK if is_flag else COLOURS[0]
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=2)
        axes.plot([row["value"]], [height], marker="s" if is_flag else "o", color=colour)
    axes.set_yticks(np.arange(len(rows)), [model_title(name) for name in rows["model"]])
    axes.set_xlabel("AUROC, 95 % interval by patient")
    return _svg(figure, f"AUROC of every model with its interval, task {task}")


_BOX_WIDTH, _BOX_HEIGHT, _GAP, _SIDE = 300, 52, 34, 270


def flow_figure(flow: pl.DataFrame, *, min_count: int = 0) -> str:
    """Boxes of who remains, with who left at each step beside them, then the branches.

    Parameters
    ----------
    flow : DataFrame
        See `tables.FLOW`.
    min_count : int
        Counts of 1 to this number are not shown.
    """
    rows = list(flow.iter_rows(named=True))
    branches = [row for row in rows if row["kind"] == "branch"]
    main = [row for row in rows if row["kind"] in ("start", "kept")]
    dropped = [row for row in rows if row["kind"] == "dropped"]
    parts: list[str] = []
    step = _BOX_HEIGHT + _GAP
    for number, row in enumerate(main):
        name = "All records" if row["kind"] == "start" else "Remaining"
        parts += _box(0, number * step, name, row, min_count)
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
    x: float, y: float, name: str, row: dict[str, Any], min_count: int, *, dashed: bool = False
) -> Sequence[str]:
    counts = (("visits", "n_encounters"), ("patients", "n_patients"), ("ECGs", "n_records"))
    text = ", ".join(f"{small(row[key], min_count)} {word}" for word, key in counts)
    style = ' stroke-dasharray="4 3"' if dashed else ""
    frame = (
        f'<rect x="{x}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="6" fill="none" '
        f'stroke="currentColor"{style}/>'
    )
    return frame, _text(x + 12, y + 21, name, bold=True), _text(x + 12, y + 41, text)


def _text(x: float, y: float, words: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{14 if bold else 13}"{weight} fill="currentColor">'
        f"{escape(words)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="currentColor"/>'
