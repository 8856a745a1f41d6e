"""What a sweep found: every fit by the judge, and the spread over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from acsbench.evaluation.evaluate import evaluate
from acsbench.experiment.config import ExperimentConfig
from acsbench.experiment.fits import Fit, read_scores
from acsbench.experiment.limit import not_reportable
from acsbench.results import format_estimate
from acsbench.store import WaveformStore
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

__all__ = ["KEYS", "judge_fits", "summarise", "summary_text"]

KEYS = ("model", "task", "seed")
_SECTIONS = ("operating_points", "calibration", "utility")
"""Analyses of one model alone; pairs and subgroups are for `run`."""
_SHOWN = ("auroc", "auprc", "brier")


def judge_fits(
    config: ExperimentConfig,
    cohort: Cohort,
    stores: Mapping[str, WaveformStore | None],
    fits: Sequence[Fit],
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Judge each fit alone, all of them on the rows that every store has a waveform of."""
    dropped = {ecg_id for store in stores.values() if store for ecg_id in store.failed()}
    sections = tuple(one for one in config.evaluate.sections if one in _SECTIONS)
    judge = config.evaluate.model_copy(update={"sections": sections, "flags": (), "compare": False})
    parts = []
    remarks = [] if config.limit is None else [not_reportable(config.limit)]
    for fit, name in [(one, task) for one in fits for task in one.step.tasks]:
        task = TASKS[name]
        labels = task.labels(cohort).filter(~pl.col("ecg_id").is_in(list(dropped)))
        val, test, said = read_scores(fit, name)
        known = pl.col("ecg_id").is_in(labels["ecg_id"].implode())
        val, test = (replace(one, frame=one.frame.filter(known)) for one in (val, test))
        results = evaluate(test, labels, task, val=val, config=judge)
        parts.append(
            results.overall.select(
                "model",
                "task",
                pl.lit(fit.seed, pl.Int64).alias("seed"),
                pl.lit(fit.n_seeds, pl.Int64).alias("n_seeds"),
                pl.exclude("model", "task", "compared_with", "subgroup"),
            )
        )
        remarks += [*results.remarks, *(f"{fit.step.name}: {one}" for one in said)]
    return pl.concat(parts), tuple(dict.fromkeys(remarks))


def summarise(table: pl.DataFrame) -> pl.DataFrame:
    """Mean and spread of each metric over seeds, and the ensemble's estimate beside them."""
    # a metric may be given by several methods; the first listed is the headline
    first = table.unique((*KEYS, "metric"), keep="first", maintain_order=True)
    keys = ["model", "task", "metric"]
    value = pl.col("value")
    spread = (
        first.filter(pl.col("seed").is_not_null())
        .group_by(keys, maintain_order=True)
        .agg(
            value.count().alias("n_seeds"),
            value.mean().alias("mean"),
            value.std().alias("sd"),
            value.min().alias("min"),
            value.max().alias("max"),
        )
    )
    ensemble = first.filter(pl.col("seed").is_null()).select(
        *keys,
        value.alias("ensemble"),
        pl.col("low").alias("ensemble_low"),
        pl.col("high").alias("ensemble_high"),
    )
    return spread.join(ensemble, on=keys, how="left", maintain_order="left")


def summary_text(summary: pl.DataFrame) -> str:
    """Headlines for a terminal."""
    lines = [f"{'model':<24}{'task':<16}{'metric':<8}mean ± sd over seeds    ensemble"]
    for row in summary.filter(pl.col("metric").is_in(_SHOWN)).iter_rows(named=True):
        over = "not estimable" if row["mean"] is None else f"{row['mean']:.3f}"
        over += "" if row["sd"] is None else f" ± {row['sd']:.3f}"
        over += f" ({row['n_seeds']})"
        shown = format_estimate(row["ensemble"], row["ensemble_low"], row["ensemble_high"])
        name = f"{row['model']:<24}{row['task']:<16}{row['metric']:<8}"
        lines.append(f"{name}{over:<24}{'-' if row['ensemble'] is None else shown}")
    return "\n".join(lines)
