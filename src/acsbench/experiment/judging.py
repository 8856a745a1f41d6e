"""Trained models to results: scores on val and test, one judgement per task, example ECGs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from acsbench.evaluation.evaluate import evaluate
from acsbench.experiment.config import ExperimentConfig, ModelStep
from acsbench.experiment.limit import not_reportable
from acsbench.experiment.steps import datasets, write_predictions
from acsbench.models.base import Model, predict
from acsbench.predictions import Predictions
from acsbench.provenance import atomic_path
from acsbench.recording import Recording
from acsbench.report.section_people import Example
from acsbench.results import Results
from acsbench.sources.base import Source
from acsbench.store import WaveformStore
from acsbench.tables import Cohort
from acsbench.tasks import TASKS, Task

__all__ = ["Scored", "Trained", "choose_examples", "judge_all", "score_all"]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model of a run, and the store that its waveforms come from."""

    step: ModelStep
    model: Model
    store: WaveformStore | None


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of a model on val and test.

    Attributes
    ----------
    step : ModelStep
    val, test : Predictions
    failed : dict of str to str
        Records of either split without a waveform, with the reason.
    remarks : tuple of str
        What the model has to say about its training.
    """

    step: ModelStep
    val: Predictions
    test: Predictions
    failed: dict[str, str]
    remarks: tuple[str, ...]


def score_all(trained: Sequence[Trained], cohort: Cohort, folder: Path) -> list[Scored]:
    """Score val and test with every model, and write the predictions to ``folder``."""
    return [_score(one, cohort, folder) for one in trained]


def _score(one: Trained, cohort: Cohort, folder: Path) -> Scored:
    found: dict[str, Predictions] = {}
    failed: dict[str, str] = {}
    for split in ("val", "test"):
        data = datasets(one.step, cohort, one.store, split)
        found[split] = predict(one.model, data, name=one.step.name)
        write_predictions(found[split], split, folder)
        failed |= data.failed
    return Scored(
        step=one.step,
        val=found["val"],
        test=found["test"],
        failed=failed,
        remarks=tuple(getattr(one.model, "remarks", ())),
    )


def judge_all(
    scored: Sequence[Scored], cohort: Cohort, config: ExperimentConfig, folder: Path
) -> Results:
    """Judge every task that a model was trained for; the labels used are written to ``folder``."""
    tasks = dict.fromkeys(task for one in scored for task in one.step.tasks)
    results = Results.concat(
        [_judge_task(TASKS[task], scored, cohort, config, folder) for task in tasks]
    )
    remarks = [] if config.limit is None else [not_reportable(config.limit)]
    remarks += [*cohort.info.get("remarks", ()), *results.remarks]
    remarks += [f"{one.step.name}: {remark}" for one in scored for remark in one.remarks]
    return replace(results, remarks=tuple(remarks))


def _judge_task(
    task: Task, scored: Sequence[Scored], cohort: Cohort, config: ExperimentConfig, folder: Path
) -> Results:
    """Judge the models of a task on the same rows: those that each has a waveform for."""
    mine = [one for one in scored if task.name in one.step.tasks]
    dropped = sorted({ecg_id for one in mine for ecg_id in one.failed})
    labels = task.labels(cohort).filter(~pl.col("ecg_id").is_in(dropped))
    with atomic_path(folder / f"{task.name}.csv") as temporary:
        labels.write_csv(temporary)
    # a model of several tasks also scores records outside this task's population
    known = pl.col("ecg_id").is_in(labels["ecg_id"].implode()) & (pl.col("task") == task.name)
    val, test = (
        [replace(one, frame=one.frame.filter(known)) for one in of_split]
        for of_split in ([one.val for one in mine], [one.test for one in mine])
    )
    results = evaluate(test, labels, task, val=val, config=config.evaluate)
    failed = task.select(cohort, "test").filter(pl.col("ecg_id").is_in(dropped))
    if failed.is_empty():
        return results
    remark = (
        f"Task {task.name}: {len(failed)} test ECGs have no waveform and are scored by no model."
    )
    return replace(results, remarks=(*results.remarks, remark))


def choose_examples(
    scored: Predictions, task: Task, cohort: Cohort, source: Source, *, n: int
) -> list[Example]:
    """Test ECGs with and without the outcome, with and without a classical finding.

    Of each group the one with the middle score: neither the best nor the worst that a model can.
    """
    rows = task.select(cohort, "test")
    has_finding = pl.lit(value=False)
    for flag in cohort.flags:
        has_finding = has_finding | pl.col(flag).fill_null(value=False)
    groups = rows.select(
        "ecg_id",
        pl.when(task.outcome).then(pl.lit("positive")).otherwise(pl.lit("negative")).alias("label"),
        has_finding.alias("has_finding"),
    )
    ranked = scored.frame.filter(pl.col("task") == task.name).join(groups, on="ecg_id")
    chosen: dict[str, tuple[str, str]] = {}
    for label in ("positive", "negative"):
        for has in (True, False):
            mine = ranked.filter((pl.col("label") == label) & (pl.col("has_finding") == has))
            if mine.is_empty():
                continue
            row = mine.sort("score", "ecg_id").row(len(mine) // 2, named=True)
            finding = f", {'with' if has else 'without'} a classical finding"
            group = f"Label {label}{finding if cohort.flags else ''}"
            caption = f"{scored.model} gave it {row['score']:.2f}, the middle score of this group"
            chosen[row["ecg_id"]] = (caption, group)
    found = source.recordings(list(chosen)[:n])
    return [
        Example(chosen[one.ecg_id][0], one, chosen[one.ecg_id][1])
        for one in found
        if isinstance(one, Recording)
    ]
