"""Change of sampling rate."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal

__all__ = ["resampled"]


def resampled(
    signal: NDArray[np.floating], *, sampling_rate: float, to: float
) -> NDArray[np.floating]:
    """Resample each lead by a polyphase filter, which is its own anti-alias filter.

    Parameters
    ----------
    signal : ndarray, shape (leads, samples)
        Finite.
    sampling_rate, to : float
        Hz.

    Returns
    -------
    ndarray, shape (leads, ceil(samples * to / sampling_rate))
    """
    if sampling_rate == to:
        return signal
    ratio = Fraction(to / sampling_rate).limit_denominator(1000)
    # a lead's ends continue as straight lines, so that an offset does not ring
    made: NDArray[np.floating] = scipy_signal.resample_poly(
        signal, ratio.numerator, ratio.denominator, axis=-1, padtype="line"
    )
    return made
