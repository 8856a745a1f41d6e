"""Models beside the classical findings: equal budgets, equal specificity, yield, regions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.bootstrap import bootstrap, percentile_interval
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Findings
from acsbench.evaluation.guideline_features import (
    ST_FEATURES,
    T_FEATURES,
    added_value,
    classical_findings,
    region_of,
    sensitivity_at_specificity,
    yield_at,
)
from acsbench.evaluation.intervals import Interval, clustered_delong, paired_difference
from acsbench.evaluation.judged import FLAG_PREFIX, Judged
from acsbench.evaluation.logistic import logit
from acsbench.evaluation.metrics import NotEstimable
from acsbench.evaluation.operating_points import Counts, at_budget, count_flagged
from acsbench.evaluation.proportions import clustered_share, wilson
from acsbench.evaluation.ranking import percent
from acsbench.evaluation.weighted import Cumulated, cumulated_statistic, weighted_sums

__all__ = ["feature_figures", "flags_of"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

_REGION_BUDGETS = 0.20


def flags_of(judged: Judged) -> dict[str, Flags]:
    """Rows with each finding that is judged, by the column's name."""
    return {name.removeprefix(FLAG_PREFIX): judged.scores[name] == 1 for name in judged.flags}


def feature_figures(judged: Judged, config: EvaluateConfig, findings: Findings) -> None:
    """Write all comparisons with the findings; nothing where the labels hold none."""
    flags = flags_of(judged)
    if not flags:
        return
    for model in judged.entries:
        _matched(judged, model, flags, config, findings)
        _yields(judged, model, flags, config, findings)
        _regions(judged, model, flags, config, findings)
        _added(judged, model, flags, config, findings)


