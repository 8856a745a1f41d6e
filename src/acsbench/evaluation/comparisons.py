"""Several models: every pair, what could have been detected, and what a rank is worth."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.bootstrap import bootstrap
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Figure, Findings, with_percentiles
from acsbench.evaluation.intervals import Difference, paired_difference
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.metrics import auprc
from acsbench.evaluation.ranking import RankSample, auroc_covariance
from acsbench.evaluation.weighted import weighted_sums

__all__ = [
    "RankInterval",
    "compare",
    "detectable_difference",
    "holm",
    "rank_intervals",
    "size_to_detect",
]

Floats = NDArray[np.float64]

_POWER = 0.80
_WORTH_DETECTING = 0.02
"""A difference in AUROC that leaderboards quarrel about."""


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjustment over one family; None stays None and does not count.

    References
    ----------
    Holm, Scand J Stat 6:65 (1979).

    Examples
    --------
    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = [(p, index) for index, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(sorted(known)):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[index] = largest
    return adjusted


def detectable_difference(se: float, *, level: float = 0.95) -> float:
    """Smallest true difference that a test at this standard error finds with a power of 80 %."""
    normal = NormalDist()
    return (normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(_POWER)) * se


def size_to_detect(
    n: int, se: float, *, difference: float = _WORTH_DETECTING, level: float = 0.95
) -> int:
    """Rows that would make a difference detectable, the share of events and patients unchanged."""
    return int(np.ceil(n * (detectable_difference(se, level=level) / difference) ** 2))


class RankInterval(NamedTuple):
    """From 1 + models significantly above to n - models significantly below."""

    low: int
    high: int


def rank_intervals(
    values: Sequence[float], p_values: dict[tuple[int, int], float | None], *, alpha: float = 0.05
) -> list[RankInterval]:
    """Ranks that the tests leave open, by model.

    Parameters
    ----------
    values : sequence of float
        Higher is better.
    p_values : dict of pair of int to float or None
        By the indices of two models in either order, adjusted for the number of pairs. None (a
        pair that cannot be tested) separates nobody.
    alpha : float
    """
    n = len(values)
    above, below = [0] * n, [0] * n
    for (first, second), p in p_values.items():
        if p is None or p >= alpha or values[first] == values[second]:
            continue
        better, worse = (first, second) if values[first] > values[second] else (second, first)
        above[worse] += 1
        below[better] += 1
    return [RankInterval(1 + a, n - b) for a, b in zip(above, below, strict=True)]


def compare(judged: Judged, sample: RankSample, config: EvaluateConfig, findings: Findings) -> None:
    """Write every pair, Holm-adjusted over all pairs of entries, and the ranks of the entries."""
    if not config.compare or len(judged.models) < 2:
        return
    result = auroc_covariance(judged)
    models = judged.models
    pairs = list(itertools.combinations(range(len(models)), 2))
    found = {pair: paired_difference(result, *pair, level=config.level) for pair in pairs}
    precision = [auprc(judged.labels, scores) for scores in judged.scores.values()]
    for pair, difference in found.items():
        figure = Figure(difference.delta, "paired_clustered_delong", *_tested(difference))
        _pair_row(judged, pair, "auroc", figure, findings)
        for metric, values, sampled in (
            ("auroc", result.auroc, sample.auroc),
            ("auprc", precision, sample.auprc),
        ):
            delta = float(values[pair[0]] - values[pair[1]])
            deltas = sampled[:, pair[0]] - sampled[:, pair[1]]
            resampled = with_percentiles(delta, None, deltas, config.level)
            _pair_row(judged, pair, metric, resampled, findings)
    _brier_rows(judged, config, findings)
    # 0/1 findings are compared with models, but are no entries: they do not widen the family
    entries = [i for i, model in enumerate(models) if model in judged.entries]
    family = [pair for pair in pairs if set(pair) <= set(entries)]
    adjusted = dict(zip(family, holm([found[pair].p_value for pair in family]), strict=True))
    _pair_entries(judged, found, adjusted, config, findings)
    _rank_entries(judged, entries, result.auroc, sample.auroc, adjusted, config, findings)


def _brier_rows(judged: Judged, config: EvaluateConfig, findings: Findings) -> None:
    """Paired differences of the Brier score of models that give probabilities."""
    models = list(judged.probabilities)
    if len(models) < 2:
        return
    positives = (judged.labels == 1).astype(np.float64)
    squares = [(p - positives) ** 2 for p in judged.probabilities.values()]
    columns = np.column_stack([*squares, np.ones(len(positives))])
    sums = bootstrap(
        {"sums": weighted_sums(columns, judged.patients, judged.n_patients)},
        n_patients=judged.n_patients,
        n_resamples=config.n_resamples,
        seed=config.seed,
    )["sums"]
    means = sums[:, :-1] / sums[:, -1:]
    for first, second in itertools.combinations(range(len(models)), 2):
        delta = float(squares[first].mean() - squares[second].mean())
        deltas = means[:, first] - means[:, second]
        figure = with_percentiles(delta, None, deltas, config.level)
        findings.row(judged, models[first], "brier", figure, compared_with=models[second])


def _tested(one: Difference) -> tuple[float | None, float | None, float | None, str | None]:
    return one.low, one.high, one.p_value, one.reason


def _pair_row(
    judged: Judged, pair: tuple[int, int], metric: str, figure: Figure, findings: Findings
) -> None:
    first, second = (judged.models[index] for index in pair)
    findings.row(judged, first, metric, figure, compared_with=second)


def _pair_entries(
    judged: Judged,
    found: dict[tuple[int, int], Difference],
    adjusted: dict[tuple[int, int], float | None],
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    n = len(judged.labels)
    for pair, one in found.items():
        p_holm = adjusted.get(pair)
        power: dict[str, Any] = {"detectable_difference": None, "n_records_for_002": None}
        if one.se is not None:
            power["detectable_difference"] = detectable_difference(one.se, level=config.level)
            power["n_records_for_002"] = size_to_detect(n, one.se, level=config.level)
        findings.entry(
            "pairwise",
            judged,
            judged.models[pair[0]],
            compared_with=judged.models[pair[1]],
            delta=one.delta,
            low=one.low,
            high=one.high,
            se=one.se,
            z=one.z,
            p_value=one.p_value,
            p_holm=p_holm,
            in_family=pair in adjusted,
            separable=None if p_holm is None else p_holm < 1 - config.level,
            **power,
            reason=one.reason,
        )


def _rank_entries(
    judged: Judged,
    entries: list[int],
    values: Floats,
    sampled: Floats,
    adjusted: dict[tuple[int, int], float | None],
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    mine = values[entries]
    where = {model: position for position, model in enumerate(entries)}
    p_values = {(where[a], where[b]): p for (a, b), p in adjusted.items()}
    alpha = 1 - config.level
    by_test = rank_intervals(mine.tolist(), p_values, alpha=alpha)
    best = int(np.argmax(mine))
    draws = sampled[:, entries]
    draws = draws[~np.isnan(draws).any(axis=1)]
    tails = [(1 - config.level) / 2, (1 + config.level) / 2]
    for position, model in enumerate(entries):
        ranks = 1 + (draws > draws[:, position : position + 1]).sum(axis=1)
        low, high = np.quantile(ranks, tails, method="inverted_cdf") if len(ranks) else (None, None)
        pair = (min(best, position), max(best, position))
        p_best = p_values.get(pair)
        findings.entry(
            "ranks",
            judged,
            judged.models[model],
            auroc=float(mine[position]),
            rank=1 + int((mine > mine[position]).sum()),
            rank_low=None if low is None else int(low),
            rank_high=None if high is None else int(high),
            share_first=float((ranks == 1).mean()) if len(ranks) else None,
            rank_test_low=by_test[position].low,
            rank_test_high=by_test[position].high,
            separable_from_first=bool(p_best is not None and p_best < alpha),
            n_models=len(entries),
        )
