"""Risk that may be believed and acted on: calibration, decision curve, a budget of tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from acsbench.report.charts import canvas, legend_below, of_model, spread_labels
from acsbench.report.names import is_finding, model_title
from acsbench.report.numbers import MISSING, estimate, fixed
from acsbench.report.parts import Figure, Note, Section, Table
from acsbench.report.svg import COLOURS, INK
from acsbench.report.view import TaskView

__all__ = ["budget_section", "calibration_section", "decision_section"]

_METHODS = {
    "none": "as it is",
    "temperature": "temperature",
    "platt": "Platt",
    "isotonic": "isotonic",
}
_CALIBRATION = (
    ("cal_intercept", "In the large (0)"),
    ("cal_slope", "Slope (1)"),
    ("oe_ratio", "Observed / expected (1)"),
    ("ici", "Mean error (0)"),
    ("brier", "Brier score"),
)


def calibration_section(view: TaskView) -> Section | None:
    """Reliability of every model with histograms, its figures, and what recalibration does."""
    names = [n for n in view.drawn("reliability") if not is_finding(n)]
    parts: list[Table | Figure | Note] = [_reliability(view, name) for name in names]
    table = _calibration_table(view)
    if table.rows:
        parts.append(table)
    if recalibrated := _recalibration_table(view):
        parts.append(recalibrated)
    if not parts:
        return None
    return Section(
        key=view.key("calibration"),
        title="Calibration: does a risk of 30 % mean three in ten?",
        lead="On the diagonal, predicted and observed risk agree. The thin line steps through "
        "groups of records, and in the grey band it would run by chance if the model agreed; the "
        "thick line smooths it. Below, how the predictions are spread among positive and "
        "negative records: the less the two overlap, the better.",
        parts=tuple(parts),
    )


def _reliability(view: TaskView, name: str) -> Figure:
    colour = view.look[name].colour
    places = ((0.5, 1.3, 2.7, 2.35), (0.5, 0.42, 2.7, 0.75))
    with canvas(3.3, 3.9, title=f"Calibration of {model_title(name)}", places=places) as drawing:
        axes, below = drawing.all_axes
        steps = of_model(view.curves, name, "reliability")
        x = steps["x"].to_numpy()
        if steps["low"].null_count() == 0:
            axes.fill_between(
                x, steps["low"], steps["high"], color=COLOURS[5], alpha=0.22, linewidth=0
            )
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
        smooth = of_model(view.curves, name, "reliability_smooth")
        axes.plot(smooth["x"], smooth["y"], color=colour, linewidth=2.2)
        axes.plot(x, steps["y"], color=colour, linewidth=0.9)
        axes.set_ylabel("observed")
        axes.tick_params(labelbottom=False)
        axes.set_title(model_title(name), fontsize=10, color=INK, loc="left", weight="bold")
        _histograms(below, view, name, colour)
        for one in (axes, below):
            one.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        below.set_xlabel("predicted")
    data = pl.concat(
        view.points(kind, [name])
        for kind in (
            "reliability",
            "reliability_smooth",
            "histogram_positive",
            "histogram_negative",
        )
    )
    return Figure(
        name=view.key(f"calibration-{name}"), svg=drawing.svg, caption="", data=data, kind="panel"
    )


def _histograms(axes: Any, view: TaskView, name: str, colour: str) -> None:
    """Positive upward, negative downward, each as a share of its class."""
    for kind, sign, opacity, word in (
        ("histogram_positive", 1, 1.0, "positive"),
        ("histogram_negative", -1, 0.4, "negative"),
    ):
        rows = of_model(view.curves, name, kind)
        heights = sign * rows["y"].fill_null(0).to_numpy()
        axes.bar(
            rows["x"].to_numpy(), heights, width=0.045, color=colour, alpha=opacity, linewidth=0
        )
        axes.text(
            -0.03,
            0.72 if sign > 0 else 0.12,
            word,
            transform=axes.transAxes,
            ha="right",
            fontsize=8,
            color=INK,
        )
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _calibration_table(view: TaskView) -> Table:
    found = {metric: view.headline(metric) for metric, _ in _CALIBRATION}
    names = [
        name
        for name in view.models
        if any(found[m].get(name, {}).get("value") is not None for m, _ in _CALIBRATION)
    ]
    return Table(
        name=view.key("calibration"),
        caption=f"Calibration ({view.interval}); what would be perfect stands in brackets",
        header=["Model", *(title for _, title in _CALIBRATION)],
        rows=[
            [
                model_title(name),
                *(
                    estimate(found[metric][name]) if name in found[metric] else MISSING
                    for metric, _ in _CALIBRATION
                ),
            ]
            for name in names
        ],
        note="In the large: above 0, risks are too low on the whole. Slope: below 1, they are too "
        "extreme. Mean error: the mean distance of the smooth line from the diagonal.",
    )


def _recalibration_table(view: TaskView) -> Table | None:
    """Brier score and mean error before and after, a model a row."""
    found = {(row["model"], row["method"]): row for row in view.rows("recalibration")}
    names = [name for name in view.models if (name, "none") in found]
    if not names:
        return None
    measures = (("brier", "Brier"), ("ici", "Mean error"))
    methods = [m for m in _METHODS if any((name, m) in found for name in names)]

    def cell(name: str, method: str, key: str) -> str:
        return fixed(found[name, method][key]) if (name, method) in found else MISSING

    return Table(
        name=view.key("recalibration"),
        caption="What recalibration on the validation records would change",
        header=[
            "Model",
            *(f"{title}, {_METHODS[method]}" for _, title in measures for method in methods),
        ],
        rows=[
            [
                model_title(name),
                *(cell(name, method, key) for key, _ in measures for method in methods),
            ]
            for name in names
        ],
        note="Fitted on validation, applied to these records; the rest of the report uses the "
        "scores as they are.",
    )


def decision_section(view: TaskView) -> Section | None:
    """Net benefit of acting on each model, and its difference to the best simple strategy."""
    names = view.drawn("decision")
    if not names:
        return None
    figures = [_benefit(view, names)]
    if better := [n for n in view.drawn("decision_difference") if not is_finding(n)]:
        figures.append(_benefit_difference(view, better))
    return Section(
        key=view.key("decision"),
        title="Decision curve: would acting on it do more good than harm?",
        lead="The threshold is the risk from which one would act; it says how many needless "
        "actions one would accept for a needed one (at 20 %, four). A model is worth using where "
        "its line lies above acting on everybody and above acting on nobody. Thresholds refer to "
        "the prevalence of these records.",
        parts=tuple(figures),
    )


def _benefit(view: TaskView, names: list[str]) -> Figure:
    simple = {"treat_all": "everybody", "treat_none": "nobody"}
    with canvas(4.8, 3.6, title="Net benefit by threshold") as drawing:
        axes = drawing.axes
        top = 0.0
        for name in names:
            rows = of_model(view.curves, name, "decision")
            x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
            if name in simple:
                dash = (0, (2, 3)) if name == "treat_all" else "-"
                label = f"act on {simple[name]}"
                axes.plot(x, y, color=INK, linewidth=0.9, linestyle=dash, label=label)
                continue
            look = view.look[name]
            finding = is_finding(name)
            axes.plot(
                x,
                y,
                color=COLOURS[5] if finding else look.colour,
                linestyle="-" if finding else look.dash,
                linewidth=0.9 if finding else 1.6,
                marker=look.marker if finding else None,
                markevery=8,
                markersize=4,
                markerfacecolor="none",
                label=f" {model_title(name)}",
            )
            top = max(top, float(np.nanmax(y, initial=0)))
        axes.set_ylim(-0.25 * top, 1.1 * top or 1)
        axes.set_xlim(0, float(view.points("decision")["x"].max() or 1))  # type: ignore[arg-type]  # a number
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_xlabel("threshold risk")
        axes.set_ylabel("net benefit")
        legend_below(drawing)
    return Figure(
        name=view.key("decision"),
        svg=drawing.svg,
        caption="Net benefit: true positives per record, less false ones at the rate the "
        "threshold accepts.",
        data=view.points("decision"),
        kind="panel",
    )


def _benefit_difference(view: TaskView, names: list[str]) -> Figure:
    with canvas(4.8, 4.4, title="Net benefit less that of the best simple strategy") as drawing:
        axes = drawing.axes
        axes.axhline(0, color=INK, linewidth=0.8)
        ends = {}
        for name in names:
            rows = of_model(view.curves, name, "decision_difference").drop_nulls("y")
            look = view.look[name]
            x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
            if name == names[0] and rows["low"].null_count() == 0:
                axes.fill_between(
                    x, rows["low"], rows["high"], color=look.colour, alpha=0.18, linewidth=0
                )
            axes.plot(x, y, color=look.colour, linestyle=look.dash, linewidth=1.6)
            ends[name] = float(y[-1]) if y.size else 0.0
        axes.set_xlim(0, float(view.points("decision_difference")["x"].max() or 1))  # type: ignore[arg-type]  # a number
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_xlabel("threshold risk")
        axes.set_ylabel("gain over the best simple strategy")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high)
        spread_labels(axes, ends, view.look, gap=0.048 * (high - low))
    return Figure(
        name=view.key("decision-difference"),
        svg=drawing.svg,
        caption=f"Above 0, acting on the model beats both acting on everybody and on nobody. Band: "
        f"{view.interval} of {model_title(names[0])}.",
        data=view.points("decision_difference"),
        kind="panel",
    )


def budget_section(view: TaskView) -> Section | None:
    """PPV by the share of records that can be tested."""
    names = [n for n in view.drawn("budget") if not is_finding(n)]
    shares = ("01", "05", "10", "20")
    found = {share: view.headline(f"ppv_at_budget_{share}") for share in shares}
    table = Table(
        name=view.key("budgets"),
        caption=f"Share of positives among the flagged ({view.interval}), by budget",
        header=["Model", *(f"{int(share)} % flagged" for share in shares)],
        rows=[
            [
                model_title(name),
                *(estimate(found[s][name]) if name in found[s] else MISSING for s in shares),
            ]
            for name in view.ordered
            if any(name in found[s] for s in shares)
        ],
        note="Where a budget cuts through equal scores, the expectation over their order is given.",
    )
    parts: list[Figure | Table | Note] = [_budget(view, names)] if names else []
    if table.rows:
        parts.append(table)
    if not parts:
        return None
    return Section(
        key=view.key("budget"),
        title="Yield of a budget: if only so many can be tested",
        lead="Of the records with the highest scores, how many are positive? On the right "
        "everybody is flagged, and the share is that of all records.",
        parts=tuple(parts),
    )


def _budget(view: TaskView, names: list[str]) -> Figure:
    with canvas(4.8, 3.4, title="Share of positives by share flagged") as d:
        axes = d.axes
        for name in names:
            rows = of_model(view.curves, name, "budget").drop_nulls("y")
            look = view.look[name]
            x = rows["x"].to_numpy()
            if name == names[0] and rows["low"].null_count() == 0:
                axes.fill_between(
                    x, rows["low"], rows["high"], color=look.colour, alpha=0.18, linewidth=0
                )
            axes.plot(
                x,
                rows["y"],
                color=look.colour,
                linestyle=look.dash,
                linewidth=1.6,
                label=f" {model_title(name)}",
            )
        n_records = view.overall["n_records"].max()
        for row in view.rows("matched_budgets", model=names[0]):
            if row["feature_ppv"] is None or row["k"] is None or row["k"] < 0:
                continue
            axes.plot(
                [row["k"] / n_records],
                [row["feature_ppv"]],
                linestyle="none",
                marker=view.look[row["feature"]].marker if row["feature"] in view.look else "x",
                markersize=6.5,
                markerfacecolor="none",
                markeredgecolor=INK,
                label=f" {model_title(row['feature'])}",
            )
        axes.set_xscale("log")
        axes.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], [f"{s} %" for s in (2, 5, 10, 20, 50, 100)])
        axes.minorticks_off()
        axes.set_xlim(0.02, 1)
        axes.set_ylim(0, min(axes.get_ylim()[1], 1.02))
        axes.set_xlabel("share of records flagged (each step to the right flags more)")
        axes.set_ylabel("share of positives among them")
        legend_below(d)
    return Figure(
        name=view.key("budget"),
        svg=d.svg,
        caption=f"Band: {view.interval} of {model_title(names[0])}. Open marks: the findings, at "
        "the share of records that have them.",
        data=view.points("budget", names),
    )
