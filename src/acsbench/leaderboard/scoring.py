"""Scores against hidden labels, by `acsbench.evaluation`: the board has no metric of its own.

What is here has full precision. It stays with the worker; what anybody may see is made of it by
`release` and `ranks`.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.metadata import version as package_version
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.board_metrics import METRICS, board_statistics
from acsbench.evaluation.bootstrap import bootstrap, percentile_interval
from acsbench.evaluation.intervals import (
    Interval,
    clustered_delong,
    logit_interval,
    paired_difference,
)
from acsbench.evaluation.metrics import NotEstimable
from acsbench.leaderboard.definition import TaskVersion

__all__ = [
    "Estimate",
    "Part",
    "Scored",
    "Truth",
    "default_part",
    "delong_interval",
    "differences",
    "paired_se",
    "panel",
    "provenance",
    "same",
    "score",
    "with_resamples",
]

Floats = NDArray[np.float64]
Part = Literal["all", "feedback", "rest"]

_PACKAGES = ("acsbench", "numpy", "polars", "scipy")
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Truth:
    """What is hidden of a task version, in the order of its ids.

    Attributes
    ----------
    labels : array of int8, (n,)
    patients : array of int, (n,)
        Whose row it is, from 0.
    subgroups : mapping of str to tuple of str
        Value of each row.
    split_part : array of bool, (n,)
        The rows that give feedback under the policy ``split``: all rows of some patients.
    """

    labels: NDArray[np.int8]
    patients: NDArray[np.intp]
    subgroups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split_part: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __repr__(self) -> str:
        # a traceback or a log may show it
        return f"Truth of {len(self.labels):,} rows"

    @property
    def n_patients(self) -> int:
        """How many there are."""
        return int(self.patients.max()) + 1

    @property
    def n_positive(self) -> int:
        """Rows with the outcome."""
        return int(self.labels.sum())

    def members(self, part: Part) -> NDArray[np.bool_]:
        """Which rows belong to a part."""
        if part == "all":
            return np.ones(len(self.labels), dtype=np.bool_)
        return self.split_part if part == "feedback" else ~self.split_part

    def of(self, part: Part) -> Truth:
        """The rows of a part alone, their patients numbered anew."""
        return self._feedback if part == "feedback" else self._rest if part == "rest" else self

    @cached_property
    def _feedback(self) -> Truth:
        return self._subset(self.split_part)

    @cached_property
    def _rest(self) -> Truth:
        return self._subset(~self.split_part)

    def _subset(self, members: NDArray[np.bool_]) -> Truth:
        patients = np.unique(self.patients[members], return_inverse=True)[1]
        return Truth(self.labels[members], patients.astype(np.intp))


class Estimate(NamedTuple):
    """A metric of an entry with its interval; what cannot be computed is None with a reason."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    reason: str | None


@dataclass(frozen=True, eq=False)
class Scored:
    """One submission against the labels, at full precision.

    Attributes
    ----------
    scores : array of shape (n,)
        All rows, in the order of the ids.
    part : "all", "feedback" or "rest"
        The rows that the figures are of.
    values : dict of str to float or None
        By metric of the panel.
    reasons : dict of str to str
        Why a value is None.
    resamples : dict of str to array of shape (n_resamples,)
        Empty until `with_resamples`.
    n_rows, n_patients, n_positive : int
        Of the part.
    """

    scores: Floats
    part: Part
    values: dict[str, float | None]
    reasons: dict[str, str]
    n_rows: int
    n_patients: int
    n_positive: int
    resamples: dict[str, Floats] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Scored on {self.n_rows:,} rows"


def default_part(version: TaskVersion) -> Part:
    """The rows that a board shows figures of while it is open."""
    return "feedback" if version.task.release.policy == "split" else "all"


def score(
    scores: Floats, truth: Truth, version: TaskVersion, *, part: Part | None = None
) -> Scored:
    """Every metric of the panel, without intervals.

    Parameters
    ----------
    scores : array of shape (n,)
        In the order of the task's ids, as `check_file` gives them.
    truth : Truth
    version : TaskVersion
    part : "all", "feedback" or "rest", optional
        By default all rows; under the policy ``split`` the part that gives feedback.
    """
    part = part or default_part(version)
    mine, of_part = truth.of(part), scores[truth.members(part)]
    values: dict[str, float | None] = {}
    reasons = {}
    for name in version.task.panel:
        try:
            values[name] = METRICS[name].function(mine.labels, of_part)
        except NotEstimable as refusal:
            values[name], reasons[name] = None, refusal.reason
    n = len(mine.labels)
    return Scored(scores, part, values, reasons, n, mine.n_patients, mine.n_positive)


