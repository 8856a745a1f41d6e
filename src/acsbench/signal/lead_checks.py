"""Numbers that tell whether a lead, or an ECG, was recorded as it should be.

Nothing is judged here: `acsbench.waveforms.quality` compares these numbers with its limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acsbench.signal.beats import common_r_peaks, find_qrs, median_beat
from acsbench.signal.filters import finite_runs
from acsbench.signal.hamilton import find_r_peaks_hamilton
from acsbench.signal.leads import limb_residual

__all__ = [
    "ArmCheck",
    "Rhythm",
    "arm_check",
    "augmented_residual",
    "baseline_range",
    "clipped_share",
    "einthoven_residual",
    "limb_spread",
    "longest_flat",
    "noise_shares",
    "read_rhythm",
]

_CLIP_RUN_S, _CLIP_LONG_RUN_S, _CLIP_ENTRY_S = 0.010, 0.100, 0.004
_BASELINE_SHARE = 0.1
"""Of a lead's range: what is nearer to the median is the baseline."""
_SAME_BEAT_S = 0.075
_FAST_RATE = 400.0
_BEFORE_S, _AFTER_S = 0.25, 0.45


def longest_flat(row: NDArray[np.float64]) -> int:
    """Samples in the longest run of equal finite values."""
    longest = 0
    for run in finite_runs(row):
        values = row[run]
        changes = np.flatnonzero(values[1:] != values[:-1]) + 1
        edges = np.concatenate([[0], changes, [values.size]])
        longest = max(longest, int(np.diff(edges).max()))
    return longest


def clipped_share(finite: NDArray[np.float64], *, sampling_rate: float) -> float:
    """Share of samples that rest within one step of the largest or smallest, 10 ms or longer.

    The round top of a small T wave rests there too, on a coarse grid: a run counts where the lead
    comes to it at more than three steps in 4 ms, or where it lasts 100 ms. An extreme next to the
    median is no limit but the baseline, of a lead without S waves, say.

    Parameters
    ----------
    finite : ndarray, shape (samples,)
        Without NaN; the step is the smallest difference between neighbours.
    sampling_rate : float
        Hz.
    """
    steps = np.abs(np.diff(finite))
    steps = steps[steps > 1e-5 * np.ptp(finite)]
    if not steps.size:
        return 0.0
    step = 1.001 * float(steps.min())
    shortest = max(round(_CLIP_RUN_S * sampling_rate), 2)
    beside = max(round(_CLIP_ENTRY_S * sampling_rate), 1)
    largest, smallest, middle = finite.max(), finite.min(), np.median(finite)
    clipped = 0
    for extreme in (largest, smallest):
        if abs(extreme - middle) <= _BASELINE_SHARE * (largest - smallest):
            continue
        away = np.abs(finite - extreme)
        edges = np.flatnonzero(np.diff(away <= step, prepend=False, append=False))
        starts, ends = edges[::2], edges[1::2]
        sizes = ends - starts
        outside = np.maximum(
            away[np.maximum(starts - beside, 0)],
            away[np.minimum(ends - 1 + beside, finite.size - 1)],
        )
        is_abrupt = (outside > 4 * step) | (sizes >= _CLIP_LONG_RUN_S * sampling_rate)
        clipped += int(sizes[(sizes >= shortest) & is_abrupt].sum())
    return clipped / finite.size


def noise_shares(finite: NDArray[np.float64], *, sampling_rate: float) -> tuple[float, float]:
    """Power above 40 Hz, and of mains hum, each as a share of the power from 1 to 40 Hz.

    Parameters
    ----------
    finite : ndarray, shape (samples,)
        Without NaN, evenly spaced.
    sampling_rate : float
        Hz.

    Returns
    -------
    above_40_hz, hum : float
        Hum is the larger of 50 and 60 Hz, over 2 Hz, less what lies beside it. NaN where a lead is
        too short or has no power.
    """
    if finite.size < sampling_rate:
        return float("nan"), float("nan")
    window, bands = _spectrum(finite.size, sampling_rate)
    power = np.abs(np.fft.rfft((finite - finite.mean()) * window)) ** 2
    signal, above, *around = (float(power[band].sum()) for band in bands)
    if signal <= 0:
        return float("nan"), float("nan")
    hum = max(at - (below + over) / 2 for below, at, over in (around[:3], around[3:]))
    return above / signal, max(hum, 0.0) / signal


