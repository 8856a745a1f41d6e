"""Models beside the classical findings, at equal budgets; what they find that findings do not."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.patches import Circle

from acsbench.report.charts import canvas
from acsbench.report.names import model_title
from acsbench.report.numbers import MISSING, count, estimate, fixed, p_text, percent, signed
from acsbench.report.parts import Figure, Note, Section, Table
from acsbench.report.svg import COLOURS, INK
from acsbench.report.view import Row, TaskView

__all__ = ["findings_section"]

_RULES = {
    "budget_05": "5 % flagged",
    "budget_10": "10 % flagged",
    "budget_20": "20 % flagged",
    "val_prevalence": "as many as are positive on validation",
}
_SETS = {"model": "Model", "T": "T-wave finding", "ST": "ST finding"}


def findings_section(view: TaskView) -> Section | None:
    """Yield, budgets matched to each finding, UpSet and Venn, added value."""
    name = next((r["model"] for r in _regions_of(view)), None)
    parts: list[Table | Figure | Note] = [
        part for part in (_matched(view), _yield(view)) if part is not None
    ]
    if name is not None:
        rows = [row for row in _regions_of(view) if row["model"] == name]
        parts += [_upset(view, name, rows), _venn(view, name, rows), _regions(view, name, rows)]
    if added := _added(view):
        parts.append(added)
    if not parts:
        return None
    return Section(
        key=view.key("findings"),
        title="Beside what a reader of the ECG already knows",
        lead="A finding flags few records, a model as many as it is told to; so they are compared "
        "where both flag equally many. A share without any finding means something only beside "
        "the share among all records.",
        parts=tuple(parts),
    )


def _regions_of(view: TaskView) -> list[Row]:
    """Regions of the first model that has them, by one rule."""
    rows = view.rows("feature_regions")
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    rule = "val_prevalence" if "val_prevalence" in rules else next(iter(rules), None)
    for name in view.models:
        mine = [row for row in rows if row["model"] == name and row["rule"] == rule]
        if mine:
            return mine
    return []


def _matched(view: TaskView) -> Table | None:
    """PPV of each model less that of each finding at the finding's budget, a model a row."""
    found = {(row["model"], row["feature"]): row for row in view.rows("matched_budgets")}
    features = [n for n in view.findings if any(feature == n for _, feature in found)]
    names = [n for n in view.models if any(model == n for model, _ in found)]
    if not features or not names:
        return None

    def head(feature: str) -> str:
        row = next(row for (_, name), row in found.items() if name == feature)
        k = count(row["k"], min_count=view.min_count)
        return f"{model_title(feature)}: {k} flagged, PPV {fixed(row['feature_ppv'])}"

    def cell(name: str, feature: str) -> str:
        return signed(found[name, feature], "difference") if (name, feature) in found else MISSING

    return Table(
        name=view.key("matched"),
        caption="PPV of the model less that of the finding, both flagging as many records as have "
        f"the finding ({view.interval})",
        header=["Model", *map(head, features)],
        rows=[[model_title(name), *(cell(name, f) for f in features)] for name in names],
        note="Above 0, the model finds more. Equal scores at the border of the budget count by "
        "their expectation.",
    )


def _yield(view: TaskView) -> Table | None:
    rows = view.rows("feature_yield")
    if not rows:
        return None
    rules = [r for r in _RULES if any(row["rule"] == r for row in rows)]
    wanted = rules[-1:] if "val_prevalence" in rules else rules
    rows = [row for row in rows if row["rule"] in wanted]
    base = rows[0]["base_share_without_feature"] if rows else None
    return Table(
        name=view.key("yield"),
        caption=f"Yield and what no finding shows; {_RULES[wanted[0]]}",
        header=[
            "Model",
            "Flagged",
            "PPV",
            "Sensitivity",
            "Flagged without a finding",
            "Times the share in all",
            "PPV without a finding",
        ],
        rows=[
            [
                model_title(row["model"]),
                count(row["k"], min_count=view.min_count),
                fixed(row["ppv"]),
                fixed(row["sensitivity"]),
                percent(row["share_without_feature"]),
                fixed(row["lift"], 2),
                estimate(row, "ppv_without_feature", "ppv_without_low", "ppv_without_high"),
            ]
            for row in rows
        ],
        note=f"Of all records, {percent(base)} have none of the findings: that is what flagging at "
        "random would give.",
    )


def _title(region: str) -> str:
    if region == "none":
        return "None of them"
    names = [_SETS[part] for part in region.split("+")]
    return f"{' and '.join(names)}{' only' if len(names) == 1 else ''}"


def _regions(view: TaskView, name: str, rows: list[Row]) -> Table:
    return Table(
        name=view.key("regions"),
        caption=f"{model_title(name)} and the findings: who is flagged by what ({view.interval})",
        header=["Flagged by", "ECGs", "Share", "Positive", "Share of positives"],
        rows=[
            [
                _title(row["region"]),
                count(row["n_records"], min_count=view.min_count),
                percent(row["share"]),
                count(row["n_positive"], min_count=view.min_count),
                estimate(row, "event_rate"),
            ]
            for row in rows
        ],
    )


