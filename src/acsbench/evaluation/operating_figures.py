"""Operating points: cuts from the validation rows, frozen, applied to the test rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Figure, Findings
from acsbench.evaluation.intervals import Interval
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.metrics import NotEstimable, counts_at_cuts
from acsbench.evaluation.operating_points import Counts, choose_threshold, count_flagged
from acsbench.evaluation.proportions import (
    clustered_share,
    mcnemar_exact,
    paired_share_difference,
    wilson,
)
from acsbench.evaluation.ranking import percent

__all__ = ["Rule", "cut_of", "figures_at", "operating_figures", "point_entries", "rules"]

Flags = NDArray[np.bool_]

_NO_VAL = "no validation predictions, and a cut read from the test labels would flatter"
_ZONE_PPV = 0.75
"""Rule-in zone of rule-out papers in this field: a positive predictive value of 75 %."""
_ZONE_SENSITIVITY = 0.99
_SLIDER_POINTS = 101


class Rule(NamedTuple):
    """How a cut is chosen on the validation rows: one target."""

    name: str  # "spec_90"
    metric: str  # "sens_at_spec_90"
    measured: str  # "sensitivity": what the metric is
    target: dict[str, float]


def rules(config: EvaluateConfig) -> list[Rule]:
    """Specificities first, then the sensitivities of rule-out."""
    made = []
    for share in config.specificities:
        name = f"spec_{percent(share)}"
        made.append(Rule(name, f"sens_at_{name}", "sensitivity", {"specificity": share}))
    for share in config.sensitivities:
        name = f"sens_{percent(share)}"
        made.append(Rule(name, f"spec_at_{name}", "specificity", {"sensitivity": share}))
    return made


def cut_of(judged: Judged, model: str, **target: float) -> float:
    """Cut of a model from its validation rows.

    Raises
    ------
    NotEstimable
        Without validation rows, or when they do not reach the target.
    """
    val = judged.val
    if val is None or model not in val.scores:
        raise NotEstimable(_NO_VAL)
    return choose_threshold(val.labels, val.scores[model], **target)


def operating_figures(judged: Judged, config: EvaluateConfig, findings: Findings) -> None:
    """Write the operating points of every model, the zones, the pairs and the slider's cuts."""
    flagged: dict[tuple[str, str], Flags] = {}
    for model in judged.entries:
        _slider(judged, model, findings)
        _zones(judged, model, config, findings)
        for rule in rules(config):
            try:
                cut = cut_of(judged, model, **rule.target)
            except NotEstimable as refusal:
                nothing = Figure(None, "cut_from_val_clustered", reason=refusal.reason)
                findings.row(judged, model, rule.metric, nothing)
                findings.entry(
                    "operating_points",
                    judged,
                    model,
                    subgroup="",
                    rule=rule.name,
                    reason=refusal.reason,
                )
                continue
            flags = judged.scores[model] >= cut
            flagged[model, rule.name] = flags
            for figure in figures_at(judged, flags, rule.measured, config.level):
                findings.row(judged, model, rule.metric, figure)
            point_entries(judged, model, flags, rule.name, cut, config, findings)
    for (first, second), rule in itertools.product(
        itertools.combinations(judged.entries, 2), rules(config)
    ):
        if (first, rule.name) in flagged and (second, rule.name) in flagged:
            pair = flagged[first, rule.name], flagged[second, rule.name]
            _pair_entries(judged, (first, second), pair, rule.name, config, findings)


def _rows_of(counts: Counts, labels: NDArray[Any], flags: Flags, measure: str) -> Any:
    """Rows that count and rows among which, of a share of the four cells, and their numbers."""
    positives = labels == 1
    return {
        "sensitivity": (flags, positives, counts.tp, counts.tp + counts.fn),
        "specificity": (~flags, ~positives, counts.tn, counts.tn + counts.fp),
        "ppv": (positives, flags, counts.tp, counts.tp + counts.fp),
        "npv": (~positives, ~flags, counts.tn, counts.tn + counts.fn),
    }[measure]


def figures_at(judged: Judged, flags: Flags, measure: str, level: float) -> Iterator[Figure]:
    """A share with its clustered interval, then the same with Wilson's."""
    counts = count_flagged(judged.labels, flags)
    counted, among, x, n = _rows_of(counts, judged.labels, flags, measure)
    clustered = clustered_share(counted, among, judged.patients, level=level)
    yield Figure(
        x / n,
        "cut_from_val_clustered",
        low=clustered.low,
        high=clustered.high,
        reason=clustered.reason,
    )
    rows = wilson(x, n, level=level)
    yield Figure(x / n, "cut_from_val_wilson", low=rows.low, high=rows.high)


