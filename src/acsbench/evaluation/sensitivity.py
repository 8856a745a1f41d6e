"""Would another way of counting have said something else? AUROC on other rows, always run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import polars as pl

from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Findings
from acsbench.evaluation.intervals import clustered_delong, logit_interval
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.metrics import NotEstimable
from acsbench.tables import LABELS

__all__ = [
    "complete_case",
    "first_per_patient",
    "per_patient",
    "sensitivity_figures",
    "without_near_duplicates",
]

_IN_TIME = ("ecg_datetime", "ecg_date", "ecg_order")
"""Columns that say which ECG of a patient is the first, as far as the labels hold them."""
_DUPLICATES = ("duplicate_group", "raw_sha256")
"""Columns whose equal values are one waveform, or nearly one."""


def first_per_patient(judged: Judged) -> Judged:
    """One row a patient: the first in time, as far as the labels tell, then by id."""
    order = [name for name in _IN_TIME if name in judged.rows.columns]
    rows = judged.rows.with_row_index("row").sort([*order, "ecg_id"])
    kept = rows.unique("patient_id", keep="first", maintain_order=True)["row"].to_numpy()
    members = np.zeros(len(judged.labels), dtype=np.bool_)
    members[kept] = True
    return judged.subset(members)


def per_patient(judged: Judged, join: Literal["max", "mean"]) -> Judged:
    """One row a patient: scores joined, and positive when one of the rows is."""
    order = np.argsort(judged.patients, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(judged.patients[order]) > 0])
    sizes = np.diff(np.r_[starts, len(order)])
    rows = judged.rows.group_by("patient_id", maintain_order=True).agg(
        pl.exclude("label", "n_records").first(), pl.col("label").max(), pl.col("n_records").sum()
    )
    scores = {
        model: np.maximum.reduceat(values[order], starts)
        if join == "max"
        else np.add.reduceat(values[order], starts) / sizes
        for model, values in judged.scores.items()
    }
    rows = rows.sort("patient_id")
    return judged.with_rows(rows, scores)


def without_near_duplicates(judged: Judged) -> Judged:
    """Only rows whose waveform no other row shares.

    Raises
    ------
    NotEstimable
        When the labels do not say which are near-duplicates.
    """
    column = next((name for name in _DUPLICATES if name in judged.rows.columns), None)
    if column is None:
        raise NotEstimable(f"the labels have no column {' or '.join(_DUPLICATES)}")
    shared = judged.rows[column].is_duplicated() & judged.rows[column].is_not_null()
    return judged.subset(~shared.to_numpy())


def complete_case(judged: Judged) -> Judged:
    """Only rows without a missing value in the labels' further columns.

    Raises
    ------
    NotEstimable
        When no row has one: this is then the main analysis.
    """
    own = [column.name for column in LABELS.columns]
    further = [name for name in judged.rows.columns if name not in (*own, "n_records")]
    missing = [judged.rows[name].is_null().to_numpy() for name in further]
    incomplete = np.logical_or.reduce([np.zeros(len(judged.labels), dtype=np.bool_), *missing])
    if not incomplete.any():
        raise NotEstimable("no row has a missing value: this is the main analysis")
    return judged.subset(~incomplete)


_ANALYSES: dict[str, Callable[[Judged], Judged]] = {
    "first_ecg_per_patient": first_per_patient,
    "patient_max": lambda judged: per_patient(judged, "max"),
    "patient_mean": lambda judged: per_patient(judged, "mean"),
    "without_near_duplicates": without_near_duplicates,
    "complete_case": complete_case,
}


def sensitivity_figures(judged: Judged, config: EvaluateConfig, findings: Findings) -> None:
    """Write AUROC of every entry under each analysis, beside its difference to the main one."""
    main = clustered_delong(
        judged.labels, np.column_stack(list(judged.scores.values())), judged.patients
    )
    for analysis, change in _ANALYSES.items():
        try:
            part = change(judged)
            scores = np.column_stack(list(part.scores.values()))
            result = clustered_delong(part.labels, scores, part.patients)
        except NotEstimable as refusal:
            for model in judged.entries:
                findings.entry(
                    "sensitivity", judged, model, analysis=analysis, reason=refusal.reason
                )
            continue
        for index, model in enumerate(judged.models):
            if model not in judged.entries:
                continue
            value = float(result.auroc[index])
            interval = logit_interval(value, result.covariance[index, index], level=config.level)
            findings.entry(
                "sensitivity",
                judged,
                model,
                analysis=analysis,
                auroc=value,
                low=interval.low,
                high=interval.high,
                difference=value - float(main.auroc[index]),
                n_rows=len(part.labels),
                **{key: part.counts[key] for key in ("n_records", "n_positive", "n_patients")},
                reason=result.reason or interval.reason,
            )
