"""Filters that keep the ECG's shape: zero phase, second-order sections, each lead on its own.

Sources: specification W3 (measured errors of the transfer-function form and of short padding);
Kligfield et al., Circulation 115:1306 (2007): for zero-phase filters the low corner of a
diagnostic ECG may be up to 0.67 Hz, the high corner is 150 Hz.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal

__all__ = [
    "GRID_MV",
    "bandpass_sections",
    "baseline",
    "exact_modes",
    "fill_short_gaps",
    "filter_support",
    "finite_runs",
    "zero_phase",
]

_WIDEST_COUNT = 100_000
GRID_MV = 0.005
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
    # scipy's filters refuse read-only arrays, so the one that is kept is never handed out
    return _designed(low_hz, high_hz, order, sampling_rate).copy()


@lru_cache(maxsize=32)
def _designed(
    low_hz: float, high_hz: float, order: int, sampling_rate: float
) -> NDArray[np.float64]:
    sections: NDArray[np.float64] = scipy_signal.butter(
        order, (low_hz, high_hz), btype="bandpass", fs=sampling_rate, output="sos"
    )
    return sections


def finite_runs(samples: NDArray[np.floating]) -> Iterator[slice]:
    """Slices of the runs of finite samples, in order of time.

    Parameters
    ----------
    samples : ndarray, shape (samples,) or (leads, samples)
        Of several leads, whose finite samples are the same, the first is looked at.
    """
    finite = np.isfinite(samples if samples.ndim == 1 else samples[0])
    edges = (np.flatnonzero(finite[1:] != finite[:-1]) + 1).tolist()
    if finite[:1].any():
        edges.insert(0, 0)
    if finite[-1:].any():
        edges.append(finite.size)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(start, stop)


def fill_short_gaps(samples: NDArray[np.float64], *, longest: int) -> NDArray[np.float64]:
    """Fill inner gaps of at most ``longest`` samples by straight lines; longer ones stay NaN.

    Parameters
    ----------
    samples : ndarray, shape (samples,) or (leads, samples)
        The finite samples of all leads are the same.
    longest : int
        Samples.
    """
    filled = samples.copy()
    for before, after in itertools.pairwise(finite_runs(samples)):
        n = after.start - before.stop
        if n <= longest:
            first, last = samples[..., before.stop - 1], samples[..., after.start]
            filled[..., before.stop : after.start] = np.linspace(first, last, n + 2, axis=-1)[
                ..., 1:-1
            ]
    return filled


def zero_phase(
    rows: NDArray[np.float64], sections: NDArray[np.float64], *, padding: int
) -> NDArray[np.float64]:
    """Filter rows forward and backward with even reflection at both ends.

    Equal to ``scipy.signal.sosfiltfilt(padtype="even")``, whose steady state is here worked out
    once per filter instead of once per call.

    Parameters
    ----------
    rows : ndarray, shape (..., samples)
        Finite.
    sections : ndarray, shape (sections, 6)
    padding : int
        Samples reflected at each end, less than ``samples``.
    """
    start, end = rows[..., padding:0:-1], rows[..., -2 : -(padding + 2) : -1]
    padded = np.concatenate([start, rows, end], axis=-1)
    steady = _steady_state(sections.tobytes(), len(sections))
    # (sections, 2) -> (sections, ..., 2)
    steady = steady.reshape(len(sections), *([1] * (rows.ndim - 1)), 2)
    forward, _ = scipy_signal.sosfilt(sections, padded, zi=steady * padded[..., :1])
    backward, _ = scipy_signal.sosfilt(sections, forward[..., ::-1], zi=steady * forward[..., -1:])
    filtered: NDArray[np.float64] = backward[..., ::-1]
    return filtered[..., padding : padding + rows.shape[-1]]


@lru_cache(maxsize=32)
def _steady_state(sections: bytes, n_sections: int) -> NDArray[np.float64]:
    matrix = np.frombuffer(sections, np.float64).reshape(n_sections, 6)
    steady: NDArray[np.float64] = scipy_signal.sosfilt_zi(matrix)
    return steady


def filter_support(
    samples: NDArray[np.float64],
    sections: NDArray[np.float64],
    *,
    padding: int,
    shortest: int = 2,
) -> NDArray[np.float64]:
    """Filter leads forward and backward on each of their finite runs; NaN stays NaN.

    Filtering across a gap, or across the joint of two leads, would ring at the edge.

    Parameters
    ----------
    samples : ndarray, shape (samples,) or (leads, samples)
        The finite samples of all leads are the same.
    sections : ndarray, shape (sections, 6)
    padding : int
        Samples of even reflection at each end, or the whole run where it is shorter. At 500 Hz a
        corner of 0.5 Hz wants at least 1,500: with 33 the first 2 s depend on the padding by up to
        1.1 mV.
    shortest : int
        Runs with fewer samples stay as they are.
    """
    filtered = samples.copy()
    for run in finite_runs(samples):
        length = run.stop - run.start
        if length >= shortest:
            rows = samples[..., run]
            filtered[..., run] = zero_phase(rows, sections, padding=min(padding, length - 1))
    return filtered


def baseline(samples: NDArray[np.float64], *, grid: float = GRID_MV) -> float:
    """Level of the isoelectric line: the mode on the drawing grid, else the median.

    On a grid the most frequent value is the baseline. On continuous values each value is unique
    and the mode would be the minimum, so values are counted on a grid, and the median is taken
    where the fullest bin holds under 1 % of the samples.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
        NaN are left out.
    grid : float
        Step of the values, in their unit.

    Returns
    -------
    float
        In the unit of the samples; 0 for a lead without samples.
    """
    finite = samples[np.isfinite(samples)]
    if not finite.size:
        return 0.0
    counted = _count_steps(finite, grid)
    if counted is None or counted[1].max() < 0.01 * finite.size:
        return float(np.median(finite))
    first, counts = counted
    return float((counts.argmax() + first) * grid)


def _count_steps(finite: NDArray[np.floating], grid: float) -> tuple[int, NDArray[np.int64]] | None:
    """Smallest step, and how many values lie on it and on each of the next; None if too many."""
    steps = np.rint(finite / grid)
    low = steps.min()
    if steps.max() - low > 1_000_000:
        return None
    counts: NDArray[np.int64] = np.bincount((steps - low).astype(np.int64))
    return int(low), counts


def exact_modes(
    rows: NDArray[np.float64], *, finite: NDArray[np.bool_], grid: float = GRID_MV
) -> NDArray[np.float64]:
    """Most frequent exact value of each row, the smallest on a tie: the original's baseline.

    Values that lie on the grid are counted there, all rows at once, which gives the same numbers
    as sorting and is many times as fast; others are sorted. On continuous values this is the
    minimum.

    Parameters
    ----------
    rows : ndarray, shape (leads, samples)
    finite : ndarray of bool, same shape
        Where samples are.
    grid : float
        Step on which the values may lie, in float64 or as float32 writes it.

    Returns
    -------
    ndarray, shape (leads,)
        NaN for a row without samples.
    """
    values = rows[finite]
    lengths = finite.sum(axis=1)
    steps = np.rint(values / grid)
    is_float32 = bool(((steps * grid).astype(np.float32) == values).all())
    if values.size and (is_float32 or bool((steps * grid == values).all())):
        low = steps.min()
        span = int(steps.max() - low) + 1
        if span < _WIDEST_COUNT:
            lead = np.repeat(np.arange(len(rows)) * span, lengths)
            counts = np.bincount((steps - low).astype(np.int64) + lead, minlength=len(rows) * span)
            modes = (counts.reshape(len(rows), span).argmax(axis=1) + low) * grid
            modes = modes.astype(np.float32).astype(np.float64) if is_float32 else modes
            return np.where(lengths > 0, modes, np.nan)
    return np.array([_sorted_mode(row[ok]) for row, ok in zip(rows, finite, strict=True)])


def _sorted_mode(finite: NDArray[np.float64]) -> float:
    if not finite.size:
        return float("nan")
    values, numbers = np.unique(finite, return_counts=True)
    return float(values[numbers.argmax()])
