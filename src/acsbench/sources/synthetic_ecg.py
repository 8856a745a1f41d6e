"""The heart dipole: Gaussian waves in three axes, projected to leads, printed on a page.

Sources: waves as Gaussians, McSharry et al., IEEE Trans Biomed Eng 50:289 (2003), and a vector per
wave, Sameni et al., EURASIP J Adv Signal Process 2007:043407; lead projection, Dower et al. (1980)
as in Edenbrandt & Pahlm, J Electrocardiol 21:361 (1988).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acsbench.signal.leads import LIMB_LEADS, PAGE_COLUMNS, PAGE_LEADS, STANDARD_12

__all__ = ["GRID_MV", "N_SAMPLES", "SAMPLING_RATE", "Heart", "draw_page"]

SAMPLING_RATE = 500.0
N_SAMPLES = 5000
GRID_MV = 0.005

# X to the left, Y to the feet, Z to the back
_DOWER = {
    "I": (0.632, -0.235, 0.059),
    "II": (0.235, 1.066, -0.132),
    "V1": (-0.515, 0.157, -0.917),
    "V2": (0.044, 0.164, -1.387),
    "V3": (0.882, 0.098, -1.277),
    "V4": (1.213, 0.127, -0.601),
    "V5": (1.125, 0.127, -0.086),
    "V6": (0.831, 0.076, 0.230),
}
_TERRITORY_AXES = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Anterior, lateral, inferior: where the ST vector of an injury points."""

# wave: milliseconds after R, width in ms, vector in mV
_P = (-165.0, 22.0, (0.06, 0.10, -0.02))
_QRS = (
    (-22.0, 9.0, (-0.10, 0.02, -0.22)),
    (0.0, 11.0, (0.95, 0.75, 0.20)),
    (24.0, 11.0, (-0.15, -0.18, 0.55)),
)
_T = (265.0, 48.0, (0.24, 0.18, -0.17))
_ECTOPIC = ((10.0, 38.0, (-0.9, 0.5, -0.6)), (290.0, 65.0, (0.35, -0.25, 0.25)))
_J_MS, _J_WIDTH_MS, _T_END_WIDTH_MS = 48.0, 12.0, 40.0
_T_OPPOSES = 0.7
"""Share of the ST shift by which T turns the other way."""


@dataclass(frozen=True, kw_only=True)
class Heart:
    """What shapes one ECG.

    Attributes
    ----------
    rate : float
        Beats per minute.
    scale, t_share : float
        Size of all waves, and of T beside that.
    turn_frontal, turn_horizontal : float
        Radians.
    st_mv : ndarray, shape (3,)
        ST shift along the anterior, lateral and inferior axes.
    has_afib : bool
        No P waves, irregular beats.
    """

    rate: float
    scale: float
    t_share: float
    turn_frontal: float
    turn_horizontal: float
    st_mv: NDArray[np.float64]
    has_afib: bool


def draw_page(
    heart: Heart, rng: np.random.Generator, *, lost_lead: int = -1
) -> NDArray[np.float32]:
    """Draw a printed page: 15 rows at 500 Hz, on the drawing grid, NaN where nothing is printed.

    Parameters
    ----------
    heart : Heart
    rng : Generator
        Beats, ectopy, wander, hum and noise of this recording.
    lost_lead : int
        Row that is missing, or -1.

    Returns
    -------
    ndarray of float32, shape (15, 5000)
        Millivolts; rows as `signal.leads.PAGE_LEADS`.
    """
    leads = _project(_dipole(heart, rng))
    leads += _disturbance(rng, len(leads))
    twelve = _twelve(leads)
    page = np.full((len(PAGE_LEADS), N_SAMPLES), np.nan)
    quarter = N_SAMPLES // len(PAGE_COLUMNS)
    for column, names in enumerate(PAGE_COLUMNS):
        for name in names:
            row = STANDARD_12.index(name)
            printed = slice(column * quarter, (column + 1) * quarter)
            page[row, printed] = twelve[row, printed]
    for row in range(len(STANDARD_12), len(PAGE_LEADS)):
        page[row] = twelve[STANDARD_12.index(PAGE_LEADS[row].removeprefix("long_"))]
    page = np.rint(page / GRID_MV) * GRID_MV
    if lost_lead >= 0:
        page[lost_lead] = np.nan
    return page.astype(np.float32)


