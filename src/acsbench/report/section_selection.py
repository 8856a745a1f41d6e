"""Who was never tested: what the figures would be under stated assumptions."""

from __future__ import annotations

import polars as pl

from acsbench.report.charts import canvas
from acsbench.report.names import model_title
from acsbench.report.numbers import MISSING, count, estimate, fixed
from acsbench.report.parts import Figure, Note, Section, Table
from acsbench.report.svg import COLOURS, INK
from acsbench.report.view import Row, TaskView

__all__ = ["selection_section"]

_ANALYSES = {
    "tested_only": "Tested only, as above",
    "ipw": "Weighted to all (inverse probability)",
    "doubly_robust": "Weighted, with an outcome model",
    "bound_negative": "If all untested were negative",
    "bound_fitted": "If untested had the fitted risk",
    "bound_odds_0.5": "If their odds were half of that",
    "bound_odds_2": "If their odds were twice that",
}


def selection_section(view: TaskView) -> Section | None:
    """AUROC over everybody, under stated assumptions about the untested."""
    rows = [row for row in view.rows("selective_testing") if row["metric"] == "auroc"]
    if not rows:
        return None
    parts: list[Table | Figure | Note] = [_testing_table(view, rows)]
    overlap = view.table("selective_overlap")
    if not overlap.is_empty():
        parts.append(_overlap(view, overlap))
    return Section(
        key=view.key("testing"),
        title="Selective testing: what if everybody had been tested?",
        lead="The outcome is known only where a doctor ordered the test. These figures stand "
        "beside the ones above, never in their place: each holds under an assumption that the data "
        "cannot check.",
        parts=tuple(parts),
    )


def _testing_table(view: TaskView, rows: list[Row]) -> Table:
    kinds = [kind for kind in _ANALYSES if any(row["analysis"] == kind for row in rows)]
    found = {(row["model"], row["analysis"]): row for row in rows}
    names = [n for n in view.ordered if any((n, kind) in found for kind in kinds)]
    first = next((r for r in rows if r["analysis"] == "ipw"), rows[0])
    sizes = f"{count(first['n_tested'], min_count=view.min_count)} tested of " + count(
        first["n_all"], min_count=view.min_count
    )
    ess = first.get("ess")
    note = f"{sizes} ECGs." + (
        f" After weighting they are worth {count(ess, min_count=view.min_count)} equal ones; "
        f"the largest weight is {fixed(first['max_weight'], 1)}."
        if ess is not None
        else ""
    )
    return Table(
        name=view.key("testing"),
        caption=f"AUROC under each assumption ({view.interval})",
        header=["Assumption", *(model_title(name) for name in names)],
        rows=[
            [
                _ANALYSES[kind],
                *(estimate(found[n, kind]) if (n, kind) in found else MISSING for n in names),
            ]
            for kind in kinds
        ],
        note=note,
    )


def _overlap(view: TaskView, frame: pl.DataFrame) -> Figure:
    with canvas(4.8, 3.0, title="Chance of being tested, of tested and untested") as drawing:
        axes = drawing.axes
        for group, colour in (("tested", COLOURS[0]), ("untested", COLOURS[1])):
            rows = frame.filter(pl.col("group") == group).sort("propensity")
            counts = rows["n_records"].clip(lower_bound=0).to_numpy()
            total = counts.sum() or 1
            dash = "-" if group == "tested" else (0, (5, 2))
            axes.step(
                rows["propensity"].to_numpy(),
                counts / total,
                where="mid",
                color=colour,
                linestyle=dash,
                linewidth=1.6,
                label=group,
            )
        axes.set_ylim(0)
        axes.set_xlabel("fitted chance of being tested")
        axes.set_ylabel("share of the group")
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return Figure(
        name=view.key("overlap"),
        svg=drawing.svg,
        caption="Where the two hardly overlap, weighting rests on few records.",
        data=frame.drop("task", "split", strict=False),
    )
