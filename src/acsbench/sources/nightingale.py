"""The Nightingale data set ``ed-bwh-ecg`` (doi:10.48815/N5CC7R), and holdouts in its layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from acsbench.errors import MissingPathError, RecordingError, TableError, first_few
from acsbench.provenance import StepConfig, file_sha256, json_sha256
from acsbench.recording import Recording
from acsbench.signal.leads import PAGE_LEADS
from acsbench.sources.arrays import read_array
from acsbench.sources.base import read_each
from acsbench.sources.csv_files import TableFile, read_all
from acsbench.sources.raw import refuse_microvolts, scaled
from acsbench.tables import (
    ECGS,
    ENCOUNTERS,
    PATIENTS,
    RACES,
    SEXES,
    Column,
    Schema,
    Tables,
    check,
    read_table,
)

__all__ = ["FLAGS", "MEASURES", "HoldoutSource", "NightingaleSource", "read_recording"]

SAMPLING_RATE = 500.0

FLAGS = (
    "has_bbb",
    "has_afib",
    "has_st",
    "has_pacemaker",
    "has_lvh",
    "has_normal",
    "has_normal_ecg",
    "has_normal_sinus",
    "has_depress",
    "has_st_eleva",
    "has_twave",
    "has_aberran_bbb",
    "has_jpoint_repol",
    "has_jpoint_eleva",
    "has_twave_inver",
    "has_twave_abnormal",
    "has_nonspecific",
    "has_rhythm_disturbance",
    "has_prolonged_qt",
    "has_lead_reversal",
    "has_poor_or_quality",
)
"""21 findings read from the text of the ECG report."""
CLASSICAL = ("has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal")
MEASURES = (
    "p_axes",
    "r_axes",
    "t_axes",
    "pr_interval",
    "qrs_duration",
    "qt_interval",
    "qtc_interval",
    "vent_rate",
)

_PATIENT_ID, _ECG_ID, _VISIT_ID = "patient_ngsci_id", "ecg_id", "ed_enc_id"
_PATIENT = Column(_PATIENT_ID, "text", nullable=False, pattern="pat[0-9a-f]{8}")
_ECG = Column(_ECG_ID, "text", nullable=False, pattern="ecg[0-9a-f]{10}")
_VISIT = Column(_VISIT_ID, "text", nullable=False)
_RACES = tuple(f"race_{race}" for race in RACES)

_PATIENT_CSV = Schema(
    "patient.csv",
    (_PATIENT_ID,),
    (_PATIENT, Column("sex", "text"), *(Column(race, "flag") for race in _RACES)),
)
_ENCOUNTER_CSV = Schema(
    "ed-encounter.csv",
    (_VISIT_ID,),
    (
        _PATIENT,
        _VISIT,
        Column("age_at_admit", "number", low=0, high=130),
        Column("exclude_modeling", "flag"),
        Column("cath_010_day", "flag"),
        Column("stent_or_cabg_010_day", "flag"),
        Column("macetrop_pos_or_death_030", "flag"),
        *(Column(name, "flag", required=False) for name in ("test_010_day", "stress_010_day")),
        *(
            Column(name, "number", required=False)
            for name in ("days_to_cath", "days_to_stress", "maxtrop_sameday")
        ),
    ),
)
_METADATA_CSV = Schema(
    "ecg-metadata.csv",
    (_ECG_ID,),
    (
        _PATIENT,
        _ECG,
        Column("date", "date", required=False),
        *(Column(name, "number", required=False) for name in MEASURES),
        *(Column(name, "flag", required=name in CLASSICAL) for name in FLAGS),
    ),
)
_LINK_CSV = Schema("ecg-ed-enc.csv", (_ECG_ID,), (_ECG, _VISIT))
_OTHER_VISIT_ID = {"enc_id": _VISIT_ID}
_FILES = (
    TableFile(_PATIENT_CSV, {race: f"race_{race}" for race in RACES}),
    TableFile(_ENCOUNTER_CSV, _OTHER_VISIT_ID),
    TableFile(_METADATA_CSV),
    TableFile(_LINK_CSV, _OTHER_VISIT_ID),
)


class NightingaleSource(StepConfig):
    """Reader of the emergency department data set.

    Attributes
    ----------
    path : Path
        The folder ``ed-bwh-ecg/v1``, or one above it.
    """

    path: Path

    @property
    def _root(self) -> Path:
        for folder in (self.path, self.path / "v1", self.path / "ed-bwh-ecg" / "v1"):
            if (folder / "patient.csv").is_file():
                return folder
        raise MissingPathError(
            f"There is no Nightingale data set in {self.path}: patient.csv is neither there nor in "
            "v1/ nor in ed-bwh-ecg/v1/. Give the folder that holds it (source.path)."
        )

    def tables(self) -> Tables:
        """Patients, visits and ECGs in our names.

        Raises
        ------
        MissingPathError, TableError
            All findings of a table at once; joins that contradict each other.
        """
        patients, visits, metadata, links = read_all(self._root, _FILES)
        _check_joins(patients, visits, metadata, links)
        return Tables(
            source="nightingale",
            fingerprint=json_sha256([file_sha256(self._root / f.name) for f in _FILES]),
            ecgs=check(_ecgs(metadata, links), ECGS, where=self._root),
            patients=check(_patients(patients), PATIENTS, where=self._root),
            encounters=check(_encounters(visits), ENCOUNTERS, where=self._root),
            outcomes=("stent_or_cabg_010_day", "macetrop_pos_or_death_030"),
            subgroups=("sex", "race", "age_band"),
            # troponin is part of the MACE outcome, so it is no feature unless asked for by name
            features=("age", "is_female", *FLAGS, *MEASURES),
            flags=CLASSICAL,
            min_count=10,
        )

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """Fifteen rows at 500 Hz in millivolts, NaN where nothing was printed."""
        folder = self._root / "ecg-waveforms-npz"
        return _recordings(folder, ids)


class HoldoutSource(StepConfig):
    """ECGs whose labels somebody else keeps: waveforms and ids, neither patients nor outcomes.

    Attributes
    ----------
    path : Path
        Holds ``holdout-ids.csv`` (``ecg_id, task``) and ``ecg-waveforms-npz/``.
    """

    path: Path

    def tables(self) -> Tables:
        """Ids, and a column ``holdout_<task>`` for each task that asks for scores."""
        path = self.path / "holdout-ids.csv"
        schema = Schema(
            "holdout-ids.csv", (_ECG_ID, "task"), (_ECG, Column("task", "text", nullable=False))
        )
        pairs = check(read_table(path), schema, where=path)
        tasks = sorted(pairs["task"].unique())
        ecgs = pairs.group_by(_ECG_ID).agg(
            (pl.col("task") == task).any().alias(f"holdout_{task}") for task in tasks
        )
        return Tables(
            source="holdout",
            fingerprint=file_sha256(path),
            ecgs=ecgs.sort(_ECG_ID),
            patients=pl.DataFrame(schema={"patient_id": pl.String, "sex": pl.String}),
        )

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """As for `NightingaleSource`."""
        return _recordings(self.path / "ecg-waveforms-npz", ids)


def _check_joins(
    patients: pl.DataFrame, visits: pl.DataFrame, metadata: pl.DataFrame, links: pl.DataFrame
) -> None:
    findings: list[str] = []

    def unknown(left: pl.DataFrame, right: pl.DataFrame, key: str, words: str) -> None:
        ids = left.join(right, on=key, how="anti")[key].unique(maintain_order=True).to_list()
        if ids:
            findings.append(f"{len(ids):,} {words} (first: {first_few(ids, n=3)}).")

    unknown(visits, patients, _PATIENT_ID, "patients of ed-encounter.csv are not in patient.csv")
    unknown(metadata, patients, _PATIENT_ID, "patients of ecg-metadata.csv are not in patient.csv")
    unknown(links, metadata, _ECG_ID, "ECGs of ecg-ed-enc.csv are not in ecg-metadata.csv")
    unknown(links, visits, _VISIT_ID, "visits of ecg-ed-enc.csv are not in ed-encounter.csv")
    both = links.join(metadata.select(_ECG_ID, _PATIENT_ID), on=_ECG_ID).join(
        visits.select(_VISIT_ID, pl.col(_PATIENT_ID).alias("visitor")), on=_VISIT_ID
    )
    differ = both.filter(pl.col(_PATIENT_ID) != pl.col("visitor"))
    if not differ.is_empty():
        shown = [
            f"{row[_ECG_ID]}: {row[_PATIENT_ID]}, its visit {row['visitor']}"
            for row in differ.head(3).iter_rows(named=True)
        ]
        findings.append(
            f"{len(differ):,} ECGs have another patient than their visit ({first_few(shown)}). "
            "An ECG belongs to the patient who was there."
        )
    races = patients.select(pl.sum_horizontal(pl.col(_RACES).cast(pl.Int64)).alias("n"))["n"]
    several = (races != 1).fill_null(value=False)
    if several.any():
        ids = patients.filter(several)[_PATIENT_ID].to_list()
        findings.append(
            f"{len(ids):,} patients of patient.csv have not exactly one race column set "
            f"(first: {first_few(ids, n=3)})."
        )
    if findings:
        raise TableError(
            "\n".join(["The tables contradict each other:", *(f"  {one}" for one in findings)])
        )


def _patients(table: pl.DataFrame) -> pl.DataFrame:
    race = pl.coalesce(pl.when(pl.col(f"race_{race}")).then(pl.lit(race)) for race in RACES).alias(
        "race"
    )
    known = pl.when(pl.col("sex").is_in(SEXES)).then(pl.col("sex")).alias("sex")
    shares = [name for name in table.columns if name.startswith("agi_")]
    return table.select(pl.col(_PATIENT_ID).alias("patient_id"), known, race, *shares)


def _encounters(table: pl.DataFrame) -> pl.DataFrame:
    return table.rename(
        {_PATIENT_ID: "patient_id", _VISIT_ID: "encounter_id", "age_at_admit": "age"}
    )


def _ecgs(metadata: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    names = {_PATIENT_ID: "patient_id", "date": "ecg_date", "p-r-t_axes": "p_r_t_axes"}
    renamed = metadata.rename({k: v for k, v in names.items() if k in metadata.columns})
    visits = links.select(_ECG_ID, pl.col(_VISIT_ID).alias("encounter_id"))
    return renamed.join(visits, on=_ECG_ID, how="left")


def waveform_path(folder: Path, ecg_id: str) -> Path:
    """File of an ECG: its id without the prefix, in a folder of its first two characters."""
    name = ecg_id.removeprefix("ecg")
    return folder / name[:2] / f"{name}.npz"


def _recordings(folder: Path, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
    return read_each(ids, lambda ecg_id: read_recording(waveform_path(folder, ecg_id), ecg_id))


def read_recording(path: Path | str, ecg_id: str | None = None) -> Recording:
    """Read one ``.npz`` of 15 rows at 500 Hz.

    Parameters
    ----------
    path : Path
    ecg_id : str, optional
        By default ``ecg`` and the file's stem.

    Raises
    ------
    RecordingError
        ``missing_file``, ``empty``, ``truncated``, ``wrong_type``, ``too_large``,
        ``wrong_shape``, ``wrong_units`` or ``infinite``.
    """
    path = Path(path)
    ecg_id = ecg_id or f"ecg{path.stem}"
    signal = read_array(ecg_id, path)  # the key is not fixed: the first
    if signal.ndim != 2 or signal.shape[0] != len(PAGE_LEADS) or signal.shape[1] == 0:
        raise RecordingError(
            ecg_id,
            "wrong_shape",
            f"{path.name} holds an array of shape {signal.shape}; expected "
            f"({len(PAGE_LEADS)}, samples).",
        )
    millivolts = scaled(ecg_id, signal, 1.0)
    # an all-NaN page is blank: the quality table says so, it is no broken file
    refuse_microvolts(ecg_id, millivolts, way_out="Divide by 1000.")
    return Recording(
        ecg_id=ecg_id,
        signal=millivolts,
        lead_names=PAGE_LEADS,
        sampling_rate=SAMPLING_RATE,
        units="mV",
    )
