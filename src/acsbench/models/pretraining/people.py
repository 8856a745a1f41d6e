"""Of whom a pre-training learns: patients of train alone, without a look at any label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from acsbench.dataset import WaveformDataset
from acsbench.errors import InputError
from acsbench.store import WaveformStore
from acsbench.tables import Cohort, Split

__all__ = ["Unlabelled", "unlabelled"]


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """Records to learn from and to validate on, of different patients.

    Attributes
    ----------
    train, val : WaveformDataset
        Without tasks.
    remarks : tuple of str
        How they were chosen, for whoever reads results.
    """

    train: WaveformDataset
    val: WaveformDataset
    remarks: tuple[str, ...]


def unlabelled(
    store: WaveformStore, cohort: Cohort | None, *, val_share: float, seed: int
) -> Unlabelled:
    """Choose the records of a pre-training.

    Patients who have any record in val, test or holdout do not enter train, however the cohort was
    split. Without val, a share of the training patients validates. Without a cohort nobody is
    known to be kept apart: every record counts as a patient of its own.

    Parameters
    ----------
    store : WaveformStore
    cohort : Cohort, optional
    val_share : float
    seed : int

    Raises
    ------
    InputError
        When too few records are left.
    """
    rows = _people(store, cohort)
    train = rows.filter(pl.col("part") == "train")
    val = rows.filter(pl.col("part") == "val")
    remarks = []
    if cohort is None:
        remarks.append(
            "Pre-trained without a cohort: patients are not known, so any of these ECGs may be of "
            "a patient in somebody's val or test."
        )
    if val.is_empty():
        train, val = _held_apart(train, val_share, seed)
        remarks.append(f"Validated on {val['who'].n_unique():,} patients taken out of train.")
    if len(train) < 2 or val.is_empty():
        raise InputError(
            f"{len(train):,} ECGs to learn from and {len(val):,} to validate on are too few: the "
            "store needs waveforms of patients of the cohort's train, of at least two."
        )
    fingerprint = "" if cohort is None else cohort.split_fingerprint
    return Unlabelled(
        train=_dataset(store, train, Split.TRAIN, fingerprint),
        val=_dataset(store, val, Split.VAL, fingerprint),
        remarks=tuple(remarks),
    )


def _people(store: WaveformStore, cohort: Cohort | None) -> pl.DataFrame:
    """``ecg_id, who, part`` of every record that may be used and has a waveform."""
    there = store.index.filter(pl.col("status") == "ok").select("ecg_id")
    if cohort is None:
        return there.with_columns(pl.col("ecg_id").alias("who"), pl.lit("train").alias("part"))
    frame = cohort.frame.with_columns(pl.coalesce("patient_id", "ecg_id").alias("who"))
    scoring = _who(frame, "test") | _who(frame, "holdout")
    choosing = scoring | _who(frame, "val")
    part = (
        pl.when((pl.col("split") == "train") & ~pl.col("who").is_in(sorted(choosing)))
        .then(pl.lit("train"))
        .when((pl.col("split") == "val") & ~pl.col("who").is_in(sorted(scoring)))
        .then(pl.lit("val"))
    )
    chosen = frame.filter("is_included").select("ecg_id", "who", part.alias("part"))
    return chosen.drop_nulls("part").join(there, on="ecg_id", how="semi")


def _who(frame: pl.DataFrame, split: str) -> set[str]:
    return set(frame.filter(pl.col("split") == split)["who"])


def _held_apart(train: pl.DataFrame, share: float, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take a share of the patients, at least one, out of train."""
    who = train["who"].unique().sort().to_numpy()
    order = np.random.default_rng(seed).permutation(who)
    apart = pl.col("who").is_in(order[: max(round(share * len(order)), 1)].tolist())
    return train.filter(~apart), train.filter(apart)


def _dataset(
    store: WaveformStore, rows: pl.DataFrame, split: Split, fingerprint: str
) -> WaveformDataset:
    ecg_ids = tuple(rows["ecg_id"].sort())
    return WaveformDataset(
        ecg_ids=ecg_ids,
        tasks=(),
        split=split,
        split_fingerprint=fingerprint,
        feature_frame=pl.DataFrame(),
        store=store,
        rows=store.rows_of(ecg_ids),
        failed={},
        _labels=np.zeros((len(ecg_ids), 0), np.float32),
    )
