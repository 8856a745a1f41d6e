"""Table 1: who is in the cohort, by visit, patient or ECG, and how far its parts differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from acsbench.report.counts import rounded_share, shown_count, shown_part
from acsbench.report.names import model_title, outcome_title, value_title
from acsbench.report.numbers import MISSING
from acsbench.report.parts import Table
from acsbench.tables import Cohort

__all__ = ["Unit", "table_one", "units_of"]

Unit = Literal["visit", "patient", "ECG"]
_KEYS: dict[Unit, str] = {"visit": "encounter_id", "patient": "patient_id", "ECG": "ecg_id"}
_UNKNOWN_IN_UNTESTED = ("stent_or_cabg_010_day",)


@dataclass(frozen=True)
class _Group:
    """A column of the table: one row of ``frame`` per unit."""

    name: str
    frame: pl.DataFrame


def units_of(cohort: Cohort) -> tuple[Unit, ...]:
    """Units that the cohort knows; a source may know no visits."""
    known = cohort.frame.filter("is_included")
    return tuple(u for u, key in _KEYS.items() if known[key].null_count() < len(known))


def table_one(cohort: Cohort, *, unit: Unit = "patient", min_count: int | None = None) -> Table:
    """Describe the included records: everybody, tested and untested, and each split.

    Parameters
    ----------
    cohort : Cohort
    unit : str
        What one is counted as. Age and findings are those of a visit's or patient's first ECG;
        an outcome is there when any of their ECGs has it.
    min_count : int, optional
        See `counts`; by default the cohort's own.

    Notes
    -----
    The outcome of the untested is not observed, and is not written as zero. The standardised
    difference is that of means or shares in units of the pooled standard deviation; above 0.1 it
    is commonly called an imbalance (Austin 2009).
    """
    least = cohort.min_count if min_count is None else min_count
    included = cohort.frame.filter("is_included")
    groups = _groups(included, cohort.outcomes, _KEYS[unit])
    names = [group.name for group in groups]
    pair = ("Tested", "Untested") if "Tested" in names else ("train", "test")
    has_pair = set(pair) <= set(names)
    rows = [[f"{unit}s" if unit == "ECG" else f"{unit.capitalize()}s"]]
    rows[0] += [shown_count(len(group.frame), least) for group in groups]
    rows[0] += [""] if has_pair else []
    for lines in _variables(cohort, included, unit):
        for line in lines:
            cells = [line.cell(group.frame, least) for group in groups]
            if has_pair:
                first, second = (groups[names.index(name)].frame for name in pair)
                cells.append(line.difference(first, second, least))
            rows.append([line.title, *cells])
    header = ["", *names]
    if has_pair:
        header.append(f"Std. difference, {pair[0].lower()} v {pair[1].lower()}")
    return Table(
        name=f"table-one-{unit.lower()}",
        caption=f"Table 1 by {unit}: the included records",
        header=header,
        rows=rows,
        note="A patient may stand in several columns." if unit == "patient" else "",
    )


def _groups(included: pl.DataFrame, outcomes: tuple[str, ...], key: str) -> list[_Group]:
    parts = [("All", included)]
    if included["is_tested"].any():
        parts += [(n, included.filter(f"is_{n.lower()}")) for n in ("Tested", "Untested")]
    parts += [
        (split, members)
        for split in ("train", "val", "test", "holdout")
        if not (members := included.filter(pl.col("split") == split)).is_empty()
    ]
    return [_Group(name, _one_row_per(frame, outcomes, key)) for name, frame in parts]


def _one_row_per(frame: pl.DataFrame, outcomes: tuple[str, ...], key: str) -> pl.DataFrame:
    known = frame.filter(pl.col(key).is_not_null())
    by_order = known.sort("ecg_order", nulls_last=True) if "ecg_order" in known else known
    any_positive = [
        pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).any()).alias(name)
        for name in outcomes
    ]
    others = [name for name in known.columns if name not in (key, *outcomes)]
    return by_order.group_by(key, maintain_order=True).agg(
        *(pl.col(name).first() for name in others), *any_positive
    )


@dataclass(frozen=True)
class _Line:
    """A row of the table: ``kind`` says how the column is described."""

    title: str
    column: str
    kind: Literal["mean", "median", "missing", "value"]
    value: str | bool | int = True

    def cell(self, frame: pl.DataFrame, min_count: int) -> str:
        known = frame[self.column].drop_nulls()
        if self.kind == "missing":
            return shown_count(frame[self.column].null_count(), min_count)
        if self.kind == "value":
            if self.column in _UNKNOWN_IN_UNTESTED and frame["is_untested"].any():
                return "not observed"
            return shown_part(int((known == self.value).sum()), len(known), min_count)
        if len(known) < 2 or len(known) <= min_count:
            return "not shown"
        values = known.to_numpy()
        if self.kind == "mean":
            return f"{values.mean():.1f} ({values.std(ddof=1):.1f})"
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        return f"{middle:.0f} ({low:.0f}-{high:.0f})"

    def difference(self, first: pl.DataFrame, second: pl.DataFrame, min_count: int) -> str:
        """Standardised difference of two groups; none where a count is hidden."""
        one, other = (frame[self.column].drop_nulls() for frame in (first, second))
        if self.kind not in ("mean", "value") or min(len(one), len(other)) <= max(min_count, 1):
            return ""
        if self.kind == "mean":
            pooled = math.sqrt((_number(one.var()) + _number(other.var())) / 2)
            gap = _number(one.mean()) - _number(other.mean())
        else:
            if self.column in _UNKNOWN_IN_UNTESTED and second["is_untested"].any():
                return ""
            shares = [
                rounded_share(int((known == self.value).sum()), len(known), min_count)
                for known in (one, other)
            ]
            if shares[0] is None or shares[1] is None:
                return MISSING
            pooled = math.sqrt(sum(p * (1 - p) for p in shares if p is not None) / 2)
            gap = shares[0] - shares[1]
        text = f"{gap / pooled:+.2f}" if pooled else MISSING
        return "0.00" if text in ("+0.00", "-0.00") else text


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _variables(cohort: Cohort, included: pl.DataFrame, unit: Unit) -> list[list[_Line]]:
    """Lines of each variable, its missing values last."""
    blocks: list[list[_Line]] = []
    if "age" in included.columns:
        blocks.append(
            [
                _Line("Age, mean (SD)", "age", "mean"),
                _Line("Age, median (IQR)", "age", "median"),
                _Line("Age: missing", "age", "missing"),
            ]
        )
    for column in ("sex", "race"):
        if column in included.columns:
            values = sorted(included[column].drop_nulls().unique())
            lines = [_Line(value_title(column, v), column, "value", v) for v in values]
            blocks.append([*lines, _Line(f"{column.capitalize()}: missing", column, "missing")])
    for outcome in cohort.outcomes:
        title = outcome_title(outcome)
        blocks.append(
            [_Line(title, outcome, "value"), _Line(f"{title}: missing", outcome, "missing")]
        )
    if unit == "ECG":
        for flag in cohort.flags:
            if flag in included.columns:
                known = included[flag].dtype == pl.Boolean
                blocks.append([_Line(model_title(f"flag:{flag}"), flag, "value", known or 1)])
    return blocks
