"""The original benchmark's tables and figures by its own definitions, beside the sound ones."""

from __future__ import annotations

from collections.abc import Sequence

from acsbench.report.charts import canvas, legend_below, of_model
from acsbench.report.names import group_title, is_finding, model_title
from acsbench.report.numbers import MISSING, count, estimate, fixed, percent
from acsbench.report.parts import Figure, Note, Section, Table
from acsbench.report.view import Row, TaskView

__all__ = ["original_section"]

_ORIGINAL: Sequence[tuple[str, str, str, tuple[str, ...], tuple[str, ...]]] = (
    ("original_auroc", "E2: AUROC by DeLong on rows, normal scale", "AUROC",
     ("value", "low", "high"), ("sound_value", "sound_low", "sound_high")),
    ("original_binary", "E5: the top k, k = positives in test; PPV", "PPV",
     ("ppv", "ppv_low", "ppv_high"), ("sound_ppv", "sound_low", "sound_high")),
    ("original_subgroups", "E6: AUROC by sex and race", "AUROC",
     ("value", "low", "high"), ("sound_value", "sound_low", "sound_high")),
    ("original_logistic", "E9: logistic model on four findings", "AUROC",
     ("auroc", "low", "high"), ("sound_value", "sound_low", "sound_high")),
)  # fmt: skip


def original_section(view: TaskView) -> Section | None:
    """The original benchmark's figures by its own definitions, beside the sound ones."""
    parts: list[Table | Figure | Note] = [
        _original(view, name, caption, measure, theirs, ours)
        for name, caption, measure, theirs, ours in _ORIGINAL
        if view.rows(name)
    ]
    names = [name for name in view.drawn("original_cumulative_risk") if not is_finding(name)]
    if names:
        parts.append(_cumulative_risk(view, names))
    if view.rows("original_yield"):
        parts.append(_yield(view))
    if view.rows("original_venn"):
        parts.append(_venn(view))
    if view.rows("original_table_one"):
        parts.append(_table_one(view))
    if not parts:
        return None
    return Section(
        key=view.key("original"),
        title="By the original benchmark's definitions",
        lead="For comparison with its published tables, and with what differs. Use the figures "
        "above.",
        parts=tuple(parts),
    )


def _cumulative_risk(view: TaskView, names: Sequence[str]) -> Figure:
    with canvas(4.8, 3.2, title="Event rate at or above each percentile") as drawing:
        axes = drawing.axes
        for name in names:
            rows = of_model(view.curves, name, "original_cumulative_risk").drop_nulls("y")
            look = view.look[name]
            axes.plot(
                rows["x"].to_numpy(),
                rows["y"].to_numpy(),
                color=look.colour,
                linestyle=look.dash,
                linewidth=1.6,
                label=f" {model_title(name)}",
            )
        axes.set_xlim(100, 0)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("highest scores, in % of the records (everybody on the left)")
        axes.set_ylabel("event rate among them")
        legend_below(drawing)
    return Figure(
        name=view.key("original-risk"),
        svg=drawing.svg,
        caption="E4: cumulative risk, without a band as in the original; the yield of a budget "
        "above has one, and its convention for ties.",
        data=view.points("original_cumulative_risk", names),
    )


def _yield(view: TaskView) -> Table:
    return Table(
        name=view.key("original-yield"),
        caption="E7: testing yield at the original's cut",
        header=[
            *("Predictor", "PPV", "Sensitivity", "Flagged without a finding"),
            *("True positives without", "All without a finding", "Lift"),
        ],
        rows=[
            [
                model_title(row["model"]),
                percent(row["ppv"]),
                percent(row["sensitivity"]),
                percent(row["pred_pos_without_feature"]),
                percent(row["true_pos_without_feature"]),
                percent(row["base_share_without_feature"]),
                fixed(row["lift"], 2),
            ]
            for row in view.rows("original_yield")
        ],
        note="The original prints the first four; a share of the flagged means little beside no "
        "share of everybody. Sensitivity equals PPV where as many are flagged as are positive.",
    )


def _venn(view: TaskView) -> Table:
    return Table(
        name=view.key("original-venn"),
        caption="E8: the flagged, T-wave findings and ST findings, by region",
        header=["Predictor", "Region", "ECGs", "Share"],
        rows=[
            [
                model_title(row["model"]),
                row["region"].replace("model", "flagged").replace("+", " and "),
                count(row["n_records"], min_count=view.min_count),
                MISSING if row["percent"] is None else f"{row['percent']:.1f} %",
            ]
            for row in view.rows("original_venn")
        ],
        note="Event rates with intervals: the regions beside the classical findings above.",
    )


_MEASURES = {
    "age": "Age, mean",
    "female": "Female",
    "black": "Black",
    "hispanic": "Hispanic",
    "white": "White",
    "other": "Other",
    "positive_test": "Positive test",
}


def _table_one(view: TaskView) -> Table:
    found = {(row["group"], row["measure"]): row for row in view.rows("original_table_one")}
    groups = list(dict.fromkeys(group for group, _ in found))
    measures = list(dict.fromkeys(measure for _, measure in found))
    counts = [
        [
            title,
            *(count(found[group, measures[0]][name], min_count=view.min_count) for group in groups),
        ]
        for title, name in (
            ("Visits", "n_encounters"),
            ("Patients", "n_patients"),
            ("ECGs", "n_records"),
        )
    ]
    means = [
        [_MEASURES[measure], *(_mean(found[group, measure]) for group in groups)]
        for measure in measures
    ]
    return Table(
        name=view.key("original-table-one"),
        caption="E1: Table 1, mean over ECGs (SEM as printed; SEM over patients)",
        header=["Row", *(group.capitalize() for group in groups)],
        rows=counts + means,
        note="What differs: the original takes the ECGs of one patient as independent, gives an "
        "error where a spread is asked for, and prints 0 for the outcome of the untested, which "
        "nobody looked for. Table 1 below does neither.",
    )


def _mean(row: Row) -> str:
    if row["mean"] is None:
        return MISSING
    return f"{fixed(row['mean'])} ({fixed(row['sem'], 4)}; {fixed(row['clustered_se'], 4)})"


def _original(
    view: TaskView,
    name: str,
    caption: str,
    measure: str,
    theirs: tuple[str, ...],
    ours: tuple[str, ...],
) -> Table:
    rows = view.rows(name)
    said = dict.fromkeys(row.get("differs") or MISSING for row in rows)
    one = len(said) == 1
    return Table(
        name=view.key(name.replace("_", "-")),
        caption=caption,
        header=[
            "Predictor",
            f"{measure}, their way",
            f"{measure}, here",
            *([] if one else ["What differs"]),
        ],
        rows=[
            [
                _predictor(row),
                estimate(row, *theirs),
                estimate(row, *ours),
                *([] if one else [row.get("differs") or MISSING]),
            ]
            for row in rows
        ],
        note=f"What differs: {next(iter(said))}." if one else "",
        is_figures=one,
    )


def _predictor(row: Row) -> str:
    title = model_title(row.get("model") or "logistic")
    return f"{title}: {group_title(row['subgroup'])}" if row.get("subgroup") else title
