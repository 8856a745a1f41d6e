"""Simulated beats whose R peak, J point, ST level and T wave are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 500.0


def bump(t: NDArray[np.float64], centre: float, width: float, height: float) -> NDArray[np.float64]:
    return height * np.exp(-0.5 * ((t - centre) / width) ** 2)


def heart(
    r_s: NDArray[np.float64],
    *,
    seconds: float = 10.0,
    rate: float = RATE,
    st: float = 0.0,
    t_height: float = 0.3,
    r_height: float = 1.0,
    qrs_s: float = 0.09,
    level: float = 0.0,
) -> NDArray[np.float64]:
    """One lead: P, a QRS that ends ``qrs_s / 2`` after R, a flat ST of ``st`` mV, T at R + 300 ms.

    The QRS is a triangle, so that its end is a point and no matter of opinion.
    """
    t = np.arange(round(seconds * rate)) / rate
    signal = np.full(t.shape, level)
    for r in r_s:
        half = qrs_s / 2
        signal += bump(t, r - 0.16, 0.02, 0.1)
        signal += r_height * np.clip(1 - np.abs(t - r) / half, 0, None)
        signal += bump(t, r + 0.30, 0.045, t_height)
        rise = np.clip((t - r) / half, 0, 1)
        fall = np.clip((r + 0.45 - t) / 0.05, 0, 1)
        signal += st * np.where(t < r, 0.0, rise * fall)
    return signal


def steady(
    rate_per_min: float, *, seconds: float = 10.0, first: float = 0.5
) -> NDArray[np.float64]:
    """R times of a regular rhythm."""
    return np.arange(first, seconds - 0.5, 60 / rate_per_min)
