"""``--limit N``: a small part of the whole to try things out; patients are never divided."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from acsbench.predictions import Predictions
from acsbench.provenance import json_sha256
from acsbench.tables import Cohort, Tables

__all__ = ["limit_judged", "limit_tables", "load_cohort", "not_reportable"]


def not_reportable(limit: int) -> str:
    """Remark that goes with every figure of a limited run."""
    return f"Limited to {limit:,} ECGs: these figures are not reportable."


def _whole_patients(ecgs: pl.DataFrame, limit: int) -> pl.Series:
    """Ids of at most ``limit`` ECGs: all of each patient's, patients in the order of a hash.

    A holdout knows no patients; there each ECG counts for itself.
    """
    who = pl.col("patient_id" if "patient_id" in ecgs.columns else "ecg_id")
    rows = ecgs.select("ecg_id", pl.coalesce(who, "ecg_id").alias("who")).unique("ecg_id")
    counts = rows.group_by("who").len().rows()
    kept: list[str] = []
    total = 0
    for patient, n_ecgs in sorted(counts, key=lambda one: _keyed(one[0])):
        if total + n_ecgs > limit:
            break
        kept.append(patient)
        total += n_ecgs
    return rows.filter(pl.col("who").is_in(kept))["ecg_id"]


def _keyed(patient: str) -> bytes:
    return hashlib.sha256(patient.encode()).digest()


def limit_tables(tables: Tables, limit: int) -> Tables:
    """Keep at most ``limit`` ECGs of a source, with their patients and all visits of those."""
    ecgs = tables.ecgs.filter(pl.col("ecg_id").is_in(_whole_patients(tables.ecgs, limit).implode()))
    fingerprint = json_sha256([tables.fingerprint, limit])
    if "patient_id" not in ecgs.columns:
        return replace(tables, ecgs=ecgs, fingerprint=fingerprint)
    mine = pl.col("patient_id").is_in(ecgs["patient_id"].unique().implode())
    return replace(
        tables,
        ecgs=ecgs,
        patients=tables.patients.filter(mine),
        encounters=None if tables.encounters is None else tables.encounters.filter(mine),
        fingerprint=fingerprint,
    )


def load_cohort(folder: Path, *, limit: int | None = None) -> Cohort:
    """Read a cohort; with ``limit``, only its first patients' ECGs, and its info says so."""
    cohort = Cohort.load(folder)
    if limit is None:
        return cohort
    included = cohort.frame.filter("is_included")
    kept = included.filter(pl.col("ecg_id").is_in(_whole_patients(included, limit).implode()))
    return replace(cohort, frame=kept, info={**cohort.info, "limit": limit})


def limit_judged(
    test: Sequence[Predictions], val: Sequence[Predictions], labels: pl.DataFrame, limit: int
) -> tuple[list[Predictions], list[Predictions], pl.DataFrame]:
    """Keep at most ``limit`` labelled ECGs, and the scores of those."""
    kept = _whole_patients(labels, limit).implode()
    dropped = labels.filter(~pl.col("ecg_id").is_in(kept))["ecg_id"].implode()

    def limited(one: Predictions) -> Predictions:
        # an id that the labels never held stays, so that the judge can refuse it
        return replace(one, frame=one.frame.filter(~pl.col("ecg_id").is_in(dropped)))

    labels = labels.filter(pl.col("ecg_id").is_in(kept))
    return [limited(one) for one in test], [limited(one) for one in val], labels
