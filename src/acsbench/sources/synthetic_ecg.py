"""One generated ECG: a moving heart dipole, seen by twelve leads, printed on a page.

The dipole is a sum of Gaussian waves in space, after McSharry et al. (IEEE Trans Biomed Eng 50,
2003) and Sameni et al. (EURASIP J Adv Signal Process, 2007). Leads see it through the weights of
Dower et al. (J Electrocardiol 13, 1980), whose pseudo-inverse is the inverse Dower matrix of
Edenbrandt & Pahlm (J Electrocardiol 21, 1988). Axes: x to the left, y to the feet, z to the back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acsbench.signal.leads import LONG_LEADS, PAGE_COLUMNS, PAGE_LEADS, STANDARD_12

__all__ = ["DOWER", "TERRITORY_DIRECTIONS", "Damage", "Heart", "page_ecg"]

SAMPLING_RATE = 500
N_SAMPLES = 5000
GRID_MV = 0.005
"""Step of the drawing that upstream traced; limb leads I and II use two, so that the sum, the
difference and the half sum of the two lie on it as well."""

Damage = Literal["none", "blank", "missing_lead"]
_WAVEFORM = 11
_MORPHOLOGY = 12
"""Purposes of random streams; an ECG and a patient have their own."""

DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],  # V2
        [0.882, 0.098, -1.277],  # V3
        [1.213, 0.127, -0.601],  # V4
        [1.125, 0.127, -0.086],  # V5
        [0.831, 0.076, 0.230],  # V6
    ]
)


def _unit_rows(rows: list[list[float]]) -> NDArray[np.float64]:
    vectors = np.array(rows)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


# to the front for V1 to V4, to the left for I, aVL, V5, V6, to the feet for II, III, aVF
TERRITORY_DIRECTIONS = _unit_rows([[0.3, 0.0, -1.0], [1.0, -0.35, 0.1], [-0.1, 1.0, 0.1]])

# name: centre (s after R), width (s), amplitude x, y, z (mV); a normal Frank cardiogram
_WAVES = {
    "q": (-0.022, 0.008, (-0.12, -0.06, -0.28)),
    "r": (0.000, 0.011, (1.00, 0.72, 0.15)),
    "s": (0.024, 0.011, (-0.10, -0.05, 0.62)),
}
_P_VECTOR, _P_WIDTH_S = np.array([0.05, 0.10, -0.02]), 0.020
_T_VECTOR = np.array([0.34, 0.24, -0.14])
_PVC_VECTOR = np.array([-0.7, 0.9, -0.8])
_T_AGAINST_ST = 0.6
"""T flattens, then inverts, against the ST shift: this share of it."""
_FIBRILLATION_HZ = (4.5, 8.0)
_MAINS_HZ = 60.0
_BEFORE_S, _AFTER_S = 0.30, 0.62
"""Span of one beat around its R wave."""


@dataclass(frozen=True, kw_only=True)
class Heart:
    """What shapes one ECG.

    Attributes
    ----------
    seed, record, patient : int
        Choose the random streams: noise by record, morphology by patient.
    rate_bpm, pr_ms, qrs_ms, qt_ms : float
    axis_deg : float
        Frontal axis of the R wave; 45 is the template's.
    has_afib, has_ectopy : bool
        No P and irregular beats; premature ventricular beats.
    st_mv : tuple of float
        ST shift along the three territory directions, benign and ischaemic together.
    damage : "none", "blank" or "missing_lead"
        What went wrong when the page was traced.
    """

    seed: int
    record: int
    patient: int
    rate_bpm: float
    pr_ms: float
    qrs_ms: float
    qt_ms: float
    axis_deg: float
    has_afib: bool
    has_ectopy: bool
    st_mv: tuple[float, float, float]
    damage: Damage = "none"


@dataclass(frozen=True)
class _Morphology:
    """How a patient's waves differ from the template: the same in all of their ECGs."""

    turn: NDArray[np.float64]  # (3, 3)
    gains: NDArray[np.float64]  # one per wave: p, q, r, s, t


