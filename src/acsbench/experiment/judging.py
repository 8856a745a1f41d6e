"""Trained models to results: scores on val and test, one judgement per task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.reproduction import table_one
from acsbench.experiment.config import ExperimentConfig, ModelStep
from acsbench.experiment.limit import not_reportable
from acsbench.experiment.steps import datasets, make_step_model, write_predictions
from acsbench.models.base import Model, predict
from acsbench.predictions import Predictions
from acsbench.provenance import atomic_path
from acsbench.results import Results
from acsbench.store import WaveformStore
from acsbench.tables import Cohort
from acsbench.tasks import TASKS, Task

__all__ = ["Scored", "Trained", "flag_models", "judge_all", "score_all", "score_one"]


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
    val : Predictions or None
        None where nothing is chosen, as on other data.
    test : Predictions
        With the scores of the untested, where selective testing is to be judged.
    failed : dict of str to str
        Records of either split without a waveform, with the reason.
    remarks : tuple of str
        What the model has to say about its training.
    """

    step: ModelStep
    val: Predictions | None
    test: Predictions
    failed: dict[str, str]
    remarks: tuple[str, ...]


def score_all(
    trained: Sequence[Trained],
    cohort: Cohort,
    folder: Path,
    *,
    untested: bool = True,
    with_val: bool = True,
) -> list[Scored]:
    """Score val and test with every model, and write the predictions to ``folder``.

    With ``untested`` also the test ECGs whose outcome nobody looked for, of tasks that have such.
    """
    return [score_one(one, cohort, folder, untested=untested, with_val=with_val) for one in trained]


def score_one(
    one: Trained, cohort: Cohort, folder: Path, *, untested: bool, with_val: bool = True
) -> Scored:
    """Score test, and val unless nothing is chosen by it, with one model; see `score_all`."""
    splits = ("val", "test") if with_val else ("test",)
    data = {split: datasets(one.step, cohort, one.store, split) for split in splits}
    failed = {ecg_id: reason for d in data.values() for ecg_id, reason in d.failed.items()}
    scored = {split: predict(one.model, d, name=one.step.name) for split, d in data.items()}
    others = datasets(one.step, cohort, one.store, "test", untested=True)
    if untested and len(others):
        failed |= others.failed
        beyond = predict(one.model, others, name=one.step.name).frame
        test = scored["test"]
        # of several tasks, one may have asked for them already
        beyond = beyond.join(test.frame, on=["ecg_id", "task"], how="anti")
        scored["test"] = replace(test, frame=pl.concat([test.frame, beyond]))
    for split, predictions in scored.items():
        write_predictions(predictions, split, folder)
    return Scored(
        step=one.step,
        val=scored.get("val"),
        test=scored["test"],
        failed=failed,
        remarks=tuple(getattr(one.model, "remarks", ())),
    )


def flag_models(steps: Sequence[ModelStep], cohort: Cohort) -> list[Trained]:
    """Return the source's classical findings as models, on every single task that is judged."""
    tasks = dict.fromkeys(task for step in steps for task in step.tasks)
    taken = {step.name for step in steps}
    flags = []
    for flag in cohort.flags:
        name = f"flag:{flag}"
        if name in taken:
            continue
        for task in tasks:
            step = ModelStep(name=name, model=name, task=task)
            model = make_step_model(step, seed=0, folder=None)
            flags.append(Trained(step=step, model=model, store=None))
    return flags


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
        for of_split in (
            [one.val for one in mine if one.val is not None],
            [one.test for one in mine],
        )
    )
    results = evaluate(test, labels, task, val=val or None, config=config.evaluate)
    if task.population == "is_tested" and "original" in config.evaluate.sections:
        people = table_one(cohort.frame.filter("is_included"))
        people = people.select(pl.lit(task.name).alias("task"), pl.all())
        results = replace(results, tables={**results.tables, "original_table_one": people})
    failed = task.select(cohort, "test").filter(pl.col("ecg_id").is_in(dropped))
    if failed.is_empty():
        return results
    remark = (
        f"Task {task.name}: {len(failed)} test ECGs have no waveform and are scored by no model."
    )
    return replace(results, remarks=(*results.remarks, remark))
