"""R peaks, median beats, and the numbers that are measured on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy import signal as scipy_signal

from acsbench.signal.leads import STANDARD_12

__all__ = ["LEAD_MEASURES", "MEASURE_NAMES", "find_r_peaks", "measure_ecg", "median_beat"]

_QRS_BAND_HZ = (8.0, 25.0)
"""Most of a QRS complex's power lies here, little of P and T's (specification W6)."""
_REFRACTORY_S = 0.25
_BEFORE_S, _AFTER_S = 0.25, 0.50
"""Window of a median beat around its R peak."""

LEAD_MEASURES = (
    "r_amplitude",
    "s_amplitude",
    "qrs_area",
    "st_j40",
    "st_j60",
    "st_j80",
    "st_slope",
    "t_amplitude",
    "t_area",
)
MEASURE_NAMES = (
    "heart_rate",
    "rr_sd_ms",
    "n_beats",
    *(f"{measure}_{lead}" for lead in STANDARD_12 for measure in LEAD_MEASURES),
)
"""Names of `measure_ecg`, in their order."""


def find_r_peaks(samples: NDArray[np.floating], *, sampling_rate: float) -> NDArray[np.int64]:
    """R peaks of one lead by the envelope of its 8 to 25 Hz band.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
        NaN count as the median.
    sampling_rate : float
        Hz.

    Returns
    -------
    ndarray of int, shape (beats,)
        Positions of the largest deviation within 60 ms of each peak of the envelope.
    """
    finite = np.isfinite(samples)
    if finite.sum() < sampling_rate or np.ptp(samples[finite]) == 0:
        return np.zeros(0, np.int64)
    centred = np.where(finite, samples - np.median(samples[finite]), 0.0).astype(np.float64)
    sections = scipy_signal.butter(2, _QRS_BAND_HZ, "bandpass", fs=sampling_rate, output="sos")
    band = scipy_signal.sosfiltfilt(sections, centred, padtype="even")
    envelope = ndimage.gaussian_filter1d(np.abs(band), 0.03 * sampling_rate)
    # beats of one ECG differ by less than a factor of three; the 98th percentile ignores one spike
    height = 0.35 * np.quantile(envelope[finite], 0.98)
    peaks, _ = scipy_signal.find_peaks(
        envelope, height=height, distance=round(_REFRACTORY_S * sampling_rate)
    )
    reach = round(0.06 * sampling_rate)
    refined = [_refine(centred, int(peak), reach) for peak in peaks]
    return np.unique(np.array(refined, np.int64))


def _refine(centred: NDArray[np.float64], peak: int, reach: int) -> int:
    start = max(peak - reach, 0)
    return start + int(np.argmax(np.abs(centred[start : peak + reach + 1])))


def median_beat(
    samples: NDArray[np.floating],
    r_peaks: NDArray[np.int64],
    *,
    before: int,
    after: int,
) -> NDArray[np.float64] | None:
    """Median over the beats that lie wholly in the lead's finite samples; None without any.

    Returns
    -------
    ndarray, shape (before + after,)
        The R peak stands at ``before``.
    """
    beats = [
        samples[peak - before : peak + after]
        for peak in r_peaks
        if peak >= before and peak + after <= samples.size
    ]
    whole = [beat for beat in beats if np.isfinite(beat).all()]
    return np.median(np.stack(whole), axis=0).astype(np.float64) if whole else None


def measure_ecg(
    signal: NDArray[np.floating],
    mask: NDArray[np.uint8],
    *,
    lead_names: Sequence[str],
    sampling_rate: float,
) -> dict[str, float]:
    """Measure rate, QRS, ST and T of one ECG on the median beat of each lead.

    Amplitudes are against the PR segment (80 to 50 ms before R). ST is read 40, 60 and 80 ms after
    a J point taken at R + 40 ms; T in 160 to 400 ms after R, scaled by the square root of the RR
    interval (Bazett's rule).

    Parameters
    ----------
    signal, mask : ndarray, shape (leads, samples)
        In millivolts; samples with mask 0 are not used.
    lead_names : sequence of str
        One per row; the twelve standard leads are measured where present.
    sampling_rate : float
        Hz.

    Returns
    -------
    dict of str to float
        Keys `MEASURE_NAMES`; millivolts, millivolt-seconds, beats/min, ms; NaN where a lead has no
        whole beat.
    """
    recorded = np.where(mask > 0, signal, np.nan).astype(np.float64)
    rows = dict(zip(lead_names, recorded, strict=True))
    peaks = _common_peaks(rows, sampling_rate)
    measures = dict.fromkeys(MEASURE_NAMES, float("nan"))
    measures["n_beats"] = float(len(peaks))
    if len(peaks) < 2:
        return measures
    rr_s = np.diff(peaks) / sampling_rate
    measures["heart_rate"] = float(60 / np.median(rr_s))
    measures["rr_sd_ms"] = float(1000 * rr_s.std())
    before, after = round(_BEFORE_S * sampling_rate), round(_AFTER_S * sampling_rate)
    for lead in STANDARD_12:
        if lead not in rows:
            continue
        beat = median_beat(rows[lead], peaks, before=before, after=after)
        if beat is not None:
            stretch = float(np.sqrt(np.clip(np.median(rr_s), 0.4, 1.5)))
            for name, value in _measure_beat(beat, before, sampling_rate, stretch):
                measures[f"{name}_{lead}"] = value
    return measures


def _common_peaks(rows: dict[str, NDArray[np.float64]], sampling_rate: float) -> NDArray[np.int64]:
    """R peaks of the lead with most recorded time; among equals the one with the tallest QRS."""
    candidates = {name: np.isfinite(row).sum() for name, row in rows.items()}
    longest = max(candidates.values())
    full = [name for name, n in candidates.items() if n == longest and n > 0]
    preferred = [name for name in ("II", "V5", "V1") if name in full] or full
    found = [find_r_peaks(rows[name], sampling_rate=sampling_rate) for name in preferred]
    if not found:
        return np.zeros(0, np.int64)
    counts = [len(peaks) for peaks in found]
    return (
        found[counts.index(int(np.median(counts)))]
        if int(np.median(counts)) in counts
        else found[0]
    )


def _measure_beat(
    beat: NDArray[np.float64], r: int, sampling_rate: float, stretch: float
) -> Iterator[tuple[str, float]]:
    def at(milliseconds: float) -> int:
        return r + round(milliseconds / 1000 * sampling_rate)

    level = float(np.median(beat[at(-80) : at(-50)]))
    beat = beat - level
    qrs = beat[at(-50) : at(50)]
    t_wave = beat[at(160 * stretch) : min(at(400 * stretch), beat.size)]
    yield "r_amplitude", float(qrs.max())
    yield "s_amplitude", float(qrs.min())
    yield "qrs_area", float(qrs.sum() / sampling_rate)
    for milliseconds in (40, 60, 80):
        around = beat[at(40 + milliseconds - 6) : at(40 + milliseconds + 6) + 1]
        yield f"st_j{milliseconds}", float(around.mean())
    yield "st_slope", float(beat[at(120)] - beat[at(80)])
    yield "t_amplitude", float(t_wave[np.argmax(np.abs(t_wave))])
    yield "t_area", float(t_wave.sum() / sampling_rate)
