"""Every model in every subgroup: discrimination, calibration and the common frozen cut."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.evaluation.bootstrap import bootstrap
from acsbench.evaluation.calibration_figures import cox_figures
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Figure, Findings, with_percentiles
from acsbench.evaluation.guideline_features import FEATURES
from acsbench.evaluation.intervals import clustered_delong
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.metrics import NotEstimable, auprc, brier
from acsbench.evaluation.operating_figures import cut_of, figures_at, point_entries, rules
from acsbench.evaluation.other_metrics import other_figures
from acsbench.evaluation.ranking import clustered_figure
from acsbench.evaluation.subgroups import Group, gap_entries, subgroups
from acsbench.evaluation.weighted import Metric, Statistic, rank_statistic, weighted_sums

__all__ = ["SUBGROUP_METRICS", "common_rule", "subgroup_figures", "with_derived_groups"]

Floats = NDArray[np.float64]

SUBGROUP_METRICS = ("auroc", "auprc", "brier", "cal_intercept", "cal_slope")
"""What every subgroup gets."""
_AGE_BANDS = (50, 65, 80)
_COMMON = "spec_90"


def with_derived_groups(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the groups that the labels' other columns tell: finding, first ECG of the visit, age.

    ``classical_finding`` (present, absent), ``first_of_visit`` (yes, no) and ``age_band``; a
    column of that name that is there already stays.
    """
    derived: dict[str, pl.Expr] = {}
    findings = [name for name in FEATURES if name in rows.columns]
    if findings:
        has_one = pl.max_horizontal(pl.col(findings).cast(pl.Float64, strict=False)) > 0
        derived["classical_finding"] = (
            pl.when(has_one).then(pl.lit("present")).otherwise(pl.lit("absent"))
        )
    if "ecg_order" in rows.columns and rows["ecg_order"].drop_nulls().n_unique() > 1:
        first = pl.when(pl.col("ecg_order") == 1).then(pl.lit("yes"))
        derived["first_of_visit"] = first.when(pl.col("ecg_order") > 1).then(pl.lit("no"))
    if "age" in rows.columns and rows["age"].dtype.is_numeric():
        age, (a, b, c) = pl.col("age"), _AGE_BANDS
        derived["age_band"] = (
            pl.when(age < a)
            .then(pl.lit(f"under {a}"))
            .when(age < b)
            .then(pl.lit(f"{a} to {b - 1}"))
            .when(age < c)
            .then(pl.lit(f"{b} to {c - 1}"))
            .when(age >= c)
            .then(pl.lit(f"{c} and over"))
        )
    return rows.with_columns(
        expression.alias(name) for name, expression in derived.items() if name not in rows.columns
    )


def subgroup_figures(
    judged: Judged,
    others: Mapping[str, Metric],
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    """Write rows, operating points and gaps of every subgroup.

    Parameters
    ----------
    judged : Judged
    others : mapping of str to function
        Metrics that are not built in, ``(labels, scores) -> float``.
    config : EvaluateConfig
    findings : Findings
    """
    groups = subgroups(judged, config)
    sampled = _resample(judged, groups, config)
    for group in groups:
        part = judged.subset(group.members)
        if group.reason is not None:
            for model in judged.models:
                for metric in (*SUBGROUP_METRICS, *others):
                    nothing = Figure(None, _method(metric), reason=group.reason)
                    findings.row(part, model, metric, nothing, subgroup=group.name)
            continue
        brought = other_figures(judged, others, config, members=group.members)
        scores = np.column_stack(list(part.scores.values()))
        clustered = clustered_delong(part.labels, scores, part.patients)
        for index, model in enumerate(judged.models):
            figures = {"auroc": clustered_figure(clustered, index, level=config.level)}
            value = auprc(part.labels, part.scores[model])
            column = sampled[f"ranks {group.name} {model}"][:, 1]
            figures["auprc"] = with_percentiles(value, None, column, config.level)
            figures |= _calibration(part, model, group, sampled, config)
            figures |= {name: brought[name, model] for name in others}
            for metric, figure in figures.items():
                findings.row(part, model, metric, figure, subgroup=group.name)
            if model in judged.entries:
                _at_common_cut(judged, part, model, group, config, findings)
    gap_entries(judged, groups, config, findings)


def _method(metric: str) -> str:
    named = {
        "auroc": "clustered_delong_logit",
        "cal_intercept": "cluster_sandwich",
        "cal_slope": "cluster_sandwich",
    }
    return named.get(metric, "patient_bootstrap")


def _resample(judged: Judged, groups: list[Group], config: EvaluateConfig) -> dict[str, Floats]:
    """Statistics of every estimated group and model, on the draws that the whole has too."""
    statistics: dict[str, Statistic] = {}
    positives, patients = judged.labels == 1, judged.patients
    for group in groups:
        if group.reason is not None:
            continue
        rows = group.members
        for model, scores in judged.scores.items():
            statistics[f"ranks {group.name} {model}"] = rank_statistic(
                positives[rows], scores[rows], patients[rows]
            )
            if model in judged.probabilities:
                squares = (judged.probabilities[model] - positives)[rows] ** 2
                columns = np.column_stack([squares, np.ones(len(squares))])
                statistics[f"brier {group.name} {model}"] = weighted_sums(
                    columns, patients[rows], judged.n_patients
                )
    return bootstrap(
        statistics,
        n_patients=judged.n_patients,
        n_resamples=config.n_resamples,
        seed=config.seed,
    )


def _calibration(
    part: Judged, model: str, group: Group, sampled: dict[str, Floats], config: EvaluateConfig
) -> dict[str, Figure]:
    reason = part.no_probability(model)
    if reason is not None:
        names = ("brier", "cal_intercept", "cal_slope")
        return {name: Figure(None, _method(name), reason=reason) for name in names}
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.divide(*sampled[f"brier {group.name} {model}"].T)
    value = brier(part.labels, part.probabilities[model])
    return {
        "brier": with_percentiles(value, None, means, config.level),
        **cox_figures(part, model, level=config.level),
    }


def common_rule(config: EvaluateConfig) -> str | None:
    """Rule whose cut, frozen, is applied in every subgroup; None when no specificity is asked."""
    names = [rule.name for rule in rules(config) if "specificity" in rule.target]
    return _COMMON if _COMMON in names else next(iter(names), None)


def _at_common_cut(
    judged: Judged,
    part: Judged,
    model: str,
    group: Group,
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    name = common_rule(config)
    if name is None:
        return
    rule = next(rule for rule in rules(config) if rule.name == name)
    metrics = {"sensitivity": f"sens_at_{name}", "specificity": f"spec_at_{name}"}
    try:
        cut = cut_of(judged, model, **rule.target)
    except NotEstimable as refusal:
        for metric in metrics.values():
            nothing = Figure(None, "cut_from_val_clustered", reason=refusal.reason)
            findings.row(part, model, metric, nothing, subgroup=group.name)
        return
    flags = part.scores[model] >= cut
    for measure, metric in metrics.items():
        figure = next(figures_at(part, flags, measure, config.level))
        findings.row(part, model, metric, figure, subgroup=group.name)
    point_entries(part, model, flags, name, cut, config, findings, subgroup=group.name)
