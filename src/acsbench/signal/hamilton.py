"""Hamilton's R-peak detector, for the recipe that reproduces published figures with it.

Source: P. Hamilton, Open source ECG analysis, Computers in Cardiology 29:101-104 (2002). The paper
leaves open how a detection becomes a sample of the ECG; here, and in the constants it does not
give, the detector follows the behaviour of BioSPPy 2.2, whose peaks the original benchmark used.
`beats.find_r_peaks` is the detector for everything else.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal

__all__ = ["find_r_peaks_hamilton"]

_BAND_HZ = (3.0, 25.0)
_FILTER_ORDER = 4
_SMOOTHING_S = 0.08
_NEIGHBOURHOOD_S = 0.2
"""Rule 1: the larger of two peaks closer than this wins."""
_SLOPE_S = 0.045
_T_WAVE_S = 0.36
"""Rule 3: a peak closer than this to the last beat, with less than half its slope, is a T wave."""
_THRESHOLD = 0.475
_TALLEST = 3.0
"""In medians of the last beats' peaks: what is taller is an artefact."""
_MISSED_RR = 1.5
_REMEMBERED = 8
"""QRS peaks, noise peaks and RR intervals whose medians the rules use."""
_OTHER_PEAK_S = 0.05
_UPRIGHT_SHARE = 0.85


def find_r_peaks_hamilton(
    samples: NDArray[np.floating], *, sampling_rate: float
) -> NDArray[np.int64]:
    """R peaks of one lead.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
        Finite; at least 2 s.
    sampling_rate : float
        Hz.

    Returns
    -------
    ndarray of int, shape (beats,)
        Sorted and unique.
    """
    ecg: NDArray[np.float64] = np.asarray(samples, dtype=np.float64)
    beats = _Detection(ecg, sampling_rate).run()
    reach = int(np.ceil(_NEIGHBOURHOOD_S * sampling_rate))
    placed = {_place(ecg, beat, reach, _OTHER_PEAK_S * sampling_rate) for beat in beats}
    return np.array(sorted(place for place in placed if place is not None), dtype=np.int64)


@lru_cache(maxsize=8)
def _filters(sampling_rate: float) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
    low, high = _BAND_HZ
    return (
        scipy_signal.butter(_FILTER_ORDER, high, "lowpass", fs=sampling_rate),
        scipy_signal.butter(_FILTER_ORDER, low, "highpass", fs=sampling_rate),
    )


def _slope_energy(samples: NDArray[np.float64], sampling_rate: float) -> NDArray[np.float64]:
    """Absolute slope of the 3 to 25 Hz band, smoothed over 80 ms; one sample shorter."""
    band = samples
    for b, a in _filters(sampling_rate):
        band = scipy_signal.filtfilt(b, a, band)
    slope = np.abs(np.diff(band)) * sampling_rate
    width = int(_SMOOTHING_S * sampling_rate)
    window = scipy_signal.windows.hamming(width)
    padded = np.concatenate([np.full(width, slope[0]), slope, np.full(width, slope[-1])])
    smooth: NDArray[np.float64] = np.convolve(window / window.sum(), padded, mode="same")
    return smooth[width:-width]


def _maxima(samples: NDArray[np.float64]) -> NDArray[np.int64]:
    """Positions where the slope's sign falls: tops, and both ends of plateaus on the way up."""
    found: NDArray[np.int64] = np.flatnonzero(np.diff(np.sign(np.diff(samples))) < 0) + 1
    return found


class _Memory:
    """The last few values of something, and their median; a full memory forgets the oldest."""

    def __init__(self, values: list[float]) -> None:
        self._values = values
        self._oldest = 0
        self.median = median(values)

    def remember(self, value: float) -> None:
        self._values[self._oldest] = value
        self._oldest = (self._oldest + 1) % len(self._values)
        self.median = median(self._values)