@lru_cache(maxsize=32)
def _spectrum(size: int, sampling_rate: float) -> tuple[NDArray[np.float64], list[slice]]:
    """Window, and bands of 1 to 40 Hz, above 40 Hz, and below, at and over 50 and 60 Hz."""
    hz = np.fft.rfftfreq(size, 1 / sampling_rate)
    mains = [(at + low, at + low + 2) for at in (50, 60) for low in (-3, -1, 1)]
    edges = np.searchsorted(hz, [(1, 40), (40, np.inf), *mains])
    return np.hanning(size), [slice(*pair) for pair in edges]


def baseline_range(finite: NDArray[np.float64], *, sampling_rate: float) -> float:
    """Range of the moving mean over 1 s (down 3 dB at 0.44 Hz): how far the baseline wanders."""
    width = round(sampling_rate)
    if finite.size < width:
        return 0.0
    sums = np.cumsum(np.concatenate([[0.0], finite]))
    means = (sums[width:] - sums[:-width]) / width
    return float(np.ptp(means))


def einthoven_residual(
    leads: Mapping[str, NDArray[np.float64]], *, own_heights: bool = False
) -> float:
    """Root mean square of II - I - III; NaN where the three were never simultaneous.

    Parameters
    ----------
    leads : mapping of str to ndarray, shape (samples,)
    own_heights : bool
        Each lead of a traced page may be drawn at its own height: take the means away first.
    """
    rows = _rows(leads, ("I", "II", "III"), own_heights=own_heights)
    return limb_residual(*rows) if rows else float("nan")


def limb_spread(leads: Mapping[str, NDArray[np.float64]]) -> float:
    """Largest standard deviation among I, II and III: what a residual is to be compared with."""
    rows = _rows(leads, ("I", "II", "III"), own_heights=False)
    spreads = [float(np.std(row[np.isfinite(row)])) for row in rows if np.isfinite(row).any()]
    return max(spreads, default=0.0) or float("nan")


def augmented_residual(
    leads: Mapping[str, NDArray[np.float64]], *, own_heights: bool = False
) -> float:
    """How far the augmented leads break their law; NaN where it cannot be tested.

    aVR + (I + II) / 2 where the three are simultaneous, aVR + aVL + aVF on a page.

    Parameters
    ----------
    leads, own_heights
        As for `einthoven_residual`.
    """
    rows = _rows(leads, ("I", "II", "aVR"), own_heights=own_heights)
    if rows:
        residual = limb_residual(rows[0] / 2, -rows[2], rows[1] / 2)
        if np.isfinite(residual):
            return residual
    rows = _rows(leads, ("aVR", "aVL", "aVF"), own_heights=own_heights)
    return limb_residual(rows[0], -rows[1], rows[2]) if rows else float("nan")


def _rows(
    leads: Mapping[str, NDArray[np.float64]], names: tuple[str, ...], *, own_heights: bool
) -> list[NDArray[np.float64]]:
    if not set(names) <= leads.keys():
        return []
    rows = [leads[name] for name in names]
    if not own_heights:
        return rows
    means = [row[np.isfinite(row)].mean() if np.isfinite(row).any() else 0.0 for row in rows]
    return [row - mean for row, mean in zip(rows, means, strict=True)]


