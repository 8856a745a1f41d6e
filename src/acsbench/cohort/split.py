"""Who is in which split: decided per patient over everybody, before any task is named."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from acsbench.errors import TableError, did_you_mean, first_few
from acsbench.provenance import atomic_text
from acsbench.tables import Split, read_table

__all__ = [
    "shared_patients",
    "split_by_file",
    "split_by_fold",
    "split_like_the_paper",
    "split_patients",
    "write_split_file",
]

PAPER_FRACTIONS = {Split.TRAIN: 0.70, Split.VAL: 0.15, Split.TEST: 0.15}
"""The original kept 30 % for both choosing and reporting; here the two halves have a name each."""

UPSTREAM_NAMES = {"valid": Split.VAL}
"""Spellings of a split that published files use for one of ours."""


def _position(patient_id: str, seed: int) -> float:
    """Place of a patient on [0, 1): a keyed hash, so it depends on nobody else."""
    key = f"acsbench-split-{seed}".encode()
    digest = hashlib.blake2b(patient_id.encode(), key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def split_patients(
    patient_ids: Sequence[str], *, fractions: Mapping[Split, float], seed: int
) -> dict[str, Split]:
    """Assign every patient, with all their records, to one split.

    Parameters
    ----------
    patient_ids : sequence of str
        Repeats do not matter.
    fractions : mapping of Split to float
        Shares of patients, summing to 1.
    seed : int
        Same id and seed, same split: on any machine, whoever else is in the table.

    Raises
    ------
    TableError
        If a patient id is missing.

    Notes
    -----
    Splitting by record would put one heart on both sides of the wall.
    """
    n_missing = sum(patient_id is None for patient_id in patient_ids)
    if n_missing:
        raise TableError(
            f"{n_missing:,} of {len(patient_ids):,} records have no patient_id. A split is made by "
            "patient; give every record its patient."
        )
    splits = list(fractions)
    upper = np.cumsum(list(fractions.values()))[:-1]

    def place(patient_id: str) -> Split:
        return splits[int(np.searchsorted(upper, _position(patient_id, seed), side="right"))]

    return {patient_id: place(patient_id) for patient_id in set(patient_ids)}


def split_by_fold(
    frame: pl.DataFrame, *, column: str, folds: Mapping[Split, Sequence[int]]
) -> dict[str, Split]:
    """Assign records by a publisher's fold column; folds never divide a patient.

    Parameters
    ----------
    frame : DataFrame
        Needs ``ecg_id``, ``patient_id`` and ``column``.
    column : str
        Holds the number of each record's fold.
    folds : mapping of Split to sequence of int
        Folds that the table does not hold are fine.

    Raises
    ------
    TableError
        When a fold has no split or two, or a patient stands in two splits.
    """
    split_of = _split_of_fold(folds)
    if column not in frame.columns:
        raise TableError(
            f"The ECGs have no fold column '{column}'.{did_you_mean(column, frame.columns)}"
        )
    unplaced = sorted(set(frame[column].drop_nulls()) - set(split_of))
    if unplaced or frame[column].has_nulls():
        shown = first_few(unplaced or ["(missing)"])
        raise TableError(
            f"Column '{column}' holds folds without a split: {shown}. "
            f"Known: {sorted(split_of)}. Name them under [cohort.folds]."
        )
    by_record = {e: split_of[f] for e, f in frame.select("ecg_id", column).iter_rows()}
    _refuse_divided(frame, by_record, f"The folds of '{column}'")
    return by_record


def _split_of_fold(folds: Mapping[Split, Sequence[int]]) -> dict[int, Split]:
    split_of: dict[int, Split] = {}
    for split, numbers in folds.items():
        for fold in numbers:
            if split_of.setdefault(fold, split) is not split:
                raise TableError(
                    f"Fold {fold} stands in two splits, {split_of[fold]} and {split}. "
                    "Each fold goes to one split."
                )
    return split_of


def split_by_file(frame: pl.DataFrame, path: Path) -> dict[str, Split]:
    """Assign records by a file of ``ecg_id`` or ``patient_id`` and ``split``.

    Upstream's ``valid`` is read as ``val``.

    Parameters
    ----------
    frame : DataFrame
        Needs ``ecg_id`` and ``patient_id``.
    path : Path
        CSV or Parquet; with both keys, patients decide.

    Raises
    ------
    MissingPathError, TableError
        When a record is not named, a split is unknown, or a patient stands in two splits.
    """
    key, split_of = _read_split_file(path)
    missing = [k for k in frame[key].unique(maintain_order=True) if k not in split_of]
    if missing:
        raise TableError(
            f"{path} names no split for {len(missing):,} values of {key} "
            f"(first: {first_few(missing, n=3)}). Every record needs one, included or not."
        )
    by_record = {e: split_of[k] for e, k in zip(frame["ecg_id"], frame[key], strict=True)}
    _refuse_divided(frame, by_record, str(path))
    return by_record


def write_split_file(frame: pl.DataFrame, path: Path) -> None:
    """Write who is in which split, so that others can split alike: ids only, sorted.

    Patients are named where none is divided (and `split_by_file` then places whatever ECGs of
    theirs it meets); otherwise, as under the scheme ``paper``, ECGs are.

    Parameters
    ----------
    frame : DataFrame
        A cohort's: needs ``ecg_id``, ``patient_id``, ``split``.
    path : Path
        A CSV. It is patient-level: it holds ids.
    """
    by_patient = frame.select("patient_id", "split").unique()
    is_whole = not by_patient["patient_id"].is_duplicated().any()
    key = "patient_id" if is_whole and not by_patient["patient_id"].has_nulls() else "ecg_id"
    atomic_text(path, frame.select(key, "split").unique().sort(key).write_csv())


def _read_split_file(path: Path) -> tuple[str, dict[str, Split]]:
    """Name of the key column, and the split of each key."""
    table = read_table(path, text_columns=("ecg_id", "patient_id"))
    key = next((name for name in ("patient_id", "ecg_id") if name in table.columns), None)
    if key is None or "split" not in table.columns:
        raise TableError(
            f"{path} has the columns {', '.join(table.columns)}; a split file needs 'split' and "
            "one of 'patient_id' and 'ecg_id'."
        )
    # a holdout has neither patients nor labels, so it never stands beside the other three
    known = {str(s): s for s in (Split.TRAIN, Split.VAL, Split.TEST)} | UPSTREAM_NAMES
    bad = [str(name) for name in table["split"].unique(maintain_order=True) if name not in known]
    if bad:
        raise TableError(
            f"{path}: unknown splits {first_few(bad)}.{did_you_mean(bad[0], known)} "
            f"Known: {', '.join(known)}."
        )
    split_of: dict[str, Split] = {}
    for name, split in table.select(key, "split").iter_rows():
        if split_of.setdefault(name, known[split]) is not known[split]:
            raise TableError(f"{path}: {key} {name} stands in two splits. Each goes to one.")
    return key, split_of


def _refuse_divided(frame: pl.DataFrame, by_record: Mapping[str, Split], what: str) -> None:
    seen: dict[str, Split] = {}
    divided = {
        patient
        for ecg_id, patient in frame.select("ecg_id", "patient_id").iter_rows()
        if seen.setdefault(patient, by_record[ecg_id]) != by_record[ecg_id]
    }
    if divided:
        raise TableError(
            f"{what} put {len(divided):,} patients in two splits (first: "
            f"{first_few(sorted(divided), n=3)}). A patient is in one split, with all records."
        )


def split_like_the_paper(frame: pl.DataFrame, *, seed: int) -> dict[str, Split]:
    """Reproduce the original: tested and untested patients are split apart, with one seed.

    A patient with visits of both kinds is drawn twice, and may train MACE and be scored on ACS.
    The leak is the point: it is counted, so that results can be compared. Records that are not
    included, or have no test flag, are a third draw: the original never saw them.

    Parameters
    ----------
    frame : DataFrame
        Needs ``ecg_id``, ``patient_id``, ``is_included``, ``is_tested``, ``is_untested``.
    seed : int
        Seeds each of the draws.
    """
    tested = pl.col("is_included") & pl.col("is_tested")
    untested = pl.col("is_included") & pl.col("is_untested")
    by_record: dict[str, Split] = {}
    for population in (tested, untested, ~(tested | untested)):
        rows = frame.filter(population)
        split_of = _shuffle_and_cut(sorted(set(rows["patient_id"])), seed)
        by_record |= {e: split_of[p] for e, p in rows.select("ecg_id", "patient_id").iter_rows()}
    return by_record


def _shuffle_and_cut(patients: Sequence[str], seed: int) -> dict[str, Split]:
    places = np.random.default_rng(seed).permutation(len(patients))
    borders = np.cumsum([round(f * len(patients)) for f in PAPER_FRACTIONS.values()][:-1])
    bins = np.searchsorted(borders, places, side="right")
    return dict(zip(patients, (list(PAPER_FRACTIONS)[b] for b in bins), strict=True))


def shared_patients(frame: pl.DataFrame) -> int:
    """Patients whose included records stand in more than one split, over all tasks.

    Parameters
    ----------
    frame : DataFrame
        Needs ``patient_id``, ``split``, ``is_included``.
    """
    splits = frame.filter(pl.col("is_included") & pl.col("patient_id").is_not_null())
    counts = splits.group_by("patient_id").agg(pl.col("split").n_unique())
    return counts.filter(pl.col("split") > 1).height
