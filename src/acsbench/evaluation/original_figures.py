"""E2 to E9 of the original beside the sound version of each, with what differs in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.evaluation.bootstrap import percentile_interval
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.feature_figures import flags_of
from acsbench.evaluation.findings import Findings
from acsbench.evaluation.guideline_features import FEATURES, classical_findings, yield_at
from acsbench.evaluation.intervals import clustered_delong, logit_interval
from acsbench.evaluation.judged import FLAG_PREFIX, Judged
from acsbench.evaluation.metrics import NotEstimable
from acsbench.evaluation.operating_points import at_budget
from acsbench.evaluation.proportions import clustered_share, wilson
from acsbench.evaluation.ranking import RankSample
from acsbench.evaluation.reproduction import (
    binary_at_prevalence,
    cumulative_risk,
    delong_auroc,
    original_logistic,
    venn,
)

__all__ = ["original_figures"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

_E2 = "rows taken as independent, interval on the normal scale; sound: patients, logit scale"
_E5 = (
    "budget read from the test labels, so PPV = sensitivity by construction; ties by the order of "
    "rows; accuracy as a headline; sound: expectation over ties, interval over patients"
)
_E6 = _E2 + "; no gap, no correction for many groups (see subgroup_gaps)"
_E7 = "no base rate: by chance the share without a feature is that of all rows; sound: lift"
_E8 = "the T set is called depression and holds abnormality; sound: event rates with intervals"
_E9 = "scored at Youden's cut of the rows it is scored on; sound: clustered interval, no cut"


def original_figures(
    judged: Judged,
    sample: RankSample,
    labels: pl.DataFrame,
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    """Write E2 to E9; those that need findings are left out where the labels hold none.

    Parameters
    ----------
    judged : Judged
    sample : RankSample
    labels : DataFrame
        All splits: E9 is fitted on the train rows.
    config : EvaluateConfig
    findings : Findings
    """
    flags = flags_of(judged)
    for index, model in enumerate(judged.models):
        _auroc(judged, model, sample.auroc[:, index], config, findings)
        binary = _binary(judged, model, config, findings)
        if flags:
            _yield(judged, model, binary, classical_findings(flags), findings)
        if set(FEATURES) <= set(flags) and model in judged.entries:
            _venn(judged, model, binary, flags, findings)
        if model in judged.entries:
            risks = cumulative_risk(judged.labels, judged.scores[model])
            share = np.arange(1, 101)
            findings.curve(
                judged, model, "original_cumulative_risk", x=share.astype(np.float64), y=risks
            )
    _logistic(judged, labels, config, findings)


def _sound(labels: Any, scores: Floats, patients: Any, level: float) -> dict[str, Any]:
    found = clustered_delong(labels, scores, patients)
    value = float(found.auroc[0])
    interval = logit_interval(value, float(found.covariance[0, 0]), level=level)
    return {"sound_value": value, "sound_low": interval.low, "sound_high": interval.high}


def _auroc(
    judged: Judged, model: str, sampled: Floats, config: EvaluateConfig, findings: Findings
) -> None:
    """E2, and E6 by sex and race."""
    value, interval = delong_auroc(judged.labels, judged.scores[model], level=config.level)
    boot = percentile_interval(sampled, level=config.level)
    findings.entry(
        "original_auroc",
        judged,
        model,
        value=value,
        low=interval.low,
        high=interval.high,
        **_sound(judged.labels, judged.scores[model], judged.patients, config.level),
        bootstrap_low=boot.low,
        bootstrap_high=boot.high,
        differs=_E2,
        reason=interval.reason,
    )
    for column in ("sex", "race"):
        if column not in judged.rows.columns:
            continue
        for group in judged.rows[column].drop_nulls().unique().sort():
            members = (judged.rows[column] == group).fill_null(value=False).to_numpy()
            _in_group(judged, model, f"{column}={group}", members, config, findings)


def _in_group(
    judged: Judged,
    model: str,
    name: str,
    members: Flags,
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    labels, scores = judged.labels[members], judged.scores[model][members]
    n_positive = int(labels.sum())
    columns: dict[str, Any] = {
        "subgroup": name,
        "n_records": int(members.sum()),
        "n_positive": n_positive,
    }
    smaller = min(n_positive, len(labels) - n_positive)
    if smaller < config.min_class:
        reason = f"fewer than {config.min_class} of a class; the original prints it all the same"
        findings.entry("original_subgroups", judged, model, **columns, differs=_E6, reason=reason)
        return
    value, interval = delong_auroc(labels, scores, level=config.level)
    findings.entry(
        "original_subgroups",
        judged,
        model,
        **columns,
        value=value,
        low=interval.low,
        high=interval.high,
        **_sound(labels, scores, judged.patients[members], config.level),
        differs=_E6,
        reason=interval.reason,
    )


def _binary(judged: Judged, model: str, config: EvaluateConfig, findings: Findings) -> Flags:
    """E5: accuracy and PPV; a finding flags the rows that have it. Returns the flagged rows."""
    labels, scores = judged.labels, judged.scores[model]
    is_flag = model.startswith(FLAG_PREFIX)
    found = binary_at_prevalence(labels, scores)
    flagged = scores == 1 if is_flag else found.flagged
    n_flagged, tp = int(flagged.sum()), int((flagged & (labels == 1)).sum())
    n = len(labels)
    right = tp + n - n_flagged - (found.k - tp)
    accuracy = wilson(right, n, level=config.level)
    ppv = wilson(tp, n_flagged, level=config.level) if n_flagged else None
    columns: dict[str, Any] = {
        "k": n_flagged if is_flag else found.k,
        "n_flagged": n_flagged,
        "tp": tp,
    }
    sound = at_budget(labels, scores, k=max(1, n_flagged))
    interval = None
    if n_flagged and (is_flag or sound.n_tied == 1):
        interval = clustered_share(labels == 1, flagged, judged.patients, level=config.level)
    findings.entry(
        "original_binary",
        judged,
        model,
        **columns,
        cut=1.0 if is_flag else found.cut,
        accuracy=right / n,
        accuracy_low=accuracy.low,
        accuracy_high=accuracy.high,
        ppv=tp / n_flagged if n_flagged else None,
        ppv_low=ppv.low if ppv else None,
        ppv_high=ppv.high if ppv else None,
        sensitivity=tp / found.k,
        sound_ppv=sound.ppv if n_flagged else None,
        sound_low=interval.low if interval else None,
        sound_high=interval.high if interval else None,
        ppv_worst=sound.worst_tp / sound.k if n_flagged else None,
        ppv_best=sound.best_tp / sound.k if n_flagged else None,
        differs=_E5,
        reason=None if n_flagged else "nobody is flagged",
    )
    return flagged


def _yield(
    judged: Judged, model: str, flagged: Flags, any_finding: Flags, findings: Findings
) -> None:
    """E7: how many of the flagged have no finding, and what chance would give."""
    n, positives = int(flagged.sum()), judged.labels == 1
    if n == 0:
        findings.entry("original_yield", judged, model, reason="nobody is flagged")
        return
    tp = int((flagged & positives).sum())
    without = flagged & ~any_finding
    base = float((~any_finding).mean())
    sound = yield_at(judged.labels, judged.scores[model], any_finding, k=n)
    findings.entry(
        "original_yield",
        judged,
        model,
        ppv=tp / n,
        sensitivity=tp / int(positives.sum()),
        pred_pos_without_feature=without.sum() / n,
        true_pos_without_feature=(without & positives).sum() / tp if tp else None,
        base_share_without_feature=base,
        base_positives_without_feature=float((~any_finding)[positives].mean()),
        lift=sound.lift,
        ppv_without_feature=sound.ppv_without_feature,
        differs=_E7,
        reason=None if tp else "no true positive",
    )


def _venn(
    judged: Judged, model: str, flagged: Flags, flags: dict[str, Flags], findings: Findings
) -> None:
    """E8: counts of the regions; their event rates stand in ``feature_regions``."""
    for region, n in venn(flagged, flags).items():
        findings.entry(
            "original_venn",
            judged,
            model,
            region=region,
            n_records=n,
            percent=100 * n / len(flagged),
            differs=_E8,
        )


def _logistic(
    judged: Judged, labels: pl.DataFrame, config: EvaluateConfig, findings: Findings
) -> None:
    """E9 where the rows have all findings; a null with its reason without train rows."""
    if not set(FEATURES) <= set(flags_of(judged)):
        return
    entry: dict[str, Any] = {"differs": _E9}
    try:
        train = _train_rows(labels, judged.task)
        found = original_logistic(train, judged.rows)
    except NotEstimable as refusal:
        findings.entry(
            "original_logistic", judged, "original_logistic", **entry, reason=refusal.reason
        )
        return
    right, n = found.counts.tp + found.counts.tn, found.counts.n
    accuracy = wilson(right, n, level=config.level)
    findings.entry(
        "original_logistic",
        judged,
        "original_logistic",
        auroc=found.auroc,
        low=found.interval.low,
        high=found.interval.high,
        accuracy=right / n,
        accuracy_low=accuracy.low,
        accuracy_high=accuracy.high,
        youden_cut=found.youden_cut,
        n_train=len(train),
        n_scored=n,
        **_sound(judged.labels, found.scores, judged.patients, config.level),
        **entry,
        reason=found.interval.reason,
    )


def _train_rows(labels: pl.DataFrame, task: str) -> pl.DataFrame:
    if "split" not in labels.columns or not set(FEATURES) <= set(labels.columns):
        raise NotEstimable("the labels hold no train rows with the four findings")
    rows = labels.filter((pl.col("split") == "train") & pl.col("label").is_not_null())
    if "task" in rows.columns:
        rows = rows.filter(pl.col("task") == task)
    rows = rows.drop_nulls(list(FEATURES))
    if rows["label"].n_unique() < 2:
        raise NotEstimable("the labels hold no train rows of both classes")
    return rows
