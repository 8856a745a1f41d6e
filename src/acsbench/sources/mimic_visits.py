"""Visits and outcomes of MIMIC-IV (doi:10.13026/kpb9-mt58) and MIMIC-IV-ED, by ICD codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from acsbench.errors import MissingPathError
from acsbench.provenance import file_sha256, json_sha256
from acsbench.sources.csv_files import TableFile, read_all
from acsbench.sources.icd import (
    BYPASS,
    CATHETERIZATION,
    INFARCTION,
    INTERVENTION,
    NSTEMI,
    STEMI,
    CodeSet,
)
from acsbench.tables import Column, Schema

__all__ = ["OUTCOMES", "LinkedTables", "read_linked"]

_PROCEDURE_DAYS, _DEATH_DAYS = 10, 30
_DIAGNOSES = {
    "diagnosis_i21": INFARCTION,
    "diagnosis_stemi": STEMI,
    "diagnosis_nstemi": NSTEMI,
}
OUTCOMES = ("pci_or_cabg_010_day", *_DIAGNOSES, "death_030_day")


def _id(name: str, *, nullable: bool = False) -> Column:
    return Column(name, "integer", nullable=nullable)


_CODED = (
    Column("icd_code", "text", nullable=False),
    Column("icd_version", "integer", nullable=False, values=(9, 10)),
)
_PATIENTS = Schema(
    "patients",
    ("subject_id",),
    (
        _id("subject_id"),
        Column("gender", "text", values=("F", "M")),
        Column("anchor_age", "number", low=0, high=130),
        Column("anchor_year", "integer"),
        Column("dod", "date"),
    ),
)
_ADMISSIONS = Schema(
    "admissions",
    ("hadm_id",),
    (
        _id("subject_id"),
        _id("hadm_id"),
        Column("admittime", "datetime", nullable=False),
        Column("dischtime", "datetime"),
        Column("edregtime", "datetime"),
    ),
)
_PROCEDURES = Schema(
    "procedures_icd",
    ("hadm_id", "seq_num"),
    (_id("subject_id"), _id("hadm_id"), _id("seq_num"), Column("chartdate", "date"), *_CODED),
)
_DIAGNOSED = Schema(
    "diagnoses_icd", ("hadm_id", "seq_num"), (_id("hadm_id"), _id("seq_num"), *_CODED)
)
_STAYS = Schema(
    "edstays",
    ("stay_id",),
    (
        _id("subject_id"),
        _id("hadm_id", nullable=True),
        _id("stay_id"),
        Column("intime", "datetime", nullable=False),
        Column("outtime", "datetime"),
    ),
)
_ED_DIAGNOSED = Schema(
    "diagnosis", ("stay_id", "seq_num"), (_id("stay_id"), _id("seq_num"), *_CODED)
)


@dataclass(frozen=True, kw_only=True)
class LinkedTables:
    """Patients (``patient_id, sex, anchor_age, anchor_year``) and visits with their outcomes."""

    patients: pl.DataFrame
    visits: pl.DataFrame
    fingerprint: str

    def with_visits(self, ecgs: pl.DataFrame) -> pl.DataFrame:
        """Add the visit during which each ECG was taken, if any."""
        spans = self.visits.select(
            "patient_id",
            "encounter_id",
            pl.col("start_datetime").alias("ecg_time"),
            "end_datetime",
        ).sort("ecg_time")
        inside = pl.col("ecg_time") <= pl.col("end_datetime")
        return (
            ecgs.sort("ecg_time")
            .join_asof(spans, on="ecg_time", by="patient_id", check_sortedness=False)
            .with_columns(pl.when(inside).then("encounter_id").alias("encounter_id"))
            .drop("end_datetime")
            .sort("ecg_id")
        )


def read_linked(hosp: Path, ed: Path | None) -> LinkedTables:
    """Read MIMIC-IV's tables and decide the outcome of every visit.

    A visit is an admission, from the arrival in the emergency department where there was one, or
    an emergency visit without admission.

    Parameters
    ----------
    hosp : Path
        Holds ``patients``, ``admissions``, ``procedures_icd`` and ``diagnoses_icd``, each as
        ``.csv`` or ``.csv.gz``.
    ed : Path, optional
        Holds ``edstays`` and ``diagnosis``.

    Raises
    ------
    MissingPathError, TableError
        With the findings of all files at once.
    """
    files = [_found(hosp, s) for s in (_PATIENTS, _ADMISSIONS, _PROCEDURES, _DIAGNOSED)]
    patients, admissions, procedures, diagnoses = read_all(hosp, files)
    patients = _patients(patients)
    visits, coded = _admitted(admissions), diagnoses.with_columns(_hospital_key())
    paths = [hosp / file.name for file in files]
    if ed is not None:
        ed_files = [_found(ed, schema) for schema in (_STAYS, _ED_DIAGNOSED)]
        stays, ed_diagnoses = read_all(ed, ed_files)
        visits = pl.concat([visits, _sent_home(stays)])
        columns = ("encounter_id", "icd_code", "icd_version")
        ed_coded = ed_diagnoses.with_columns(_emergency_key()).select(columns)
        coded = pl.concat([coded.select(columns), ed_coded])
        paths += [ed / file.name for file in ed_files]
    visits = _with_procedures(visits, procedures)
    visits = _with_diagnoses(visits, coded)
    visits = _with_age_and_death(visits, patients)
    return LinkedTables(
        patients=patients,
        visits=visits.with_columns(pl.lit(value=False).alias("exclude_modeling")),
        fingerprint=json_sha256([file_sha256(path) for path in paths]),
    )


def _found(folder: Path, schema: Schema) -> TableFile:
    """Return the table's file: plain or compressed."""
    for name in (f"{schema.name}.csv", f"{schema.name}.csv.gz"):
        if (folder / name).is_file():
            return TableFile(Schema(name, schema.key, schema.columns))
    raise MissingPathError(
        f"There is neither {schema.name}.csv nor {schema.name}.csv.gz in {folder}. Give the folder "
        "of MIMIC-IV that holds it (source.hosp, source.ed)."
    )


