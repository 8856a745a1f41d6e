"""Filters that keep the ECG's shape: zero phase, second-order sections, each lead on its own.

Sources: specification W3 (measured errors of the transfer-function form and of short padding);
Kligfield et al., Circulation 115:1306 (2007): for zero-phase filters the low corner of a
diagnostic ECG may be up to 0.67 Hz, the high corner is 150 Hz.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal

__all__ = ["bandpass_sections", "baseline", "fill_short_gaps", "filter_support", "finite_runs"]

_GRID_MV = 0.005
"""Step of the drawing grid of traced pages; see `baseline`."""


def bandpass_sections(
    low_hz: float, high_hz: float, *, order: int, sampling_rate: float
) -> NDArray[np.float64]:
    """Second-order sections of a Butterworth band-pass, shape (sections, 6).

    An order of n has 2n poles; run forward and backward it is 6 dB down at its corners.

    Raises
    ------
    ValueError
        When the corners do not satisfy 0 < low < high < sampling_rate / 2.
    """
    if not 0 < low_hz < high_hz < sampling_rate / 2:
        raise ValueError(
            f"corners {low_hz} and {high_hz} Hz need 0 < low < high < {sampling_rate / 2} Hz"
        )
    sections: NDArray[np.float64] = scipy_signal.butter(
        order, (low_hz, high_hz), btype="bandpass", fs=sampling_rate, output="sos"
    )
    return sections


def finite_runs(samples: NDArray[np.float64]) -> Iterator[slice]:
    """Slices of the runs of finite samples, in order of time."""
    edges = np.flatnonzero(np.diff(np.isfinite(samples).astype(np.int8), prepend=0, append=0))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(start), int(stop))


def fill_short_gaps(samples: NDArray[np.float64], *, longest: int) -> NDArray[np.float64]:
    """Fill inner gaps of at most ``longest`` samples by straight lines; longer ones stay NaN.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
    longest : int
        Samples.
    """
    filled = samples.copy()
    runs = list(finite_runs(samples))
    for before, after in itertools.pairwise(runs):
        gap = slice(before.stop, after.start)
        if gap.stop - gap.start <= longest:
            ends = (samples[gap.start - 1], samples[gap.stop])
            filled[gap] = np.linspace(*ends, gap.stop - gap.start + 2)[1:-1]
    return filled


def filter_support(
    samples: NDArray[np.float64],
    sections: NDArray[np.float64],
    *,
    padding: int,
) -> NDArray[np.float64]:
    """Filter one lead forward and backward on each of its finite runs; NaN stays NaN.

    Filtering across a gap, or across the joint of two leads, would ring at the edge.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
    sections : ndarray, shape (sections, 6)
    padding : int
        Samples of even reflection at each end, or the whole run where it is shorter. At 500 Hz a
        corner of 0.5 Hz wants at least 1,500: with 33 the first 2 s depend on the padding by up to
        1.1 mV.
    """
    filtered = np.full(samples.shape, np.nan)
    for run in finite_runs(samples):
        length = run.stop - run.start
        filtered[run] = scipy_signal.sosfiltfilt(
            sections, samples[run], padtype="even", padlen=min(padding, length - 1)
        )
    return filtered


def baseline(samples: NDArray[np.float64]) -> float:
    """Level of the isoelectric line: the mode on the drawing grid, else the median.

    On a grid the most frequent value is the baseline. On continuous values each value is unique
    and the mode would be the minimum, so values are counted on a 0.005 grid, and the median is
    taken where the fullest bin holds under 1 % of the samples.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
        NaN are left out.

    Returns
    -------
    float
        In the unit of the samples; 0 for a lead without samples.
    """
    finite = samples[np.isfinite(samples)]
    if not finite.size:
        return 0.0
    steps = np.rint(finite / _GRID_MV).astype(np.int64)
    counts = np.bincount(steps - steps.min()) if np.ptp(steps) < 1_000_000 else np.array([0])
    if counts.max() < 0.01 * finite.size:
        return float(np.median(finite))
    return float((counts.argmax() + steps.min()) * _GRID_MV)
