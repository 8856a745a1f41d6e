"""Figures of order alone: AUROC, average precision, partial areas, budgets, and their curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.bootstrap import bootstrap, percentile_interval
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Figure, Findings, with_percentiles
from acsbench.evaluation.intervals import AurocCovariance, clustered_delong, logit_interval
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.metrics import (
    auprc,
    counts_at_cuts,
    pauroc_fpr10,
    pauroc_fpr10_mcclish,
    pauroc_tpr90,
    pauroc_tpr90_mcclish,
    roc_curve,
)
from acsbench.evaluation.operating_points import at_budget
from acsbench.evaluation.weighted import Cumulated, Statistic, cumulated_statistic, rank_statistic

__all__ = ["RankSample", "auroc_covariance", "clustered_figure", "partial_areas", "rank_figures"]

Floats = NDArray[np.float64]

_PARTIAL = {
    "pauroc_fpr10": pauroc_fpr10,
    "pauroc_fpr10_mcclish": pauroc_fpr10_mcclish,
    "pauroc_tpr90": pauroc_tpr90,
    "pauroc_tpr90_mcclish": pauroc_tpr90_mcclish,
}
_REACH = 0.1
_CURVE_SHARES = np.arange(2, 101) / 100
"""Budgets of the curve, from 2 % on: the top 1 % of a thousand rows says little."""


class RankSample(NamedTuple):
    """AUROC and average precision of every model, (n_resamples, models), on shared resamples."""

    auroc: Floats
    auprc: Floats


def auroc_covariance(judged: Judged) -> AurocCovariance:
    """AUROC of every model and their clustered covariance, in the order of `judged.models`."""
    scores = np.column_stack(list(judged.scores.values()))
    return clustered_delong(judged.labels, scores, judged.patients)


def clustered_figure(result: AurocCovariance, index: int, *, level: float) -> Figure:
    """AUROC of one model by clustered DeLong, interval on the logit scale."""
    value = float(result.auroc[index])
    interval = logit_interval(value, float(result.covariance[index, index]), level=level)
    return Figure(
        value,
        "clustered_delong_logit",
        low=interval.low,
        high=interval.high,
        reason=result.reason or interval.reason,
    )


def partial_areas(counts: Cumulated) -> Floats:
    """The four partial areas, (r, 4), in the order of `_PARTIAL`."""
    n_hits, n_all = counts.hits[-1], counts.flagged[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        tpr = counts.hits / n_hits
        fpr = (counts.flagged - counts.hits) / (n_all - n_hits)
    # cuts from which, and up to which, no resample is inside the part
    end = int(np.searchsorted(np.nanmin(fpr, axis=1, initial=1.0), _REACH, side="right")) + 1
    start = max(0, int(np.searchsorted(np.nanmax(tpr, axis=1, initial=0.0), 1 - _REACH)) - 1)
    low_fpr = _area(fpr[:end], tpr[:end])
    high_tpr = _area(1 - tpr[start:][::-1], 1 - fpr[start:][::-1])
    chance = _REACH**2 / 2
    scaled = [0.5 * (1 + (area - chance) / (_REACH - chance)) for area in (low_fpr, high_tpr)]
    areas = np.column_stack([low_fpr, scaled[0], high_tpr, scaled[1]])
    areas[(n_hits == 0) | (n_hits == n_all)] = np.nan
    return areas


def _area(x: Floats, y: Floats) -> Floats:
    """Area under polygons from x = 0 as far as x = 0.1, one a column."""
    dx = np.diff(x, axis=0)
    part = np.divide(_REACH - x[:-1], dx, out=np.zeros_like(dx), where=dx > 0)
    np.clip(part, 0, 1, out=part)
    dy = np.diff(y, axis=0) * part
    dy /= 2
    dy += y[:-1]
    dx *= part
    area: Floats = np.einsum("cr,cr->r", dx, dy)
    return area


def _true_positives(shares: Floats) -> Callable[[Cumulated], Floats]:
    """PPV and sensitivity at budgets, (r, 2 * shares): ties at a cut by their expectation."""

    def function(counts: Cumulated) -> Floats:
        found = np.full((counts.hits.shape[1], 2 * len(shares)), np.nan)
        for resample, (hits, flagged) in enumerate(
            zip(counts.hits.T, counts.flagged.T, strict=True)
        ):
            k = np.ceil(np.round(shares * flagged[-1], 9))
            expected = np.interp(k, flagged, hits)
            found[resample, : len(shares)] = expected / k
            if hits[-1] > 0:
                found[resample, len(shares) :] = expected / hits[-1]
        return found

    return function


def _statistics(judged: Judged, shares: Floats) -> dict[str, Statistic]:
    positives, patients = judged.labels == 1, judged.patients
    at_budgets = _true_positives(shares)

    def at_cuts(counts: Cumulated, _: Floats) -> Floats:
        return np.column_stack([partial_areas(counts), at_budgets(counts)])

    statistics: dict[str, Statistic] = {}
    for model, scores in judged.scores.items():
        statistics[f"ranks {model}"] = rank_statistic(positives, scores, patients)
        statistics[f"cuts {model}"] = cumulated_statistic(positives, scores, patients, at_cuts)
    return statistics


def rank_figures(judged: Judged, config: EvaluateConfig, findings: Findings) -> RankSample:
    """Write every figure of order of every model: rows, budgets and curves."""
    val_share = [] if judged.val is None else [float(judged.val.labels.mean())]
    budgets = [*config.budgets, *val_share]
    sampled = bootstrap(
        _statistics(judged, np.r_[budgets, _CURVE_SHARES]),
        n_patients=judged.n_patients,
        n_resamples=config.n_resamples,
        seed=config.seed,
    )
    clustered = auroc_covariance(judged)
    for index, model in enumerate(judged.models):
        ranks, cuts = sampled[f"ranks {model}"], sampled[f"cuts {model}"]
        headline = clustered_figure(clustered, index, level=config.level)
        findings.row(judged, model, "auroc", headline)
        second = with_percentiles(headline.value, None, ranks[:, 0], config.level)
        findings.row(judged, model, "auroc", second)
        value = auprc(judged.labels, judged.scores[model])
        findings.row(
            judged, model, "auprc", with_percentiles(value, None, ranks[:, 1], config.level)
        )
        _partial_rows(judged, model, cuts[:, :4], config, findings)
        _budget_rows(judged, model, budgets, cuts[:, 4:], config, findings)
        _curves(judged, model, cuts[:, 4 + len(budgets) :], config, findings)
    _count_degenerate(judged, sampled, config, findings)
    columns = [[sampled[f"ranks {m}"][:, i] for m in judged.models] for i in (0, 1)]
    return RankSample(*(np.column_stack(one) for one in columns))


def _count_degenerate(
    judged: Judged, sampled: dict[str, Floats], config: EvaluateConfig, findings: Findings
) -> None:
    n = int(np.isnan(sampled[f"ranks {judged.models[0]}"][:, 0]).sum())
    if n:
        findings.remarks.append(
            f"Task {judged.task}: {n:,} of {config.n_resamples:,} resamples held one class only "
            "and were left out of the bootstrap intervals."
        )


def _partial_rows(
    judged: Judged, model: str, sampled: Floats, config: EvaluateConfig, findings: Findings
) -> None:
    for column, (name, function) in enumerate(_PARTIAL.items()):
        value = function(judged.labels, judged.scores[model])
        figure = with_percentiles(value, None, sampled[:, column], config.level)
        findings.row(judged, model, name, figure)


def _budget_rows(
    judged: Judged,
    model: str,
    budgets: list[float],
    sampled: Floats,
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    """PPV and sensitivity at each budget; the validation prevalence stands in the table only."""
    n_shares = sampled.shape[1] // 2
    for index, share in enumerate(budgets):
        found = at_budget(judged.labels, judged.scores[model], share=share)
        columns = sampled[:, index], sampled[:, n_shares + index]
        ppv = with_percentiles(found.ppv, None, columns[0], config.level)
        sensitivity = with_percentiles(found.sensitivity, None, columns[1], config.level)
        from_val = index >= len(config.budgets)
        if not from_val:
            findings.row(judged, model, f"ppv_at_budget_{percent(share)}", ppv)
            findings.row(judged, model, f"sens_at_budget_{percent(share)}", sensitivity)
        findings.entry(
            "budgets",
            judged,
            model,
            budget="val_prevalence" if from_val else percent(share),
            share=share,
            k=found.k,
            cut=found.cut,
            n_above=found.n_above,
            n_tied=found.n_tied,
            expected_tp=found.expected_tp,
            ppv=found.ppv,
            ppv_low=ppv.low,
            ppv_high=ppv.high,
            ppv_worst=found.worst_tp / found.k,
            ppv_best=found.best_tp / found.k,
            sensitivity=found.sensitivity,
            sensitivity_low=sensitivity.low,
            sensitivity_high=sensitivity.high,
        )


def percent(share: float) -> str:
    """Write a share as it stands in a metric's name: ``05`` for 0.05, ``12.5`` for 0.125."""
    return f"{100 * share:04.1f}".removesuffix(".0")


def _curves(
    judged: Judged, model: str, sampled: Floats, config: EvaluateConfig, findings: Findings
) -> None:
    labels, scores = judged.labels, judged.scores[model]
    roc = roc_curve(labels, scores)
    findings.curve(judged, model, "roc", x=roc.fpr, y=roc.tpr)
    hits, false_alarms, _ = counts_at_cuts(labels == 1, scores)
    precision = hits / (hits + false_alarms)
    findings.curve(judged, model, "pr", x=hits / hits[-1], y=precision)
    k = np.ceil(np.round(_CURVE_SHARES * len(labels), 9))
    found = np.interp(k, np.r_[0, hits + false_alarms], np.r_[0, hits])
    intervals = [
        percentile_interval(sampled[:, column], level=config.level)
        for column in range(len(_CURVE_SHARES))
    ]
    band = tuple(
        np.array([np.nan if bound is None else bound for bound in bounds])
        for bounds in zip(*[interval[:2] for interval in intervals], strict=True)
    )
    findings.curve(
        judged,
        model,
        "budget",
        x=_CURVE_SHARES,
        y=found / k,
        band=(band[0], band[1]),
        n=k,
    )
