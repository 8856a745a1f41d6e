"""Tables of the report, as rows of text: verdict, differences, subgroups, Table 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from acsbench.results import Results, format_estimate
from acsbench.tables import Cohort

__all__ = [
    "Table",
    "difference_table",
    "model_title",
    "small",
    "subgroup_table",
    "table_one",
    "verdict_table",
]

_TITLES = {
    "flag:has_st_eleva": "ST elevation",
    "flag:has_depress": "ST depression",
    "flag:has_twave_inver": "T-wave inversion",
    "flag:has_twave_abnormal": "T wave abnormal",
}
_OUTCOMES = {
    "stent_or_cabg_010_day": "Stent or bypass within 10 days",
    "macetrop_pos_or_death_030": "MACE, troponin or death within 30 days",
}
_UNKNOWN_IN_UNTESTED = ("stent_or_cabg_010_day",)
_CLUSTERED = "clustered_delong_logit"


class Table(NamedTuple):
    """A table of text.

    Attributes
    ----------
    caption : str
    header : list of str
    rows : list of list of str
        The first cell of a row is its heading.
    """

    caption: str
    header: list[str]
    rows: list[list[str]]


def model_title(name: str) -> str:
    """Return a model's name as readers know it.

    >>> model_title("flag:has_depress"), model_title("resnet18")
    ('ST depression', 'resnet18')
    """
    return _TITLES.get(name, name.removeprefix("flag:"))


def small(count: int | None, min_count: int) -> str:
    """Write a count, hiding those from 1 to ``min_count``.

    >>> small(1234, 10), small(7, 10), small(0, 10), small(7, 0)
    ('1,234', '<= 10', '0', '7')
    """
    if count is None:
        return ""
    return f"<= {min_count}" if 0 < count <= min_count else f"{count:,}"


def _one(rows: pl.DataFrame, metric: str, method: str) -> str:
    found = rows.filter((pl.col("metric") == metric) & (pl.col("method") == method))
    if found.is_empty():
        return ""
    row = found.row(0, named=True)
    if row["value"] is None:
        return f"not estimable: {row['reason']}"
    return format_estimate(row["value"], row["low"], row["high"])


def _is_small(count: int, total: int, min_count: int) -> bool:
    """Whether a part of a total, or what is left of it, has to be hidden."""
    return 0 < count <= min_count or 0 < total - count <= min_count


def _prevalence(count: int, total: int, min_count: int) -> str:
    if not total or _is_small(count, total, min_count):
        return "not shown" if total else ""
    return f"{count / total:.3f}"


def verdict_table(results: Results, *, task: str, min_count: int = 0) -> Table:
    """Every model of a task, the best AUROC first."""
    overall = results.overall.filter(pl.col("task") == task)
    headline = overall.filter(pl.col("method") == _CLUSTERED)
    order = headline.sort("value", "model", descending=[True, False], nulls_last=True)["model"]
    rows = []
    for name in order:
        mine = overall.filter(pl.col("model") == name)
        first = mine.row(0, named=True)
        share = _prevalence(first["n_positive"], first["n_records"], min_count)
        rows.append(
            [
                model_title(name),
                _one(mine, "auroc", _CLUSTERED),
                _one(mine, "auroc", "patient_bootstrap"),
                f"{_one(mine, 'auprc', 'patient_bootstrap')} [{share}]",
                small(first["n_records"], min_count),
                small(first["n_positive"], min_count),
                small(first["n_patients"], min_count),
            ]
        )
    header = [
        "Model",
        "AUROC (95 % interval)",
        "AUROC (patient bootstrap)",
        "Average precision [prevalence]",
        "ECGs",
        "Positive",
        "Patients",
    ]
    return Table(f"Task {task}: how well each model tells positive from negative", header, rows)


def difference_table(results: Results, *, task: str) -> Table:
    """Paired differences of AUROC between models; findings are left to the verdict table."""
    frame = results.frame.filter(
        (pl.col("task") == task)
        & (pl.col("compared_with") != "")
        & (pl.col("subgroup") == "")
        & ~(
            pl.col("model").str.starts_with("flag:")
            & pl.col("compared_with").str.starts_with("flag:")
        )
    )
    rows = [
        [
            f"{model_title(row['model'])} minus {model_title(row['compared_with'])}",
            _signed(row),
            "" if row["p_value"] is None else _p_text(row["p_value"]),
        ]
        for row in frame.iter_rows(named=True)
    ]
    header = ["Difference in AUROC", "Value (95 % interval)", "p"]
    return Table(f"Task {task}: paired differences on the same patients", header, rows)


def _signed(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return f"not estimable: {row['reason']}"
    if row["low"] is None:
        return f"{row['value']:+.3f}"
    return f"{row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def subgroup_table(results: Results, *, task: str, min_count: int = 0) -> Table:
    """AUROC of every model in every subgroup, with counts."""
    frame = results.frame.filter(
        (pl.col("task") == task)
        & (pl.col("subgroup") != "")
        & (pl.col("method") == _CLUSTERED)
        & ~pl.col("model").str.starts_with("flag:")
    )
    models = frame["model"].unique(maintain_order=True).to_list()
    rows = []
    for subgroup in frame["subgroup"].unique(maintain_order=True):
        mine = frame.filter(pl.col("subgroup") == subgroup)
        first = mine.row(0, named=True)
        cells = [_one(mine.filter(pl.col("model") == name), "auroc", _CLUSTERED) for name in models]
        counts = [small(first[key], min_count) for key in ("n_records", "n_positive", "n_patients")]
        rows.append([subgroup.replace("=", ": "), *counts, *cells])
    header = ["Subgroup", "ECGs", "Positive", "Patients", *(model_title(name) for name in models)]
    return Table(f"Task {task}: AUROC by subgroup", header, rows)


def table_one(cohort: Cohort) -> Table:
    """Who is in the cohort: included records, by population or by split.

    Age, sex and race count each patient once (age at one of their ECGs); outcomes count ECGs. The
    outcome of patients who were not tested is not observed, and is not written as zero.
    """
    included = cohort.frame.filter("is_included")
    groups: list[tuple[str, pl.DataFrame]] = [("All", included)]
    if included["is_tested"].any():
        groups += [(n, included.filter(f"is_{n.lower()}")) for n in ("Tested", "Untested")]
    groups += [
        (split, members)
        for split in ("train", "val", "test", "holdout")
        if not (members := included.filter(pl.col("split") == split)).is_empty()
    ]
    least = cohort.min_count
    rows = [
        ["Visits", *(small(g["encounter_id"].drop_nulls().n_unique(), least) for _, g in groups)],
        ["Patients", *(small(g["patient_id"].n_unique(), least) for _, g in groups)],
        ["ECGs", *(small(len(g), least) for _, g in groups)],
    ]
    people = [g.unique("patient_id", keep="first", maintain_order=True) for _, g in groups]
    if "age" in included.columns:
        ages = [p["age"].drop_nulls() for p in people]
        rows.append(["Age, mean (SD)", *(_mean_sd(a, least) for a in ages)])
        rows.append(["Age, median (IQR)", *(_median_iqr(a, least) for a in ages)])
        rows.append(["Age missing", *(small(p["age"].null_count(), least) for p in people)])
    for column in ("sex", "race"):
        if column in included.columns:
            rows += _shares(people, included, column, least)
    for outcome in cohort.outcomes:
        title = _OUTCOMES.get(outcome, outcome.replace("_", " ").capitalize())
        cells = [_outcome(g, outcome, least) for _, g in groups]
        rows.append([f"{title}, ECGs", *cells])
    return Table("Table 1: the included records", ["", *(n for n, _ in groups)], rows)


def _outcome(group: pl.DataFrame, outcome: str, min_count: int) -> str:
    """Share of the ECGs with the outcome, where whoever was not tested has none to show."""
    if outcome in _UNKNOWN_IN_UNTESTED and group["is_untested"].any():
        return "not observed"
    return _percent(group[outcome].drop_nulls(), min_count)


def _mean_sd(known: pl.Series, min_count: int) -> str:
    if len(known) < 2 or len(known) <= min_count:
        return "not shown"
    values = known.to_numpy()
    return f"{values.mean():.1f} ({values.std(ddof=1):.1f})"


def _median_iqr(known: pl.Series, min_count: int) -> str:
    if len(known) < 2 or len(known) <= min_count:
        return "not shown"
    low, middle, high = np.quantile(known.to_numpy(), (0.25, 0.5, 0.75))
    return f"{middle:.0f} ({low:.0f}-{high:.0f})"


def _percent(flags: pl.Series, min_count: int) -> str:
    if not len(flags):
        return ""
    count = int(flags.sum())
    if 0 < count <= min_count:
        return small(count, min_count)
    if _is_small(count, len(flags), min_count):
        return "not shown"
    return f"{count:,} ({100 * count / len(flags):.1f} %)"


def _shares(
    people: Sequence[pl.DataFrame], included: pl.DataFrame, column: str, min_count: int
) -> list[list[str]]:
    rows = [
        [
            f"{column.capitalize()}: {value}",
            *(_percent((p[column] == value).fill_null(value=False), min_count) for p in people),
        ]
        for value in sorted(included[column].drop_nulls().unique())
    ]
    missing = [p[column].null_count() for p in people]
    if any(missing):
        shown = [small(n, min_count) for n in missing]
        rows.append([f"{column.capitalize()} missing", *shown])
    return rows
