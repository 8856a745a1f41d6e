"""MIMIC-IV-ECG 1.0 (doi:10.13026/4nqg-sb35), with outcomes from MIMIC-IV where a user has access.

The ECGs are open. Age, sex, visits and outcomes need the credentialed tables of MIMIC-IV (``hosp``,
and ``ed`` for visits that led to no admission); rows of patients stay out of any repository.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from acsbench.errors import MissingPathError, RecordingError
from acsbench.provenance import StepConfig, file_sha256, json_sha256
from acsbench.recording import Recording
from acsbench.sources.base import file_of, read_each, remembered
from acsbench.sources.csv_files import TableFile, read_all
from acsbench.sources.mimic_visits import OUTCOMES, LinkedTables, read_linked
from acsbench.sources.wfdb_files import read_wfdb
from acsbench.tables import ECGS, ENCOUNTERS, PATIENTS, Column, Schema, Tables, check

__all__ = ["MimicIvEcgSource"]

_NOT_MEASURED = 29999
"""The device writes this, and values below zero for times, where it measured nothing."""
_LARGEST = 5000
_TIMES = ("rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end", "t_end")
_AXES = {"p_axis": "p_axes", "qrs_axis": "r_axes", "t_axis": "t_axes"}
_BILLING = (
    "Outcomes are billing codes of this hospital: care elsewhere is not seen, and the day of a "
    "procedure is known, not its hour."
)
MEASURES = ("vent_rate", "pr_interval", "qrs_duration", "qt_interval", *_AXES.values())

_RECORDS = Schema(
    "record_list.csv",
    ("study_id",),
    (
        Column("subject_id", "integer", nullable=False),
        Column("study_id", "integer", nullable=False),
        Column("ecg_time", "datetime", nullable=False),
        Column("path", "text", nullable=False),
    ),
)
_MACHINE = Schema(
    "machine_measurements.csv",
    ("study_id",),
    (
        Column("study_id", "integer", nullable=False),
        *(Column(name, "number") for name in (*_TIMES, *_AXES)),
    ),
)


class MimicIvEcgSource(StepConfig):
    """ECGs of an academic hospital's patients, and what happened to them.

    Attributes
    ----------
    path : Path
        Folder that holds ``record_list.csv``, ``machine_measurements.csv`` and ``files/``.
    hosp : Path or None
        MIMIC-IV's folder ``hosp``: gives age, sex, admissions and outcomes.
    ed : Path or None
        MIMIC-IV-ED's folder ``ed``: adds visits that led to no admission; needs ``hosp``.
    """

    path: Path
    hosp: Path | None = None
    ed: Path | None = None

    def tables(self) -> Tables:
        """ECGs with the device's measurements, and with ``hosp`` visits and their outcomes.

        Raises
        ------
        MissingPathError, TableError
        """
        if not (self.path / _RECORDS.name).is_file():
            raise MissingPathError(
                f"There is no MIMIC-IV-ECG in {self.path}: record_list.csv is missing. Give the "
                "folder that holds it (source.path)."
            )
        records, machine = read_all(self.path, [TableFile(_RECORDS), TableFile(_MACHINE)])
        ecgs = _ecgs(records, machine)
        fingerprint = [file_sha256(self.path / name) for name in (_RECORDS.name, _MACHINE.name)]
        if self.hosp is None:
            return _tables_without_outcomes(ecgs, json_sha256(fingerprint))
        linked = read_linked(self.hosp, self.ed)
        return _tables_with_outcomes(ecgs, linked, json_sha256([*fingerprint, linked.fingerprint]))

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """Recordings in millivolts; leads by name, for their order here is I II III aVR aVF aVL.

        Raises
        ------
        MissingDependencyError
            Without the ``formats`` extra.
        """
        path_of = _paths(self.path / _RECORDS.name)

        def read(ecg_id: str) -> Recording:
            path = file_of(ecg_id, path_of, table=_RECORDS.name)
            return read_wfdb(ecg_id, self.path / path).standard()

        return read_each(ids, read)


@remembered
def _paths(path: Path) -> dict[str, str]:
    """Place of each ECG; 800,000 of them, so read once."""
    records = TableFile(_RECORDS).read(path.parent)
    return dict(records.select(pl.col("study_id").cast(pl.String), "path").iter_rows())


def _ecgs(records: pl.DataFrame, machine: pl.DataFrame) -> pl.DataFrame:
    def within(name: str, low: float) -> pl.Expr:
        return pl.when(pl.col(name).is_between(low, _LARGEST)).then(name)

    times = {name: within(name, 0) for name in _TIMES}
    measured = machine.select(
        "study_id",
        (60_000 / pl.when(times["rr_interval"] > 0).then(times["rr_interval"])).alias("vent_rate"),
        (times["qrs_onset"] - times["p_onset"]).alias("pr_interval"),
        (times["qrs_end"] - times["qrs_onset"]).alias("qrs_duration"),
        (times["t_end"] - times["qrs_onset"]).alias("qt_interval"),
        *(pl.when(pl.col(a).abs() <= 360).then(a).alias(name) for a, name in _AXES.items()),
    )
    positive = ("pr_interval", "qrs_duration", "qt_interval")
    return (
        records.join(measured, on="study_id", how="left", maintain_order="left")
        .with_columns(pl.when(pl.col(name) > 0).then(name).alias(name) for name in positive)
        .select(
            pl.col("study_id").cast(pl.String).alias("ecg_id"),
            pl.col("subject_id").cast(pl.String).alias("patient_id"),
            "ecg_time",
            pl.col("ecg_time").dt.date().alias("ecg_date"),
            *MEASURES,
        )
    )


def _tables_without_outcomes(ecgs: pl.DataFrame, fingerprint: str) -> Tables:
    patients = ecgs.select("patient_id", pl.lit(None, pl.String).alias("sex")).unique(
        maintain_order=True
    )
    return Tables(
        source="mimic_iv_ecg",
        fingerprint=fingerprint,
        ecgs=check(ecgs.drop("ecg_time"), ECGS),
        patients=check(patients, PATIENTS),
        features=MEASURES,
        min_count=10,
        remarks=("Without MIMIC-IV's tables (source.hosp) there are no outcomes, ages and sexes.",),
    )


def _tables_with_outcomes(ecgs: pl.DataFrame, linked: LinkedTables, fingerprint: str) -> Tables:
    known = linked.patients.select("patient_id")
    strangers = len(ecgs.join(known, on="patient_id", how="anti"))
    remarks = [_BILLING]
    if strangers:
        remarks.append(f"{strangers:,} ECGs belong to patients that hosp/patients does not hold.")
    ecgs = linked.with_visits(ecgs)
    patients = ecgs.select("patient_id").unique(maintain_order=True)
    patients = patients.join(linked.patients, on="patient_id", how="left", maintain_order="left")
    return Tables(
        source="mimic_iv_ecg",
        fingerprint=fingerprint,
        ecgs=check(ecgs.drop("ecg_time"), ECGS),
        patients=check(patients.select("patient_id", "sex"), PATIENTS),
        encounters=check(linked.visits, ENCOUNTERS),
        outcomes=OUTCOMES,
        subgroups=("sex", "age_band"),
        features=("age", "is_female", *MEASURES),
        min_count=10,
        remarks=tuple(remarks),
    )
