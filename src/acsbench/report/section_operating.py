"""A model at one cut: sensitivity and specificity, ruling out and in, and a slider to try cuts."""

from __future__ import annotations

import polars as pl

from acsbench.report.names import model_title
from acsbench.report.numbers import MISSING, count, estimate, fixed, percent
from acsbench.report.parts import Note, Section, Table
from acsbench.report.view import Row, TaskView

__all__ = ["operating_section", "slider_data"]

_ZONES = {"rule_out": "Ruled out", "grey": "In between", "rule_in": "Ruled in"}


def operating_section(view: TaskView) -> Section | None:
    """Sensitivity and specificity at cuts from validation, rule-out, zones."""
    tables = [_fixed_points(view), _rule(view, "spec_90"), _rule(view, "sens_95"), _zones(view)]
    parts: list[Table | Note] = [table for table in tables if table is not None]
    if not parts:
        return None
    return Section(
        key=view.key("operating"),
        title="At one cut: ruling in and ruling out",
        lead="Cuts were chosen on validation records, frozen, and applied to these; so the "
        "specificity reached differs a little from the one asked for.",
        parts=tuple(parts),
    )


def _fixed_points(view: TaskView) -> Table | None:
    metrics = [
        *((f"sens_at_spec_{p}", f"Sens. at spec. 0.{p}") for p in (80, 90, 95)),
        *((f"spec_at_sens_{p}", f"Spec. at sens. 0.{p}") for p in (90, 95, 98)),
    ]
    found = {metric: view.headline(metric) for metric, _ in metrics}
    shown = [(m, t) for m, t in metrics if any(r["value"] is not None for r in found[m].values())]
    if not shown:
        return None
    return Table(
        name=view.key("operating"),
        caption=f"What is reached at each target ({view.interval})",
        header=["Model", *(title for _, title in shown)],
        rows=[
            [
                model_title(name),
                *(estimate(found[m][name]) if name in found[m] else MISSING for m, _ in shown),
            ]
            for name in view.models
        ],
    )


def _rule(view: TaskView, rule: str) -> Table | None:
    points = {r["model"]: r for r in view.rows("operating_points", rule=rule, subgroup="")}
    if not points:
        return None
    intervals = {
        (r["model"], r["metric"]): r
        for r in view.rows("operating_intervals", rule=rule, subgroup="")
    }
    kind, target = rule.split("_")
    goal = "specificity" if kind == "spec" else "sensitivity"
    measures = ("sensitivity", "specificity", "ppv", "npv")
    ruling = "Ruling in" if kind == "spec" else "Ruling out"

    def cell(name: str, metric: str) -> str:
        row = intervals.get((name, metric))
        return estimate(row) if row else fixed(points[name][metric])

    base = next((r["one_minus_prevalence"] for r in points.values()), None)
    return Table(
        name=view.key(f"operating-{rule}"),
        caption=f"{ruling}: cut for a {goal} of 0.{target} on validation ({view.interval})",
        header=[
            "Model",
            "Cut",
            "Sensitivity",
            "Specificity",
            "PPV",
            "NPV",
            "Flagged",
            "Missed",
            "TP / FP / FN / TN",
        ],
        rows=[
            [
                model_title(name),
                fixed(points[name]["cut"]),
                *(cell(name, metric) for metric in measures),
                percent(points[name]["flagged_share"]),
                fixed(points[name]["missed_per_1000"], 0),
                _cells(points[name], view.min_count),
            ]
            for name in view.models
            if name in points
        ],
        note="Missed: positives among 1,000 ruled out. "
        f"Without any test the NPV of calling all records negative is {fixed(base)}.",
    )


def _cells(row: Row, min_count: int) -> str:
    return " / ".join(count(row[key], min_count=min_count) for key in ("tp", "fp", "fn", "tn"))


def _zones(view: TaskView) -> Table | None:
    """Share of records and of positives in each zone, a model a row."""
    found = {(row["model"], row["zone"]): row for row in view.rows("zones")}
    names = [name for name in view.models if all((name, zone) in found for zone in _ZONES)]
    if not names:
        return None
    return Table(
        name=view.key("zones"),
        caption="Three zones by two cuts from validation: share of all records, and of positives "
        f"within ({view.interval})",
        header=[
            "Model",
            *(words for zone in _ZONES.values() for words in (zone, "positive within")),
        ],
        rows=[
            [
                model_title(name),
                *(
                    words
                    for zone in _ZONES
                    for words in (
                        percent(found[name, zone]["share"]),
                        estimate(found[name, zone], "event_rate"),
                    )
                ),
            ]
            for name in names
        ],
    )


def slider_data(view: TaskView) -> dict[str, list[list[float | int | None]]]:
    """Cut, sensitivity, specificity, PPV, NPV and share flagged, by model, for the slider."""
    frame = view.table("cuts")
    if frame.is_empty():
        return {}
    columns = ("cut", "sensitivity", "specificity", "ppv", "npv", "share_flagged")
    found = {}
    for name in view.models:
        mine = frame.filter(pl.col("model") == name).sort("cut")
        if not mine.is_empty():
            rounded = mine.select(pl.col(c).cast(pl.Float64).round(4) for c in columns)
            found[model_title(name)] = [list(row) for row in rounded.iter_rows()]
    return found