def _matched(
    judged: Judged,
    model: str,
    flags: dict[str, Flags],
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    """The model at each finding's own number of rows, and at its own specificity."""
    sampled = _sample_matched(judged, judged.scores[model], flags, config)
    for index, (name, flagged) in enumerate(flags.items()):
        counts = count_flagged(judged.labels, flagged)
        if counts.ppv is None:
            for table in ("matched_budgets", "matched_specificity"):
                reason = "the finding flags nobody"
                findings.entry(table, judged, model, feature=name, reason=reason)
            continue
        intervals = [
            percentile_interval(sampled[:, 2 * index + i], level=config.level) for i in (0, 1)
        ]
        _budget_entry(judged, model, name, counts, intervals[0], findings)
        _specificity_entry(judged, model, name, counts, intervals[1], findings)


def _budget_entry(
    judged: Judged, model: str, name: str, counts: Counts, interval: Interval, findings: Findings
) -> None:
    found = at_budget(judged.labels, judged.scores[model], k=counts.tp + counts.fp)
    of_finding = counts.tp / found.k
    findings.entry(
        "matched_budgets",
        judged,
        model,
        feature=name,
        k=found.k,
        feature_tp=counts.tp,
        model_tp=found.expected_tp,
        model_tp_worst=found.worst_tp,
        model_tp_best=found.best_tp,
        feature_ppv=of_finding,
        model_ppv=found.ppv,
        difference=found.ppv - of_finding,
        **interval._asdict(),
    )


def _specificity_entry(
    judged: Judged, model: str, name: str, counts: Counts, interval: Interval, findings: Findings
) -> None:
    specificity = counts.tn / (counts.tn + counts.fp)
    of_finding = counts.tp / (counts.tp + counts.fn)
    sensitivity = sensitivity_at_specificity(judged.labels, judged.scores[model], specificity)
    findings.entry(
        "matched_specificity",
        judged,
        model,
        feature=name,
        specificity=specificity,
        feature_sensitivity=of_finding,
        model_sensitivity=sensitivity,
        difference=sensitivity - of_finding,
        **interval._asdict(),
    )


def _sample_matched(
    judged: Judged, scores: Floats, flags: dict[str, Flags], config: EvaluateConfig
) -> Floats:
    """Differences at the budget and at the specificity that each finding has in each resample."""
    positives, patients = judged.labels == 1, judged.patients
    cells = [np.column_stack([f & positives, f & ~positives]) for f in flags.values()]
    of_flags = weighted_sums(np.column_stack(cells), patients, judged.n_patients)

    def at_flags(counts: Cumulated, drawn: Floats) -> Floats:
        hits, false_alarms = of_flags(drawn).reshape(drawn.shape[1], -1, 2).transpose(2, 0, 1)
        return _differences(counts, hits, false_alarms)

    return bootstrap(
        {"matched": cumulated_statistic(positives, scores, patients, at_flags)},
        n_patients=judged.n_patients,
        n_resamples=config.n_resamples,
        seed=config.seed,
    )["matched"]


def _differences(counts: Cumulated, hits: Floats, false_alarms: Floats) -> Floats:
    values = np.full((len(hits), 2 * hits.shape[1]), np.nan)
    for row in range(len(hits)):
        mine, flagged = counts.hits[:, row], counts.flagged[:, row]
        k = hits[row] + false_alarms[row]
        with np.errstate(divide="ignore", invalid="ignore"):
            values[row, ::2] = (np.interp(k, flagged, mine) - hits[row]) / k
            # the highest hits of a vertical step: look just beyond the false alarms
            reach = np.interp(false_alarms[row] + 1e-9, flagged - mine, mine)
            values[row, 1::2] = (reach - hits[row]) / mine[-1]
    return np.where(np.isfinite(values), values, np.nan)


def _yields(
    judged: Judged,
    model: str,
    flags: dict[str, Flags],
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    labels, scores, any_finding = judged.labels, judged.scores[model], classical_findings(flags)
    shares = {f"budget_{percent(share)}": share for share in config.budgets}
    if judged.val is not None:
        shares["val_prevalence"] = float(judged.val.labels.mean())
    for rule, share in shares.items():
        budget = at_budget(labels, scores, share=share)
        found = yield_at(labels, scores, any_finding, k=budget.k)
        interval = Interval(None, None, "ties at the cut: no set of rows to give an interval of")
        if budget.n_tied == 1:
            interval = _ppv_without(judged, scores >= budget.cut, any_finding, config)
        findings.entry(
            "feature_yield",
            judged,
            model,
            rule=rule,
            **found._asdict(),
            ppv_without_low=interval.low,
            ppv_without_high=interval.high,
            reason=interval.reason,
        )


def _ppv_without(
    judged: Judged, flagged: Flags, any_finding: Flags, config: EvaluateConfig
) -> Interval:
    try:
        return clustered_share(
            judged.labels == 1, flagged & ~any_finding, judged.patients, level=config.level
        )
    except NotEstimable:
        return Interval(None, None, "none of the flagged is without a finding")


def _regions(
    judged: Judged,
    model: str,
    flags: dict[str, Flags],
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    """Where the model's flags, T-wave and ST findings meet, and how often the event is there."""
    nobody = np.zeros(len(judged.labels), dtype=np.bool_)
    t_wave = np.logical_or.reduce([nobody, *(flags[f] for f in T_FEATURES if f in flags)])
    st = np.logical_or.reduce([nobody, *(flags[f] for f in ST_FEATURES if f in flags)])
    share = _REGION_BUDGETS if judged.val is None else float(judged.val.labels.mean())
    rule = f"budget_{percent(share)}" if judged.val is None else "val_prevalence"
    cut = at_budget(judged.labels, judged.scores[model], share=share).cut
    regions = region_of(judged.scores[model] >= cut, t_wave, st)
    for region in ("model", "model+T", "model+ST", "model+T+ST", "T", "T+ST", "ST", "none"):
        members = regions == region
        n, x = int(members.sum()), int(judged.labels[members].sum())
        low, high = wilson(x, n, level=config.level)[:2] if n else (None, None)
        findings.entry(
            "feature_regions",
            judged,
            model,
            rule=rule,
            region=region,
            n_records=n,
            share=n / len(members),
            n_positive=x,
            event_rate=x / n if n else None,
            low=low,
            high=high,
            reason=None if n else "no rows",
        )


def _added(
    judged: Judged,
    model: str,
    flags: dict[str, Flags],
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    """Findings alone against findings and model: tested on test rows, scored from val's fit."""
    matrix = np.column_stack([flag.astype(np.float64) for flag in flags.values()])
    try:
        here = added_value(judged.labels, matrix, _log_odds(judged, model), judged.patients)
        scorer, fitted_on = here, "apparent"
        val = judged.val
        if val is not None and model in val.scores and set(judged.flags) <= set(val.scores):
            columns = np.column_stack([val.scores[name] for name in judged.flags])
            scorer = added_value(val.labels, columns, _log_odds(val, model), val.patients)
            fitted_on = "val"
    except NotEstimable as refusal:
        findings.entry("added_value", judged, model, reason=refusal.reason)
        return
    logits = _log_odds(judged, model)
    scores = np.column_stack([scorer.with_model(matrix, logits), scorer.without(matrix, logits)])
    result = clustered_delong(judged.labels, scores, judged.patients)
    difference = paired_difference(result, 0, 1, level=config.level)
    findings.entry(
        "added_value",
        judged,
        model,
        lr_chi2=here.lr_chi2,
        df=1,
        lr_p_value=here.lr_p_value,
        wald_p_value=here.wald_p_value,
        auroc_features=float(result.auroc[1]),
        auroc_features_and_model=float(result.auroc[0]),
        delta=difference.delta,
        low=difference.low,
        high=difference.high,
        p_value=difference.p_value,
        fitted_on=fitted_on,
        reason=difference.reason,
    )


def _log_odds(judged: Judged, model: str) -> Floats:
    if model in judged.probabilities:
        return logit(judged.probabilities[model])
    scores = judged.scores[model]
    spread = float(scores.std())
    if not math.isfinite(spread) or spread == 0:
        raise NotEstimable("all scores are equal")
    return scores
