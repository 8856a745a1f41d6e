"""Selective testing of every model: tested only, weighted, doubly robust, and bounds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import InputError, did_you_mean
from acsbench.evaluation.bootstrap import patient_draws, percentile_interval
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Findings
from acsbench.evaluation.guideline_features import FEATURES
from acsbench.evaluation.intervals import Interval
from acsbench.evaluation.judged import Judged, Untested
from acsbench.evaluation.logistic import expit, fit_logistic
from acsbench.evaluation.metrics import NotEstimable
from acsbench.evaluation.operating_figures import cut_of, rules
from acsbench.evaluation.selective_testing import (
    cross_fit,
    design_matrix,
    doubly_robust_labels,
    effective_size,
    inverse_weights,
    shifted_risk,
    soft_auroc,
    soft_shares,
)
from acsbench.evaluation.subgroup_figures import common_rule
from acsbench.evaluation.subgroups import subgroup_columns

__all__ = ["selective_figures"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_METRICS = ("auroc", "sensitivity", "specificity", "ppv", "npv", "prevalence")
_WEIGHT_QUANTILE = 0.99
_N_RESAMPLES = 200
_ODDS = (0.5, 2.0)
_N_BINS = 20
_NO_SCORES = "the untested have no scores of this model"


class _Everybody(NamedTuple):
    """Tested rows, then untested ones."""

    labels: Floats  # 0 for the untested: never read as such
    tested: Flags
    patients: Ints
    design: Floats
    columns: list[str]


def selective_figures(judged: Judged, config: EvaluateConfig, findings: Findings) -> None:
    """Write what selective testing could have done; nothing where the labels hold no untested."""
    untested = judged.untested
    if untested is None or judged.unit != "record":
        return
    everybody = _everybody(judged, untested, config)
    try:
        chance = cross_fit(everybody.design, everybody.tested, everybody.patients, seed=config.seed)
    except NotEstimable as refusal:
        for model in judged.entries:
            findings.entry("selective_testing", judged, model, reason=refusal.reason)
        return
    _overlap(judged, everybody.tested, chance, findings)
    findings.remarks.append(
        f"Task {judged.task}: the chance of being tested is fitted on "
        f"{', '.join(everybody.columns)}, cross-fitted by patient."
    )
    for model in judged.entries:
        _one_model(judged, model, everybody, chance, config, findings)


def _everybody(judged: Judged, untested: Untested, config: EvaluateConfig) -> _Everybody:
    shared = [name for name in judged.rows.columns if name in untested.rows.columns]
    rows = pl.concat([judged.rows.select(shared), untested.rows.select(shared)])
    columns = _columns(rows, config)
    tested = np.arange(len(rows)) < len(judged.labels)
    return _Everybody(
        labels=np.where(tested, rows["label"].fill_null(0).to_numpy(), 0).astype(np.float64),
        tested=tested,
        patients=rows["patient_id"].rank("dense").to_numpy().astype(np.intp) - 1,
        design=design_matrix(rows, columns, tested=tested),
        columns=columns,
    )


def _columns(rows: pl.DataFrame, config: EvaluateConfig) -> list[str]:
    if config.testing_columns is None:
        flags = [name for name in FEATURES if name in rows.columns]
        age = ["age"] if "age" in rows.columns and rows["age"].dtype.is_numeric() else []
        texts = [name for name in subgroup_columns(rows) if not (age and name == "age_band")]
        return [*age, *texts, *flags]
    for name in config.testing_columns:
        if name not in rows.columns:
            raise InputError(
                f"testing_columns names '{name}', and the labels have no such column."
                f"{did_you_mean(name, rows.columns)}"
            )
    return list(config.testing_columns)


def _overlap(judged: Judged, tested: Flags, chance: Floats, findings: Findings) -> None:
    """Chance of being tested in both groups: where they do not meet, no weight helps."""
    bins = np.minimum((chance * _N_BINS).astype(np.intp), _N_BINS - 1)
    for group, members in (("tested", tested), ("untested", ~tested)):
        counts = np.bincount(bins[members], minlength=_N_BINS)
        for index, n in enumerate(counts):
            findings.entry(
                "selective_overlap",
                judged,
                None,
                group=group,
                propensity=(index + 0.5) / _N_BINS,
                n_records=int(n),
                share=float(n / members.sum()),
            )


class _Setting(NamedTuple):
    """One model among everybody: scores of all rows, or of the tested alone (then no risk)."""

    scores: Floats
    flagged: Flags | None
    risk_design: Floats | None


def _one_model(
    judged: Judged,
    model: str,
    everybody: _Everybody,
    chance: Floats,
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    cut, no_cut = None, None
    rule = common_rule(config)
    try:
        target = next(one.target for one in rules(config) if one.name == rule)
        cut = cut_of(judged, model, **target)
    except NotEstimable as refusal:
        no_cut = refusal.reason
    except StopIteration:
        no_cut = "no specificity is asked for"
    setting = _setting(judged, model, everybody, cut)
    risk, no_risk = None, _NO_SCORES
    if setting.risk_design is not None:
        try:
            risk = _risk(setting.risk_design, everybody, seed=config.seed)
        except NotEstimable as refusal:
            no_risk = f"no model of the outcome: {refusal.reason}"
    found = _analyses(everybody, setting, chance, risk)
    sampled = _resample(everybody, setting, config)
    weights, limit = inverse_weights(chance[everybody.tested], quantile=_WEIGHT_QUANTILE)
    about = {
        "ess": effective_size(weights),
        "max_weight": float(weights.max()),
        "truncated_at": limit,
        "n_tested": int(everybody.tested.sum()),
        "n_all": len(everybody.tested),
        "cut": cut,
        "rule": rule,
    }
    for analysis in _ANALYSES:
        values = found.get(analysis)
        for index, metric in enumerate(_METRICS):
            value = None if values is None else float(values[index])
            reason = no_risk if values is None else None
            interval = Interval(None, None)
            if value is not None and np.isnan(value):
                value, reason = None, _undefined(metric, no_cut)
            if value is not None:
                interval = percentile_interval(sampled[analysis][:, index], level=config.level)
                reason = interval.reason
            findings.entry(
                "selective_testing",
                judged,
                model,
                analysis=analysis,
                metric=metric,
                value=value,
                low=interval.low,
                high=interval.high,
                **about,
                reason=reason,
            )


def _undefined(metric: str, no_cut: str | None) -> str:
    """Why a metric has no value: no pair of two classes, no cut, or nobody to divide by."""
    if metric == "auroc":
        return "the labels, as corrected, leave no pair of two classes"
    return no_cut or "no rows"


_ANALYSES = (
    "tested_only",
    "ipw",
    "doubly_robust",
    "bound_negative",
    "bound_fitted",
    *(f"bound_odds_{factor:g}" for factor in _ODDS),
)


def _setting(judged: Judged, model: str, everybody: _Everybody, cut: float | None) -> _Setting:
    of_untested = None if judged.untested is None else judged.untested.scores.get(model)
    scores = judged.scores[model]
    if of_untested is None:
        scores = np.r_[scores, np.full((~everybody.tested).sum(), np.nan)]
        design = None
    else:
        scores = np.r_[scores, of_untested]
        # normal scores of the ranks: a model's scale says nothing here
        ranks = np.argsort(np.argsort(scores, kind="stable")) + 0.5
        standard = np.log(ranks / (len(ranks) - ranks))
        design = np.column_stack([everybody.design, standard])
    return _Setting(scores, None if cut is None else scores >= cut, design)


def _risk(design: Floats, everybody: _Everybody, *, seed: int) -> Floats:
    outcome, among = everybody.labels == 1, everybody.tested
    return cross_fit(design, outcome, everybody.patients, among=among, seed=seed)


def _analyses(
    everybody: _Everybody,
    setting: _Setting,
    chance: Floats,
    risk: Floats | None,
    counts: Floats | None = None,
) -> dict[str, Floats]:
    """The six metrics of every analysis that can be done; rows count ``counts`` times."""
    tested, labels = everybody.tested, everybody.labels
    ones = np.ones(len(tested)) if counts is None else counts
    mine = setting.flagged[tested] if setting.flagged is not None else None
    weights, _ = inverse_weights(chance[tested], quantile=_WEIGHT_QUANTILE)
    found = {}
    for name, weight in (("tested_only", ones[tested]), ("ipw", weights * ones[tested])):
        found[name] = _six(labels[tested], setting.scores[tested], mine, weight)
    if risk is None:
        return found
    completed = {
        "doubly_robust": doubly_robust_labels(labels, tested, chance, risk),
        "bound_negative": np.where(tested, labels, 0.0),
        "bound_fitted": np.where(tested, labels, risk),
    }
    for factor in _ODDS:
        completed[f"bound_odds_{factor:g}"] = np.where(tested, labels, shifted_risk(risk, factor))
    for name, everybodys in completed.items():
        found[name] = _six(everybodys, setting.scores, setting.flagged, ones)
    return found


def _six(labels: Floats, scores: Floats, flagged: Flags | None, weights: Floats) -> Floats:
    try:
        auroc = soft_auroc(labels, scores, weights)
    except NotEstimable:
        auroc = np.nan
    if flagged is None:
        prevalence = (weights * labels).sum() / weights.sum()
        return np.array([auroc, np.nan, np.nan, np.nan, np.nan, prevalence])
    return np.array([auroc, *soft_shares(labels, flagged, weights)])


def _resample(
    everybody: _Everybody, setting: _Setting, config: EvaluateConfig
) -> dict[str, Floats]:
    """Every analysis on resamples of patients, both fits moved by one Newton step each."""
    n_patients = int(everybody.patients.max()) + 1
    n = min(config.n_resamples, _N_RESAMPLES)
    test_fit = _OneStep(everybody.design, everybody.tested)
    risk_fit = None
    if setting.risk_design is not None:
        try:
            risk_fit = _OneStep(setting.risk_design, everybody.labels == 1, among=everybody.tested)
        except NotEstimable:
            risk_fit = None
    values: dict[str, list[Floats]] = {name: [] for name in _ANALYSES}
    for drawn in patient_draws(n_patients, n_resamples=n, seed=config.seed):
        for column in drawn.T:
            counts = column[everybody.patients]
            risk = None if risk_fit is None else risk_fit(counts)
            found = _analyses(everybody, setting, test_fit(counts), risk, counts)
            for name in _ANALYSES:
                values[name].append(found.get(name, np.full(len(_METRICS), np.nan)))
    return {name: np.array(rows) for name, rows in values.items()}


class _OneStep:
    """Refit of a logistic model on counted rows: one Newton step from the fit of all rows."""

    def __init__(self, design: Floats, outcome: Flags, among: Flags | None = None) -> None:
        self.design, self.outcome = design, outcome.astype(np.float64)
        self.among = np.ones(len(outcome), dtype=np.bool_) if among is None else among
        fit = fit_logistic(design[self.among], outcome[self.among])
        self.coefficients = fit.coefficients
        self.fitted = expit(design @ self.coefficients)

    def __call__(self, counts: Floats) -> Floats:
        weights = counts * self.among
        gradient = self.design.T @ (weights * (self.outcome - self.fitted))
        spread = (weights * self.fitted * (1 - self.fitted))[:, np.newaxis]
        information = (self.design * spread).T @ self.design
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        return expit(self.design @ (self.coefficients + step))