def _upset(view: TaskView, name: str, rows: list[Row]) -> Figure:
    rows = sorted(rows, key=lambda row: (-row["n_records"], row["region"]))
    places = ((1.2, 2.3, 3.5, 1.55), (1.2, 1.05, 3.5, 1.0), (1.2, 0.1, 3.5, 0.75))
    with canvas(
        4.8, 4.0, title=f"Records flagged by {model_title(name)} and the findings", places=places
    ) as d:
        bars, rates, dots = d.all_axes
        columns = range(len(rows))
        heights = [max(row["n_records"], 0) for row in rows]
        bars.bar(columns, heights, color=COLOURS[5], width=0.62)
        for place, row in zip(columns, rows, strict=True):
            words = count(row["n_records"], min_count=view.min_count)
            bars.text(
                place,
                max(row["n_records"], 0),
                words,
                ha="center",
                va="bottom",
                fontsize=8,
                color=INK,
            )
            if row["event_rate"] is not None:
                if row["low"] is not None:
                    rates.plot([place, place], [row["low"], row["high"]], color=COLOURS[0])
                rates.plot([place], [row["event_rate"]], marker="o", markersize=4, color=COLOURS[0])
            _dots(dots, place, row["region"])
        bars.set_ylabel("ECGs")
        rates.set_ylabel("share positive")
        rates.set_ylim(0, 1)
        rates.grid(axis="y", color=COLOURS[5], alpha=0.25, linewidth=0.6)
        dots.set_yticks(range(len(_SETS)), list(_SETS.values()))
        dots.set_ylim(len(_SETS) - 0.5, -0.5)
        for axes in (bars, rates, dots):
            axes.set_xticks([])
            axes.set_xlim(-0.6, len(rows) - 0.4)
        for side in ("left", "bottom"):
            dots.spines[side].set_visible(False)
        dots.tick_params(length=0)
    return Figure(
        name=view.key("upset"),
        svg=d.svg,
        caption="Each column is a group of records, named by the filled dots. Above: how many; in "
        f"the middle: the share of positives with its {view.interval}.",
        data=pl.DataFrame(rows, infer_schema_length=None).drop("task", "split", strict=False),
        kind="panel",
    )


def _dots(axes: Any, place: int, region: str) -> None:
    inside = region.split("+")
    for height, key in enumerate(_SETS):
        filled = key in inside
        axes.plot(
            [place],
            [height],
            marker="o",
            markersize=6,
            color=INK if filled else COLOURS[5],
            markerfacecolor=INK if filled else "none",
            markeredgewidth=0.8,
        )


def _venn(view: TaskView, name: str, rows: list[Row]) -> Figure:
    """Three circles of equal size: what counts is written, not the area."""
    centres = {"model": (0.0, 0.55), "T": (-0.5, -0.3), "ST": (0.5, -0.3)}
    places = {
        "model": (0.0, 0.98),
        "T": (-0.85, -0.5),
        "ST": (0.85, -0.5),
        "model+T": (-0.46, 0.23),
        "model+ST": (0.46, 0.23),
        "T+ST": (0.0, -0.58),
        "model+T+ST": (0.0, -0.03),
        "none": (1.2, 1.15),
    }
    titles = {"model": (0.0, 1.52), "T": (-0.95, -1.22), "ST": (0.95, -1.22)}
    with canvas(
        4.4,
        4.2,
        places=[(0, 0, 4.4, 4.2)],
        title=f"Overlap of {model_title(name)} and the findings",
    ) as d:
        axes = d.axes
        for number, (key, centre) in enumerate(centres.items()):
            axes.add_patch(Circle(centre, 0.85, facecolor=COLOURS[number], alpha=0.16, linewidth=0))
            axes.add_patch(
                Circle(centre, 0.85, facecolor="none", edgecolor=COLOURS[number], linewidth=1.2)
            )
            words = model_title(name) if key == "model" else _SETS[key]
            axes.text(*titles[key], words, ha="center", fontsize=9, color=INK, weight="bold")
        for row in rows:
            x, y = places[row["region"]]
            words = count(row["n_records"], min_count=view.min_count)
            if row["region"] == "none":
                words = f"none: {words}"
            axes.text(x, y, words, ha="center", va="center", fontsize=9, color=INK)
        axes.set_xlim(-1.6, 1.7)
        axes.set_ylim(-1.4, 1.75)
        axes.set_aspect("equal")
        axes.set_axis_off()
    return Figure(
        name=view.key("venn"),
        svg=d.svg,
        caption="The same counts. Areas mean nothing; numbers do.",
        data=pl.DataFrame(rows, infer_schema_length=None).select(
            "model", "region", "n_records", "n_positive"
        ),
        kind="panel",
    )


def _added(view: TaskView) -> Table | None:
    rows = view.rows("added_value")
    if not rows:
        return None
    on = {row["fitted_on"] for row in rows}
    where = (
        "fitted on validation records" if on == {"val"} else "fitted on these records (apparent)"
    )
    return Table(
        name=view.key("added-value"),
        caption=f"What a model adds to the findings: logistic models {where} ({view.interval})",
        header=["Model", "AUROC of the findings", "With the model", "Gain", "p"],
        rows=[
            [
                model_title(row["model"]),
                fixed(row["auroc_features"]),
                fixed(row["auroc_features_and_model"]),
                signed(row, "delta"),
                p_text(row["wald_p_value"]),
            ]
            for row in rows
        ],
    )
