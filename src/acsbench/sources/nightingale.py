"""The emergency department set ``ed-bwh-ecg`` of Nightingale, and the holdout of its benchmark.

doi:10.48815/N5CC7R; Anderson, Li, Foster, Nachimuthu, Risley, Obermeyer (2023). The upstream
column names end in this file.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import MissingPathError, RecordingError, TableError, did_you_mean, first_few
from acsbench.provenance import StepConfig, file_sha256, json_sha256
from acsbench.recording import Recording
from acsbench.signal.leads import PAGE_LEADS
from acsbench.tables import ECGS, ENCOUNTERS, PATIENTS, RACES, Tables, check, read_table

__all__ = [
    "FLAGS",
    "HAS_COLUMNS",
    "MEASUREMENTS",
    "HoldoutSource",
    "NightingaleSource",
    "read_recording",
    "waveform_path",
]

SAMPLING_RATE = 500.0
LARGEST_RANGE_MV = 50.0
"""A typical lead spans 1 to 5 mV; read as millivolts, one in microvolts spans 1,000 or more."""

PATIENT_FILE, VISIT_FILE = "patient.csv", "ed-encounter.csv"
ECG_FILE, LINK_FILE = "ecg-metadata.csv", "ecg-ed-enc.csv"
WAVEFORM_FOLDER = "ecg-waveforms-npz"
HOLDOUT_FILE = "holdout-ids.csv"

HAS_COLUMNS = tuple(
    f"has_{name}"
    for name in (
        "bbb afib st pacemaker lvh normal normal_ecg normal_sinus depress st_eleva twave "
        "aberran_bbb jpoint_repol jpoint_eleva twave_inver twave_abnormal nonspecific "
        "rhythm_disturbance prolonged_qt lead_reversal poor_or_quality"
    ).split()
)
"""The 21 findings read from the text of the ECG report."""

FLAGS = ("has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal")
MEASUREMENTS = (
    *("pr_interval", "qrs_duration", "qt_interval", "qtc_interval"),
    *("p_axes", "r_axes", "t_axes", "vent_rate"),
)

_FLAG_COLUMNS = (
    *("macetrop_030_pos", "death_030_day", "macetrop_pos_or_death_030"),
    *("stent_010_day", "cabg_010_day", "stent_or_cabg_010_day", "ami_day_of", "disch_obs"),
    *("test_010_day", "stress_010_day", "cath_010_day", "exclude_modeling", "exclude"),
    *("excl_flag_c_int", "excl_flag_chronic", "excl_flag_death"),
)
_NUMBER_COLUMNS = ("days_to_ami", "maxtrop_sameday", "days_to_stress", "days_to_cath")

_RENAMED = {
    "patient_ngsci_id": "patient_id",
    "ed_enc_id": "encounter_id",
    "enc_id": "encounter_id",
    "age_at_admit": "age",
    "date": "ecg_date",
    "p-r-t_axes": "p_r_t_axes",
}
_REQUIRED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # alternatives where the two public dictionaries differ
    PATIENT_FILE: (("patient_ngsci_id",), ("sex",), *((f"race_{r}", r) for r in RACES)),
    VISIT_FILE: (
        *(("patient_ngsci_id",), ("ed_enc_id", "enc_id"), ("age_at_admit",)),
        *(("exclude_modeling",), ("cath_010_day",)),
        *(("stent_or_cabg_010_day",), ("macetrop_pos_or_death_030",)),
    ),
    ECG_FILE: (("patient_ngsci_id",), ("ecg_id",)),
    LINK_FILE: (("ecg_id",), ("ed_enc_id", "enc_id")),
}
_KEYS = {PATIENT_FILE: "patient_id", VISIT_FILE: "encounter_id", ECG_FILE: "ecg_id"}
_PATTERNS = {"patient_id": r"pat[0-9a-f]{8}", "ecg_id": r"ecg[0-9a-f]{10}"}


class NightingaleSource(StepConfig):
    """The hospital tables and the page ECGs of a local copy of ``ed-bwh-ecg``.

    Attributes
    ----------
    path : Path
        The folder that holds ``patient.csv``, or whose subfolder ``v1`` does.
    """

    path: Path

    @property
    def folder(self) -> Path:
        """Where the tables are."""
        return _data_folder(self.path)

    def tables(self) -> Tables:
        """Read and check the four tables.

        Raises
        ------
        MissingPathError
            When a file is not there.
        TableError
            With every finding in every table.
        """
        folder = self.folder
        frames = {name: read_table(folder / name) for name in _REQUIRED}
        _refuse(_column_findings(frames), folder)
        frames = {name: _rename(frame) for name, frame in frames.items()}
        _refuse(_row_findings(frames), folder)
        ecgs = _ecgs(frames[ECG_FILE], frames[LINK_FILE])
        return Tables(
            source="nightingale",
            fingerprint=json_sha256({name: file_sha256(folder / name) for name in _REQUIRED}),
            ecgs=check(ecgs, ECGS, where=folder / ECG_FILE),
            patients=check(_patients(frames[PATIENT_FILE]), PATIENTS, where=folder / PATIENT_FILE),
            encounters=check(_visits(frames[VISIT_FILE]), ENCOUNTERS, where=folder / VISIT_FILE),
            outcomes=("stent_or_cabg_010_day", "macetrop_pos_or_death_030"),
            subgroups=("sex", "race", "age_band"),
            features=("age", "is_female", *_present(ecgs, (*HAS_COLUMNS, *MEASUREMENTS))),
            flags=_present(ecgs, FLAGS),
            min_count=10,
        )

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """One result per id, in their order; see `Source.recordings`."""
        return _recordings(self.folder, ids)


class HoldoutSource(StepConfig):
    """ECGs without labels, patients or metadata: ``holdout-ids.csv`` and waveforms.

    Attributes
    ----------
    path : Path
        The folder of both.
    """

    path: Path

    def tables(self) -> Tables:
        """Ids, with one column ``holdout_<task>`` per task that asks for scores.

        Raises
        ------
        MissingPathError, TableError
        """
        file = self.path / HOLDOUT_FILE
        frame = read_table(file)
        _refuse([*_holdout_findings(frame)], self.path)
        asked = [
            (pl.col("task") == task).any().alias(f"holdout_{task}")
            for task in sorted(frame["task"].unique())
        ]
        return Tables(
            source="holdout",
            fingerprint=file_sha256(file),
            ecgs=frame.group_by("ecg_id").agg(asked).sort("ecg_id"),
            patients=pl.DataFrame(schema={"patient_id": pl.String, "sex": pl.String}),
        )

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """One result per id, in their order; see `Source.recordings`."""
        return _recordings(self.path, ids)


def waveform_path(folder: Path, ecg_id: str) -> Path:
    """Where the waveform of an ECG lies: ``ecg-waveforms-npz/<first 2 hex>/<10 hex>.npz``."""
    name = ecg_id.removeprefix("ecg")
    return folder / WAVEFORM_FOLDER / name[:2] / f"{name}.npz"


def read_recording(path: Path | str, ecg_id: str | None = None) -> Recording:
    """Read one page ECG.

    Parameters
    ----------
    path : Path
        An ``.npz`` whose first array has shape (15, samples), in mV at 500 Hz.
    ecg_id : str, optional
        By default ``ecg`` and the name of the file.

    Raises
    ------
    RecordingError
        ``missing_file``, ``truncated``, ``empty``, ``wrong_type``, ``wrong_shape`` or
        ``wrong_units``.
    """
    path = Path(path)
    ecg_id = ecg_id or f"ecg{path.stem}"
    signal = _page_signal(_first_array(path, ecg_id), ecg_id)
    return Recording(
        ecg_id=ecg_id,
        signal=signal,
        lead_names=PAGE_LEADS,
        sampling_rate=SAMPLING_RATE,
        units="mV",
    )


def _recordings(folder: Path, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
    for ecg_id in ids:
        try:
            yield read_recording(waveform_path(folder, ecg_id), ecg_id)
        except RecordingError as error:
            yield error


def _first_array(path: Path, ecg_id: str) -> NDArray[np.generic]:
    """Load the first array of an npz; the key is not fixed upstream."""
    if not path.is_file():
        raise RecordingError(ecg_id, "missing_file", f"there is no {path}.")
    if not path.stat().st_size:
        raise RecordingError(ecg_id, "empty", f"{path} holds no bytes.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if not names:
                raise RecordingError(ecg_id, "empty", f"{path} holds no array.")
            with archive.open(names[0]) as stream:
                array: NDArray[np.generic] = np.lib.format.read_array(stream, allow_pickle=False)
                return array
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise RecordingError(
            ecg_id, "truncated", f"{path} is damaged ({error}); get the file again."
        ) from None
    except ValueError as error:
        reason = "wrong_type" if "Object arrays" in str(error) else "truncated"
        raise RecordingError(
            ecg_id, reason, f"{path} holds no array of numbers ({error})."
        ) from None


def _page_signal(array: NDArray[np.generic], ecg_id: str) -> NDArray[np.float64]:
    """Refuse what is not a page in millivolts."""
    if array.dtype.kind not in "fiu":
        raise RecordingError(ecg_id, "wrong_type", f"values are {array.dtype}, not numbers.")
    if array.ndim != 2 or array.shape[0] != len(PAGE_LEADS):
        raise RecordingError(
            ecg_id,
            "wrong_shape",
            f"the array has shape {array.shape}; a page has ({len(PAGE_LEADS)}, samples), its "
            f"rows are {' '.join(PAGE_LEADS)}.",
        )
    signal = array.astype(np.float64)
    finite = np.isfinite(signal)
    recorded = finite.any(axis=1)
    if not recorded.any():
        raise RecordingError(ecg_id, "empty", f"none of its {signal.size:,} samples is a number.")
    highest = np.where(finite, signal, -np.inf)[recorded].max(axis=1)
    lowest = np.where(finite, signal, np.inf)[recorded].min(axis=1)
    span = float(np.median(highest - lowest))
    if span > LARGEST_RANGE_MV:
        raise RecordingError(
            ecg_id,
            "wrong_units",
            f"the median lead spans {span:,.0f}; over {LARGEST_RANGE_MV:g} this cannot be mV. "
            "Microvolts have to be divided by 1,000.",
        )
    return signal


def _data_folder(path: Path) -> Path:
    for folder in (path, path / "v1"):
        if (folder / PATIENT_FILE).is_file():
            return folder
    beside = [p.name for p in path.iterdir()] if path.is_dir() else []
    found = f"It holds {first_few(sorted(beside))}." if beside else "It is empty or not there."
    raise MissingPathError(
        f"There is no {PATIENT_FILE} in {path} or its subfolder v1. {found} Give the folder "
        "'ed-bwh-ecg' of the data set."
    )


def _refuse(findings: Sequence[str], folder: Path) -> None:
    if findings:
        listed = [f"  {finding}" for finding in findings]
        raise TableError("\n".join([f"The tables in {folder} cannot be used:", *listed]))


def _column_findings(frames: Mapping[str, pl.DataFrame]) -> list[str]:
    """Check the upstream names, so that messages speak of the user's columns."""
    findings = []
    for file, required in _REQUIRED.items():
        for names in required:
            if not set(names) & set(frames[file].columns):
                hint = did_you_mean(names[0], frames[file].columns)
                findings.append(f"{file}: column '{names[0]}' is missing.{hint}")
    findings += [f"{file}: no rows." for file in _KEYS if frames[file].is_empty()]
    return findings


