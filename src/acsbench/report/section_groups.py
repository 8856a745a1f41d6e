"""Subgroups with their gaps, and the figures under other ways of counting."""

from __future__ import annotations

from typing import Any

import polars as pl

from acsbench.report.charts import canvas
from acsbench.report.names import group_title, in_order, is_finding, model_title
from acsbench.report.numbers import MISSING, count, estimate, fixed, p_text, signed
from acsbench.report.parts import Figure, Note, Section, Table
from acsbench.report.svg import INK
from acsbench.report.view import Row, TaskView

__all__ = ["robustness_section", "subgroup_section"]

_DRAWN = 3
"""Models in the forest of subgroups; more would hide each other."""
_ANALYSES = {
    "first_ecg_per_patient": "First ECG of each patient",
    "patient_max": "Highest score of each patient",
    "patient_mean": "Mean score of each patient",
    "without_near_duplicates": "Without near-duplicate waveforms",
    "complete_case": "Records without any missing value",
}


def subgroup_section(view: TaskView) -> Section | None:
    """AUROC in every subgroup, the gap to everybody else, and a common cut."""
    rows = [
        row
        for row in view.frame.filter(
            (pl.col("subgroup") != "") & (pl.col("compared_with") == "")
        ).iter_rows(named=True)
        if not is_finding(row["model"])
    ]
    auroc = _first(rows, "auroc")
    if not auroc:
        return None
    groups = in_order(list(dict.fromkeys(group for group, _ in auroc)))
    parts: list[Table | Figure | Note] = [
        _forest(view, auroc, groups),
        _group_table(view, auroc, groups),
    ]
    parts += [t for t in (_gap_table(view), _interaction_table(view)) if t is not None]
    if common := _common_cut(view, rows, groups):
        parts.append(common)
    return Section(
        key=view.key("subgroups"),
        title="Subgroups: does it work for everybody?",
        lead="Small groups have wide intervals, and the absence of a visible gap is not its "
        "absence. Gaps are tested against all other records, with Holm's correction.",
        parts=tuple(parts),
    )


