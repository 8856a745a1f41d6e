"""The verdict: which model, how sure, and what cannot be told apart; ROC; every pair of models."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import polars as pl
from matplotlib.patches import Rectangle

from acsbench.report.charts import canvas, legend_below, of_model, spread_labels
from acsbench.report.names import is_finding, model_title, question
from acsbench.report.numbers import MISSING, count, estimate, fixed, p_text, signed
from acsbench.report.parts import Figure, Section, Table
from acsbench.report.svg import COLOURS, INK
from acsbench.report.view import Row, TaskView
from acsbench.tasks import TASKS

__all__ = ["pairs_section", "roc_section", "verdict_section", "verdict_sentences"]


def verdict_sentences(view: TaskView) -> list[str]:
    """Say the result in words, what is uncertain first."""
    auroc = view.headline("auroc")
    known = [name for name in view.models if auroc[name]["value"] is not None]
    if not known:
        return ["No model has an estimate on this task."]
    best = auroc[known[0]]
    title = model_title(known[0])
    text = estimate(best)
    sentences = []
    level = view.interval
    if best["low"] is not None and best["low"] <= 0.5:
        sentences.append(f"Nothing is shown yet: the {level} of the best model includes chance.")
    sentences += _told_apart(view, known)
    what = question(view.task)
    sentences.append(
        f"{title} has the highest AUROC, {text}, for telling records with {what} from those "
        "without; 0.5 is chance, 1 is perfect."
        if len(known) > 1
        else f"{title} has an AUROC of {text} for telling records with {what} from those "
        "without; 0.5 is chance, 1 is perfect."
    )
    findings = [name for name in view.findings if auroc[name]["value"] is not None]
    if findings:
        value = estimate(auroc[findings[0]])
        sentences.append(f"The best classical finding, {model_title(findings[0])}, has {value}.")
    if view.task in TASKS and TASKS[view.task].population == "is_tested":
        sentences.append(
            "All of this is about patients whom a doctor sent to be tested, and says little about "
            "the others."
        )
    return sentences


def _told_apart(view: TaskView, known: list[str]) -> list[str]:
    """Say which models the data cannot separate from the first."""
    if len(known) < 2:
        return []
    ranks = {row["model"]: row for row in view.rows("ranks")}
    others = [name for name in known[1:] if name in ranks]
    if not others:
        return []
    level = [n for n in others if ranks[n]["separable_from_first"] is False]
    if not level:
        return [f"{model_title(known[0])} is told apart from every other model."]
    named = _listed([model_title(name) for name in level])
    sentence = f"These data do not single out one best model: {named} cannot be told apart from "
    return [sentence + f"{model_title(known[0])}."]


def _listed(names: list[str], most: int = 4) -> str:
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def verdict_section(view: TaskView) -> Section:
    """Verdict, model table and forest plot."""
    return Section(
        key=view.key("verdict"),
        title="Verdict",
        lead=" ".join(verdict_sentences(view)),
        parts=(_model_table(view), _forest(view)),
    )


def _model_table(view: TaskView) -> Table:
    columns: list[tuple[str, dict[str, str]]] = [
        (f"AUROC ({view.interval})", {n: estimate(r) for n, r in view.headline("auroc").items()})
    ]
    ranks = {row["model"]: row for row in view.rows("ranks")}
    if ranks:
        columns += [
            ("Rank (interval)", {name: _rank(row) for name, row in ranks.items()}),
            ("Told apart from the first", {name: _apart(row) for name, row in ranks.items()}),
        ]
    for metric, title, digits in (
        ("auprc", "Average precision", 3),
        ("brier", "Brier score", 3),
        ("cal_slope", "Calibration slope", 2),
    ):
        found = view.headline(metric)
        cells = {
            name: f"{fixed(row['value'], digits)} ({fixed(row['low'], digits)}-"
            f"{fixed(row['high'], digits)})"
            for name, row in found.items()
            if row["value"] is not None
        }
        if cells:
            columns.append((title, cells))
    return Table(
        name=view.key("models"),
        caption=f"Every model, the highest AUROC first: {_counts(view)}",
        header=["Model", *(title for title, _ in columns)],
        rows=[
            [model_title(name), *(cells.get(name, MISSING) for _, cells in columns)]
            for name in view.ordered
        ],
        note="Average precision of a model that knows nothing is the share of positives"
        f"{_prevalence(view)}. A Brier score is better the lower, a calibration slope the nearer "
        "to 1.",
    )


def _rank(row: Row) -> str:
    return f"{row['rank']:.0f} ({row['rank_low']:.0f}-{row['rank_high']:.0f})"


def _apart(row: Row) -> str:
    if row["rank"] == 1:
        return MISSING
    return {True: "yes", False: "no", None: MISSING}[row["separable_from_first"]]


def _counts(view: TaskView) -> str:
    row = view.overall.row(0, named=True)
    records, positive, patients = (
        count(row[name], min_count=view.min_count)
        for name in ("n_records", "n_positive", "n_patients")
    )
    return f"{records} ECGs, {positive} of them positive, of {patients} patients"


def _prevalence(view: TaskView) -> str:
    found = view.rows("evaluated")
    if not found or found[0]["prevalence"] is None:
        return ""
    return f", here {fixed(found[0]['prevalence'], 2 if view.min_count else 3)}"


def _forest(view: TaskView) -> Figure:
    auroc = view.headline("auroc")
    names = [name for name in view.ordered if auroc[name]["value"] is not None][::-1]
    rows = [auroc[name] for name in names]
    ranks = {row["model"]: row for row in view.rows("ranks")}
    with canvas(
        4.7, 0.9 + 0.25 * len(rows), title=f"AUROC of every model with its {view.interval}"
    ) as drawing:
        axes = drawing.axes
        axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
        for height, row in enumerate(rows):
            finding = is_finding(row["model"])
            apart = ranks.get(row["model"], {}).get("separable_from_first") is True
            colour = INK if finding else COLOURS[0]
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=1.8)
            axes.plot(
                [row["value"]],
                [height],
                marker="s" if finding else "o",
                color=colour,
                markerfacecolor="none" if apart else colour,
                markersize=6,
            )
        axes.set_yticks(np.arange(len(rows)), [model_title(name) for name in names])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.6, max(len(rows) - 0.4, 0.4))
        axes.set_xlabel(f"AUROC with its {view.interval}")
    caption = "Intervals count patients, not ECGs. The dotted line is chance; squares are classical"
    caption += " findings."
    if ranks:
        caption += " Filled marks cannot be told apart from the first model."
    data = pl.DataFrame(rows[::-1], infer_schema_length=None)
    if rows:
        data = data.select("model", "value", "low", "high", "method")
    return Figure(name=view.key("forest"), svg=drawing.svg, caption=caption, data=data)


def roc_section(view: TaskView) -> Section | None:
    """ROC of all models with the findings as points, whole and near zero."""
    names = view.drawn("roc")
    if not names:
        return None
    whole = _roc(view, names, zoom=None)
    near = _roc(view, names, zoom=0.2)
    return Section(
        key=view.key("roc"),
        title="ROC: sensitivity against false alarms",
        lead="Each line is a model at every cut; each open mark is a classical finding, which has "
        "one cut. A model is of use beside a finding where its line runs above the mark.",
        parts=(whole, near),
    )


def _roc(view: TaskView, names: list[str], *, zoom: float | None) -> Figure:
    where = "" if zoom is None else f", false positive rate up to {zoom:g}"
    lines = [name for name in names if not is_finding(name)]
    with canvas(4.8, 4.4, title=f"ROC curves{where}") as drawing:
        axes = drawing.axes
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
        ends = {}
        for name in lines:
            rows = of_model(view.curves, name, "roc")
            look = view.look[name]
            x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
            # matplotlib drops labels that begin with an underscore
            axes.plot(
                x,
                y,
                color=look.colour,
                linestyle=look.dash,
                linewidth=1.6,
                label=f" {model_title(name)}",
            )
            ends[name] = float(np.interp(zoom or 1, x, y)) if x.size else 0.0
        for name in names:
            if is_finding(name):
                _finding_mark(axes, view, name)
        axes.set_xlabel("false positive rate (1 - specificity)")
        axes.set_ylabel("sensitivity")
        top = 1.01 if zoom is None else min(max([*ends.values(), zoom]) * 1.1 + 0.02, 1.01)
        axes.set_xlim(0, 1.01 if zoom is None else zoom)
        axes.set_ylim(0, top)
        if zoom is None:
            axes.set_aspect("equal")
            axes.set_anchor("W")
            legend_below(drawing)
        else:
            axes.set_xticks(np.arange(0, zoom + 0.01, 0.05))
            spread_labels(axes, ends, view.look, gap=0.052 * top)
    caption = (
        "The whole curve. The dotted line is chance."
        if zoom is None
        else "The part with few false alarms, where a test for everybody would have to work. "
        f"{_marks(names)}".strip()
    )
    return Figure(
        name=view.key("roc" if zoom is None else "roc-zoom"),
        svg=drawing.svg,
        caption=caption,
        data=view.points("roc").filter(pl.col("x") <= (zoom or 1)),
        kind="panel",
    )


def _marks(names: list[str]) -> str:
    """Name the open marks where no legend does."""
    findings = [name for name in names if is_finding(name)]
    signs = zip("○□△◇▽", findings, strict=False)
    listed = ", ".join(f"{sign} {model_title(name)}" for sign, name in signs)
    return f"Open marks: {listed}." if listed else ""


def _finding_mark(axes: Any, view: TaskView, name: str) -> None:
    at_an_end = (pl.col("x") == pl.col("y")) & pl.col("x").is_in([0.0, 1.0])
    cut = of_model(view.curves, name, "roc").filter(~at_an_end)
    axes.plot(
        cut["x"].to_numpy(),
        cut["y"].to_numpy(),
        linestyle="none",
        marker=view.look[name].marker,
        markersize=6.5,
        markerfacecolor="none",
        markeredgecolor=INK,
        label=f" {model_title(name)}",
    )


def pairs_section(view: TaskView) -> Section | None:
    """Every pair of models: difference, Holm's p and what could have been detected."""
    rows = [
        row
        for row in view.rows("pairwise")
        if not (is_finding(row["model"]) or is_finding(row["compared_with"]))
    ]
    if not rows:
        return None
    found = [row["detectable_difference"] for row in rows if row["detectable_difference"]]
    lead = "Differences are taken on the same patients, which one interval beside another is not."
    if found:
        least, most = fixed(min(found)), fixed(max(found))
        between = least if least == most else f"{least} to {most}"
        lead += (
            f" With these data a true difference of {between} would be found four times in five; "
            "smaller ones would mostly be missed."
        )
    parts = (_matrix(view, rows), _pair_table(view, _with_first(view, rows)))
    return Section(key=view.key("pairs"), title="Model against model", lead=lead, parts=parts)


