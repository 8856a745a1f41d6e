"""Calibration of resamples of patients, without ever repeating a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.metrics import CLIP
from acsbench.evaluation.smoothing import line_at, local_weights
from acsbench.evaluation.weighted import Statistic, weighted_sums

__all__ = ["curve_positions", "score_statistic", "smooth_statistic"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_N_CURVE = 50
_MAX_BINS = 200
_CHUNK_CELLS = 1 << 17


def curve_positions(p: Floats) -> Floats:
    """Where a smooth curve is drawn: quantiles of the probabilities, each once."""
    return np.unique(np.quantile(p, np.linspace(0, 1, _N_CURVE)))


def score_statistic(positives: Flags, p: Floats, patients: Ints, n_patients: int) -> Statistic:
    """Brier, scaled Brier, log loss and O:E, (r, 4), all from sums over rows."""
    outcome = positives.astype(np.float64)
    clipped = np.clip(p, CLIP, 1 - CLIP)
    loss = -np.log(np.where(positives, clipped, 1 - clipped))
    columns = np.column_stack([(p - outcome) ** 2, loss, p, outcome, np.ones(len(p))])
    sums = weighted_sums(columns, patients, n_patients)

    def statistic(drawn: Floats) -> Floats:
        squares, losses, expected, observed, n = sums(drawn).T
        with np.errstate(divide="ignore", invalid="ignore"):
            share = observed / n
            scaled = 1 - squares / n / (share * (1 - share))
            values = np.column_stack([squares / n, scaled, losses / n, observed / expected])
        return np.where(np.isfinite(values), values, np.nan)

    return statistic


def smooth_statistic(positives: Flags, p: Floats, patients: Ints) -> Statistic:
    """ICI, E50, E90 and Emax of resamples, then their lowess curve, (r, 4 + positions).

    Three shortcuts against `calibration.smooth_errors` on repeated rows: bandwidths are those of
    the rows themselves, the curve is straight between its positions, and probabilities are pooled
    to at most 200 bins of equal size. Memory does not grow with the rows.
    """
    order = np.argsort(p, kind="stable")
    x, who = p[order], patients[order]
    starts = _bin_starts(x)
    hits = np.flatnonzero(~positives[order])
    counts = np.diff(np.r_[starts, len(x)])
    centres = np.add.reduceat(x, starts) / counts
    at = curve_positions(p)
    weights = _bin_weights(x, at, starts, counts)  # (positions, bins)
    right = np.searchsorted(at, centres).clip(min(1, len(at) - 1), len(at) - 1)
    left = np.maximum(right - 1, 0)
    width = at[right] - at[left]
    part = np.where(width > 0, (centres - at[left]) / np.where(width > 0, width, 1), 0)
    part = part.clip(0, 1)[:, np.newaxis]

    def chunk(drawn: Floats) -> Floats:
        rows = drawn[who]
        n = np.add.reduceat(rows, starts, axis=0)  # (bins, r)
        rows[hits] = 0
        y = np.add.reduceat(rows, starts, axis=0)
        here = centres[:, np.newaxis]
        sums = np.stack([weights @ one for one in (n, n * here, n * here**2, y, y * here)], axis=1)
        curve = line_at(sums, at)  # (positions, r)
        fitted = curve[left] + part * (curve[right] - curve[left])
        return np.column_stack([_errors(np.abs(here - fitted), n), curve.T])

    def statistic(drawn: Floats) -> Floats:
        size = max(1, _CHUNK_CELLS // len(x))
        chunks = [chunk(drawn[:, i : i + size]) for i in range(0, drawn.shape[1], size)]
        return np.concatenate(chunks)

    return statistic


def _bin_starts(x: Floats) -> Ints:
    """First row of each bin of the sorted probabilities; equal ones share a bin."""
    firsts = np.flatnonzero(np.r_[True, x[1:] != x[:-1]])
    if len(firsts) <= _MAX_BINS:
        return firsts
    wanted = np.linspace(0, len(x), _MAX_BINS, endpoint=False).astype(np.intp)
    at = np.searchsorted(firsts, wanted).clip(max=len(firsts) - 1)
    return np.unique(np.r_[0, firsts[at]])


def _bin_weights(x: Floats, at: Floats, starts: Ints, counts: Ints) -> Floats:
    """Mean tricube weight of the rows of each bin, (positions, bins)."""
    rows = [
        np.add.reduceat(local_weights(x, at[i : i + 1], share=2 / 3)[0], starts) / counts
        for i in range(len(at))
    ]
    return np.stack(rows)


def _errors(distances: Floats, counts: Floats) -> Floats:
    """Weighted mean, median, 90 % quantile and maximum down the bins, (r, 4)."""
    total = counts.sum(axis=0)
    mean = (distances * counts).sum(axis=0) / total
    order = np.argsort(distances, axis=0)
    ordered = np.take_along_axis(distances, order, axis=0)
    reached = np.cumsum(np.take_along_axis(counts, order, axis=0), axis=0)
    columns = np.arange(distances.shape[1])
    found = [mean]
    for share in (0.5, 0.9, 1.0):
        index = (reached >= share * total - 0.5).argmax(axis=0)
        found.append(ordered[index, columns])
    return np.column_stack(found)
