"""Patients, visits, outcomes and ECG reports of the generated hospital, as columns of numbers.

A lesion is drawn for a visit once it is known whether the visit was tested, from nothing else:
given tested or untested it is independent of age, sex, rate and all that shapes an ECG, so with an
effect of zero the waveforms carry no information on outcomes. Under ``returning`` a patient's
lesions resemble each other: then only who the patient is says something, to those who know
another of the patient's outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.sources.synthetic_rates import (
    BENIGN_SD_MV,
    FLAGS_BY_GROUP,
    FLAGS_BY_LABEL,
    FLAGS_EXCLUDED,
    MACE_GIVEN_LESION,
    OLDEST,
    RATES,
    SEVERITY_RANGE,
    TERRITORY_SHARES,
    TREATED_SHARE,
    YOUNGEST,
    Demographics,
    Rates,
    RatesName,
    lesion_posterior,
)

__all__ = ["People", "draw_people"]

_COPY_SHARE, _BLANK_SHARE, _LEAD_SHARE = 0.01, 0.005, 0.005
_UNLINKED_SHARE, _MISSING_SHARE = 0.02, 0.005
_STAYING_STREAM = 5
"""Draws of its own, so that hospitals without persistence keep their bytes."""


@dataclass(frozen=True, kw_only=True)
class People:
    """Three tables of the same hospital, rows in the order of their numbers.

    Attributes
    ----------
    patients, visits, ecgs : DataFrame
        ``visits.patient`` and ``ecgs.visit`` are row numbers.
    """

    patients: pl.DataFrame
    visits: pl.DataFrame
    ecgs: pl.DataFrame


def draw_people(
    n_patients: int, *, seed: int, rates: RatesName, effect_mv: float, stream: int = 0
) -> People:
    """Draw a hospital's people.

    Parameters
    ----------
    n_patients : int
    seed : int
    rates : {"demo", "published", "returning"}
    effect_mv : float
        ST shift of a lesion of severity 1.
    stream : int
        Another number gives other people for the same seed: the holdout's.
    """
    rng = np.random.default_rng([seed, stream])
    chosen = RATES[rates]
    patients = _patients(rng, n_patients, chosen)
    stays = np.random.default_rng([seed, stream, _STAYING_STREAM])
    visits = _visits(rng, patients, chosen, effect_mv, stays=stays)
    return People(patients=patients, visits=visits, ecgs=_ecgs(rng, patients, visits, chosen))


def _patients(rng: np.random.Generator, n: int, rates: Rates) -> pl.DataFrame:
    frail = rng.random(n) < rates.frail
    prone = ~frail & (rng.random(n) < rates.prone)
    age, female, race = np.zeros(n), np.zeros(n, bool), np.zeros(n, int)
    groups: list[tuple[NDArray[np.bool_], Demographics]] = [
        (frail, rates.frail_group),
        (prone, rates.tested_group),
        (~frail & ~prone, rates.other_group),
    ]
    for members, group in groups:
        size = int(members.sum())
        age[members] = YOUNGEST + (OLDEST - YOUNGEST) * rng.beta(*group.age_shape(), size=size)
        female[members] = rng.random(size) < group.female
        shares = np.array(list(group.races.values()))
        race[members] = rng.choice(len(shares), size=size, p=shares / shares.sum())
    races = np.array(list(rates.untested_group.races))
    return pl.DataFrame(
        {
            "frail": frail,
            "prone": prone,
            "age": age,
            "female": female,
            "race": races[race],
            # the heart's own: size, turn of its axis (radians), T against R, rate
            "scale": np.exp(rng.normal(0, 0.12, n)) * np.where(female, 0.92, 1.0),
            "turn_frontal": rng.normal(0, 0.22, n),
            "turn_horizontal": rng.normal(0, 0.18, n),
            "t_share": np.exp(rng.normal(0, 0.18, n)),
            "rate": np.clip(rng.normal(76, 13, n), 45, 140),
        }
    )


def _visits(
    rng: np.random.Generator,
    patients: pl.DataFrame,
    rates: Rates,
    effect_mv: float,
    *,
    stays: np.random.Generator,
) -> pl.DataFrame:
    frail, prone = patients["frail"].to_numpy(), patients["prone"].to_numpy()
    mean = np.where(frail, rates.visits_frail, np.where(prone, rates.visits_prone, rates.visits))
    patient = np.repeat(np.arange(len(patients)), 1 + rng.poisson(mean - 1))
    n = patient.size
    excluded = rng.random(n) < np.where(frail[patient], rates.excluded_frail, rates.excluded_other)
    chance = np.where(excluded, rates.tested_excluded, rates.tested_prone * prone[patient])
    tested = rng.random(n) < chance
    prior = np.where(tested, rates.lesion_tested, rates.lesion_untested)
    # a draw of the patient's own has the same distribution: shares of lesions stay as they are
    of_visit, of_patient = rng.random(n), stays.random(len(patients))[patient]
    lesion = np.where(stays.random(n) < rates.persistence, of_patient, of_visit) < prior
    territory = rng.choice(len(TERRITORY_SHARES), size=n, p=TERRITORY_SHARES)
    severity = rng.uniform(*SEVERITY_RANGE, size=n)
    shift = rng.normal(0, BENIGN_SD_MV, (n, len(TERRITORY_SHARES)))
    shift[np.arange(n), territory] += lesion * severity * effect_mv
    treated = lesion & tested & (rng.random(n) < TREATED_SHARE)
    group = np.where(excluded, "excluded", np.where(tested, "tested", "untested"))
    mace_chance = np.array(
        [MACE_GIVEN_LESION[g][int(d)] for g, d in zip(group, lesion, strict=True)]
    )
    mace = rng.random(n) < mace_chance
    visits = pl.DataFrame(
        {
            "patient": patient,
            "excluded": excluded,
            "tested": tested,
            "lesion": lesion,
            "territory": territory,
            "severity": severity,
            "treated": treated,
            "by_bypass": treated & (rng.random(n) < 0.15),
            "mace": mace,
            "death": mace & (rng.random(n) < 0.12),
            "true_risk": lesion_posterior(shift, prior, effect_mv=effect_mv),
            "age": patients["age"].to_numpy()[patient],
            "troponin": np.where(
                rng.random(n) < 0.45, np.nan, np.exp(rng.normal(-4.2 + 2.2 * mace, 0.8))
            ),
            "start_h": rng.integers(0, 6 * 365 * 24, n),
            "flag_missing": rng.random(n) < _MISSING_SHARE,
            "label_missing": rng.random(n) < _MISSING_SHARE,
        }
    )
    return visits.with_columns(pl.Series(f"st_{i}", shift[:, i]) for i in range(shift.shape[1]))


def _ecgs(
    rng: np.random.Generator, patients: pl.DataFrame, visits: pl.DataFrame, rates: Rates
) -> pl.DataFrame:
    tested, excluded = visits["tested"].to_numpy(), visits["excluded"].to_numpy()
    mean = np.where(
        excluded, rates.ecgs_excluded, np.where(tested, rates.ecgs_tested, rates.ecgs_untested)
    )
    visit = np.repeat(np.arange(len(visits)), 1 + rng.poisson(mean - 1))
    n = visit.size
    numbers = np.arange(n)
    repeated = np.append(False, visit[1:] == visit[:-1])
    fate = rng.random(n)
    copied = repeated & (fate < _COPY_SHARE * n / max(repeated.sum(), 1))
    fate = rng.random(n)
    columns: dict[str, Any] = {
        "visit": visit,
        "waveform": np.where(copied, numbers - 1, numbers),
        "is_blank": fate < _BLANK_SHARE,
        "lost_lead": np.where(
            (fate >= _BLANK_SHARE) & (fate < _BLANK_SHARE + _LEAD_SHARE),
            rng.integers(0, 12, n),
            -1,
        ),
        "is_linked": rng.random(n) >= _UNLINKED_SHARE,
        "rate": np.clip(
            patients["rate"].to_numpy()[visits["patient"].to_numpy()[visit]] + rng.normal(0, 6, n),
            40,
            150,
        ),
    }
    # a copy is the same page, defects and all
    for name in ("is_blank", "lost_lead", "rate"):
        columns[name] = columns[name][columns["waveform"]]
    columns |= _flags(rng, visits, visit)
    columns["has_afib"] = columns["has_afib"][columns["waveform"]]
    return pl.DataFrame(columns)


def _flags(
    rng: np.random.Generator, visits: pl.DataFrame, visit: NDArray[np.int64]
) -> dict[str, NDArray[np.bool_]]:
    """Findings of the report: noisy and weak, as published; the waveform does not show them."""
    tested = visits["tested"].to_numpy()[visit]
    treated = visits["treated"].to_numpy()[visit]
    excluded = visits["excluded"].to_numpy()[visit]
    chances = {
        name: np.where(tested, high, low) for name, (low, high) in FLAGS_BY_GROUP.items()
    } | {
        name: np.where(~tested, untested, np.where(treated, positive, negative))
        for name, (untested, negative, positive) in FLAGS_BY_LABEL.items()
    }
    for name, chance in FLAGS_EXCLUDED.items():
        chances[name] = np.where(excluded, chance, chances[name])
    return {name: rng.random(visit.size) < chance for name, chance in chances.items()}
