"""Tables of the report, as rows of text: verdict, differences, subgroups, Table 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from acsbench.report.counts import guarded_text, rounded_share, shown_count, shown_part
from acsbench.report.names import (
    group_title,
    model_title,
    outcome_title,
    value_title,
)
from acsbench.results import Results, format_estimate
from acsbench.tables import Cohort

__all__ = [
    "LEVEL",
    "Table",
    "difference_table",
    "interval_title",
    "subgroup_table",
    "table_one",
    "verdict_table",
]

_IS_FINDING = pl.col("model").str.starts_with("flag:")
_UNKNOWN_IN_UNTESTED = ("stent_or_cabg_010_day",)
_CLUSTERED = "clustered_delong_logit"
LEVEL = 0.95
"""Coverage of the intervals that a judge makes unless told otherwise."""


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


def _one(rows: pl.DataFrame, metric: str, method: str, min_count: int) -> str:
    found = rows.filter((pl.col("metric") == metric) & (pl.col("method") == method))
    if found.is_empty():
        return ""
    row = found.row(0, named=True)
    if row["value"] is None:
        return f"not estimable: {guarded_text(row['reason'] or '', min_count)}"
    return format_estimate(row["value"], row["low"], row["high"])


def _prevalence(row: dict[str, Any], min_count: int) -> str:
    share = rounded_share(row["n_positive"], row["n_records"], min_count)
    if share is None:
        return "not shown"
    return f"{share:.2f}" if min_count else f"{share:.3f}"


def interval_title(level: float) -> str:
    """Name the intervals by their level.

    >>> interval_title(0.95), interval_title(0.999)
    ('95 % interval', '99.9 % interval')
    """
    return f"{100 * level:.4g} % interval"


def verdict_table(
    results: Results, *, task: str, level: float = LEVEL, min_count: int = 0
) -> Table:
    """Every model of a task, the best AUROC first."""
    overall = results.overall.filter(pl.col("task") == task)
    headline = overall.filter(pl.col("method") == _CLUSTERED)
    order = headline.sort("value", "model", descending=[True, False], nulls_last=True)["model"]
    rows = []
    for name in order:
        mine = overall.filter(pl.col("model") == name)
        first = mine.row(0, named=True)
        share = _prevalence(first, min_count)
        rows.append(
            [
                model_title(name),
                _one(mine, "auroc", _CLUSTERED, min_count),
                _one(mine, "auroc", "patient_bootstrap", min_count),
                f"{_one(mine, 'auprc', 'patient_bootstrap', min_count)} [{share}]",
                shown_count(first["n_records"], min_count),
                shown_count(first["n_positive"], min_count),
                shown_count(first["n_patients"], min_count),
            ]
        )
    header = [
        "Model",
        f"AUROC ({interval_title(level)})",
        "AUROC (patient bootstrap)",
        "Average precision [prevalence]",
        "ECGs",
        "Positive",
        "Patients",
    ]
    return Table(f"Task {task}: how well each model tells positive from negative", header, rows)


def difference_table(results: Results, *, task: str, level: float = LEVEL) -> Table:
    """Paired differences of AUROC between models; findings are left to the verdict table."""
    frame = results.frame.filter(
        (pl.col("task") == task)
        & (pl.col("compared_with") != "")
        & (pl.col("subgroup") == "")
        & ~(_IS_FINDING & pl.col("compared_with").str.starts_with("flag:"))
    )
    rows = [
        [
            f"{model_title(row['model'])} minus {model_title(row['compared_with'])}",
            _signed(row),
            "" if row["p_value"] is None else _p_text(row["p_value"]),
        ]
        for row in frame.iter_rows(named=True)
    ]
    header = ["Difference in AUROC", f"Value ({interval_title(level)})", "p"]
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
        & ~_IS_FINDING
    )
    models = frame["model"].unique(maintain_order=True).to_list()
    rows = []
    for subgroup in frame["subgroup"].unique(maintain_order=True):
        mine = frame.filter(pl.col("subgroup") == subgroup)
        first = mine.row(0, named=True)
        cells = [
            _one(mine.filter(pl.col("model") == name), "auroc", _CLUSTERED, min_count)
            for name in models
        ]
        counts = [
            shown_count(first[key], min_count) for key in ("n_records", "n_positive", "n_patients")
        ]
        rows.append([group_title(subgroup), *counts, *cells])
    header = ["Subgroup", "ECGs", "Positive", "Patients", *(model_title(name) for name in models)]
    return Table(f"Task {task}: AUROC by subgroup", header, rows)


def table_one(cohort: Cohort, *, min_count: int | None = None) -> Table:
    """Who is in the cohort: included records, by population or by split.

    Age, sex and race count each patient once (age at one of their ECGs); outcomes count ECGs. The
    outcome of patients who were not tested is not observed, and is not written as zero. Counts are
    hidden and rounded by the cohort's own ``min_count`` unless another is given; see `counts`.
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
    least = cohort.min_count if min_count is None else min_count
    rows = [
        [title, *(shown_count(g[key].drop_nulls().n_unique(), least) for _, g in groups)]
        for title, key in (
            ("Visits", "encounter_id"),
            ("Patients", "patient_id"),
            ("ECGs", "ecg_id"),
        )
        # a source may know no visits
        if included[key].null_count() < len(included)
    ]
    people = [g.unique("patient_id", keep="first", maintain_order=True) for _, g in groups]
    if "age" in included.columns:
        ages = [p["age"].drop_nulls() for p in people]
        rows.append(["Age, mean (SD)", *(_mean_sd(a, least) for a in ages)])
        rows.append(["Age, median (IQR)", *(_median_iqr(a, least) for a in ages)])
        rows.append(["Age missing", *(shown_count(p["age"].null_count(), least) for p in people)])
    for column in ("sex", "race"):
        if column in included.columns:
            rows += _shares(people, included, column, least)
    for outcome in cohort.outcomes:
        cells = [_outcome(g, outcome, least) for _, g in groups]
        rows.append([f"{outcome_title(outcome)}, ECGs", *cells])
    return Table("Table 1: the included records", ["", *(n for n, _ in groups)], rows)


def _outcome(group: pl.DataFrame, outcome: str, min_count: int) -> str:
    """Share of the ECGs with the outcome, where whoever was not tested has none to show."""
    if outcome in _UNKNOWN_IN_UNTESTED and group["is_untested"].any():
        return "not observed"
    known = group[outcome].drop_nulls()
    return shown_part(int(known.sum()), len(known), min_count)


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


def _shares(
    people: Sequence[pl.DataFrame], included: pl.DataFrame, column: str, min_count: int
) -> list[list[str]]:
    rows = [
        [
            value_title(column, value),
            *(shown_part(int((p[column] == value).sum()), len(p), min_count) for p in people),
        ]
        for value in sorted(included[column].drop_nulls().unique())
    ]
    missing = [p[column].null_count() for p in people]
    if any(missing):
        shown = [shown_count(n, min_count) for n in missing]
        rows.append([f"{column.capitalize()} missing", *shown])
    return rows
