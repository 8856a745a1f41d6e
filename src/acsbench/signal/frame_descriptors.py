"""Numbers that describe a short stretch of signal: what a first clustering of frames is made of.

The sixteen of time and frequency are those of HuBERT-ECG (Coppola et al. 2024), in its order; the
mel cepstrum follows Davis and Mermelstein, IEEE Trans ASSP 28:357 (1980), in the form that Kaldi
gave it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["Descriptor", "describe", "frame_starts", "mfcc", "time_freq"]

Descriptor = Literal["time_freq", "mfcc", "mixed"]
Floats = NDArray[np.float64]

_N_MEL, _N_CEPSTRA = 23, 13
_LIFTER = 22.0
_LOW_HZ = 0.5
_PRE_EMPHASIS = 0.97


def frame_starts(n_samples: int, *, reach: int, stride: int) -> NDArray[np.intp]:
    """First sample of the stretch of ``stride`` samples in the middle of what each frame sees.

    Parameters
    ----------
    n_samples : int
        Of the vector that a convolutional encoder without padding reads.
    reach, stride : int
        Samples that one of its frames sees, and from one frame to the next.
    """
    n_frames = (n_samples - reach) // stride + 1
    return np.arange(n_frames) * stride + (reach - stride) // 2


def describe(frames: Floats, kind: Descriptor, *, sampling_rate: float) -> Floats:
    """Describe each frame of records.

    Parameters
    ----------
    frames : ndarray, shape (records, frames, samples)
        Finite.
    kind : "time_freq", "mfcc" or "mixed"
        16 numbers; 39, the cepstrum with its first and second differences from frame to frame; or
        29, the 16 and the cepstrum.
    sampling_rate : float
        Hz.

    Returns
    -------
    ndarray, shape (records, frames, numbers)
    """
    if kind == "time_freq":
        return time_freq(frames)
    cepstra = mfcc(frames, sampling_rate=sampling_rate)
    if kind == "mixed":
        return np.concatenate([time_freq(frames), cepstra], axis=-1)
    # along a single frame, as in the published code, every difference would be zero
    first = np.gradient(cepstra, axis=-2)
    return np.concatenate([cepstra, first, np.gradient(first, axis=-2)], axis=-1)


def time_freq(frames: Floats) -> Floats:
    """Shape in time and power by frequency, (..., samples) to (..., 16).

    Minimum, maximum, mean, root mean square, variance, standard deviation, power, peak, peak to
    peak, crest factor, skewness, excess kurtosis; then maximum, sum, mean and variance of the
    power spectrum. What divides by zero in a constant frame is zero.
    """
    n = frames.shape[-1]
    low, high, mean = frames.min(-1), frames.max(-1), frames.mean(-1)
    power = np.square(frames).mean(-1)
    rms, peak = np.sqrt(power), np.abs(frames).max(-1)
    centred = frames - mean[..., None]
    variance = np.square(centred).mean(-1)
    # below the rounding of the mean there is no spread
    varies = variance > 1e-12 * power
    spread = np.sqrt(np.where(varies, variance, 1.0))
    skewness = np.where(varies, (centred**3).mean(-1) / spread**3, 0.0)
    kurtosis = np.where(varies, (centred**4).mean(-1) / spread**4 - 3, 0.0)
    crest = np.divide(peak, rms, out=np.zeros_like(peak), where=rms > 0)
    spectrum = np.abs(fft.fft(frames, axis=-1)) ** 2 / n
    of_time = (low, high, mean, rms, variance, np.sqrt(variance), power, peak, high - low, crest)
    of_spectrum = (spectrum.max(-1), spectrum.sum(-1), spectrum.mean(-1), spectrum.var(-1))
    return np.stack([*of_time, skewness, kurtosis, *of_spectrum], axis=-1)


def mfcc(frames: Floats, *, sampling_rate: float) -> Floats:
    """Mel cepstrum, (..., samples) to (..., 13).

    Without offset, pre-emphasised, under Povey's window; the logarithm of 23 triangular bands,
    evenly on the mel scale from 0.5 Hz to half of the sampling rate, as cosines, liftered.
    """
    n = frames.shape[-1]
    centred = frames - frames.mean(-1, keepdims=True)
    before = np.concatenate([centred[..., :1], centred[..., :-1]], axis=-1)
    window = np.hanning(n) ** 0.85
    power = np.abs(fft.rfft((centred - _PRE_EMPHASIS * before) * window, axis=-1)) ** 2
    bands = power @ _mel_bands(n, sampling_rate).T
    cepstra = fft.dct(np.log(bands + np.finfo(np.float32).eps), norm="ortho", axis=-1)
    order = np.arange(_N_CEPSTRA)
    lifted: Floats = cepstra[..., :_N_CEPSTRA] * (1 + _LIFTER / 2 * np.sin(np.pi * order / _LIFTER))
    return lifted


def _mel_bands(n_samples: int, sampling_rate: float) -> Floats:
    """Weights of the power spectrum's lines in each band, (bands, lines)."""

    def mel(hz: Floats | float) -> Floats:
        return np.asarray(1127 * np.log1p(np.asarray(hz) / 700))

    lines = mel(fft.rfftfreq(n_samples, 1 / sampling_rate))
    edges = np.linspace(mel(_LOW_HZ), mel(sampling_rate / 2), _N_MEL + 2)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (lines - low) / (middle - low), (high - lines) / (high - middle)
    return np.clip(np.minimum(rising, falling), 0, None)