def _patients(table: pl.DataFrame) -> pl.DataFrame:
    sex = pl.col("gender").replace_strict({"F": "Female", "M": "Male"}, default=None)
    return table.select(
        pl.col("subject_id").cast(pl.String).alias("patient_id"),
        sex.alias("sex"),
        "anchor_age",
        "anchor_year",
        "dod",
    )


def _hospital_key() -> pl.Expr:
    return pl.col("hadm_id").cast(pl.String).alias("encounter_id")


def _emergency_key() -> pl.Expr:
    return pl.format("ed{}", pl.col("stay_id")).alias("encounter_id")


def _admitted(admissions: pl.DataFrame) -> pl.DataFrame:
    return admissions.select(
        _hospital_key(),
        pl.col("subject_id").cast(pl.String).alias("patient_id"),
        pl.min_horizontal("edregtime", "admittime").alias("start_datetime"),
        pl.col("dischtime").alias("end_datetime"),
    )


def _sent_home(stays: pl.DataFrame) -> pl.DataFrame:
    return stays.filter(pl.col("hadm_id").is_null()).select(
        _emergency_key(),
        pl.col("subject_id").cast(pl.String).alias("patient_id"),
        pl.col("intime").alias("start_datetime"),
        pl.col("outtime").alias("end_datetime"),
    )


def _with_procedures(visits: pl.DataFrame, procedures: pl.DataFrame) -> pl.DataFrame:
    """Add whether, and how soon, the patient was catheterized, and whether treated, in 10 days."""
    treated = INTERVENTION.holds() | BYPASS.holds()
    # an intervention is done through a catheter, also where only the intervention was billed
    tested = CATHETERIZATION.holds() | INTERVENTION.holds()
    done = procedures.select(
        pl.col("subject_id").cast(pl.String).alias("patient_id"),
        "chartdate",
        tested.alias("is_test"),
        treated.alias("is_treatment"),
    ).filter(pl.col("is_test") | pl.col("is_treatment"))
    day = (pl.col("chartdate") - pl.col("start_datetime").dt.date()).dt.total_days()
    soon = (
        visits.select("encounter_id", "patient_id", "start_datetime")
        .join(done, on="patient_id")
        .with_columns(day.alias("day"))
        .filter(pl.col("day").is_between(0, _PROCEDURE_DAYS))
        .group_by("encounter_id")
        .agg(
            pl.col("is_test").any().alias("cath_010_day"),
            pl.col("day").filter("is_test").min().cast(pl.Float64).alias("days_to_cath"),
            pl.col("is_treatment").any().alias("pci_or_cabg_010_day"),
        )
    )
    return visits.join(soon, on="encounter_id", how="left", maintain_order="left").with_columns(
        pl.col("cath_010_day", "pci_or_cabg_010_day").fill_null(value=False)
    )


def _with_diagnoses(visits: pl.DataFrame, coded: pl.DataFrame) -> pl.DataFrame:
    """Add discharge diagnoses; missing for a visit that was never coded."""
    by_visit = coded.group_by("encounter_id").agg(_any(_DIAGNOSES))
    return visits.join(by_visit, on="encounter_id", how="left", maintain_order="left")


def _any(codes: dict[str, CodeSet]) -> Sequence[pl.Expr]:
    return [code_set.holds().any().alias(name) for name, code_set in codes.items()]


def _with_age_and_death(visits: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    start = pl.col("start_datetime")
    days = (pl.col("dod") - start.dt.date()).dt.total_days()
    age = pl.col("anchor_age") + start.dt.year() - pl.col("anchor_year")
    return (
        visits.join(patients, on="patient_id", how="left", maintain_order="left")
        .with_columns(
            age.cast(pl.Float64).clip(0, 130).alias("age"),
            days.is_between(0, _DEATH_DAYS).fill_null(value=False).alias("death_030_day"),
        )
        .drop("sex", "anchor_age", "anchor_year", "dod")
    )