def _rename(frame: pl.DataFrame) -> pl.DataFrame:
    races = {f"race_{race}": race for race in RACES if race not in frame.columns}
    names = {**_RENAMED, **races}
    return frame.rename({old: new for old, new in names.items() if old in frame.columns})


def _row_findings(frames: Mapping[str, pl.DataFrame]) -> list[str]:
    return [
        *(f for file, frame in frames.items() for f in _id_findings(file, frame)),
        *_race_findings(frames[PATIENT_FILE]),
        *_reference_findings(frames),
    ]


def _id_findings(file: str, frame: pl.DataFrame) -> Iterator[str]:
    for name in ("patient_id", "ecg_id", "encounter_id"):
        if name not in frame.columns:
            continue
        yield from _finding(file, frame, pl.col(name).is_null(), name, "missing ids")
        if name in _PATTERNS:
            rule = f"ids break the pattern {_PATTERNS[name]}"
            off = ~pl.col(name).str.contains(f"^{_PATTERNS[name]}$")
            yield from _finding(file, frame, off, name, rule)
    key = _KEYS.get(file, "ecg_id")
    doubled = ~pl.col(key).is_first_distinct() & pl.col(key).is_not_null()
    yield from _finding(file, frame, doubled, key, "rows repeat a key; keys are unique")


