"""Curves through 0/1 outcomes: local regression (lowess, loess) and isotonic regression."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Isotonic", "fit_isotonic", "line_at", "local_fit", "local_weights", "pool"]

Floats = NDArray[np.float64]

_CHUNK_CELLS = 1 << 16
_MAX_CELLS = 20_000_000
_MIN_FITS = 200
"""A fit at every position costs positions x rows. Beyond so many cells (about 4,500 rows) there are
fewer fits, 200 at least, and straight lines between them."""


def _bandwidths(ordered: Floats, at: Floats, k: int) -> Floats:
    """Distance from each position to its k-th nearest observation."""
    # the k nearest are a stretch [start, start + k) of the sorted observations: the first start
    # whose right end is at least as far as the next left end would be
    low = np.zeros(len(at), dtype=np.intp)
    high = np.full(len(at), len(ordered) - k, dtype=np.intp)
    while (low < high).any():
        middle = (low + high) // 2
        beyond = at - ordered[middle] > ordered[np.minimum(middle + k, len(ordered) - 1)] - at
        beyond &= low < high
        low = np.where(beyond, middle + 1, low)
        high = np.where(beyond, high, middle)
    return np.maximum(at - ordered[low], ordered[low + k - 1] - at)


def local_weights(x: Floats, at: Floats, *, share: float) -> Floats:
    """Tricube weights of observations around positions, (positions, n): Cleveland 1979.

    Parameters
    ----------
    x : array of shape (n,), sorted
    at : array of shape (positions,)
    share : float
        Of the observations that one fit sees.
    """
    k = min(len(x), max(2, int(share * len(x) + 1e-10)))
    width = _bandwidths(x, at, k)[:, np.newaxis]
    distance = np.abs(x - at[:, np.newaxis])
    scaled = np.minimum(distance / np.where(width > 0, width, 1.0), 1)
    root = 1 - scaled * scaled * scaled
    weights: Floats = np.where(distance < 0.999 * width, root * root * root, 0.0)
    weights[distance <= 0.001 * width] = 1.0
    return weights


def _fits(x: Floats, y: Floats, at: Floats, *, share: float, degree: int) -> Floats:
    weights = local_weights(x, at, share=share)
    if degree == 1:
        columns = np.column_stack([np.ones(len(x)), x, x * x, y, x * y])
        return line_at(weights @ columns, at)
    centred = x - at[:, np.newaxis]
    moments, right, term = [], [], weights
    for power in range(2 * degree + 1):
        moments.append(term.sum(axis=1))
        if power <= degree:
            right.append(term @ y)
        term = term * centred
    size = degree + 1
    matrix = np.stack(
        [np.stack([moments[i + j] for j in range(size)], axis=1) for i in range(size)], axis=1
    )
    # pseudo-inverse: fewer distinct values in reach than coefficients is a flat or a linear fit
    scale = 1 / np.sqrt(np.maximum(np.einsum("pii->pi", matrix), 1e-300))
    scaled = matrix * scale[:, :, np.newaxis] * scale[:, np.newaxis, :]
    inverse = np.linalg.pinv(scaled, rcond=1e-7, hermitian=True)
    solution = np.einsum("pij,pj->pi", inverse, np.stack(right, axis=1) * scale)
    fitted: Floats = solution[:, 0] * scale[:, 0]
    return fitted


def line_at(sums: Floats, at: Floats) -> Floats:
    """Value at each position of its weighted line; the mean where the observations do not differ.

    Parameters
    ----------
    sums : array of shape (positions, 5, ...)
        Weighted sums of 1, x, x * x, y and x * y around each position.
    at : array of shape (positions,)

    Returns
    -------
    array of shape (positions, ...)
    """
    here = at.reshape(-1, *[1] * (sums.ndim - 2))
    s0, sx, sxx, sy, sxy = (sums[:, column] for column in range(5))
    n = np.where(s0 > 0, s0, 1.0)
    s1 = sx - here * s0
    spread = sxx - 2 * here * sx + here * here * s0 - s1 * s1 / n
    flat = spread <= 1e-12 * np.maximum(sxx, 1e-300)
    slope = (sxy - here * sy - s1 * sy / n) / np.where(flat, 1.0, spread)
    fitted: Floats = (sy - np.where(flat, 0.0, slope) * s1) / n
    return fitted


def local_fit(
    x: ArrayLike,
    y: ArrayLike,
    at: ArrayLike,
    *,
    share: float = 2 / 3,
    degree: Literal[1, 2] = 1,
) -> Floats:
    """Local regression at positions: degree 1 is lowess without robustness steps, 2 is loess.

    Parameters
    ----------
    x, y : arrays of shape (n,)
    at : array of shape (positions,)
    share : float
        Of the observations that one fit sees.
    degree : 1 or 2

    Returns
    -------
    array of shape (positions,)

    References
    ----------
    Cleveland, J Am Stat Assoc 74:829 (1979). Every position has its own fit, as R's loess with
    surface "direct"; with many rows the fits between some positions are interpolated.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    order = np.argsort(xs, kind="stable")
    xs, ys = xs[order], ys[order]
    wanted = np.asarray(at, dtype=np.float64)
    places = np.unique(wanted)
    n_fits = max(_MIN_FITS, _MAX_CELLS // len(xs))
    if len(places) > n_fits:
        rows = np.linspace(0, len(places) - 1, n_fits).round().astype(np.intp)
        places = places[rows]
    size = max(1, _CHUNK_CELLS // len(xs))
    parts = [
        _fits(xs, ys, places[i : i + size], share=share, degree=degree)
        for i in range(0, len(places), size)
    ]
    return np.interp(wanted, places, np.concatenate(parts))


class Isotonic(NamedTuple):
    """Nondecreasing step function: ``y`` on the distinct positions ``x``."""

    x: Floats
    y: Floats

    def at(self, positions: ArrayLike) -> Floats:
        """Height at any positions: linear between its own, flat beyond them."""
        return np.interp(np.asarray(positions, dtype=np.float64), self.x, self.y)


def fit_isotonic(x: ArrayLike, y: ArrayLike) -> Isotonic:
    """Isotonic regression by pooling adjacent violators, equal positions pooled first.

    Every stretch of blocks that do not rise is pooled at once, until all rise: blocks in such a
    stretch end in one block whatever comes later (Barlow et al. 1972).
    """
    places, codes, counts = np.unique(
        np.asarray(x, dtype=np.float64), return_inverse=True, return_counts=True
    )
    sums = np.bincount(codes, weights=np.asarray(y, dtype=np.float64))
    return Isotonic(places, pool(sums.astype(np.float64), counts.astype(np.float64)))


def pool(sums: Floats, sizes: Floats) -> Floats:
    """Isotonic means of ordered groups, from each group's sum and size."""
    members = np.ones(len(sums), dtype=np.intp)
    while True:
        means = sums / sizes
        starts = np.flatnonzero(np.r_[True, means[1:] > means[:-1]])
        if len(starts) == len(means):
            return np.repeat(means, members)
        sums, sizes = np.add.reduceat(sums, starts), np.add.reduceat(sizes, starts)
        members = np.add.reduceat(members, starts)