def page_ecg(heart: Heart) -> NDArray[np.float32]:
    """Draw the 15 rows of a page ECG.

    Returns
    -------
    ndarray of float32, shape (15, 5000)
        Millivolts at 500 Hz; NaN outside the printed quarter of each standard lead.
    """
    rng = np.random.default_rng([heart.seed, _WAVEFORM, heart.record])
    dipole = _dipole(heart, _morphology(heart), rng)
    leads = _standard_leads(DOWER @ dipole + _disturbances(rng))
    page = _print(leads)
    if heart.damage == "blank":
        page[:] = np.nan
    elif heart.damage == "missing_lead":
        page[rng.integers(len(STANDARD_12))] = np.nan
    return page


def _morphology(heart: Heart) -> _Morphology:
    rng = np.random.default_rng([heart.seed, _MORPHOLOGY, heart.patient])
    frontal = np.deg2rad(heart.axis_deg - 45)
    horizontal = np.deg2rad(rng.normal(0, 10))
    cos, sin = np.cos(frontal), np.sin(frontal)
    about_z = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    cos, sin = np.cos(horizontal), np.sin(horizontal)
    about_y = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    gains = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.10, size=5))
    return _Morphology(about_z @ about_y, gains)


def _dipole(
    heart: Heart, morphology: _Morphology, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Heart vector over time, shape (3, samples)."""
    onsets, intervals, is_ectopic = _beats(heart, rng)
    before, after = int(_BEFORE_S * SAMPLING_RATE), int(_AFTER_S * SAMPLING_RATE)
    # room for beats that begin before or end after the page
    dipole = np.zeros((3, N_SAMPLES + 2 * (before + after)))
    time = np.arange(-before, after) / SAMPLING_RATE
    stretch = np.sqrt(np.clip(intervals, 0.4, 1.6) * heart.rate_bpm / 60)
    for onset, scale, ectopic in zip(onsets, stretch, is_ectopic, strict=True):
        start = round(onset * SAMPLING_RATE) + after
        if 0 <= start <= dipole.shape[1] - time.size:
            beat = _ectopic(time) if ectopic else _beat(time, scale, heart, morphology)
            dipole[:, start : start + time.size] += beat
    dipole = dipole[:, before + after : before + after + N_SAMPLES]
    if heart.has_afib:
        dipole += _fibrillation(rng)
    return dipole


def _beats(
    heart: Heart, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """R times (s), the interval that leads to each, and which are premature."""
    mean_s = 60 / heart.rate_bpm
    n_beats = int(12 / mean_s) + 4
    # beat-to-beat SD: some 3 % in sinus rhythm, 20 % in fibrillation
    variation = 0.20 if heart.has_afib else 0.03
    intervals = mean_s * np.exp(rng.normal(0, variation, n_beats))
    is_ectopic = np.zeros(n_beats, dtype=np.bool_)
    if heart.has_ectopy:
        is_ectopic[1:-1] = rng.random(n_beats - 2) < 0.12
        is_ectopic[1:] &= ~is_ectopic[:-1]
        intervals[is_ectopic] *= 0.65
        intervals[1:][is_ectopic[:-1]] *= 1.35
    onsets = rng.uniform(-mean_s, 0) + np.cumsum(intervals) - intervals[0]
    return onsets, intervals, is_ectopic


def _beat(
    time: NDArray[np.float64], scale: float, heart: Heart, morphology: _Morphology
) -> NDArray[np.float64]:
    """One sinus or conducted beat around its R wave, shape (3, samples)."""
    turn, (gain_p, gain_q, gain_r, gain_s, gain_t) = morphology.turn, morphology.gains
    width = heart.qrs_ms / 92  # the template's duration
    beat = np.zeros((3, time.size))
    for gain, (centre, spread, vector) in zip(
        (gain_q, gain_r, gain_s), _WAVES.values(), strict=True
    ):
        shape = _gaussian(time, centre * width, spread * width)
        beat += np.outer(turn @ (gain * np.array(vector)), shape)
    if not heart.has_afib:
        p_centre = -heart.pr_ms / 1000 + 0.045 - 0.02
        beat += np.outer(turn @ (gain_p * _P_VECTOR), _gaussian(time, p_centre, _P_WIDTH_S))
    j_point = 0.050 * width
    t_end = heart.qt_ms / 1000 * scale - 0.045
    t_peak, t_width = t_end - 0.085 * scale, 0.045 * scale
    st = TERRITORY_DIRECTIONS.T @ np.array(heart.st_mv)
    t_vector = turn @ (gain_t * _T_VECTOR) - _T_AGAINST_ST * st
    beat += np.outer(t_vector, _gaussian(time, t_peak, t_width))
    # a plateau that rises at J and fades under T
    plateau = _sigmoid((time - j_point) / 0.006) * _sigmoid((t_peak + t_width - time) / 0.020)
    return np.asarray(beat + np.outer(st, plateau))


def _ectopic(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """A premature ventricular beat: wide, large, T against QRS."""
    wide = _gaussian(time, 0.02, 0.030) - 0.35 * _gaussian(time, 0.26, 0.060)
    return np.outer(_PVC_VECTOR, wide)


def _fibrillation(rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(N_SAMPLES) / SAMPLING_RATE
    phase = 2 * np.pi * rng.uniform(*_FIBRILLATION_HZ) * time + rng.uniform(0, 2 * np.pi)
    return np.outer(0.05 * np.array([0.3, 0.8, -0.5]), np.sin(phase + np.sin(0.4 * phase)))


def _disturbances(rng: np.random.Generator) -> NDArray[np.float64]:
    """Baseline, breathing, mains and muscle on the eight independent leads, shape (8, samples)."""
    time = np.arange(N_SAMPLES) / SAMPLING_RATE
    slow = 2 * np.pi * np.outer(rng.uniform([0.05, 0.15], [0.15, 0.4]), time)
    wander = rng.normal(0, 0.03, (8, 2)) @ np.sin(slow + rng.uniform(0, 2 * np.pi, (2, 1)))
    hum = np.sin(2 * np.pi * _MAINS_HZ * time + rng.uniform(0, 2 * np.pi))
    offset = rng.normal(0, 0.03, (8, 1))
    muscle = rng.standard_normal((8, N_SAMPLES), dtype=np.float32) * rng.uniform(0.003, 0.012)
    return np.asarray(offset + wander + np.outer(rng.uniform(0, 0.006, 8), hum) + muscle)


def _standard_leads(independent: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Put I, II, V1 to V6 on the drawing grid and derive the others by Einthoven's law."""
    steps = GRID_MV * np.array([2, 2, 1, 1, 1, 1, 1, 1])[:, None]
    rounded = np.round(independent / steps) * np.round(steps / GRID_MV)  # whole grid steps
    one, two = rounded[:2]
    limbs = {
        "I": one,
        "II": two,
        "III": two - one,
        "aVR": -(one + two) / 2,
        "aVL": one - two / 2,
        "aVF": two - one / 2,
    }
    chest = {f"V{n}": rounded[1 + n] for n in range(1, 7)}
    return {name: steps * GRID_MV for name, steps in {**limbs, **chest}.items()}


def _print(leads: dict[str, NDArray[np.float64]]) -> NDArray[np.float32]:
    """Keep of each standard lead its quarter of the page, and the long leads whole."""
    page = np.full((len(PAGE_LEADS), N_SAMPLES), np.nan, dtype=np.float32)
    quarter = N_SAMPLES // len(PAGE_COLUMNS)
    for column, names in enumerate(PAGE_COLUMNS):
        when = slice(column * quarter, (column + 1) * quarter)
        for name in names:
            page[PAGE_LEADS.index(name), when] = leads[name][when]
    for name in LONG_LEADS:
        page[PAGE_LEADS.index(name)] = leads[name.removeprefix("long_")]
    return page


def _gaussian(time: NDArray[np.float64], centre: float, width: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * ((time - centre) / width) ** 2))


def _sigmoid(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -40, 40))))
