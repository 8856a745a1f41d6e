"""HuBERT-ECG's signal path: its published preparation, and a sound one.

The anti-alias filter (Chebyshev type I of order 8, 0.05 dB of ripple, cut at 0.8 of the new Nyquist
frequency, run forward and backward) is scipy's for decimation, which HuBERT-ECG was trained with
(Coppola et al., HuBERT-ECG, 2024).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal

from acsbench.signal.resample import resampled

__all__ = ["clean_leads", "decimate_flattened", "decimate_leads", "upstream_leads"]

_FACTOR = 5
_UPSTREAM_RATE = 500.0
_CLEAN_RATE = 100.0
_CLEAN_CORNER_HZ = 0.5


def decimate_leads(signal: NDArray[np.floating]) -> NDArray[np.floating]:
    """Decimate each lead by itself: the sound order.

    Parameters
    ----------
    signal : ndarray, shape (leads, samples)
        Finite, at 500 Hz.

    Returns
    -------
    ndarray, shape (leads, ceil(samples / 5))
        At 100 Hz.
    """
    decimated: NDArray[np.floating] = scipy_signal.decimate(signal, _FACTOR, axis=-1)
    return decimated


def decimate_flattened(signal: NDArray[np.floating]) -> NDArray[np.floating]:
    """Lay the leads end to end, then decimate: the published order, which rings across leads.

    Parameters
    ----------
    signal : ndarray, shape (leads, samples)
        At 500 Hz. Missing values become the mean of all that are there.

    Returns
    -------
    ndarray, shape (leads * samples / 5,)
        At 100 Hz.
    """
    finite = np.isfinite(signal)
    if not finite.all():
        signal = np.where(finite, signal, signal[finite].mean())
    decimated: NDArray[np.floating] = scipy_signal.decimate(signal.ravel(), _FACTOR)
    return decimated


def upstream_leads(signal: NDArray[np.floating], *, sampling_rate: float) -> NDArray[np.floating]:
    """Prepare a whole record as the published weights' training data were, at 500 Hz.

    A band-pass of 0.05 to 47 Hz by a windowed design of 0.3 s, forward and backward; resampling by
    Fourier; each lead scaled to -1 ... 1 by its extremes. The filter is too short for its low
    corner: drift passes, and sets the scale. One missing sample spoils its whole lead, and a
    constant lead becomes -1; both are as published (HuBERT-ECG, commit affe1f9).

    Parameters
    ----------
    signal : ndarray, shape (leads, samples)
    sampling_rate : float
        Hz.

    Returns
    -------
    ndarray, shape (leads, samples at 500 Hz)
        NaN throughout a lead that was not whole.
    """
    order = int(0.3 * sampling_rate)
    taps = scipy_signal.firwin(
        order + 1 - order % 2, (0.05, 47.0), pass_zero=False, fs=sampling_rate
    )
    filtered = scipy_signal.filtfilt(taps, [1.0], signal, axis=-1)
    if sampling_rate != _UPSTREAM_RATE:
        n_samples = int(signal.shape[-1] * _UPSTREAM_RATE / sampling_rate)
        filtered = scipy_signal.resample(filtered, n_samples, axis=-1)
    low, high = filtered.min(-1, keepdims=True), filtered.max(-1, keepdims=True)
    scaled: NDArray[np.floating] = 2 * (filtered - low) / (high - low + 1e-8) - 1
    return scaled


def clean_leads(
    signal: NDArray[np.floating], known: NDArray[np.bool_], *, sampling_rate: float
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Prepare a whole record lead by lead, at 100 Hz: the sound order.

    Gaps are bridged within their own lead before any filter sees them; drift is removed by a
    zero-phase Butterworth high-pass of 0.5 Hz (order 2); each lead is decimated by itself. A
    constant lead is zero, and what was not recorded stays marked.

    Parameters
    ----------
    signal : ndarray, shape (leads, samples)
    known : ndarray of bool, same shape
        What was recorded.
    sampling_rate : float
        Hz; a multiple or divisor of 100 Hz keeps sample times exact.

    Returns
    -------
    ndarray, shape (leads, samples at 100 Hz)
        Zero where not recorded.
    ndarray of bool, same shape
    """
    known = known & np.isfinite(signal)
    sections = scipy_signal.butter(2, _CLEAN_CORNER_HZ, "highpass", fs=sampling_rate, output="sos")
    flat = scipy_signal.sosfiltfilt(sections, _bridged(signal, known), axis=-1)
    if sampling_rate == _CLEAN_RATE * _FACTOR:
        flat, at = decimate_leads(flat), known[:, ::_FACTOR]
    elif sampling_rate == _CLEAN_RATE:
        at = known
    else:
        flat = resampled(flat, sampling_rate=sampling_rate, to=_CLEAN_RATE)
        nearest = np.arange(flat.shape[-1]) * sampling_rate / _CLEAN_RATE
        at = known[:, np.minimum(nearest.astype(int), known.shape[-1] - 1)]
    return np.where(at, flat, 0.0), at


def _bridged(signal: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Straight lines across the gaps of each lead, its first and last values beyond them."""
    times = np.arange(signal.shape[-1])
    rows = np.zeros(signal.shape)
    for row, lead, here in zip(rows, signal, known, strict=True):
        if here.any():
            row[:] = np.interp(times, times[here], lead[here])
    return rows
