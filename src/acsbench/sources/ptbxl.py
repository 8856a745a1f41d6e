"""PTB-XL as published (Wagner et al., Sci Data 7:154, 2020), read by the wfdb library."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import (
    MissingDependencyError,
    MissingPathError,
    RecordingError,
    TableError,
    first_few,
)
from acsbench.provenance import StepConfig, file_sha256, json_sha256
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12, standard_name
from acsbench.tables import ECGS, PATIENTS, Column, Schema, Tables, check, read_table

__all__ = ["PtbxlSource"]

_READINGS = {name: f"reading_{name.lower()}" for name in ("NORM", "MI", "STTC", "CD", "HYP")}
"""Column of each diagnostic class: what a cardiologist read, which is no outcome."""
_TO_MV = {"mv": 1.0, "uv": 0.001, "v": 1000.0}
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
        database = self._database()
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

    def _database(self) -> pl.DataFrame:
        path = self.path / "ptbxl_database.csv"
        if not path.is_file():
            raise MissingPathError(
                f"There is no PTB-XL in {self.path}: ptbxl_database.csv is missing. Give the "
                "folder that holds it, scp_statements.csv, records100/ and records500/ "
                "(source.path)."
            )
        return check(read_table(path), _DATABASE, where=path)

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
        database = self._database()
        file_of = dict(zip(database["ecg_id"].cast(pl.String), database[column], strict=True))
        for ecg_id in ids:
            try:
                yield self._recording(ecg_id, file_of.get(ecg_id))
            except RecordingError as error:
                yield error

    def _recording(self, ecg_id: str, file: str | None) -> Recording:
        if file is None:
            raise RecordingError(ecg_id, "missing_file", "the id is not in ptbxl_database.csv.")
        recording = _read(ecg_id, self.path / file)
        if recording.sampling_rate != self.sampling_rate:
            raise RecordingError(
                ecg_id,
                "wrong_rate",
                f"{file} has {recording.sampling_rate:g} Hz; expected {self.sampling_rate} Hz.",
            )
        return recording


def _ecgs(database: pl.DataFrame, classes: Mapping[str, str]) -> pl.DataFrame:
    """One row per record, with its age, fold and readings."""
    found = [
        _superclasses(codes, classes, ecg_id)
        for ecg_id, codes in database.select("ecg_id", "scp_codes").iter_rows()
    ]
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


def _superclasses(codes: str, classes: Mapping[str, str], ecg_id: int) -> set[str]:
    """Diagnostic classes of a record's statements, at any likelihood."""
    try:
        statements = ast.literal_eval(codes.strip())
    except (ValueError, SyntaxError):
        statements = None
    if not isinstance(statements, dict):
        raise TableError(
            f"ptbxl_database.csv, ecg_id {ecg_id}: scp_codes {codes!r} is no dictionary of "
            "statements and likelihoods."
        )
    return {classes[code] for code in statements if code in classes}


def _read(ecg_id: str, path: Path) -> Recording:
    wfdb = _import_wfdb()
    for suffix in (".hea", ".dat"):
        file = path.with_name(path.name + suffix)
        if not file.is_file():
            raise RecordingError(ecg_id, "missing_file", f"there is no {file}.")
        if not file.stat().st_size:
            raise RecordingError(ecg_id, "empty", f"{file.name} has no bytes.")
    try:
        record: Any = wfdb.rdrecord(str(path))
    except (ValueError, IndexError, OSError, KeyError, TypeError) as error:
        raise RecordingError(ecg_id, "truncated", f"{path.name} cannot be read: {error}.") from None
    rows = _standard_rows(ecg_id, record.sig_name)
    to_mv = _factors_to_mv(ecg_id, record.units)
    return Recording(
        ecg_id=ecg_id,
        signal=np.ascontiguousarray((record.p_signal * to_mv).T[rows]),  # (leads, samples)
        lead_names=STANDARD_12,
        sampling_rate=float(record.fs),
        units="mV",
    )


def _import_wfdb() -> Any:
    try:
        with warnings.catch_warnings():
            # wfdb 4.3 calls pandas with a keyword that pandas is about to retire
            warnings.simplefilter("ignore")
            import wfdb  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingDependencyError(
            "Reading PTB-XL needs the library wfdb: pip install 'acsbench[formats]'."
        ) from None
    return wfdb


def _standard_rows(ecg_id: str, sig_names: Sequence[str]) -> list[int]:
    """Place of each standard lead in a file: by its name, never by position."""
    names = [standard_name(name) for name in sig_names]
    missing = [name for name in STANDARD_12 if name not in names]
    if missing:
        raise RecordingError(
            ecg_id, "missing_leads", f"no lead {first_few(missing)} among {' '.join(sig_names)}."
        )
    return [names.index(name) for name in STANDARD_12]


def _factors_to_mv(ecg_id: str, units: Sequence[str]) -> NDArray[np.float64]:
    """Millivolts per unit of each signal of a file, shape (signals,)."""
    strange = [unit for unit in units if unit.lower() not in _TO_MV]
    if strange:
        raise RecordingError(ecg_id, "wrong_units", f"unit {strange[0]} is none of mV, uV and V.")
    return np.array([_TO_MV[unit.lower()] for unit in units])