class _Detection:
    """The paper's rules, applied to the peaks of the slope energy in order of time."""

    def __init__(self, samples: NDArray[np.float64], sampling_rate: float) -> None:
        self.samples = samples
        self.energy = _slope_energy(samples, sampling_rate)
        self.reach = int(np.ceil(_NEIGHBOURHOOD_S * sampling_rate))
        self.slope_reach = int(np.ceil(_SLOPE_S * sampling_rate))
        self.t_wave = np.ceil(_T_WAVE_S * sampling_rate)
        n = int(min(_REMEMBERED, samples.size / sampling_rate))
        self.qrs = _Memory(_first_peaks(self.energy, n, int(sampling_rate)))
        self.noise, self.rr = _Memory([0.0] * n), _Memory([sampling_rate] * n)
        self.beats: list[int] = []

    def run(self) -> list[int]:
        for peak in _leading_peaks(self.energy, self.reach):
            height = float(self.energy[peak])
            threshold = self.noise.median + _THRESHOLD * (self.qrs.median - self.noise.median)
            elapsed = peak - self.beats[-1] if self.beats else np.inf
            if height > threshold:
                if height < _TALLEST * self.qrs.median and self._is_complex(peak, elapsed):
                    self._accept(peak, height)
            elif not self._is_late(elapsed):
                self.noise.remember(height)
            elif height > 0.5 * threshold:
                self._accept(peak, height)
        return self.beats

    def _is_complex(self, peak: int, elapsed: float) -> bool:
        """Rules 2 and 3: the ECG rises and falls there, and it is no T wave."""
        slopes = self._slopes(peak)
        if (slopes > 0).all() or not (slopes > 0).any():
            return False
        is_early = elapsed < self.t_wave
        return not (is_early and slopes.max() < 0.5 * self._slopes(self.beats[-1]).max())

    def _is_late(self, elapsed: float) -> bool:
        """Rule 5: a beat is overdue, so that half the threshold is enough."""
        is_overdue = elapsed >= _MISSED_RR * self.rr.median and elapsed > self.t_wave
        return len(self.beats) >= 2 and bool(is_overdue)

    def _slopes(self, peak: int) -> NDArray[np.float64]:
        last = self.samples.size - 1 if peak >= self.slope_reach else self.samples.size
        around = slice(max(peak - self.slope_reach, 0), min(peak + self.slope_reach, last))
        return np.diff(self.samples[around])

    def _accept(self, peak: int, height: float) -> None:
        if self.beats:
            self.rr.remember(peak - self.beats[-1])
        self.beats.append(peak)
        self.qrs.remember(height)


def _first_peaks(energy: NDArray[np.float64], n: int, second: int) -> list[float]:
    """Tallest peak of each of the first seconds; 0 where there is none."""
    parts = [energy[i * second : (i + 1) * second] for i in range(n)]
    return [float(part[_maxima(part)].max(initial=0)) for part in parts]


def _leading_peaks(energy: NDArray[np.float64], reach: int) -> list[int]:
    """Peaks without a larger one nearer than ``reach``."""
    peaks = _maxima(energy)
    heights = energy[peaks]
    leading = []
    for peak, height in zip(peaks, heights, strict=True):
        first, last = np.searchsorted(peaks, (peak - reach + 1, peak + reach))
        if heights[first:last].max() <= height:
            leading.append(int(peak))
    return leading


def _place(samples: NDArray[np.float64], beat: int, reach: int, apart: float) -> int | None:
    """Sample of the R peak near a detection: its tallest top, or its deepest valley.

    Of tops and valleys, the kind decides whose first stands out more over its second.
    """
    start = max(beat - reach, 0)
    window = samples[start : beat + reach]
    level = np.flatnonzero(np.diff(window) == 0)
    tops = np.concatenate([_maxima(window), level])
    valleys = np.concatenate([_maxima(-window), level])
    # on a plateau a top is its end and a valley its beginning
    top, top_lead = _foremost(window, tops[np.argsort(-tops)], apart)
    valley, valley_lead = _foremost(-window, valleys[np.argsort(valleys)], apart)
    if top_lead is None and valley_lead is None:
        if top is None or valley is None:
            return None
        upright = top > valley
    elif top_lead is None or valley_lead is None:
        upright = top_lead is None
    else:
        upright = top_lead > _UPRIGHT_SHARE * valley_lead
    chosen = top if upright else valley
    return None if chosen is None else start + chosen


def _foremost(
    window: NDArray[np.float64], peaks: NDArray[np.int64], apart: float
) -> tuple[int | None, float | None]:
    """Highest peak, the first of equals, and its lead over the next one that is not part of it."""
    if not peaks.size:
        return None, None
    ranked = peaks[np.argsort(-window[peaks], kind="stable")]
    first = int(ranked[0])
    others = ranked[np.abs(ranked - first) > apart]
    lead = abs(float(window[first] - window[others[0]])) if others.size else None
    return first, lead
