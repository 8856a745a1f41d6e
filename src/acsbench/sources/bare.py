"""Bare waveforms: files of ECGs without tables, found in folders and holdouts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from acsbench.errors import InputError, MissingPathError, RecordingError, first_few
from acsbench.provenance import json_sha256
from acsbench.recording import Recording
from acsbench.sources.bare_files import read_bare
from acsbench.sources.base import read_each
from acsbench.sources.nightingale import HoldoutSource, waveform_path
from acsbench.tables import Tables

__all__ = ["BareWaveforms", "find_waveforms"]

SUFFIXES = (".csv", ".dcm", ".ecg", ".hea", ".npz", ".scp", ".xml")
"""Of files that are taken from a folder; a file that is named is read whatever its suffix."""
_HOLDOUT_IDS = "holdout-ids.csv"
_PAGE_NAME = re.compile("[0-9a-f]{10}")
"""Of an ``.npz`` in the Nightingale layout: the id without its prefix."""


@dataclass(frozen=True)
class BareWaveforms:
    """Files by id; `process_waveforms` takes it for a source.

    Attributes
    ----------
    files : mapping of str to Path
    asked : mapping of str to set of str
        Tasks that a holdout wants scores for, by id; ids of other files are not in it.
    """

    files: Mapping[str, Path]
    asked: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def tables(self) -> Tables:
        """Ids alone; the fingerprint changes with the files' names, sizes and times."""
        stamps = [(i, str(p), *_stamp(p)) for i, p in sorted(self.files.items())]
        ids = pl.DataFrame({"ecg_id": sorted(self.files)}, schema={"ecg_id": pl.String})
        return Tables(source="bare", fingerprint=json_sha256(stamps), ecgs=ids, patients=ids)

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """One result per id, in their order."""
        return read_each(ids, lambda ecg_id: read_bare(self.files[ecg_id], ecg_id))


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; of a file that is not there, or a record without suffix, zeros."""
    if not path.exists():
        return 0, 0
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def find_waveforms(paths: Sequence[Path]) -> BareWaveforms:
    """List the ECGs of files, folders and holdouts.

    Parameters
    ----------
    paths : sequence of Path
        A file is taken as it is; of a folder every file below it with one of `SUFFIXES`; a folder
        with ``holdout-ids.csv`` gives the ids it names. An id is the file's stem.

    Raises
    ------
    MissingPathError
        For paths that are not there.
    InputError
        When nothing is found, or two files have one id.
    """
    missing = [p for p in paths if not p.exists() and not p.with_name(f"{p.name}.hea").exists()]
    if missing:
        raise MissingPathError(f"There is no file or folder {first_few(missing, n=3)}.")
    asked: dict[str, frozenset[str]] = {}
    found: list[tuple[str, Path]] = []
    for path in paths:
        if (path / _HOLDOUT_IDS).is_file():
            asked |= _holdout(path)
            found += [(i, waveform_path(path / "ecg-waveforms-npz", i)) for i in _holdout(path)]
        else:
            found += [(_id_of(file), file) for file in _files(path)]
    return BareWaveforms(_by_id(found, paths), asked)


def _holdout(folder: Path) -> dict[str, frozenset[str]]:
    """Tasks by id."""
    ecgs = HoldoutSource(path=folder).tables().ecgs
    names = [name for name in ecgs.columns if name != "ecg_id"]
    return {
        row["ecg_id"]: frozenset(n.removeprefix("holdout_") for n in names if row[n])
        for row in ecgs.iter_rows(named=True)
    }


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def _id_of(file: Path) -> str:
    is_page = file.suffix == ".npz" and _PAGE_NAME.fullmatch(file.stem)
    return f"ecg{file.stem}" if is_page else file.stem


def _by_id(found: Sequence[tuple[str, Path]], paths: Sequence[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    doubled = []
    for ecg_id, file in found:
        if files.setdefault(ecg_id, file) != file:
            doubled.append(f"{files[ecg_id]} and {file}")
    if doubled:
        raise InputError(
            f"{len(doubled):,} pairs of files have one id, their name without suffix (first: "
            f"{first_few(doubled, n=2)}). Score them in separate calls, or rename them."
        )
    if not files:
        raise InputError(
            f"There is no ECG in {first_few(paths, n=3)}: no file ends in {', '.join(SUFFIXES)}. "
            "A file of another name is read when it is named itself."
        )
    return files
