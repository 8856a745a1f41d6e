"""Sets of the PhysioNet/CinC Challenges 2020 and 2021, and of CPSC 2018 in its original form.

A Challenge record is a WFDB header over a MATLAB file, with age, sex and SNOMED CT codes as
comments (Reyna et al., CinC 2021, doi:10.23919/CinC53138.2021.9662687). CPSC 2018 has a MATLAB
structure and no header (Liu et al., J Med Imaging Health Inform 8:1368, 2018); its labels stand in
``REFERENCE.csv``. Codes are what somebody read in the ECG, never an outcome.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from acsbench.errors import InputError, MissingPathError, RecordingError, first_few
from acsbench.provenance import StepConfig, json_sha256
from acsbench.recording import Recording
from acsbench.sources.base import file_of, own_clusters, read_each
from acsbench.sources.matlab_files import read_cpsc
from acsbench.sources.wfdb_files import read_wfdb
from acsbench.tables import ECGS, PATIENTS, Tables, check, read_table

__all__ = ["READINGS", "ChallengeSource"]

READINGS: Mapping[str, tuple[str, ...]] = {
    "reading_norm": ("426783006",),
    "reading_mi": ("164865005", "57054005", "54329005", "164867002"),
    "reading_ischemia": (
        *("164861001", "413444003", "413844008"),
        *("426434006", "425419005", "425623009"),
    ),
    "reading_st_elevation": ("164931005",),
    "reading_st_depression": ("429622005", "704997005"),
    "reading_t_inversion": ("59931005",),
}
"""SNOMED CT codes of each reading: sinus rhythm alone is ``norm``; an infarction of any age is
``mi``; acute, chronic or localised ischemia is ``ischemia``."""
_CPSC = {
    "1": "426783006",
    "8": "429622005",
    "9": "164931005",
    **{number: f"cpsc-{number}" for number in "234567"},
}
"""CPSC's own numbers, those that have a reading as SNOMED CT."""
_NORMAL = "426783006"
_LARGEST_AGE = 130


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What a record says about itself."""

    age: float | None
    sex: str | None
    codes: frozenset[str] | None


class ChallengeSource(StepConfig):
    """ECGs without patient ids: each counts as a patient of its own.

    Attributes
    ----------
    path : Path
        Folder of ``.hea`` and ``.mat`` files, or of CPSC's ``.mat`` files; subfolders are searched.
    """

    path: Path

    def tables(self) -> Tables:
        """Ages, sexes and readings from the headers.

        Raises
        ------
        MissingPathError, InputError
        """
        _files.cache_clear()  # files may have been added since
        entries = _entries(self.path)
        rows = [
            {
                "ecg_id": ecg_id,
                "patient_id": ecg_id,
                "age": entry.age,
                "sex": entry.sex,
                "origin": ecg_id.rstrip("0123456789") or None,
                **_readings(entry.codes),
            }
            for ecg_id, entry in sorted(entries.items())
        ]
        text = dict.fromkeys(("ecg_id", "patient_id", "sex", "origin"), pl.String)
        flags = dict.fromkeys(READINGS, pl.Boolean)
        frame = pl.DataFrame(rows, schema={**text, "age": pl.Float64, **flags})
        return Tables(
            source="challenge",
            fingerprint=json_sha256(rows),
            ecgs=check(frame.drop("sex"), ECGS, where=self.path),
            patients=check(frame.select("patient_id", "sex"), PATIENTS, where=self.path),
            outcomes=tuple(READINGS),
            subgroups=("sex", "age_band", "origin"),
            features=("age", "is_female"),
            remarks=(own_clusters(len(rows), len(rows)),),
        )

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """Twelve leads in millivolts, of any length.

        Raises
        ------
        MissingDependencyError
            Without the ``formats`` extra.
        """
        files = _files(self.path)

        def read(ecg_id: str) -> Recording:
            path = self.path / file_of(ecg_id, files, table=f"{self.path}")
            if path.suffix == ".mat":
                return read_cpsc(ecg_id, path).recording
            return read_wfdb(ecg_id, path.with_suffix("")).standard()

        return read_each(ids, read)


@functools.lru_cache(maxsize=2)
def _files(folder: Path) -> dict[str, str]:
    """File of each record, below the folder; two of one name are refused."""
    if not folder.is_dir():
        raise MissingPathError(f"There is no folder {folder} (source.path).")
    found = sorted(folder.rglob("*.hea")) or sorted(folder.rglob("*.mat"))
    if not found:
        raise MissingPathError(
            f"{folder} holds neither .hea nor .mat files. Give the folder of the set (source.path)."
        )
    files: dict[str, str] = {}
    for path in found:
        name = str(path.relative_to(folder))
        if path.stem in files:
            raise InputError(
                f"{folder} holds two records called {path.stem} ({files[path.stem]}, {name}). Give "
                "the folder of one set (source.path)."
            )
        files[path.stem] = name
    return files


def _entries(folder: Path) -> dict[str, _Entry]:
    files = _files(folder)
    if all(name.endswith(".mat") for name in files.values()):
        codes = _cpsc_codes(folder)
        return {i: _from_cpsc(i, folder / name, codes.get(i)) for i, name in files.items()}
    return {ecg_id: _from_header(folder / name) for ecg_id, name in files.items()}


def _readings(codes: frozenset[str] | None) -> dict[str, bool | None]:
    """Each reading: true, false, or None where a record has no labels at all."""
    if codes is None:
        return dict.fromkeys(READINGS)
    found: dict[str, bool | None] = {
        name: bool(codes & {*theirs}) for name, theirs in READINGS.items()
    }
    found["reading_norm"] = codes == {_NORMAL}
    return found


def _from_header(path: Path) -> _Entry:
    comments = _comments(path)
    codes = comments.get("dx")
    return _Entry(
        age=_age(comments.get("age", "")),
        sex=_sex(comments.get("sex", "")),
        codes=None if codes is None else frozenset(c.strip() for c in codes.split(",")),
    )


def _comments(path: Path) -> dict[str, str]:
    """Fields of a header's comments, as ``# Age: 61``; names in lower case."""
    fields: dict[str, str] = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        name, colon, value = line.lstrip("# ").partition(":")
        if line.startswith("#") and colon:
            fields[name.strip().strip("<>").lower()] = value.strip()
    return fields


def _age(text: str) -> float | None:
    try:
        age = float(text)
    except ValueError:
        return None
    return age if 0 <= age <= _LARGEST_AGE else None


def _sex(text: str) -> str | None:
    return {"m": "Male", "male": "Male", "f": "Female", "female": "Female"}.get(text.lower())


def _from_cpsc(ecg_id: str, path: Path, codes: frozenset[str] | None) -> _Entry:
    try:
        person = read_cpsc(ecg_id, path)
    except RecordingError:  # counted, with its reason, when the waveform is asked for
        return _Entry(age=None, sex=None, codes=codes)
    return _Entry(age=_age(person.age), sex=_sex(person.sex), codes=codes)


def _cpsc_codes(folder: Path) -> dict[str, frozenset[str]]:
    found = sorted(folder.rglob("REFERENCE.csv"))
    if not found:
        return {}
    table = read_table(found[0])
    wanted = ("Recording", "First_label")
    if not set(wanted) <= set(table.columns):
        raise InputError(f"{found[0]} lacks the columns {first_few(wanted)}; take it as published.")
    labels = [name for name in table.columns if name.endswith("_label")]
    return {
        row["Recording"]: frozenset(_CPSC.get(row[name], row[name]) for name in labels if row[name])
        for row in table.iter_rows(named=True)
    }
