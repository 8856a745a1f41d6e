"""Decision curves of the models, with the patient bootstrap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.bootstrap import bootstrap
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Figure, Findings, with_percentiles
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.ranking import percent
from acsbench.evaluation.utility import odds
from acsbench.evaluation.weighted import weighted_sums

__all__ = ["utility_figures"]

Floats = NDArray[np.float64]

_STEP = 0.01


def utility_figures(judged: Judged, config: EvaluateConfig, findings: Findings) -> None:
    """Write net benefit at the stated risks, and the decision curves between the two ends.

    A 0/1 finding is the strategy of acting on those who have it, at any risk. The simple
    strategies are acting on everybody, on nobody, and on those with one finding.
    """
    low, high = config.decision_range
    grid = np.round(np.arange(round(low / _STEP), round(high / _STEP) + 1) * _STEP, 10)
    grid = np.unique(np.r_[grid, config.thresholds])
    costs = np.array([odds(threshold) for threshold in grid])
    acted = {
        model: judged.probabilities[model][:, np.newaxis] >= grid
        if model in judged.probabilities
        else np.repeat(judged.scores[model][:, np.newaxis] == 1, len(grid), axis=1)
        for model in judged.models
        if model in judged.probabilities or judged.kinds[model] == "flag"
    }
    for model in judged.models:
        if model not in acted:
            _refuse(judged, model, config, findings)
    if not acted:
        return
    positives = (judged.labels == 1)[:, np.newaxis]
    weights = np.where(positives, 1.0, -costs)  # (n, thresholds): what acting on a row brings
    gains = {"treat_all": weights} | {model: weights * rows for model, rows in acted.items()}
    sampled = _resample(judged, gains, config)
    values = {name: gain.mean(axis=0) for name, gain in gains.items()}
    simple = ["treat_all", *judged.flags]
    best = np.maximum(0, np.max([values[name] for name in simple], axis=0))
    best_sampled = np.maximum(0, np.max([sampled[name] for name in simple], axis=0))
    findings.curve(judged, "treat_none", "decision", x=grid, y=np.zeros(len(grid)))
    findings.curve(judged, "treat_all", "decision", x=grid, y=values["treat_all"])
    for model in acted:
        for index in np.flatnonzero(np.isin(grid, config.thresholds)):
            value, column = float(values[model][index]), sampled[model][:, index]
            figure = with_percentiles(value, None, column, config.level)
            findings.row(judged, model, f"net_benefit_{percent(grid[index])}", figure)
        band = _band(sampled[model], level=config.level)
        findings.curve(judged, model, "decision", x=grid, y=values[model], band=band)
        if model in judged.flags:
            continue
        band = _band(sampled[model] - best_sampled, level=config.level)
        findings.curve(
            judged, model, "decision_difference", x=grid, y=values[model] - best, band=band
        )
        avoided = 100 * (values[model] - values["treat_all"]) / costs
        findings.curve(judged, model, "interventions_avoided", x=grid, y=avoided)


def _resample(
    judged: Judged, gains: dict[str, Floats], config: EvaluateConfig
) -> dict[str, Floats]:
    """Mean gain a row of every strategy, (n_resamples, thresholds)."""
    patients, n = judged.patients, judged.n_patients
    statistics = {name: weighted_sums(gain, patients, n) for name, gain in gains.items()}
    ones = np.ones((len(patients), 1))
    sums = bootstrap(
        {**statistics, "": weighted_sums(ones, patients, n)},
        n_patients=n,
        n_resamples=config.n_resamples,
        seed=config.seed,
    )
    return {name: sums[name] / sums[""] for name in gains}


def _refuse(judged: Judged, model: str, config: EvaluateConfig, findings: Findings) -> None:
    for threshold in config.thresholds:
        figure = Figure(None, "patient_bootstrap", reason=judged.no_probability(model))
        findings.row(judged, model, f"net_benefit_{percent(threshold)}", figure)


def _band(sampled: Floats, *, level: float) -> tuple[Floats, Floats]:
    low, high = np.quantile(sampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
