"""Means over tasks of models that score several, on patients drawn for all tasks at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.evaluation.bootstrap import bootstrap
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Figure, Findings, attempt, with_percentiles
from acsbench.evaluation.judged import Judged
from acsbench.evaluation.metrics import auprc, auroc
from acsbench.evaluation.other_metrics import best_scores
from acsbench.evaluation.weighted import Metric, Statistic, rank_statistic, repeated_rows

__all__ = ["macro_figures"]

Floats = NDArray[np.float64]

_OF_ORDER: dict[str, int] = {"auroc": 0, "auprc": 1}
"""Metrics that take raw scores, where a logit turned probability may tie at 1."""


def macro_figures(
    judged: Sequence[Judged],
    metrics: Mapping[str, Metric],
    config: EvaluateConfig,
    findings: Findings,
) -> None:
    """Write ``macro_<metric>`` of every model that scores two tasks or more."""
    for model in dict.fromkeys(model for one in judged for model in one.entries):
        mine = [one for one in judged if model in one.scores]
        if len(mine) < 2:
            continue
        sampled = _resample(mine, model, metrics, config)
        for name in metrics:
            found = [_point(one, model, name, metrics[name]) for one in mine]
            values = [value for value, _ in found if value is not None]
            reason = next((reason for _, reason in found if reason), None)
            mean = float(np.mean(values)) if reason is None else None
            draws = np.mean(sampled[name], axis=0)
            figure = with_percentiles(mean, reason, draws, config.level)
            _write(mine, model, f"macro_{name}", figure, findings)


def _point(one: Judged, model: str, name: str, metric: Metric) -> tuple[float | None, str | None]:
    scores = one.scores[model] if name in _OF_ORDER else best_scores(one, model)
    function = {"auroc": auroc, "auprc": auprc}.get(name, metric)
    return attempt(lambda: function(one.labels, scores))


def _resample(
    judged: Sequence[Judged], model: str, metrics: Mapping[str, Metric], config: EvaluateConfig
) -> dict[str, list[Floats]]:
    """Values of each metric in each task, on equal draws from the patients of all of them."""
    everyone = pl.concat([one.rows["patient_id"] for one in judged]).unique().sort()
    numbers = pl.DataFrame({"patient_id": everyone}).with_row_index("number")
    statistics: dict[str, Statistic] = {}
    for index, one in enumerate(judged):
        rows = one.rows.select("patient_id").join(numbers, on="patient_id", maintain_order="left")
        patients = rows["number"].to_numpy().astype(np.intp)
        positives = one.labels == 1
        statistics[f"ranks {index}"] = rank_statistic(positives, one.scores[model], patients)
        scores = best_scores(one, model)[:, np.newaxis]
        for name, metric in metrics.items():
            if name not in _OF_ORDER:
                statistics[f"{name} {index}"] = repeated_rows(metric, positives, scores, patients)
    found = bootstrap(
        statistics,
        n_patients=len(everyone),
        n_resamples=config.n_resamples,
        seed=config.seed,
    )
    tasks = range(len(judged))
    return {
        name: [
            found[f"ranks {i}"][:, _OF_ORDER[name]]
            if name in _OF_ORDER
            else found[f"{name} {i}"][:, 0]
            for i in tasks
        ]
        for name in metrics
    }


def _write(
    judged: Sequence[Judged], model: str, metric: str, figure: Figure, findings: Findings
) -> None:
    """Counts of a macro average: labels of all its tasks, patients and visits once each."""
    keys = ["patient_id", "label", "n_records"]
    visits = all("encounter_id" in one.rows.columns for one in judged)
    keys += ["encounter_id"] if visits else []
    pooled = Judged(
        task="",
        version=None,
        unit=judged[0].unit,
        split=judged[0].split,
        rows=pl.concat(one.rows.select(keys) for one in judged),
        scores={},
        probabilities={},
        kinds={},
    )
    findings.row(pooled, model, metric, figure)
