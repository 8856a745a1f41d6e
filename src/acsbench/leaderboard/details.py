"""What a frozen board tells of an entry beyond its panel: subgroups, calibration, curves.

Two decimals, and nothing of a group that is small, or whose complement is: neither may follow by
subtraction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acsbench.evaluation.board_metrics import METRICS, sens_at_spec_roc
from acsbench.evaluation.bootstrap import patient_bootstrap, percentile_interval
from acsbench.evaluation.calibration import cal_intercept, cal_slope
from acsbench.evaluation.metrics import NotEstimable, brier
from acsbench.evaluation.utility import net_benefit, net_benefit_of_all
from acsbench.leaderboard.definition import TaskVersion
from acsbench.leaderboard.release import decimal_string
from acsbench.leaderboard.scoring import Scored, Truth

__all__ = ["entry_details"]

Figures = dict[str, Any]
_N_BINS, _MIN_ROWS_A_BIN = 10, 20
_THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
_SPECIFICITIES = tuple(round(0.1 * n, 1) for n in range(10))
_SMALL = "too few positives, negatives or patients in the group or outside it"


@dataclass(frozen=True)
class _Rows:
    """The rows that decide, with their subgroups."""

    labels: NDArray[np.int8]
    scores: NDArray[np.float64]
    patients: NDArray[np.intp]
    subgroups: dict[str, NDArray[np.str_]]


def entry_details(scored: Scored, truth: Truth, version: TaskVersion) -> Figures:
    """Subgroups with the largest gap, calibration, and curves of an entry, as decimal strings.

    Parameters
    ----------
    scored : Scored
        Of the part that decides.
    truth : Truth
    version : TaskVersion
    """
    members = truth.members(scored.part)
    rows = _Rows(
        truth.labels[members],
        scored.scores[members],
        truth.patients[members],
        {name: np.array(values)[members] for name, values in truth.subgroups.items()},
    )
    return {
        "subgroups": list(_subgroups(rows, version)),
        "calibration": _calibration(rows, version),
        "curves": _curves(rows, version),
    }


def _subgroups(rows: _Rows, version: TaskVersion) -> Iterator[Figures]:
    for column in sorted(rows.subgroups):
        values = rows.subgroups[column]
        groups = {str(value): values == value for value in sorted(set(values.tolist())) if value}
        shown = {name: mask for name, mask in groups.items() if _is_large(rows, mask, version)}
        sampled = {name: _resampled(rows, mask, version) for name, mask in shown.items()}
        yield {
            "column": column,
            "metric": version.task.primary,
            "groups": [
                _group(rows, name, mask, sampled.get(name), version)
                for name, mask in groups.items()
            ],
            "largest_gap": _gap(rows, shown, sampled, version),
        }


def _is_large(rows: _Rows, mask: NDArray[np.bool_], version: TaskVersion) -> bool:
    release = version.task.release
    return all(
        (rows.labels[part] == 1).sum() >= release.subgroup_min_pos
        and (rows.labels[part] == 0).sum() >= release.subgroup_min_neg
        and len(np.unique(rows.patients[part])) >= release.subgroup_min_patients
        for part in (mask, ~mask)
    )


def _resampled(rows: _Rows, mask: NDArray[np.bool_], version: TaskVersion) -> NDArray[np.float64]:
    """The primary metric of a group on the resamples that all groups share."""
    metric = METRICS[version.task.primary].function
    found = patient_bootstrap(
        rows.labels[mask],
        rows.scores[mask],
        rows.patients[mask],
        {"primary": metric},
        n_resamples=version.task.release.n_resamples,
        seed=version.seed,
        drawn_from=rows.patients,
    )
    values: NDArray[np.float64] = found.values["primary"][:, 0]
    return values


def _value(rows: _Rows, mask: NDArray[np.bool_], version: TaskVersion) -> float:
    return METRICS[version.task.primary].function(rows.labels[mask], rows.scores[mask])


def _group(
    rows: _Rows,
    name: str,
    mask: NDArray[np.bool_],
    sampled: NDArray[np.float64] | None,
    version: TaskVersion,
) -> Figures:
    if sampled is None:
        return {"group": name, "value": None, "low": None, "high": None, "reason": _SMALL}
    interval = percentile_interval(sampled)
    return {
        "group": name,
        "n_rows": int(mask.sum()),
        "n_patients": len(np.unique(rows.patients[mask])),
        "value": _short(_value(rows, mask, version), version),
        "low": _short(interval.low, version),
        "high": _short(interval.high, version),
        "reason": interval.reason,
    }


def _gap(
    rows: _Rows,
    shown: dict[str, NDArray[np.bool_]],
    sampled: dict[str, NDArray[np.float64]],
    version: TaskVersion,
) -> Figures | None:
    """Best less worst group, with the interval of that same pair."""
    if len(shown) < 2:
        return None
    values = {name: _value(rows, mask, version) for name, mask in shown.items()}
    best, worst = max(values, key=lambda n: values[n]), min(values, key=lambda n: values[n])
    interval = percentile_interval(sampled[best] - sampled[worst])
    return {
        "best": best,
        "worst": worst,
        "value": _short(values[best] - values[worst], version),
        "low": _short(interval.low, version),
        "high": _short(interval.high, version),
        "reason": interval.reason,
    }


def _calibration(rows: _Rows, version: TaskVersion) -> Figures:
    functions = {"cal_slope": cal_slope, "cal_intercept": cal_intercept, "brier": brier}
    return {name: _or_reason(one, rows, version) for name, one in functions.items()} | {
        "bins": _bins(rows, version)
    }


def _or_reason(
    function: Callable[..., float], rows: _Rows, version: TaskVersion
) -> dict[str, str | None]:
    try:
        return {"value": _short(function(rows.labels, rows.scores), version), "reason": None}
    except NotEstimable as refusal:
        return {"value": None, "reason": refusal.reason}


def _bins(rows: _Rows, version: TaskVersion) -> list[Figures]:
    """Equally many rows a bin, at least 20; equal scores are never divided."""
    order = np.argsort(rows.scores, kind="stable")
    n_bins = max(1, min(_N_BINS, len(order) // _MIN_ROWS_A_BIN))
    ordered = rows.scores[order]
    edges = [0]
    for n in range(1, n_bins):
        at = int(np.searchsorted(ordered, ordered[round(n * len(order) / n_bins)]))
        if at - edges[-1] >= _MIN_ROWS_A_BIN and len(order) - at >= _MIN_ROWS_A_BIN:
            edges.append(at)
    edges.append(len(order))
    return [
        {
            "n_rows": end - start,
            "mean_score": _short(float(rows.scores[order[start:end]].mean()), version),
            "share_positive": _short(float(rows.labels[order[start:end]].mean()), version),
        }
        for start, end in pairwise(edges)
    ]


def _curves(rows: _Rows, version: TaskVersion) -> Figures:
    prevalence = float(rows.labels.mean())
    return {
        "roc": [
            {
                "specificity": f"{at:.1f}",
                "sensitivity": _short(
                    sens_at_spec_roc(rows.labels, rows.scores, specificity=at), version
                ),
            }
            for at in _SPECIFICITIES
        ],
        "decision": [
            {
                "threshold": f"{at:.2f}",
                "net_benefit": _short(net_benefit(rows.labels, rows.scores, at), version),
                "of_all": _short(net_benefit_of_all(prevalence, at), version),
            }
            for at in _THRESHOLDS
        ],
    }


def _short(value: float | None, version: TaskVersion) -> str | None:
    return None if value is None else decimal_string(value, version.task.release.subgroup_decimals)
