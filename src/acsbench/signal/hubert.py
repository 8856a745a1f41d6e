"""Decimation by five with HuBERT-ECG's anti-alias filter: lead by lead, or across leads.

The filter (Chebyshev type I of order 8, 0.05 dB of ripple, cut at 0.8 of the new Nyquist
frequency, run forward and backward) is scipy's for decimation, which HuBERT-ECG was trained with
(Coppola et al., HuBERT-ECG, 2024).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal

__all__ = ["decimate_flattened", "decimate_leads"]

_FACTOR = 5


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
