"""Fill a lead that was printed for 2.5 s to the whole recording, from its own beats.

What is recorded stays as it is. A beat reaches from shortly before its R peak to the start of the
next one; only the part between T and P is stretched to the local RR interval, so that QRS, ST and
T keep their shape and size at any heart rate. Neighbours are cross-faded with weights that sum to
one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acsbench.signal.filters import finite_runs

__all__ = ["fill_with_own_beats"]

_BEFORE_S, _BEFORE_RR_SHARE = 0.25, 0.35
"""A beat starts the smaller of the two before its R peak."""
_T_END_S, _T_END_RR_SHARE = 0.42, 0.62
"""T has ended the smaller of the two after R: seconds times the root of RR, and a share of RR."""
_CROSS_FADE_S = 0.04


class _Beat(NamedTuple):
    start: int
    t_end: int
    """From here to ``end`` a beat may be stretched."""
    end: int


def fill_with_own_beats(
    lead: NDArray[np.float64], r_peaks: NDArray[np.int64], *, sampling_rate: float
) -> NDArray[np.float64]:
    """Fill what a lead lacks with its median beat, placed at every R peak of the recording.

    Parameters
    ----------
    lead : ndarray, shape (samples,)
        With its baseline taken away; NaN where it was not recorded.
    r_peaks : ndarray of int, shape (beats,)
        Of the whole recording, sorted.
    sampling_rate : float
        Hz.

    Returns
    -------
    ndarray, shape (samples,)
        Recorded samples unchanged. All others stay NaN where no beat of the lead was recorded up
        to the end of its T wave, or the recording has fewer than two R peaks.
    """
    finite = np.isfinite(lead)
    if finite.all() or len(r_peaks) < 2:
        return lead.copy()
    fade = max(round(_CROSS_FADE_S * sampling_rate), 2) // 2
    beats = _beats(r_peaks, lead.size, sampling_rate)
    own = [(beat, _recorded(beat, lead, fade)) for beat in beats]
    own = [(beat, samples) for beat, samples in own if samples.size]
    if not own:
        return lead.copy()
    total, weight = np.zeros(lead.size), np.zeros(lead.size)
    for target in beats:
        shapes = [_stretched(samples, beat, target, fade) for beat, samples in own]
        _add(total, weight, np.median(shapes, axis=0), at=target.start - fade, fade=fade)
    made = np.divide(total, weight, out=np.full(lead.size, np.nan), where=weight > 0)
    return _joined(lead, made, 2 * fade)


def _beats(r_peaks: NDArray[np.int64], n_samples: int, sampling_rate: float) -> list[_Beat]:
    """Beats that follow each other without a gap; as many more at both ends as are needed."""
    usual = int(np.median(np.diff(r_peaks)))
    before = np.arange(r_peaks[0] - usual, -2 * usual, -usual)[::-1]
    after = np.arange(r_peaks[-1] + usual, n_samples + 2 * usual, usual)
    r = np.concatenate([before, r_peaks, after])
    rr = np.diff(r)
    # the same for all beats, so that they are aligned at R
    starts = r - round(min(_BEFORE_RR_SHARE * usual, _BEFORE_S * sampling_rate))
    by_root = _T_END_S * np.sqrt(rr / sampling_rate) * sampling_rate
    t_end = r[:-1] + np.minimum(by_root, _T_END_RR_SHARE * rr)
    ends = np.minimum(t_end, starts[1:]).astype(int)
    return [_Beat(*map(int, marks)) for marks in zip(starts[:-1], ends, starts[1:], strict=True)]


def _recorded(beat: _Beat, lead: NDArray[np.float64], fade: int) -> NDArray[np.float64]:
    """A lead's samples from ``fade`` before a beat to at most ``fade`` after it.

    Nothing where less than the end of T and ``fade`` after it was recorded.
    """
    first = beat.start - fade
    if first < 0 or first >= lead.size:
        return np.zeros(0)
    samples = lead[first : beat.end + fade]
    missing = np.flatnonzero(~np.isfinite(samples))
    whole = samples[: missing[0]] if missing.size else samples
    return whole if whole.size >= beat.t_end - first + fade else np.zeros(0)


def _stretched(
    samples: NDArray[np.float64], own: _Beat, target: _Beat, fade: int
) -> NDArray[np.float64]:
    """Give a beat the length of another; all of the change is between T and P.

    ``samples`` reach ``fade`` beyond the beat on both sides, and so does the result.
    """
    fixed = min(own.t_end - own.start + fade, target.end - target.start + fade)
    rest = target.end - target.start + 2 * fade - fixed
    places = np.linspace(fixed, samples.size - 1, rest)
    stretched = np.interp(places, np.arange(samples.size), samples)
    return np.concatenate([samples[:fixed], stretched])


def _add(
    total: NDArray[np.float64],
    weight: NDArray[np.float64],
    beat: NDArray[np.float64],
    *,
    at: int,
    fade: int,
) -> None:
    """Add a beat whose ends rise and fall over twice ``fade``; neighbours' weights sum to one."""
    ramp = (np.arange(2 * fade) + 0.5) / (2 * fade)
    shape = np.ones(beat.size)
    shape[: 2 * fade] = ramp
    shape[-2 * fade :] = np.minimum(shape[-2 * fade :], ramp[::-1])
    first, last = max(at, 0), min(at + beat.size, total.size)
    if first < last:
        part = slice(first - at, last - at)
        total[first:last] += shape[part] * beat[part]
        weight[first:last] += shape[part]


def _joined(lead: NDArray[np.float64], made: NDArray[np.float64], fade: int) -> NDArray[np.float64]:
    """Put the recorded samples in; the step at each border fades out on the made side."""
    filled = made.copy()
    slope = 1 - (np.arange(fade) + 1) / fade
    for run in finite_runs(lead):
        if run.start > 0 and np.isfinite(made[run.start]):
            near = slice(max(run.start - fade, 0), run.start)
            step = lead[run.start] - made[run.start]
            filled[near] += step * slope[: near.stop - near.start][::-1]
        if run.stop < lead.size and np.isfinite(made[run.stop - 1]):
            near = slice(run.stop, min(run.stop + fade, lead.size))
            step = lead[run.stop - 1] - made[run.stop - 1]
            filled[near] += step * slope[: near.stop - near.start]
    return np.where(np.isfinite(lead), lead, filled)
