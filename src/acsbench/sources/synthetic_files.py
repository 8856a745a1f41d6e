"""The generated hospital's tables in the upstream columns and id patterns."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from acsbench.sources.nightingale import FLAGS
from acsbench.sources.synthetic_people import People
from acsbench.sources.synthetic_rates import TERRITORIES

__all__ = [
    "ecg_id",
    "ecg_tables",
    "encounter_table",
    "patient_table",
    "truth_table",
]

_FIRST_DAY = dt.datetime(2110, 1, 1)
_STRESS_TESTED = 0.054
"""Of visits without a catheterization; published: 4,609 of 51,158 had either test."""
_INCOME = ("under_25k", "25k_to_50k", "50k_to_75k", "75k_to_100k", "100k_to_200k", "above_200k")


def _hex(number: int, seed: int, stream: int, *, digits: int) -> str:
    """Scatter numbers over all ids of a width; an odd factor makes it one to one."""
    size = 16**digits
    shifted = number + (size // 2 if stream else 0)
    return f"{(shifted * 0x9E3779B1 + seed * 0x85EBCA6B) % size:0{digits}x}"


def patient_id(number: int, seed: int, stream: int = 0) -> str:
    """Id of a patient: ``pat`` and 8 hex digits."""
    return "pat" + _hex(number, seed, stream, digits=8)


def ecg_id(number: int, seed: int, stream: int = 0) -> str:
    """Id of an ECG: ``ecg`` and 10 hex digits."""
    return "ecg" + _hex(number, seed, stream, digits=10)


def visit_id(number: int, seed: int) -> str:
    """Id of a visit."""
    return "enc" + _hex(number, seed, 0, digits=8)


def _bits(values: pl.Series) -> pl.Series:
    return values.cast(pl.Int64)


def patient_table(people: People, seed: int) -> pl.DataFrame:
    """``patient.csv``: 12 columns."""
    patients = people.patients
    n = len(patients)
    shares = np.random.default_rng([seed, 3]).dirichlet([4, 5, 4, 3, 4, 1.5], size=n).round(4)
    columns: dict[str, Any] = {
        "patient_ngsci_id": [patient_id(i, seed) for i in range(n)],
        "sex": np.where(patients["female"].to_numpy(), "Female", "Male"),
        **{
            f"race_{race}": _bits(patients["race"] == race)
            for race in ("black", "hispanic", "white", "other")
        },
        **{f"agi_{name}": shares[:, i] for i, name in enumerate(_INCOME)},
    }
    return pl.DataFrame(columns)


def _start(visits: pl.DataFrame) -> pl.Series:
    return pl.Series([_FIRST_DAY + dt.timedelta(hours=int(h)) for h in visits["start_h"]])


def encounter_table(people: People, seed: int) -> pl.DataFrame:
    """``ed-encounter.csv``: 28 columns; empty cells where a flag or label is missing."""
    visits = people.visits
    n = len(visits)
    rng = np.random.default_rng([seed, 4])
    start = _start(visits)
    excluded, tested = visits["excluded"].to_numpy(), visits["tested"].to_numpy()
    treated, mace = visits["treated"].to_numpy(), visits["mace"].to_numpy()
    stress = ~tested & (rng.random(n) < _STRESS_TESTED)
    days = rng.integers(0, 10, n).astype(float)
    reason = rng.integers(0, 3, n)
    infarct = mace & (rng.random(n) < 0.5)
    troponin = visits["troponin"].to_numpy()
    trop_group = np.where(troponin > 0.04, "positive", "negative")
    frame = pl.DataFrame(
        {
            "patient_ngsci_id": [patient_id(p, seed) for p in visits["patient"]],
            "ed_enc_id": [visit_id(i, seed) for i in range(n)],
            "start_datetime": start,
            "end_datetime": start + pl.Series(rng.integers(2, 30, n)) * dt.timedelta(hours=1),
            "age_at_admit": visits["age"].round(2),
            "macetrop_030_pos": mace & ~(visits["death"].to_numpy() & (rng.random(n) < 0.2)),
            "death_030_day": visits["death"],
            "macetrop_pos_or_death_030": mace,
            "stent_010_day": treated & ~visits["by_bypass"].to_numpy(),
            "cabg_010_day": visits["by_bypass"],
            "stent_or_cabg_010_day": treated,
            "ami_day_of": infarct,
            "days_to_ami": np.where(infarct, 0.0, np.nan),
            "maxtrop_sameday": troponin.round(4),
            "tn_group_sameday": np.where(np.isnan(troponin), "", trop_group),
            "disch_disp": np.where(mace, "admitted", "home"),
            "disch_obs": rng.random(n) < 0.2,
            "test_010_day": tested | stress,
            "stress_010_day": stress,
            "cath_010_day": tested,
            "days_to_stress": np.where(stress, days, np.nan),
            "days_to_cath": np.where(tested, days, np.nan),
            "first_test": np.where(tested, "cath", np.where(stress, "stress", "")),
            "excl_flag_c_int": excluded & (reason == 0),
            "excl_flag_chronic": excluded & (reason == 1),
            "excl_flag_death": excluded & (reason == 2),
            "exclude_modeling": excluded,
            "exclude": excluded | (rng.random(n) < 0.15),
        }
    )
    no_flag = pl.Series(visits["flag_missing"])
    no_label = pl.Series(visits["label_missing"])
    # the parts go with the whole, or the label could be put together again
    outcomes = (
        *("stent_010_day", "cabg_010_day", "stent_or_cabg_010_day"),
        *("macetrop_030_pos", "death_030_day", "macetrop_pos_or_death_030"),
    )
    return frame.with_columns(
        pl.when(~no_flag).then(pl.col("cath_010_day")).alias("cath_010_day"),
        *(pl.when(~no_label).then(pl.col(name)).alias(name) for name in outcomes),
        *(pl.col(name).fill_nan(None) for name in ("days_to_ami", "maxtrop_sameday")),
        *(pl.col(name).fill_nan(None) for name in ("days_to_stress", "days_to_cath")),
    )


def ecg_tables(people: People, seed: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """``ecg-metadata.csv`` (39 columns), ``ecg-ed-enc.csv`` and ``ecg-npy-index.csv``."""
    ecgs, visits = people.ecgs, people.visits
    n = len(ecgs)
    rng = np.random.default_rng([seed, 5])
    visit = ecgs["visit"].to_numpy()
    ids = [ecg_id(i, seed) for i in range(n)]
    rate = ecgs["rate"].to_numpy().round()
    qt = np.rint(400 * np.sqrt(60 / rate) + rng.normal(0, 18, n))
    qtc = np.rint(qt / np.sqrt(60 / rate))
    afib = ecgs["has_afib"].to_numpy()
    axes = {name: np.rint(rng.normal(mean, 30, n)) for name, mean in _AXES}
    columns: dict[str, Any] = {
        "patient_ngsci_id": [patient_id(p, seed) for p in visits["patient"].to_numpy()[visit]],
        "ecg_id": ids,
        "date": _start(visits).gather(visit).dt.date(),
        "p-r-t_axes": [
            f"{'' if no_p else int(p)} {int(r)} {int(t)}".strip()
            for no_p, p, r, t in zip(afib, *axes.values(), strict=True)
        ],
        "p_axes": np.where(afib, np.nan, axes["p_axes"]),
        "r_axes": axes["r_axes"],
        "t_axes": axes["t_axes"],
        "pr_interval": np.where(afib, np.nan, np.rint(rng.normal(162, 24, n))),
        "pr_interval_units": "ms",
        "qrs_duration": np.rint(rng.normal(92, 12, n)),
        "qrs_duration_units": "ms",
        "qt_interval": qt,
        "qt_interval_units": "ms",
        "qtc_interval": qtc,
        "qtc_interval_units": "ms",
        "qtqtc": [f"{int(a)}/{int(b)}" for a, b in zip(qt, qtc, strict=True)],
        "vent_rate": rate,
        "vent_rate_units": "BPM",
        **{name: _bits(ecgs[name]) for name in FLAGS},
    }
    metadata = pl.DataFrame(columns).with_columns(pl.col("p_axes", "pr_interval").fill_nan(None))
    links = pl.DataFrame({"ecg_id": ids, "ed_enc_id": [visit_id(v, seed) for v in visit]}).filter(
        ecgs["is_linked"]
    )
    return metadata, links, pl.DataFrame({"ecg_id": ids, "npy_index": np.arange(n)})


_AXES = (("p_axes", 50), ("r_axes", 35), ("t_axes", 45))


def truth_table(people: People, seed: int, *, stream: int) -> pl.DataFrame:
    """What nobody knows in a real hospital: lesion, territory, severity and the best score."""
    rows = people.visits.select(
        pl.int_range(pl.len()).alias("visit"),
        "tested",
        (~pl.col("excluded")).alias("included"),
        "lesion",
        pl.col("territory").replace_strict(dict(enumerate(TERRITORIES))),
        "severity",
        "true_risk",
        pl.col("treated").alias("stent_or_cabg_010_day"),
        pl.col("mace").alias("macetrop_pos_or_death_030"),
    )
    ecgs = people.ecgs.select(pl.col("visit").cast(pl.Int64))
    ids = pl.Series("ecg_id", [ecg_id(i, seed, stream) for i in range(len(ecgs))])
    return ecgs.with_columns(ids).join(rows, on="visit", how="left").drop("visit")
