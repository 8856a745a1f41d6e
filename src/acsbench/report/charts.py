"""What all charts share: axes in the page's ink, one look per model, labels that do not collide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from acsbench.report.names import is_finding, model_title
from acsbench.report.svg import COLOURS, INK, drawing, svg_text

__all__ = ["Canvas", "Look", "canvas", "legend_below", "looks", "of_model", "spread_labels"]

_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Look:
    """How a model is drawn, in every chart of its task."""

    colour: str
    dash: Any
    marker: str


def looks(models: Sequence[str]) -> dict[str, Look]:
    """Give each model its look, by its place in ``models``; findings are open marks in ink."""
    lines = [name for name in models if not is_finding(name)]
    findings = [name for name in models if is_finding(name)]
    found = {
        name: Look(COLOURS[n % len(COLOURS)], _DASHES[n // len(COLOURS) % len(_DASHES)], "o")
        for n, name in enumerate(lines)
    }
    return found | {
        name: Look(INK, "none", _MARKERS[n % len(_MARKERS)]) for n, name in enumerate(findings)
    }


class Canvas:
    """A figure with axes in the page's ink: one pair, or as many as ``places`` names.

    Parameters
    ----------
    width, height : float
        In inches.
    places : sequence of (left, bottom, width, height)
        In inches, for several axes; a single one finds its own place.
    """

    def __init__(
        self, width: float, height: float, places: Sequence[tuple[float, float, float, float]]
    ) -> None:
        # the layout engine takes longer than all the drawing, so places are given where known
        self.figure = Figure(figsize=(width, height), layout=None if places else "constrained")
        self.figure.set_facecolor("none")
        scale = np.array([width, height, width, height])
        self.all_axes = [
            self._styled(self.figure.add_axes(tuple(np.array(place) / scale), facecolor="none"))
            for place in places
        ] or [self._styled(self.figure.add_subplot(facecolor="none"))]
        self.axes = self.all_axes[0]
        self.svg = ""

    @staticmethod
    def _styled(axes: Any) -> Any:
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(INK)
        axes.tick_params(colors=INK, labelsize=9)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        return axes


@contextmanager
def canvas(
    width: float,
    height: float,
    *,
    title: str,
    places: Sequence[tuple[float, float, float, float]] = (),
) -> Iterator[Canvas]:
    """Draw within, in inches; afterwards ``svg`` holds the picture, ``title`` as its words."""
    with drawing():
        made = Canvas(width, height, places)
        yield made
        made.svg = svg_text(made.figure, title=title)


def of_model(curves: pl.DataFrame, model: str, curve: str) -> pl.DataFrame:
    """Points of one curve, in the order in which they were made."""
    return curves.filter((pl.col("model") == model) & (pl.col("curve") == curve))


def legend_below(made: Canvas, *, columns: int = 2) -> None:
    """Put the legend under the axes, where no line can run through it; the figure grows by it."""
    handles, labels = made.axes.get_legend_handles_labels()
    lines = -(-len(labels) // columns)
    width, height = made.figure.get_size_inches()
    made.figure.set_size_inches(width, height + 0.21 * lines)
    made.figure.legend(
        handles,
        labels,
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=2.2,
        borderaxespad=0,
        columnspacing=1.2,
    )


def spread_labels(axes: Any, ends: dict[str, float], look: dict[str, Look], *, gap: float) -> None:
    """Write each model's name right of the axes, at its line's end or as near as others allow.

    Parameters
    ----------
    axes : Axes
    ends : dict of str to float
        Height of each line at the right border, in data units.
    look : dict of str to Look
    gap : float
        Least distance of two labels, in data units.
    """
    low, high = axes.get_ylim()
    names = sorted(ends, key=lambda name: (ends[name], name))
    heights = _apart([min(max(ends[n], low), high) for n in names], gap=gap, low=low)
    right = axes.get_xlim()[1]
    width = right - axes.get_xlim()[0]
    for name, height in zip(names, heights, strict=True):
        end = min(max(ends[name], low), high)
        axes.plot(
            [right, right + 0.045 * width],
            [end, height],
            color=look[name].colour,
            linewidth=0.8,
            clip_on=False,
        )
        axes.text(
            right + 0.06 * width,
            height,
            model_title(name),
            color=INK,
            fontsize=9,
            va="center",
            clip_on=False,
        )


def _apart(heights: Sequence[float], *, gap: float, low: float) -> list[float]:
    """Move sorted heights as little as needed for the gap: each block keeps its mean."""
    blocks: list[list[float]] = []  # sum of (height - gap * place), number of labels
    for place, height in enumerate(heights):
        blocks.append([height - gap * place, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, n = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += n
    means = np.repeat([t / n for t, n in blocks], [int(n) for _, n in blocks])
    moved = [float(m) + gap * place for place, m in enumerate(means)]
    lift = max(low - moved[0], 0) if moved else 0
    return [height + lift for height in moved]