def _dipole(heart: Heart, rng: np.random.Generator) -> NDArray[np.float64]:
    """Heart vector over time, shape (3, samples)."""
    turn = _rotation(heart.turn_frontal, heart.turn_horizontal)
    vector = np.zeros((3, N_SAMPLES))
    beats, is_ectopic = _beats(heart, rng)
    stretch = float(np.sqrt(np.clip(60 / heart.rate, 0.4, 1.5)))
    shift = heart.st_mv @ _TERRITORY_AXES
    t_ms, t_width = _T[0] * stretch, _T[1] * stretch
    regular = [] if heart.has_afib else [_P]
    regular += [*_QRS, (t_ms, t_width, tuple(np.array(_T[2]) * heart.t_share))]
    for beat, ectopic in zip(beats, is_ectopic, strict=True):
        start = max(int((beat - 0.35) * SAMPLING_RATE), 0)
        stop = min(int((beat + 0.75) * SAMPLING_RATE), N_SAMPLES)
        if start >= stop:
            continue
        ms = (np.arange(start, stop) / SAMPLING_RATE - beat) * 1000
        for centre, width, wave in _ECTOPIC if ectopic else regular:
            shape = np.exp(-0.5 * ((ms - centre) / width) ** 2)
            vector[:, start:stop] += np.outer(turn @ np.array(wave) * heart.scale, shape)
        if not ectopic:
            rise = np.tanh((ms - _J_MS) / _J_WIDTH_MS)
            segment = rise - np.tanh((ms - t_ms) / _T_END_WIDTH_MS)
            opposite = np.exp(-0.5 * ((ms - t_ms) / t_width) ** 2)
            vector[:, start:stop] += np.outer(shift, segment / 2 - _T_OPPOSES * opposite)
    return vector


def _beats(heart: Heart, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Times of the beats in seconds, and which of them are ectopic."""
    mean_s = 60 / heart.rate
    n = int(N_SAMPLES / SAMPLING_RATE / mean_s * 2) + 4
    spread = 0.18 if heart.has_afib else 0.025
    intervals = mean_s * np.clip(rng.normal(1, spread, n), 0.55, 1.7)
    is_ectopic = (rng.random(n) < 0.05) if rng.random() < 0.12 else np.zeros(n, bool)
    # an ectopic beat comes early, and a pause follows
    intervals[is_ectopic] *= 0.7
    intervals[1:][is_ectopic[:-1]] *= 1.3
    times = np.cumsum(intervals) - rng.random() * mean_s - 0.3
    inside = times < N_SAMPLES / SAMPLING_RATE + 0.4
    return times[inside], is_ectopic[inside]


def _rotation(frontal: float, horizontal: float) -> NDArray[np.float64]:
    cf, sf, ch, sh = np.cos(frontal), np.sin(frontal), np.cos(horizontal), np.sin(horizontal)
    in_frontal = np.array([[cf, -sf, 0], [sf, cf, 0], [0, 0, 1]])
    in_horizontal = np.array([[ch, 0, -sh], [0, 1, 0], [sh, 0, ch]])
    return np.asarray(in_frontal @ in_horizontal)


def _project(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array(list(_DOWER.values())) @ vector


def _disturbance(rng: np.random.Generator, n_leads: int) -> NDArray[np.float64]:
    """Offset, baseline wander, 60 Hz hum and noise, shape (leads, samples).

    They arise in the eight independent leads, so the derived ones carry them by Einthoven's law.
    """
    times = np.arange(N_SAMPLES) / SAMPLING_RATE
    breath = 2 * np.pi * rng.uniform(0.15, 0.35) * times + rng.uniform(0, 2 * np.pi)
    drift = 2 * np.pi * rng.uniform(0.03, 0.1) * times + rng.uniform(0, 2 * np.pi)
    wander = rng.normal(0, 0.05, (n_leads, 1)) + rng.normal(0, 0.03, (n_leads, 1)) * np.sin(breath)
    wander += rng.normal(0, 0.04, (n_leads, 1)) * np.sin(drift)
    hum = rng.normal(0, 0.004, (n_leads, 1)) * np.sin(2 * np.pi * 60 * times)
    return np.asarray(wander + hum + rng.normal(0, 0.008, (n_leads, N_SAMPLES)))


def _twelve(leads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twelve leads from the eight independent ones; Einthoven and Goldberger give the others."""
    by_name = dict(zip(_DOWER, leads, strict=True))
    one, two = by_name["I"], by_name["II"]
    limb = (one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2)
    by_name |= dict(zip(LIMB_LEADS, limb, strict=True))
    return np.stack([by_name[name] for name in STANDARD_12])
