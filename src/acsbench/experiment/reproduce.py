"""`acsbench reproduce paper`: ACS-BenchWork again, by its rules and by ours, on one page."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from acsbench.errors import InputError
from acsbench.experiment.config import ExperimentConfig, SourceStep
from acsbench.experiment.judging import Trained, flag_models, judge_all, score_all
from acsbench.experiment.limit import not_reportable
from acsbench.experiment.paper import (
    PaperConfig,
    Rules,
    experiment_of,
    reduced_text,
    table_experiment_of,
)
from acsbench.experiment.run import finish_run, make_stores
from acsbench.experiment.steps import open_step
from acsbench.experiment.sweep import SweepResult, cluster_or_local, fit_folder, run_sweep
from acsbench.models.base import load_model
from acsbench.parallel import Workers
from acsbench.provenance import write_manifest
from acsbench.registry import canonical
from acsbench.report.reproduction import JudgedSet, Side, write_reproduction
from acsbench.tables import Cohort, Split

__all__ = ["Reproduction", "generated_config", "reproduce_paper"]

log = logging.getLogger("acsbench")

PAGE = "paper.html"
_VAL_REPORTED = (
    "As in the original, the records that chose the epoch are among those reported, and no cut is "
    "chosen beforehand."
)
_TITLES: dict[Rules, str] = {"original": "By its own rules", "sound": "By sound rules"}
_DOCS_PATIENTS, _SMALL_PATIENTS = 600, 320
_PUBLISHED_PATIENTS = 44_713
"""Of the data set, by its overview page; a generated hospital of as many has its size."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What a reproduction leaves.

    Attributes
    ----------
    page : Path
        Published, reproduced and sound figures side by side.
    original, sound : Side
    failures : DataFrame
        ``rules, model, task, seed, reason`` of fits that failed; started again, they are tried
        again.
    """

    page: Path
    original: Side
    sound: Side
    failures: pl.DataFrame


def generated_config(config: PaperConfig, folder: Path) -> tuple[PaperConfig, SourceStep | None]:
    """Put a generated hospital in the place of the data, which nobody gave.

    Returns
    -------
    PaperConfig
        With a hospital that has waveforms.
    SourceStep or None
        With ``scale = "docs"`` a second one of the published size, tables alone, for whatever
        reads no waveform.
    """
    n_patients = _SMALL_PATIENTS if config.scale == "small" else _DOCS_PATIENTS
    with_waveforms = {"path": str(folder / "hospital"), "n_patients": n_patients}
    source = _synthetic(config, **with_waveforms)
    if config.scale != "docs":
        return config.model_copy(update={"source": source}), None
    tables = _synthetic(
        config,
        path=str(folder / "hospital-tables"),
        n_patients=_PUBLISHED_PATIENTS,
        rates="published",
        waveforms=False,
    )
    return config.model_copy(update={"source": source}), tables


def _synthetic(config: PaperConfig, **options: object) -> SourceStep:
    return SourceStep.model_validate({"name": "synthetic", "seed": config.seed, **options})


def reproduce_paper(
    config: PaperConfig,
    *,
    out: Path | str = "runs/paper",
    tables: SourceStep | None = None,
    workers: Workers | None = None,
) -> Reproduction:
    """Fit every model by both sets of rules, judge all, and write the page.

    Finished fits are not repeated, and one that fails does not stop the others.

    Parameters
    ----------
    config : PaperConfig
    out : Path
        Holds ``paper.html``, and a folder for each side with its report, predictions and models.
    tables : SourceStep, optional
        Where the findings and the logistic model are judged, in the place of ``config.source``.
    workers : Workers, optional
        How many fits at a time, and where; by default one, which uses every core.

    Raises
    ------
    AcsbenchError
    """
    folder = Path(out).resolve()
    made = {rules: _side(config, rules, tables, folder, workers) for rules in _TITLES}
    original, sound = made["original"][0], made["sound"][0]
    failures = pl.concat(
        [lost.select(pl.lit(rules).alias("rules"), pl.all()) for rules, (_, lost) in made.items()]
    )
    page = write_reproduction(
        original,
        sound,
        folder / PAGE,
        title="ACS-BenchWork: published, reproduced, and sound",
        remarks=_remarks(config, original),
        facts=_facts(config, original, sound),
        is_generated=_is_generated(config),
        lost=[(f"{row['model']} ({row['rules']})", row["reason"]) for row in failures.to_dicts()],
    )
    write_manifest(
        folder,
        step="reproduce",
        config=config.model_dump(mode="json"),
        inputs={
            f"split of {rules}": side.cohort.split_fingerprint for rules, (side, _) in made.items()
        },
        outputs=[PAGE],
        info={"limit": config.limit, "scale": config.scale},
    )
    return Reproduction(page=page, original=original, sound=sound, failures=failures)


def _side(
    config: PaperConfig,
    rules: Rules,
    tables: SourceStep | None,
    folder: Path,
    workers: Workers | None,
) -> tuple[Side, pl.DataFrame]:
    log.info("ACS-BenchWork, %s", _TITLES[rules].lower())
    sets = []
    if tables is not None:
        experiment = table_experiment_of(config, tables, rules)
        sets.append(_judged(experiment, rules, folder / f"{rules}-tables", workers)[0])
    judged, swept = _judged(experiment_of(config, rules), rules, folder / rules, workers)
    side = Side(
        title=_TITLES[rules],
        folder=folder / rules,
        sets=(*sets, judged),
        spread=swept.summary,
    )
    return side, swept.failures


def _judged(
    experiment: ExperimentConfig, rules: Rules, folder: Path, workers: Workers | None
) -> tuple[JudgedSet, SweepResult]:
    """Fit every seed, and judge the first one in full."""
    swept = run_sweep(experiment, out=folder, workers=workers)
    opened = open_step(experiment.source, seed=experiment.seed, limit=experiment.limit)
    cohort = Cohort.load(folder / "cohort")
    stores = make_stores(experiment, opened, cohort, folder, cluster_or_local(workers))
    trained = [
        Trained(step=step, model=load_model(place), store=stores[step.name])
        for step in experiment.models
        if (place := fit_folder(folder, step, experiment.seed)).is_dir()
        and not _has_failed(swept, step.name, experiment.seed)
    ]
    if not trained:
        raise InputError(f"{folder}: no model could be fitted from seed {experiment.seed}.")
    shown = experiment.model_copy(update={"models": tuple(one.step for one in trained)})
    judged = _with_val_reported(cohort) if rules == "original" else cohort
    scored = score_all(
        trained + flag_models(shown.models, cohort),
        judged,
        folder / "predictions",
        untested="selective_testing" in experiment.evaluate.sections,
        with_val=rules == "sound",
    )
    results = judge_all(scored, judged, shown, folder / "labels")
    if rules == "original":
        results = replace(results, remarks=(_VAL_REPORTED, *results.remarks))
    finish_run(shown, opened, cohort, results, folder)
    return JudgedSet(results, cohort), swept


def _has_failed(swept: SweepResult, model: str, seed: int) -> bool:
    return not swept.failures.filter(pl.col("model") == model, pl.col("seed") == seed).is_empty()


def _with_val_reported(cohort: Cohort) -> Cohort:
    """Val and test as one, which is what the original chose by and reported."""
    is_val = pl.col("split") == str(Split.VAL)
    split = pl.when(is_val).then(pl.lit(str(Split.TEST))).otherwise("split").alias("split")
    return replace(cohort, frame=cohort.frame.with_columns(split))


def _is_generated(config: PaperConfig) -> bool:
    return canonical(config.source.name) == "synthetic"


def _remarks(config: PaperConfig, original: Side) -> list[str]:
    said = []
    if _is_generated(config):
        said.append(
            "A generated hospital: no row is a real patient. No model is better than another by "
            "this page; it shows that each route runs, and what each rule changes."
        )
    if config.limit is not None:
        said.append(not_reportable(config.limit))
    if config.scale != "full":
        said.append(f"Reduced: {reduced_text(config)}.")
    if config.hubert is None and "hubert_ecg" in config.ordered_models:
        said.append(
            "HuBERT-ECG was trained from random weights, not from the published ones: give those "
            "with --hubert."
        )
    if len(original.sets) > 1:
        said.append(
            "Findings, the logistic model and Table 1 are of tables of the published size; "
            "networks are of a smaller hospital, which has waveforms."
        )
    return said


def _facts(config: PaperConfig, original: Side, sound: Side) -> dict[str, str]:
    return {
        "Source": canonical(config.source.name),
        "Models": ", ".join(config.ordered_models),
        "Seeds": f"{config.seeds}, from {config.seed}; the first one stands in E2 to E9",
        "Scale": config.scale,
        "Split by its own rules": original.cohort.split_fingerprint[:12],
        "Split by sound rules": sound.cohort.split_fingerprint[:12],
        "Reports": ", ".join(f"{side.folder.name}/report.html" for side in (original, sound)),
    }