def _first(rows: list[Row], metric: str) -> dict[tuple[str, str], Row]:
    """First estimate of a metric by (subgroup, model)."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row["metric"] == metric:
            found.setdefault((row["subgroup"], row["model"]), row)
    return found


def _forest(view: TaskView, auroc: dict[tuple[str, str], Row], groups: list[str]) -> Figure:
    names = [n for n in view.models if any((g, n) in auroc for g in groups)][:_DRAWN]
    overall = view.headline("auroc")
    lines: list[tuple[str, dict[str, Row]]] = [("All records", overall)]
    lines += [
        (group_title(group), {n: auroc[group, n] for n in names if (group, n) in auroc})
        for group in groups
    ]
    drawn = []
    with canvas(4.8, 1.2 + 0.13 * len(lines) * (len(names) + 1), title="AUROC by subgroup") as d:
        axes = d.axes
        axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
        for place, (title, found) in enumerate(lines):
            for number, name in enumerate(names):
                row = found.get(name)
                if row is None or row["value"] is None:
                    continue
                height = -place - 0.22 * (number - (len(names) - 1) / 2)
                _interval(axes, row, height, view.look[name].colour)
                drawn.append({"group": title, **{k: row[k] for k in _DATA}})
        axes.set_yticks([-n for n in range(len(lines))], [title for title, _ in lines])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-len(lines) + 0.4, 0.6)
        axes.set_xlabel(f"AUROC with its {view.interval}")
        for name in names:
            axes.plot([], [], color=view.look[name].colour, marker="o", label=model_title(name))
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=3,
            frameon=False,
            fontsize=9,
            labelcolor=INK,
        )
    few = (
        " A group without a mark has too few records of one class."
        if len(drawn) < (len(lines) * len(names))
        else ""
    )
    best = f"The {len(names)} models with the highest AUROC." if len(names) > 1 else ""
    return Figure(
        name=view.key("subgroups"),
        svg=d.svg,
        caption=f"{best} The dotted line is chance.{few}".strip(),
        data=pl.DataFrame(drawn, infer_schema_length=None),
    )


_DATA = ("model", "value", "low", "high", "n_records", "n_positive", "n_patients")


def _interval(axes: Any, row: Row, height: float, colour: str) -> None:
    if row["low"] is not None:
        axes.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=1.6)
    axes.plot([row["value"]], [height], marker="o", markersize=4.5, color=colour)


def _group_table(view: TaskView, auroc: dict[tuple[str, str], Row], groups: list[str]) -> Table:
    names = [n for n in view.models if any((g, n) in auroc for g in groups)]
    rows = []
    for group in groups:
        first = next(row for (g, _), row in auroc.items() if g == group)
        counts = [
            count(first[key], min_count=view.min_count)
            for key in ("n_records", "n_positive", "n_patients")
        ]
        cells = [_short(auroc.get((group, name))) for name in names]
        rows.append([group_title(group), *counts, *cells])
    return Table(
        name=view.key("subgroups"),
        caption=f"AUROC by subgroup ({view.interval})",
        header=["Subgroup", "ECGs", "Positive", "Patients", *map(model_title, names)],
        rows=rows,
        note=_reasons(list(auroc.values())),
    )


def _short(row: Row | None) -> str:
    return MISSING if row is None or row["value"] is None else estimate(row)


def _reasons(rows: list[Row]) -> str:
    reasons = sorted({row["reason"] for row in rows if row["value"] is None and row["reason"]})
    return f"{MISSING} {'; '.join(reasons)}." if reasons else ""


def _gap_table(view: TaskView) -> Table | None:
    name = next(iter(view.models), None)
    found = {row["subgroup"]: row for row in view.rows("subgroup_gaps", model=name)}
    rows = [found[group] for group in in_order(list(found))]
    if not rows:
        return None
    return Table(
        name=view.key("gaps"),
        caption=f"{model_title(str(name))}: AUROC in each group less that in all other records "
        f"({view.interval})",
        header=["Subgroup", "Group", "Others", "Gap", "p", "p (Holm)"],
        rows=[
            [
                group_title(row["subgroup"]) + (" (lowest)" if row["is_worst"] else ""),
                fixed(row["auroc"]),
                fixed(row["auroc_complement"]),
                signed(row, "gap") if row["gap"] is not None else MISSING,
                p_text(row["p_value"]),
                p_text(row["p_holm"]),
            ]
            for row in rows
        ],
        note=_reasons([row | {"value": row["gap"]} for row in rows]),
    )


def _interaction_table(view: TaskView) -> Table | None:
    name = next(iter(view.models), None)
    rows = view.rows("subgroup_interaction", model=name)
    if not rows:
        return None
    return Table(
        name=view.key("interaction"),
        caption=f"{model_title(str(name))}: do the groups of a column differ at all?",
        header=["Column", "Groups", "Chi square (df)", "p", "p (Holm)"],
        rows=[
            [
                group_title(f"{row['column']}=").removesuffix(": "),
                count(row["n_groups"]),
                f"{fixed(row['chi2'], 1)} ({count(row['df'])})",
                p_text(row["p_value"]),
                p_text(row["p_holm"]),
            ]
            for row in rows
        ],
    )


def _common_cut(view: TaskView, rows: list[Row], groups: list[str]) -> Table | None:
    name = next(iter(view.models), None)
    metrics = (
        ("cal_intercept", "Calibration in the large (0)"),
        ("cal_slope", "Calibration slope (1)"),
        ("sens_at_spec_90", "Sensitivity"),
        ("spec_at_spec_90", "Specificity"),
    )
    found = {metric: _first(rows, metric) for metric, _ in metrics}
    shown = [(m, t) for m, t in metrics if any(n == name for _, n in found[m])]
    if not shown:
        return None
    return Table(
        name=view.key("common-cut"),
        caption=f"{model_title(str(name))} in each group: calibration, and one cut for all "
        f"(specificity 0.90 on validation; {view.interval})",
        header=["Subgroup", *(title for _, title in shown)],
        rows=[
            [group_title(g), *(_short(found[m].get((g, str(name)))) for m, _ in shown)]
            for g in groups
        ],
    )


def robustness_section(view: TaskView) -> Section | None:
    """AUROC under other ways of counting; always run, never chosen from."""
    rows = view.rows("sensitivity")
    if not rows:
        return None
    kinds = list(dict.fromkeys(row["analysis"] for row in rows))
    found = {(row["model"], row["analysis"]): row for row in rows}
    overall = view.headline("auroc")
    table = Table(
        name=view.key("robustness"),
        caption=f"AUROC under other ways of counting ({view.interval})",
        header=["Model", "As reported", *(_ANALYSES.get(k, k.replace("_", " ")) for k in kinds)],
        rows=[
            [
                model_title(name),
                estimate(overall[name]),
                *(
                    estimate(found[name, k], "auroc") if (name, k) in found else MISSING
                    for k in kinds
                ),
            ]
            for name in view.ordered
            if any((name, k) in found for k in kinds)
        ],
    )
    return Section(
        key=view.key("robustness"),
        title="Would another way of counting change it?",
        lead="Run in every report, whatever they show.",
        parts=(table,),
    )
