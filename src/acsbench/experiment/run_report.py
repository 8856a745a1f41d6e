"""The report of a run: results, the cohort they are of, and facts that a reader has to know."""

from __future__ import annotations

import logging
from pathlib import Path

from acsbench.experiment.config import ExperimentConfig
from acsbench.experiment.examples import choose_examples, draw_original_examples
from acsbench.experiment.steps import OpenedSource, predictions_path
from acsbench.predictions import Predictions
from acsbench.report.page import write_report
from acsbench.results import Results
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

__all__ = ["report_on", "run_facts"]

log = logging.getLogger("acsbench")


def report_on(
    config: ExperimentConfig,
    opened: OpenedSource,
    cohort: Cohort,
    results: Results,
    folder: Path,
    out: Path,
) -> Path:
    """Write the report of a run, from its results and predictions.

    Parameters
    ----------
    config : ExperimentConfig
        Its last model chooses the example ECGs.
    opened, cohort, results
        What was judged.
    folder : Path
        Of the run: its ``predictions/``.
    out : Path
        Where ``report.html`` goes.
    """
    log.info("writing the report")
    last = config.models[-1]
    drawn = Predictions.read(predictions_path(folder / "predictions", last.name, last.tasks[0]))
    task = TASKS[last.tasks[0]]
    if config.report.original_examples:
        draw_original_examples(task, cohort, opened.source, out / "figures")
    return write_report(
        results,
        out,
        cohort=cohort,
        examples=choose_examples(drawn, task, cohort, opened.source, n=config.report.n_examples),
        title=config.report.title or config.name,
        facts=run_facts(config, opened, cohort),
        with_ids=config.report.with_ids,
        min_count=cohort.min_count,
    )


def run_facts(config: ExperimentConfig, opened: OpenedSource, cohort: Cohort) -> dict[str, str]:
    """What a reader has to know of a run, in words."""
    hidden = ("path", "name")
    options = {k: v for k, v in opened.step.options.items() if k not in hidden}
    described = ", ".join(f"{key} = {value}" for key, value in options.items())
    facts = {
        "Source": f"{opened.step.name} ({described})" if described else opened.step.name,
        "Split": f"scheme '{cohort.scheme}', fingerprint {cohort.split_fingerprint[:12]}",
        "Patients in more than one split": str(cohort.info["shared_patients"]),
        "Seed": str(config.seed),
    }
    if opened.step.name == "synthetic":
        facts["Data"] = "A generated hospital: no row is a real patient."
    return facts