def _with_first(view: TaskView, rows: list[Row]) -> list[Row]:
    """Pairs of the first model with each other one; `metrics.json` holds them all."""
    first = view.models[0]
    mine = [
        row if row["model"] == first else _turned(row)
        for row in rows
        if first in (row["model"], row["compared_with"])
    ]
    place = {name: number for number, name in enumerate(view.ordered)}
    return sorted(mine, key=lambda row: place[row["model"]] + place[row["compared_with"]])


def _turned(row: Row) -> Row:
    """Return the same difference seen from the other model."""

    def negative(value: float | None) -> float | None:
        return None if value is None else -value

    return row | {
        "model": row["compared_with"],
        "compared_with": row["model"],
        "delta": negative(row["delta"]),
        "low": negative(row["high"]),
        "high": negative(row["low"]),
    }


def _pair_table(view: TaskView, rows: list[Row]) -> Table:
    return Table(
        name=view.key("pairs"),
        caption=f"{model_title(view.models[0])} beside every other model: difference in AUROC "
        f"({view.interval})",
        header=["Pair", "Difference", "p", "p (Holm)", "Detectable", "ECGs needed for 0.02"],
        rows=[
            [
                f"{model_title(row['model'])} minus {model_title(row['compared_with'])}",
                signed(row, "delta"),
                p_text(row["p_value"]),
                p_text(row["p_holm"]),
                fixed(row["detectable_difference"]),
                count(row["n_records_for_002"]),
            ]
            for row in rows
        ],
        note="Holm's p allows for the number of pairs. Detectable: the difference found with a "
        "power of 0.8. The last column: how many such ECGs a difference of 0.02 would take.",
    )