def with_resamples(scored: Scored, truth: Truth, version: TaskVersion) -> Scored:
    """The same with every metric on resamples of patients, drawn alike for every submission."""
    mine, scores = truth.of(scored.part), scored.scores[truth.members(scored.part)]
    statistics = board_statistics(version.task.panel, mine.labels == 1, scores, mine.patients)
    sampled = bootstrap(
        {key: statistic for key, (statistic, _) in statistics.items()},
        n_patients=mine.n_patients,
        n_resamples=version.task.release.n_resamples,
        seed=version.seed,
    )
    columns = {
        name: sampled[key][:, column]
        for key, (_, names) in statistics.items()
        for column, name in enumerate(names)
    }
    return replace(scored, resamples={name: columns[name] for name in version.task.panel})


def panel(scored: Scored, version: TaskVersion) -> tuple[Estimate, ...]:
    """Each metric of the panel with its percentile interval."""
    return tuple(_estimate(scored, name) for name in version.task.panel)


def _estimate(scored: Scored, name: str) -> Estimate:
    value = scored.values[name]
    if value is None:
        return Estimate(name, None, None, None, scored.reasons[name])
    if name not in scored.resamples:
        return Estimate(name, value, None, None, "intervals follow")
    return Estimate(name, value, *percentile_interval(scored.resamples[name]))


def delong_interval(scored: Scored, truth: Truth) -> Interval:
    """Interval of the AUROC by DeLong with patient clusters: a check of the resamples'."""
    mine, scores = truth.of(scored.part), scored.scores[truth.members(scored.part)]
    found = clustered_delong(mine.labels, scores, mine.patients)
    return logit_interval(float(found.auroc[0]), float(found.covariance[0, 0]))


def differences(a: Scored, b: Scored, metric: str) -> Floats:
    """Differences of two submissions on the same resamples, (n_resamples,)."""
    delta: Floats = a.resamples[metric] - b.resamples[metric]
    return delta


def paired_se(a: Scored, b: Scored, truth: Truth, version: TaskVersion) -> float | None:
    """Standard error of the difference in the primary metric, patients being independent.

    By clustered DeLong for the AUROC, by the resamples for other metrics; None where there is
    none, as of files that rank alike.
    """
    metric = version.task.primary
    if metric == "auroc":
        members, mine = truth.members(a.part), truth.of(a.part)
        both = np.column_stack([a.scores[members], b.scores[members]])
        return paired_difference(clustered_delong(mine.labels, both, mine.patients), 0, 1).se
    a, b = (s if s.resamples else with_resamples(s, truth, version) for s in (a, b))
    se = float(np.nanstd(differences(a, b, metric), ddof=1))
    return se if se > _ROUNDING else None


def provenance(version: TaskVersion) -> dict[str, str]:
    """What made a result: task version, seed, and the version of python and of each package."""
    return {
        "task_version": version.name,
        "ids_sha256": version.ids_sha256,
        "seed": str(version.seed),
        "python": platform.python_version(),
        **_package_versions(),
    }


@cache
def _package_versions() -> dict[str, str]:
    return {name: package_version(name) for name in _PACKAGES}


def same(a: Scored, b: Scored) -> list[str]:
    """What differs between two scorings of one submission, without any number; empty if nothing."""
    found = [
        f"value of {name}" for name in a.values if not _close(a.values[name], b.values.get(name))
    ]
    for name in a.resamples.keys() & b.resamples.keys():
        first, second = a.resamples[name], b.resamples[name]
        if first.shape != second.shape or not np.allclose(
            first, second, rtol=0, atol=_ROUNDING, equal_nan=True
        ):
            found.append(f"resamples of {name}")
    counts = ("part", "n_rows", "n_patients", "n_positive")
    found += [name for name in counts if getattr(a, name) != getattr(b, name)]
    if not np.array_equal(a.scores, b.scores):
        found.append("scores")
    return sorted(found)


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=0, abs_tol=_ROUNDING)
