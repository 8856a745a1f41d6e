"""From a cohort to a board's task: what entrants get, what is public, and what the host keeps.

Entrants get ids and waveforms, laid out as a holdout, with neither labels nor anything else that
is known of an ECG. The ids are new and random, since a record's own id may be known elsewhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from acsbench.errors import InputError, RecordingError, first_few
from acsbench.experiment.board_version import board_version, split_labels
from acsbench.experiment.steps import reopen_source
from acsbench.leaderboard.definition import Release, write_task
from acsbench.leaderboard.truth_table import check_truth
from acsbench.parallel import Workers, map_units
from acsbench.provenance import atomic_path
from acsbench.recording import Recording
from acsbench.signal.leads import PAGE_LEADS
from acsbench.sources.base import Source
from acsbench.sources.nightingale import SAMPLING_RATE, waveform_path
from acsbench.tables import Cohort, read_table

__all__ = ["MadeTask", "make_task"]

_CHUNK = 64
_MAX_FAILED_SHARE = 0.05
_NEW_ID_BYTES = 5


@dataclass(frozen=True)
class MadeTask:
    """Where everything of a board's tasks is.

    Attributes
    ----------
    entrants : Path
        A holdout: ``holdout-ids.csv`` and ``ecg-waveforms-npz/``.
    tasks : dict of str to Path
        Public definition and ids, by slug.
    labels : dict of str to Path
        Of the host alone: what a vault is sealed from.
    n_rows : dict of str to int
    unreadable : tuple of str
        ECGs of the cohort that could not be read, and are in no task.
    """

    entrants: Path
    tasks: dict[str, Path]
    labels: dict[str, Path]
    n_rows: dict[str, int]
    unreadable: tuple[str, ...]


def make_task(
    cohort_folder: Path,
    out: Path,
    *,
    tasks: Sequence[str] = ("acs",),
    split: str = "test",
    opens: datetime | None = None,
    release: Release | None = None,
    workers: Workers | None = None,
) -> MadeTask:
    """Write ``entrants/``, ``tasks/<slug>/`` and ``host/``; a stopped run goes on where it was.

    Parameters
    ----------
    cohort_folder : Path
        As the cohort step wrote it; its source has to be where it was.
    out : Path
        New, or an earlier attempt with the same records.
    tasks : sequence of str
        Registered tasks; each becomes a board.
    split : str
        Whose records are asked for.
    opens : datetime, optional
        By default now.
    release : Release, optional
        What is shown; by default the ladder.
    workers : Workers, optional

    Raises
    ------
    InputError
        When a patient of the split is also in another, when too many ECGs are unreadable, or when
        the folder holds another task.
    VaultError
        When the labels are too few for a board.
    """
    cohort = Cohort.load(cohort_folder)
    _refuse_shared_patients(cohort, split)
    labels = {name: split_labels(cohort, name, split) for name in tasks}
    opens = opens or datetime.now(UTC).replace(microsecond=0)
    for name, table in labels.items():  # before the long part
        check_truth(table, board_version(name, table, opens, release))
    names = _new_ids(pl.concat([t["ecg_id"] for t in labels.values()]), out / "host" / "ids.csv")
    entrants = out / "entrants"
    source = reopen_source(cohort_folder).source
    unreadable = _write_waveforms(source, names, entrants / "ecg-waveforms-npz", workers)
    _refuse_too_many(unreadable, len(names))
    made = MadeTask(entrants, {}, {}, {}, tuple(unreadable))
    asked = []
    for name, table in labels.items():
        kept = table.filter(~pl.col("ecg_id").is_in(unreadable))
        kept = kept.with_columns(pl.col("ecg_id").replace_strict(names)).sort("ecg_id")
        version = board_version(name, kept, opens, release)
        made.labels[name] = out / "host" / f"{name}-labels.csv"
        _write_private(check_truth(kept, version), made.labels[name])
        made.tasks[name] = write_task(version, out / "tasks" / name)
        made.n_rows[name] = version.n_rows
        asked.append(kept.select("ecg_id", task=pl.lit(name)))
    # written last: a holdout that has its list is whole
    with atomic_path(entrants / "holdout-ids.csv") as temporary:
        pl.concat(asked).sort("ecg_id", "task").write_csv(temporary)
    return made


def _refuse_shared_patients(cohort: Cohort, split: str) -> None:
    inside = pl.col("split") == split
    included = cohort.frame.filter("is_included")
    patients = included.filter(inside)["patient_id"].drop_nulls().unique()
    shared = included.filter(~inside)["patient_id"].unique()
    both = patients.filter(patients.is_in(shared.implode())).sort().to_list()
    if both:
        raise InputError(
            f"{len(both):,} patients of split '{split}' are also in another split (first: "
            f"{first_few(both, n=3)}): who trains on those knows them. Build the cohort with the "
            "scheme 'patient'."
        )


def _new_ids(ids: pl.Series, path: Path) -> dict[str, str]:
    """New id of each record; the table stays with the host, and is read again if it is there."""
    wanted = sorted(set(ids))
    if path.is_file():
        table = read_table(path)
        known = dict(zip(table["cohort_ecg_id"], table["ecg_id"], strict=True))
        if sorted(known) != wanted:
            raise InputError(
                f"{path} names {len(known):,} records and the cohort has {len(wanted):,} others. "
                "Choose another --out."
            )
        return known
    fresh: set[str] = set()
    while len(fresh) < len(wanted):
        fresh.add(f"ecg{secrets.token_hex(_NEW_ID_BYTES)}")
    names = dict(zip(wanted, fresh, strict=True))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    table = pl.DataFrame({"ecg_id": names.values(), "cohort_ecg_id": names.keys()})
    _write_private(table.sort("ecg_id"), path)
    return names


def _write_private(table: pl.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.touch(mode=0o600)
        table.write_csv(temporary)


def _write_waveforms(
    source: Source, names: dict[str, str], folder: Path, workers: Workers | None
) -> list[str]:
    """Write each waveform that is not there yet, in the order of the new ids."""
    todo = sorted(
        (pair for pair in names.items() if not waveform_path(folder, pair[1]).is_file()),
        key=lambda pair: pair[1],
    )
    chunks = [todo[start : start + _CHUNK] for start in range(0, len(todo), _CHUNK)]
    failed = map_units(_Writer(source, folder), chunks, workers=workers, label="waveforms")
    return sorted(ecg_id for chunk in failed for ecg_id in chunk)


@dataclass(frozen=True)
class _Writer:
    source: Source
    folder: Path

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        """Write waveforms under their new ids; return those that cannot be read."""
        failed = []
        recordings = self.source.recordings([old for old, _ in pairs])
        for (old, new), recording in zip(pairs, recordings, strict=True):
            if isinstance(recording, RecordingError):
                failed.append(old)
                continue
            path = waveform_path(self.folder, new)
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.savez_compressed(stream, waveform=_page(recording))
        return failed


def _page(recording: Recording) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The 15 rows of a page in millivolts; leads that were not recorded are NaN."""
    if recording.sampling_rate != SAMPLING_RATE or recording.units != "mV":
        raise InputError(
            f"ECG {recording.ecg_id} has {recording.sampling_rate:g} Hz and units "
            f"'{recording.units}'; a holdout is in millivolts at {SAMPLING_RATE:g} Hz."
        )
    page = np.full((len(PAGE_LEADS), recording.signal.shape[1]), np.nan, dtype=np.float32)
    for row, lead in enumerate(PAGE_LEADS):
        if lead in recording.lead_names:
            page[row] = recording.lead(lead)
    return page


def _refuse_too_many(unreadable: Sequence[str], n: int) -> None:
    if len(unreadable) > _MAX_FAILED_SHARE * n:
        raise InputError(
            f"{len(unreadable):,} of {n:,} ECGs cannot be read (first: "
            f"{first_few(unreadable, n=3)}). Is the source where it was when the cohort was built?"
        )