def _race_findings(patients: pl.DataFrame) -> Iterator[str]:
    count = pl.sum_horizontal(_is_one(race).fill_null(value=False) for race in RACES)
    rule = "patients do not have exactly one race"
    yield from _finding(PATIENT_FILE, patients, count != 1, "patient_id", rule)


def _reference_findings(frames: Mapping[str, pl.DataFrame]) -> Iterator[str]:
    patients, visits = frames[PATIENT_FILE], frames[VISIT_FILE]
    ecgs, links = frames[ECG_FILE], frames[LINK_FILE]
    targets = (
        (VISIT_FILE, visits, "patient_id", patients, PATIENT_FILE),
        (ECG_FILE, ecgs, "patient_id", patients, PATIENT_FILE),
        (LINK_FILE, links, "encounter_id", visits, VISIT_FILE),
        (LINK_FILE, links, "ecg_id", ecgs, ECG_FILE),
    )
    for file, frame, name, target, target_file in targets:
        unknown = ~pl.col(name).is_in(target[name].drop_nulls().implode())
        yield from _finding(file, frame, unknown, name, f"ids are not in {target_file}")
    of_visit = visits.unique("encounter_id").select("encounter_id", visit_patient="patient_id")
    of_ecg = ecgs.unique("ecg_id").select("ecg_id", "patient_id")
    joined = links.join(of_visit, on="encounter_id", how="left", maintain_order="left").join(
        of_ecg, on="ecg_id", how="left", maintain_order="left"
    )
    differs = pl.col("patient_id") != pl.col("visit_patient")
    rule = f"ECGs have another patient in {ECG_FILE} than their visit in {VISIT_FILE}"
    yield from _finding(LINK_FILE, joined, differs, "ecg_id", rule)


