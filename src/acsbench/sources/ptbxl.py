"""PTB-XL as published (Wagner et al., Sci Data 7:154, 2020), read by the wfdb library."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from acsbench.errors import MissingPathError, RecordingError, TableError, first_few
from acsbench.provenance import StepConfig, file_sha256, json_sha256
from acsbench.recording import Recording
from acsbench.sources.base import file_of, read_each, remembered
from acsbench.sources.wfdb_files import read_wfdb
from acsbench.tables import ECGS, PATIENTS, Column, Schema, Tables, check, read_table

__all__ = ["PtbxlSource"]

_READINGS = {name: f"reading_{name.lower()}" for name in ("NORM", "MI", "STTC", "CD", "HYP")}
"""Column of each diagnostic class: what a cardiologist read, which is no outcome."""
_MASKED_AGE, _OLDEST_AGE = 300, 90
"""PTB-XL writes 300 for every age above 89; here 90 stands for them."""
_DATABASE = Schema(
    "ptbxl_database.csv",
    ("ecg_id",),
    (
        Column("ecg_id", "integer", nullable=False),
        Column("patient_id", "integer", nullable=False),
        Column("age", "number", low=0, high=_MASKED_AGE),
        Column("sex", "integer", values=(0, 1)),
        Column("recording_date", "date", required=False),
        Column("scp_codes", "text", nullable=False),
        Column("strat_fold", "integer", nullable=False, low=1, high=10),
        Column("filename_hr", "text", nullable=False),
        Column("filename_lr", "text", nullable=False),
    ),
)


class PtbxlSource(StepConfig):
    """PTB-XL: labels are a reading of the ECG by cardiologists, never an outcome.

    Attributes
    ----------
    path : Path
        Folder that holds ``ptbxl_database.csv``, ``scp_statements.csv`` and the records.
    sampling_rate : 100 or 500
        Hz; which of the two published versions is read.
    """

    path: Path
    sampling_rate: Literal[100, 500] = 500

    def tables(self) -> Tables:
        """One row per record; splits by ``strat_fold``, which never divides a patient.

        Raises
        ------
        MissingPathError, TableError
        """
        database = _database(self.path / _DATABASE.name)
        classes = self._diagnostic_classes()
        files = ("ptbxl_database.csv", "scp_statements.csv")
        sums = [file_sha256(self.path / name) for name in files]
        return Tables(
            source="ptbxl",
            fingerprint=json_sha256([*sums, self.sampling_rate]),
            ecgs=check(_ecgs(database, classes), ECGS, where=self.path),
            patients=check(_patients(database), PATIENTS, where=self.path),
            outcomes=tuple(_READINGS.values()),
            subgroups=("sex", "age_band"),
            # nothing from scp_codes, report, heart_axis or infarction_stadium: those are the answer
            features=("age", "is_female"),
            fold_column="strat_fold",
        )

    def _diagnostic_classes(self) -> dict[str, str]:
        path = self.path / "scp_statements.csv"
        table = read_table(path)
        if not {"diagnostic", "diagnostic_class"} <= set(table.columns):
            raise TableError(f"{path} lacks the columns diagnostic and diagnostic_class.")
        code = table.columns[0]
        diagnostic = table.filter(pl.col("diagnostic").cast(pl.Float64, strict=False) == 1)
        return dict(diagnostic.select(code, "diagnostic_class").iter_rows())

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """Recordings in millivolts, twelve leads in standard order.

        Raises
        ------
        MissingDependencyError
            Without the ``formats`` extra.
        """
        column = "filename_hr" if self.sampling_rate == 500 else "filename_lr"
        files = _files(self.path / _DATABASE.name, column)

        def read(ecg_id: str) -> Recording:
            return self._recording(ecg_id, file_of(ecg_id, files, table=_DATABASE.name))

        return read_each(ids, read)

    def _recording(self, ecg_id: str, file: str) -> Recording:
        recording = read_wfdb(ecg_id, self.path / file).standard()
        if recording.sampling_rate != self.sampling_rate:
            raise RecordingError(
                ecg_id,
                "wrong_rate",
                f"{file} has {recording.sampling_rate:g} Hz; expected {self.sampling_rate} Hz.",
            )
        return recording


def _database(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise MissingPathError(
            f"There is no PTB-XL in {path.parent}: {path.name} is missing. Give the folder that "
            "holds it, scp_statements.csv, records100/ and records500/ (source.path)."
        )
    return check(read_table(path), _DATABASE, where=path)


@remembered
def _files(path: Path, column: str) -> dict[str, str]:
    return dict(_database(path).select(pl.col("ecg_id").cast(pl.String), column).iter_rows())


def _ecgs(database: pl.DataFrame, classes: Mapping[str, str]) -> pl.DataFrame:
    """One row per record, with its age, fold and readings."""
    found = _superclasses(database, classes)
    age = pl.when(pl.col("age") == _MASKED_AGE).then(_OLDEST_AGE).otherwise("age")
    dates = [name for name in ("recording_date",) if name in database.columns]
    return database.select(
        pl.col("ecg_id", "patient_id").cast(pl.String),
        *(pl.col(name).alias("ecg_date") for name in dates),
        age.cast(pl.Float64).alias("age"),
        "strat_fold",
        *(
            pl.Series(reading, [superclass in one for one in found], dtype=pl.Boolean)
            for superclass, reading in _READINGS.items()
        ),
    )


def _patients(database: pl.DataFrame) -> pl.DataFrame:
    """One row per patient, with the sex that their first record with one gives."""
    sex = pl.col("sex").replace_strict({0: "Male", 1: "Female"}, default=None)
    return database.group_by(pl.col("patient_id").cast(pl.String), maintain_order=True).agg(
        sex.drop_nulls().first()
    )


def _superclasses(database: pl.DataFrame, classes: Mapping[str, str]) -> list[set[str]]:
    """Diagnostic classes of each record's statements, at any likelihood."""
    found: list[set[str]] = []
    broken: list[str] = []
    for ecg_id, codes in database.select("ecg_id", "scp_codes").iter_rows():
        statements = _dictionary(codes)
        if statements is None:
            broken.append(f"ecg_id {ecg_id}: {codes!r}")
        else:
            found.append({classes[code] for code in statements if code in classes})
    if broken:
        raise TableError(
            f"ptbxl_database.csv, column scp_codes: {len(broken):,} values are no dictionary of "
            f"statements and likelihoods, such as {{'NORM': 100.0}} ({first_few(broken, n=3)}). "
            "Take the file as published."
        )
    return found


def _dictionary(text: str) -> dict[str, float] | None:
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    is_readable = isinstance(value, dict) and all(isinstance(key, str) for key in value)
    return value if is_readable else None