class Rhythm(NamedTuple):
    """What two detectors say of an ECG's beats."""

    r_peaks: NDArray[np.int64]
    heart_rate: float
    """Beats/min, at the median RR; NaN under two beats."""
    agreement: float
    """Share of all beats found that both detectors have within 75 ms; NaN without any."""


def read_rhythm(leads: Mapping[str, NDArray[np.float64]], *, sampling_rate: float) -> Rhythm:
    """Find the beats of an ECG on its rhythm leads, and ask Hamilton's detector about lead II.

    Parameters
    ----------
    leads : mapping of str to ndarray, shape (samples,)
        By name; of a page, its long leads count.
    sampling_rate : float
        Hz.
    """
    wanted = {n.removeprefix("long_"): row for n, row in leads.items() if n.startswith("long_")}
    wanted = wanted or {name: leads[name] for name in ("V1", "II", "V5") if name in leads}
    thin = 2 if sampling_rate >= _FAST_RATE else 1
    rate = sampling_rate / thin
    rows = {name: _thinned(row, thin) for name, row in wanted.items()}
    peaks = common_r_peaks(rows, sampling_rate=rate)
    heart_rate = 60 * rate / float(np.median(np.diff(peaks))) if peaks.size > 1 else float("nan")
    agreement = float("nan")
    if "II" in rows and rows["II"].size > 2 * rate:
        other = find_r_peaks_hamilton(np.nan_to_num(rows["II"]), sampling_rate=rate)
        agreement = _agreement(peaks, other, reach=_SAME_BEAT_S * rate)
    return Rhythm(peaks * thin, heart_rate, agreement)


def _thinned(row: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Mean of each pair of samples: beats are found in 3 to 25 Hz, and in half of the time."""
    if factor == 1:
        return row
    whole = row[: row.size // factor * factor]
    return np.asarray(whole.reshape(-1, factor).mean(axis=1))


def _agreement(one: NDArray[np.int64], two: NDArray[np.int64], *, reach: float) -> float:
    if not one.size and not two.size:
        return float("nan")
    near = np.abs(one[:, None] - two[None]) <= reach
    n_both = min(int(near.any(axis=0).sum()), int(near.any(axis=1).sum()))
    return n_both / (one.size + two.size - n_both)


class ArmCheck(NamedTuple):
    """Whether the arm electrodes may be exchanged: both negative if they are."""

    net_qrs: float
    """Of the median beat of lead I, millivolt-seconds."""
    correlation: float
    """Of the median beats of I and V6, from the start of QRS to the end of T."""


def arm_check(
    leads: Mapping[str, NDArray[np.float64]],
    r_peaks: NDArray[np.int64],
    *,
    sampling_rate: float,
) -> ArmCheck:
    """Compare lead I with V6, which look at the heart from the same side.

    Beats are compared, not samples, so that leads of different columns of a page can be.

    Returns
    -------
    ArmCheck
        NaN where one of the leads has no whole beat.
    """
    before, after = round(_BEFORE_S * sampling_rate), round(_AFTER_S * sampling_rate)
    beats = [
        median_beat(leads[name], r_peaks, before=before, after=after)
        for name in ("I", "V6")
        if name in leads
    ]
    whole = [beat for beat in beats if beat is not None]
    if len(whole) < 2:
        return ArmCheck(float("nan"), float("nan"))
    start, end = find_qrs(whole, r=before, sampling_rate=sampling_rate)
    first = start or before - round(0.05 * sampling_rate)
    last = end or before + round(0.05 * sampling_rate)
    level = first - round(0.02 * sampling_rate)
    one, six = (beat - np.median(beat[level:first]) for beat in whole)
    net = float(one[first:last].sum() / sampling_rate)
    spread = one[first:].std() * six[first:].std()
    correlation = (
        float(
            np.mean((one[first:] - one[first:].mean()) * (six[first:] - six[first:].mean()))
            / spread
        )
        if spread > 0
        else float("nan")
    )
    return ArmCheck(net, correlation)