def _holdout_findings(frame: pl.DataFrame) -> Iterator[str]:
    for name in ("ecg_id", "task"):
        if name not in frame.columns:
            hint = did_you_mean(name, frame.columns)
            yield f"{HOLDOUT_FILE}: column '{name}' is missing.{hint}"
    if not {"ecg_id", "task"} <= set(frame.columns):
        return
    if frame.is_empty():
        yield f"{HOLDOUT_FILE}: no rows."
    yield from _finding(HOLDOUT_FILE, frame, pl.col("task").is_null(), "task", "missing tasks")
    off = ~pl.col("ecg_id").str.contains(f"^{_PATTERNS['ecg_id']}$").fill_null(value=False)
    yield from _finding(HOLDOUT_FILE, frame, off, "ecg_id", "ids break the pattern ecg + 10 hex")
    doubled = ~pl.struct("ecg_id", "task").is_first_distinct()
    yield from _finding(HOLDOUT_FILE, frame, doubled, "ecg_id", "rows repeat an id and task")


def _finding(file: str, frame: pl.DataFrame, bad: pl.Expr, name: str, rule: str) -> Iterator[str]:
    """Name the file, the upstream column, the first rows (the header is row 0) and the rule."""
    rows = frame.select(bad.fill_null(value=False)).to_series().arg_true()
    if len(rows):
        upstream = {"patient_id": "patient_ngsci_id", "encounter_id": "ed_enc_id"}.get(name, name)
        shown = [f"row {row + 1}: {frame[name][row]!r}" for row in rows[:3]]
        yield f"{file}, column '{upstream}': {len(rows):,} {rule} ({first_few(shown)})."


def _is_one(name: str) -> pl.Expr:
    number = pl.col(name).cast(pl.Float64, strict=False)
    return (number == 1) | (pl.col(name).str.to_lowercase() == "true")


def _patients(frame: pl.DataFrame) -> pl.DataFrame:
    race: pl.Expr = pl.coalesce(pl.when(_is_one(race)).then(pl.lit(race)) for race in RACES)
    # an unknown sex is unknown, never male
    known_sex = pl.when(pl.col("sex").is_in(["Female", "Male"])).then("sex")
    shares = [c for c in frame.columns if c.startswith("agi_")]
    return frame.select("patient_id", known_sex, race.alias("race"), *_numbers(frame, shares))


def _visits(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(*_numbers(frame, _NUMBER_COLUMNS), *_truths(frame, _FLAG_COLUMNS))


def _ecgs(frame: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """An ECG without a visit keeps its row, with an empty ``encounter_id``."""
    own = frame.drop("encounter_id", strict=False)
    linked = own.join(links.select("ecg_id", "encounter_id"), on="ecg_id", how="left")
    return linked.with_columns(
        *_numbers(frame, MEASUREMENTS), *(t.cast(pl.Float64) for t in _truths(frame, HAS_COLUMNS))
    )


def _present(frame: pl.DataFrame, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in frame.columns)


def _numbers(frame: pl.DataFrame, names: Iterable[str]) -> list[pl.Expr]:
    return [pl.col(name).cast(pl.Float64, strict=False) for name in _present(frame, names)]


def _truths(frame: pl.DataFrame, names: Iterable[str]) -> list[pl.Expr]:
    """Accept 0/1 and true/false as text; an empty cell stays missing, never false."""
    return [
        pl.when(_is_one(name)).then(True).when(pl.col(name).is_not_null()).then(False).alias(name)
        for name in _present(frame, names)
    ]