def _matrix(view: TaskView, rows: list[Row]) -> Figure:
    names = [n for n in view.models if any(n in (r["model"], r["compared_with"]) for r in rows)]
    found = {(row["model"], row["compared_with"]): row for row in rows}
    with canvas(
        1.6 + 0.74 * len(names), 0.7 + 0.44 * len(names), title="Difference in AUROC of every pair"
    ) as d:
        axes = d.axes
        for (i, first), (j, second) in itertools.product(enumerate(names), repeat=2):
            row = found.get((first, second)) or found.get((second, first))
            if j >= i or row is None or row["delta"] is None:
                continue
            sign = 1 if (second, first) in found else -1
            strong = row["separable"] is True
            axes.add_patch(_cell(j, i, strong=strong))
            text = f"{sign * row['delta']:+.3f}\np {p_text(row['p_holm'])}"
            weight = "bold" if strong else "normal"
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color=INK, weight=weight)
        axes.set_xlim(-0.5, len(names) - 1.5)
        axes.set_ylim(len(names) - 0.5, 0.5)
        titles = [model_title(name) for name in names]
        axes.set_xticks(range(len(names) - 1), titles[:-1], rotation=30, ha="right")
        axes.set_yticks(range(1, len(names)), titles[1:])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    data = pl.DataFrame(rows, infer_schema_length=None).drop("task", "split", strict=False)
    return Figure(
        name=view.key("pairs"),
        svg=d.svg,
        caption="AUROC of the model below minus that of the model beside, with Holm's p. Bold in a "
        "tinted cell: told apart.",
        data=data,
        kind="matrix",
    )


def _cell(x: float, y: float, *, strong: bool) -> Any:
    return Rectangle(
        (x - 0.48, y - 0.46),
        0.96,
        0.92,
        facecolor=COLOURS[0] if strong else "none",
        alpha=0.22 if strong else 1,
        edgecolor=COLOURS[5],
        linewidth=0.6,
    )
