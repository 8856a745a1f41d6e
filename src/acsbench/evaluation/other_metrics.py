"""Metrics that somebody brings, ``(labels, scores) -> float``: intervals and subgroups for all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import InputError
from acsbench.evaluation.bootstrap import bootstrap
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Figure, attempt, with_percentiles
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.metrics import NotEstimable
from acsbench.evaluation.weighted import Metric, repeated_rows

__all__ = ["best_scores", "other_figures"]


def best_scores(judged: Judged, model: str) -> NDArray[np.float64]:
    """Probabilities of a model, or its ranks where it gives no more."""
    return judged.probabilities.get(model, judged.scores[model])


def _guarded(name: str, metric: Metric) -> Metric:
    """The same metric, whose failure says whose it is."""

    def call(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
        try:
            return float(metric(labels, scores))
        except NotEstimable:
            raise
        except Exception as error:  # of a user's function
            raise InputError(
                f"The metric '{name}' failed on {len(labels):,} rows: {type(error).__name__}: "
                f"{error}. A metric takes labels (0, 1) and scores, arrays of shape (n,), and "
                "returns a number; where it has none it raises NotEstimable or returns NaN."
            ) from error

    return call


def other_figures(
    judged: Judged,
    metrics: Mapping[str, Metric],
    config: EvaluateConfig,
    *,
    members: NDArray[np.bool_] | None = None,
) -> dict[tuple[str, str], Figure]:
    """Every metric of every model by (metric, model), by the patient bootstrap.

    Parameters
    ----------
    judged : Judged
    metrics : mapping of str to function
        A metric without an answer raises `NotEstimable`, or returns NaN.
    config : EvaluateConfig
    members : array of bool, (n,), optional
        Only these rows; the draws of patients are those of all rows.
    """
    if not metrics:
        return {}
    metrics = {name: _guarded(name, metric) for name, metric in metrics.items()}
    rows = np.ones(len(judged.labels), dtype=np.bool_) if members is None else members
    labels, patients = judged.labels[rows], judged.patients[rows]
    scores = np.column_stack([best_scores(judged, model)[rows] for model in judged.models])
    sampled = bootstrap(
        {
            name: repeated_rows(metric, labels == 1, scores, patients)
            for name, metric in metrics.items()
        },
        n_patients=judged.n_patients,
        n_resamples=config.n_resamples,
        seed=config.seed,
    )
    figures = {}
    for name, metric in metrics.items():
        for index, model in enumerate(judged.models):
            value, reason = attempt(partial(metric, labels, scores[:, index]))
            resampled = sampled[name][:, index]
            figures[name, model] = with_percentiles(value, reason, resampled, config.level)
    return figures
