"""Whether a metric keeps its contract."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from acsbench import registry
from acsbench.evaluation.metrics import NotEstimable
from acsbench.testing.findings import require

__all__ = ["check_metric"]

Metric = Callable[[NDArray[np.float64], NDArray[np.float64]], float]
_N = 200


def check_metric(name: str) -> None:
    """Check that a registered metric keeps its contract, on generated labels and probabilities.

    Parameters
    ----------
    name : str
        Registered, by a built-in line or an entry point of the group ``acsbench.metrics``.

    Raises
    ------
    AssertionError
        With every finding, one a line.
    """
    metric: Metric = registry.load("metrics", name)
    checks = (_of_a_sample, _of_one_class)
    require(f"Metric '{name}'", [partial(check, metric) for check in checks])


def _of_a_sample(metric: Metric) -> Iterator[str]:
    labels, scores = _sample()
    value = metric(labels.copy(), scores.copy())
    if not isinstance(value, (float, np.floating)) or not math.isfinite(value):
        yield f"it gives {value!r}; expected one finite number."
        return
    given = labels.copy(), scores.copy()
    again = metric(*given)
    if not (np.array_equal(given[0], labels) and np.array_equal(given[1], scores)):
        yield "it changes the arrays that it is given."
    if again != value:
        yield "a second call gives another value."
    order = np.random.default_rng(1).permutation(_N)
    if not math.isclose(metric(labels[order], scores[order]), value, rel_tol=1e-9, abs_tol=1e-12):
        yield "the order of the rows changes the value."
    flags = metric(labels == 1, scores)
    if not math.isclose(flags, value, rel_tol=1e-9, abs_tol=1e-12):
        yield "labels as flags give another value than labels as 0 and 1."


def _of_one_class(metric: Metric) -> Iterator[str]:
    """A resample of few patients may hold one class: a value, or a refusal with its reason."""
    scores = _sample()[1]
    for label in (0.0, 1.0):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of empty means: the value tells
                value = metric(np.full(_N, label), scores)
        except NotEstimable:
            continue
        if not math.isfinite(value):
            yield f"with labels of {label:.0f} alone it gives {value!r}; expected NotEstimable."


def _sample() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Labels and calibrated probabilities, some of them equal."""
    rng = np.random.default_rng(0)
    scores = np.round(rng.beta(1.5, 3, _N), 2).clip(0.01, 0.99)
    return (rng.random(_N) < scores).astype(np.float64), scores
