"""External validation: the models of a run on other data, of which nothing was learnt."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from acsbench.errors import AcsbenchError, InputError
from acsbench.experiment.config import ExperimentConfig, ExternalStep
from acsbench.experiment.judging import Scored, Trained, flag_models, judge_all, score_one
from acsbench.experiment.run_report import report_on
from acsbench.experiment.steps import cohort_step, open_step, stores_step
from acsbench.parallel import Workers
from acsbench.tables import Cohort, Split

__all__ = ["judge_elsewhere"]

log = logging.getLogger("acsbench")


def judge_elsewhere(
    name: str,
    config: ExperimentConfig,
    trained: Sequence[Trained],
    home: Cohort,
    folder: Path,
    *,
    workers: Workers | None = None,
) -> Path:
    """Judge the models of a run on the data that ``evaluate_on`` gives this name.

    All ECGs there are test. Where both come from one source, patients of the run's train and val
    leave. A model that cannot read the data is left out, and a remark says why; without a val
    nothing is chosen there, so metrics at a cut are empty.

    Parameters
    ----------
    name : str
    config : ExperimentConfig
    trained : sequence of Trained
        Models of the run; findings used as models are taken from the other data instead.
    home : Cohort
        The run's own.
    folder : Path
        Where cohort, stores, predictions, labels, results and report of these data go.
    workers : Workers, optional

    Returns
    -------
    Path
        The report.

    Raises
    ------
    InputError
        When no model can be judged there.
    """
    step = config.evaluate_on[name]
    log.info("judging the models on '%s'", name)
    opened = open_step(step.source, seed=config.seed, limit=config.limit)
    built = cohort_step(
        opened, folder / "cohort", config=step.cohort, seed=config.seed, workers=workers
    )
    cohort = _all_test(built, home)
    models = [
        replace(one, step=step.model_step(one.step), store=None)
        for one in trained
        if not one.step.model.startswith("flag:")
    ]
    stores = stores_step(
        (one.model.recipe for one in models),
        opened,
        cohort,
        folder / "stores",
        process=config.process,
        workers=workers,
    )
    models = [replace(one, store=stores.get(one.model.recipe)) for one in models]
    if config.compare_flags:
        models += flag_models([one.step for one in models], cohort)
    scored, remarks = _score(models, cohort, folder)
    if not scored:
        raise InputError(f"No model can be judged on '{name}':\n" + "\n".join(remarks))
    results = judge_all(scored, cohort, config, folder / "labels")
    results = replace(results, remarks=(_told(name, step), *remarks, *results.remarks))
    results.save(folder)
    title = f"{config.report.title or config.name}, judged on {name}"
    shown = config.model_copy(
        update={
            "models": tuple(one.step for one in scored if not one.step.model.startswith("flag:"))
            or tuple(one.step for one in scored),
            "report": config.report.model_copy(update={"title": title}),
        }
    )
    return report_on(shown, opened, cohort, results, folder, folder)


def _all_test(built: Cohort, home: Cohort) -> Cohort:
    """Everybody in test, less those of whom the run has learnt."""
    frame = built.frame.with_columns(pl.lit(str(Split.TEST)).alias("split"))
    known: set[str] = set()
    if built.source == home.source:
        seen = home.frame.filter("is_included", pl.col("split").is_in(["train", "val"]))
        known = set(seen["patient_id"].drop_nulls())
    kept = frame.filter(pl.col("patient_id").is_null() | ~pl.col("patient_id").is_in(sorted(known)))
    dropped = len(frame) - len(kept)
    remarks = list(built.info.get("remarks", ()))
    if dropped:
        remarks.append(f"{dropped:,} ECGs of patients in the run's train or val were left out.")
    info = {**built.info, "remarks": remarks, "shared_patients": 0}
    return replace(built, frame=kept, info=info)


def _score(
    models: Sequence[Trained], cohort: Cohort, folder: Path
) -> tuple[list[Scored], list[str]]:
    scored, remarks = [], []
    for one in models:
        try:
            made = score_one(one, cohort, folder / "predictions", untested=False, with_val=False)
        except AcsbenchError as error:
            remarks.append(f"{one.step.name} was not judged: {error}")
        else:
            scored.append(made)
    return scored, remarks


def _told(name: str, step: ExternalStep) -> str:
    asked = ", ".join(f"{there} for {here}" for here, there in step.tasks.items())
    return (
        f"External validation on '{name}' ({step.source.name}): nothing was learnt or chosen there"
        + (f"; judged by the labels of {asked}." if asked else ".")
    )
