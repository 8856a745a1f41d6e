"""E3 and E4 of both sides of a reproduction: ROC curves and cumulative risk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from acsbench.report.charts import Canvas, canvas, legend_below, looks, of_model
from acsbench.report.names import FINDINGS, is_finding
from acsbench.report.parts import Figure, Note, Section
from acsbench.report.reproduction_tables import predictor_title
from acsbench.report.svg import INK
from acsbench.report.view import TaskView

if TYPE_CHECKING:
    from acsbench.report.reproduction import Side

__all__ = ["figure_sections"]

_VERSIONS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Main models", ("s4", "resnet18", "hubert_ecg", "logistic")),
    ("S4 alone", ("s4",)),
    ("ResNets", ("resnet6", "resnet18", "resnet50")),
)
"""The three figures that the original draws, by the models in each."""
_LOOK = looks(
    [
        *dict.fromkeys(name for _, names in _VERSIONS for name in names),
        *(f"flag:{name}" for name in FINDINGS),
    ]
)
"""One for both sides, and for every data set."""


def figure_sections(original: Side, sound: Side) -> list[Section]:
    """Both figures, in the original's three versions, once for each side."""
    return [
        Section(
            key="e3",
            title="E3: ROC curves",
            lead="Open marks are classical findings, which have one cut. The original draws no "
            "interval; those of the areas stand in E2.",
            parts=tuple(_drawn(original, sound, "roc", _draw_roc)),
        ),
        Section(
            key="e4",
            title="E4: event rate at or above each percentile",
            lead="The leftmost part of such a curve rests on few records. The original draws no "
            "band; the yield of a budget in each side's report has one.",
            parts=tuple(_drawn(original, sound, "original_cumulative_risk", _draw_risk)),
        ),
    ]


def _drawn(
    original: Side, sound: Side, curve: str, draw: Callable[[Canvas, TaskView, list[str]], None]
) -> list[Figure | Note]:
    parts: list[Figure | Note] = []
    for name, wanted in _VERSIONS:
        parts.append(Note(heading=name))
        for side in (original, sound):
            view = side.waveforms
            models = [one for one in wanted if one in view.drawn(curve)]
            if not models:
                continue
            with canvas(4.8, 4.0, title=f"{name}, {side.title.lower()}") as drawing:
                draw(drawing, view, models)
                legend_below(drawing)
            parts.append(
                Figure(
                    name=f"{curve}-{name}-{side.folder.name}".replace(" ", "-").lower(),
                    svg=drawing.svg,
                    caption=side.title,
                    data=view.points(curve, models),
                    kind="panel",
                )
            )
    return parts


def _line(axes: Any, view: TaskView, model: str, curve: str) -> None:
    rows = of_model(view.curves, model, curve).drop_nulls("y")
    axes.plot(
        rows["x"].to_numpy(),
        rows["y"].to_numpy(),
        color=_LOOK[model].colour,
        linestyle="--" if model == "logistic" else _LOOK[model].dash,
        linewidth=1.6,
        label=f" {predictor_title(model)}",
    )


def _mark(axes: Any, finding: str, x: float, y: float) -> None:
    look = _LOOK[finding]
    axes.plot(
        x,
        y,
        marker=look.marker,
        markerfacecolor="none",
        markeredgecolor=INK,
        linestyle="none",
        label=f" {predictor_title(finding)}",
    )


def _draw_roc(drawing: Canvas, view: TaskView, models: list[str]) -> None:
    axes = drawing.axes
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
    for model in models:
        _line(axes, view, model, "roc")
    drawn = set(view.drawn("roc"))
    for finding in [one for one in _LOOK if is_finding(one) and one in drawn]:
        # of a 0/1 finding the curve has one corner
        corner = of_model(view.curves, finding, "roc").sort("x")[1]
        _mark(axes, finding, corner["x"][0], corner["y"][0])
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.01)
    axes.set_xlabel("false positive rate (1 - specificity)")
    axes.set_ylabel("sensitivity")


def _draw_risk(drawing: Canvas, view: TaskView, models: list[str]) -> None:
    axes = drawing.axes
    for model in models:
        _line(axes, view, model, "original_cumulative_risk")
    n_records = view.overall["n_records"].max()
    known = {row["model"]: row for row in view.rows("original_binary") if row["ppv"] is not None}
    for finding in [one for one in _LOOK if is_finding(one) and one in known]:
        if isinstance(n_records, int):
            share = known[finding]["n_flagged"] / n_records
            _mark(axes, finding, 100 * share, known[finding]["ppv"])
    axes.set_xlim(100, 0)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("highest scores, in % of the records (everybody on the left)")
    axes.set_ylabel("event rate among them")
