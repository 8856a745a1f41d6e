"""The patient bootstrap: second opinion on every interval, and the only one of most metrics.

Patients are drawn with replacement, each with all of their rows. A statistic is a function of how
often each patient was drawn, so that all models, metrics and subgroups share the same draws, and
paired differences come free. Equal seeds and patients give equal draws, whatever the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.intervals import Interval, as_columns
from acsbench.evaluation.metrics import auprc, auroc, check_labels_and_scores
from acsbench.evaluation.weighted import (
    Metric,
    Statistic,
    rank_statistic,
    repeated_rows,
    weighted_sums,
)

__all__ = ["Bootstrap", "bootstrap", "patient_bootstrap", "patient_draws", "percentile_interval"]

Floats = NDArray[np.float64]

_MAX_DEGENERATE_SHARE = 0.05
_BLOCK_CELLS = 1 << 24
"""Patients x resamples held at a time: 128 MB of float64."""


class Bootstrap(NamedTuple):
    """Values of each metric, (n_resamples, k), NaN where a resample gave none.

    ``n_degenerate`` counts the resamples that held one class only.
    """

    values: dict[str, Floats]
    n_degenerate: int


def bootstrap(
    statistics: Mapping[str, Statistic], *, n_patients: int, n_resamples: int, seed: int
) -> dict[str, Floats]:
    """Values of every statistic on the same resamples of patients.

    Parameters
    ----------
    statistics : mapping of str to function
        From how often each patient was drawn, (n_patients, r), to values (r, k).
    n_patients, n_resamples, seed : int

    Returns
    -------
    dict of str to array of shape (n_resamples, k)
    """
    blocks: dict[str, list[Floats]] = {name: [] for name in statistics}
    for drawn in patient_draws(n_patients, n_resamples=n_resamples, seed=seed):
        for name, statistic in statistics.items():
            blocks[name].append(statistic(drawn))
    return {name: np.concatenate(parts) for name, parts in blocks.items()}


def patient_draws(n_patients: int, *, n_resamples: int, seed: int) -> Iterator[Floats]:
    """How often each patient is drawn, (n_patients, resamples), a block of resamples at a time."""
    rng = np.random.default_rng(seed)
    size = max(1, min(n_resamples, _BLOCK_CELLS // n_patients))
    for start in range(0, n_resamples, size):
        n = min(size, n_resamples - start)
        counts = np.empty((n, n_patients))
        for resample in counts:
            drawn = rng.integers(n_patients, size=n_patients)
            resample[:] = np.bincount(drawn, minlength=n_patients)
        yield counts.T


def patient_bootstrap(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike,
    metrics: Mapping[str, Metric],
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    drawn_from: ArrayLike | None = None,
) -> Bootstrap:
    """Resample patients, with all their rows; every model and metric sees the same resamples.

    Parameters
    ----------
    labels : array of shape (n,)
    scores : array of shape (n,) or (n, k)
    patients : array of shape (n,)
    metrics : mapping of str to function
        ``(labels, scores) -> float``. `auroc` and `auprc` are done by weights on scores sorted
        once; any other function is called on repeated rows.
    n_resamples, seed : int
    drawn_from : array, optional
        The patients to draw from, where these rows are a part of theirs (one of several tasks).

    Returns
    -------
    Bootstrap
        A resample of one class gives NaN and is counted.

    Raises
    ------
    NotEstimable, ValueError
        As `metrics.auroc`, for the rows themselves.
    """
    matrix = as_columns(scores)
    names = np.unique(np.asarray(patients if drawn_from is None else drawn_from))
    codes = np.searchsorted(names, np.asarray(patients))
    checked = [check_labels_and_scores(labels, column) for column in matrix.T]
    positives = checked[0][0]
    of_order = {auroc: 0, auprc: 1}
    classes = np.column_stack([positives, ~positives])
    statistics: dict[str, Statistic] = {"classes": weighted_sums(classes, codes, len(names))}
    if any(metric in of_order for metric in metrics.values()):
        for model, (_, column) in enumerate(checked):
            statistics[f"ranks {model}"] = rank_statistic(positives, column, codes)
    for name, metric in metrics.items():
        if metric not in of_order:
            statistics[f"metric {name}"] = repeated_rows(metric, positives, matrix, codes)
    found = bootstrap(statistics, n_patients=len(names), n_resamples=n_resamples, seed=seed)
    values = {
        name: np.column_stack(
            [found[f"ranks {model}"][:, of_order[metric]] for model in range(len(checked))]
        )
        if metric in of_order
        else found[f"metric {name}"]
        for name, metric in metrics.items()
    }
    return Bootstrap(values, int((found["classes"] == 0).any(axis=1).sum()))


def percentile_interval(values: Floats, *, level: float = 0.95) -> Interval:
    """Central share of the resampled values; None with a reason where too many are missing.

    Parameters
    ----------
    values : array of shape (n_resamples,)
        NaN where a resample gave none. Above 5 % of those the rest is no longer a picture of the
        sampling, and there is no interval.
    level : float
    """
    known = values[~np.isnan(values)]
    n_missing = len(values) - len(known)
    if n_missing > _MAX_DEGENERATE_SHARE * len(values):
        return Interval(None, None, f"{n_missing:,} of {len(values):,} resamples gave no value")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    if low == high:
        return Interval(None, None, "all resamples gave the same value")
    return Interval(float(low), float(high))