def point_entries(
    judged: Judged,
    model: str,
    flags: Flags,
    rule: str,
    cut: float,
    config: EvaluateConfig,
    findings: Findings,
    *,
    subgroup: str = "",
) -> None:
    """Counts and shares at a frozen cut, and the intervals of the four shares."""
    counts = count_flagged(judged.labels, flags)
    prevalence = (counts.tp + counts.fn) / counts.n
    about = {"subgroup": subgroup, "rule": rule}
    findings.entry(
        "operating_points",
        judged,
        model,
        **about,
        cut=cut,
        cut_from="val",
        **counts.cells_and_shares(),
        lr_pos=counts.lr_pos,
        lr_neg=counts.lr_neg,
        flagged_share=(counts.tp + counts.fp) / counts.n,
        ruled_out_share=(counts.tn + counts.fn) / counts.n,
        missed_per_1000=counts.missed_per_1000,
        prevalence=prevalence,
        one_minus_prevalence=1 - prevalence,
    )
    for measure in ("sensitivity", "specificity", "ppv", "npv"):
        counted, among, x, n = _rows_of(counts, judged.labels, flags, measure)
        clustered, rows = Interval(None, None, "no rows"), Interval(None, None)
        if n:
            clustered = clustered_share(counted, among, judged.patients, level=config.level)
            rows = wilson(x, n, level=config.level)
        findings.entry(
            "operating_intervals",
            judged,
            model,
            **about,
            metric=measure,
            value=x / n if n else None,
            low=clustered.low,
            high=clustered.high,
            wilson_low=rows.low,
            wilson_high=rows.high,
            numerator=x,
            denominator=n,
            reason=clustered.reason,
        )


def _pair_entries(
    judged: Judged,
    models: tuple[str, str],
    flagged: tuple[Flags, Flags],
    rule: str,
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    """Differences of two models at their own cuts: clustered, and McNemar's test of the rows."""
    positives = judged.labels == 1
    for measure, among, right in (
        ("sensitivity", positives, flagged),
        ("specificity", ~positives, (~flagged[0], ~flagged[1])),
    ):
        found = paired_share_difference(*right, among, judged.patients, level=config.level)
        only_first = int((right[0] & ~right[1] & among).sum())
        only_second = int((right[1] & ~right[0] & among).sum())
        findings.entry(
            "paired_operating",
            judged,
            models[0],
            compared_with=models[1],
            rule=rule,
            metric=measure,
            difference=found.value,
            low=found.low,
            high=found.high,
            p_value=found.p_value,
            only_model=only_first,
            only_other=only_second,
            p_mcnemar=mcnemar_exact(only_first, only_second),
            reason=found.reason,
        )


def _zones(judged: Judged, model: str, config: EvaluateConfig, findings: Findings) -> None:
    """Three zones: ruled out at a sensitivity of 99 %, ruled in at a PPV of 75 %, grey between."""
    try:
        low = cut_of(judged, model, sensitivity=_ZONE_SENSITIVITY)
        high = max(low, cut_of(judged, model, ppv=_ZONE_PPV))
    except NotEstimable as refusal:
        findings.entry("zones", judged, model, reason=refusal.reason)
        return
    scores, positives = judged.scores[model], judged.labels == 1
    zones = {
        "rule_out": scores < low,
        "grey": (scores >= low) & (scores < high),
        "rule_in": scores >= high,
    }
    for zone, members in zones.items():
        n, x = int(members.sum()), int((members & positives).sum())
        interval = Interval(None, None, "no rows")
        if n:
            interval = clustered_share(positives, members, judged.patients, level=config.level)
        findings.entry(
            "zones",
            judged,
            model,
            zone=zone,
            rule_out_rule=f"sens_{percent(_ZONE_SENSITIVITY)}",
            rule_out_cut=low,
            rule_in_rule=f"ppv_{percent(_ZONE_PPV)}",
            rule_in_cut=high,
            n_records=n,
            share=n / len(positives),
            n_positive=x,
            event_rate=x / n if n else None,
            **interval._asdict(),
        )


def _slider(judged: Judged, model: str, findings: Findings) -> None:
    """Counts at about a hundred cuts, for a reader who moves a slider; no claim is made of one."""
    hits, false_alarms, cuts = counts_at_cuts(judged.labels == 1, judged.scores[model])
    wanted = np.linspace(0, len(judged.labels), _SLIDER_POINTS)[1:]
    kept = np.unique(np.searchsorted(hits + false_alarms, wanted).clip(max=len(cuts) - 1))
    n_hits, n_misses = hits[-1], false_alarms[-1]
    for tp, fp, cut in zip(hits[kept], false_alarms[kept], cuts[kept], strict=True):
        counts = Counts(int(tp), int(fp), int(n_hits - tp), int(n_misses - fp))
        findings.entry(
            "cuts",
            judged,
            model,
            cut=float(cut),
            share_flagged=(counts.tp + counts.fp) / counts.n,
            **counts.cells_and_shares(),
        )
