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
    leads: NDArray[np.float64], r_peaks: NDArray[np.int64], *, sampling_rate: float
) -> NDArray[np.float64]:
    """Fill what leads lack with their median beat, placed at every R peak of the recording.

    Parameters
    ----------
    leads : ndarray, shape (samples,) or (leads, samples)
        With their baseline taken away; NaN where not recorded, which is the same for all.
    r_peaks : ndarray of int, shape (beats,)
        Of the whole recording, sorted.
    sampling_rate : float
        Hz.

    Returns
    -------
    ndarray, shape of ``leads``
        Recorded samples unchanged. All others stay NaN where no beat was recorded up to the end of
        its T wave, or the recording has fewer than two R peaks.
    """
    rows = np.atleast_2d(leads)
    finite = np.isfinite(rows[0])
    if finite.all() or len(r_peaks) < 2:
        return leads.copy()
    fade = max(round(_CROSS_FADE_S * sampling_rate), 2) // 2
    beats = _beats(r_peaks, rows.shape[1], sampling_rate)
    own = [(beat, _recorded(beat, rows, finite, fade)) for beat in beats]
    own = [(beat, samples) for beat, samples in own if samples.size]
    if not own:
        return leads.copy()
    total, weight = np.zeros(rows.shape), np.zeros(rows.shape[1])
    for target in beats:
        shapes = [_stretched(samples, beat, target, fade) for beat, samples in own]
        _add(total, weight, _median(shapes), at=target.start - fade, fade=fade)
    # every sample lies in a beat: beats follow each other beyond both ends
    return _joined(rows, total / weight, 2 * fade).reshape(leads.shape)


def _median(shapes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Median of a few arrays; numpy's costs ten times as much for the one or two of 2.5 s."""
    if len(shapes) <= 2:
        return shapes[0] if len(shapes) == 1 else (shapes[0] + shapes[1]) / 2
    middle: NDArray[np.float64] = np.median(shapes, axis=0)
    return middle


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


def _recorded(
    beat: _Beat, rows: NDArray[np.float64], finite: NDArray[np.bool_], fade: int
) -> NDArray[np.float64]:
    """Samples from ``fade`` before a beat to at most ``fade`` after it, (leads, samples).

    Nothing where less than the end of T and ``fade`` after it was recorded.
    """
    first = beat.start - fade
    if first < 0 or first >= finite.size:
        return np.zeros((len(rows), 0))
    there = finite[first : beat.end + fade]
    n_whole = there.size if there.all() else int(np.argmin(there))
    enough = n_whole >= beat.t_end - first + fade
    return rows[:, first : first + n_whole] if enough else np.zeros((len(rows), 0))


def _stretched(
    samples: NDArray[np.float64], own: _Beat, target: _Beat, fade: int
) -> NDArray[np.float64]:
    """Give a beat the length of another; all of the change is between T and P.

    ``samples`` reach ``fade`` beyond the beat on both sides, and so does the result.
    """
    fixed = min(own.t_end - own.start + fade, target.end - target.start + fade)
    rest = target.end - target.start + 2 * fade - fixed
    places = fixed + np.arange(rest) * ((samples.shape[1] - 1 - fixed) / (rest - 1))
    below = np.minimum(places.astype(int), samples.shape[1] - 2)
    between = places - below
    stretched = samples[:, below] * (1 - between) + samples[:, below + 1] * between
    return np.concatenate([samples[:, :fixed], stretched], axis=1)


def _add(
    total: NDArray[np.float64],
    weight: NDArray[np.float64],
    beat: NDArray[np.float64],
    *,
    at: int,
    fade: int,
) -> None:
    """Add a beat whose ends rise and fall over twice ``fade``; neighbours' weights sum to one."""
    length = beat.shape[1]
    ramp = (np.arange(2 * fade) + 0.5) / (2 * fade)
    shape = np.ones(length)
    shape[: 2 * fade] = ramp
    shape[-2 * fade :] = np.minimum(shape[-2 * fade :], ramp[::-1])
    first, last = max(at, 0), min(at + length, weight.size)
    if first < last:
        part = slice(first - at, last - at)
        total[:, first:last] += shape[part] * beat[:, part]
        weight[first:last] += shape[part]


def _joined(rows: NDArray[np.float64], made: NDArray[np.float64], fade: int) -> NDArray[np.float64]:
    """Put the recorded samples in; the step at each border fades out on the made side."""
    filled = made.copy()
    slope = 1 - (np.arange(fade) + 1) / fade
    for run in finite_runs(rows):
        if run.start > 0:
            near = slice(max(run.start - fade, 0), run.start)
            step = (rows[:, run.start] - made[:, run.start])[:, None]
            filled[:, near] += step * slope[: near.stop - near.start][::-1]
        if run.stop < rows.shape[1]:
            near = slice(run.stop, min(run.stop + fade, rows.shape[1]))
            step = (rows[:, run.stop - 1] - made[:, run.stop - 1])[:, None]
            filled[:, near] += step * slope[: near.stop - near.start]
    return np.where(np.isfinite(rows), rows, filled)
