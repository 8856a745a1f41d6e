"""Paragraphs of methods that say what was really done, ready to paste into a paper."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import polars as pl

from acsbench.report.names import model_title, outcome_title
from acsbench.report.numbers import count
from acsbench.report.view import TaskView
from acsbench.results import Results
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

_POPULATIONS = {"is_tested": "tested records only", "is_included": "all included records"}

__all__ = ["methods_text", "versions"]


def versions() -> dict[str, str]:
    """Return versions of what made the figures."""
    found = {"Python": platform.python_version()}
    for package in ("acsbench", "numpy", "scipy", "polars", "scikit-learn", "matplotlib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def methods_text(
    results: Results, views: list[TaskView], *, cohort: Cohort | None, facts: Mapping[str, str]
) -> list[str]:
    """Write the paragraphs whose analyses are in the results."""
    paragraphs = [_cohort_words(cohort, facts)] if cohort is not None else []
    paragraphs += [_task_words(view) for view in views]
    paragraphs.append(_estimate_words(results))
    paragraphs += _comparison_words(results)
    paragraphs += _further_words(results)
    packages = ", ".join(f"{k} {v}" for k, v in versions().items())
    seed = f" The seed was {facts['Seed']}." if "Seed" in facts else ""
    paragraphs.append(f"Analyses were made with {packages}.{seed}")
    return paragraphs


def _cohort_words(cohort: Cohort, facts: Mapping[str, str]) -> str:
    steps = [
        str(row["step"]) for row in cohort.flow.iter_rows(named=True) if row["kind"] == "dropped"
    ]
    left = f" Records left in this order: {'; '.join(steps)}." if steps else ""
    split = (
        "Every patient, with all of their ECGs, is in one split."
        if facts.get("Patients in more than one split", "0") == "0"
        else "Some patients are in more than one split; see the flow."
    )
    return (
        f"Data came from the source '{cohort.source}' and were split by the scheme "
        f"'{cohort.scheme}'. {split}{left} Missing outcomes were counted and never filled in."
    )


def _task_words(view: TaskView) -> str:
    row = view.overall.row(0, named=True) if not view.overall.is_empty() else None
    if row is None:
        return f"Task {view.task} has no estimates."
    known = TASKS.get(view.task)
    what = ""
    if known is not None and known.horizon_days is not None:
        what = (
            f" The outcome was: {outcome_title(known.outcome).lower()}. Judged were "
            f"{_POPULATIONS.get(known.population, known.population)}."
        )
    elif known is not None:
        what = " A record was positive by the cardiologists' reading of the ECG."
    unit = {"encounter": "a visit"}.get(str(row["unit"]), "an ECG")
    numbers = [
        count(row[key], min_count=view.min_count)
        for key in ("n_records", "n_positive", "n_patients")
    ]
    models = ", ".join(model_title(name) for name in view.models)
    findings = ", ".join(model_title(name) for name in view.findings)
    beside = f" beside the findings {findings}" if findings else ""
    return (
        f"Task {view.task}, version {row['task_version']}: the models {models}{beside} were judged "
        f"on the {row['split']} split, {numbers[0]} records ({numbers[1]} positive) of "
        f"{numbers[2]} patients.{what} The unit of analysis was {unit}, the unit of independence "
        "the patient."
    )


def _estimate_words(results: Results) -> str:
    level = f"{100 * results.level:.4g} %"
    resamples = ""
    evaluated = results.table("evaluated")
    if "n_resamples" in evaluated.columns and not evaluated.is_empty():
        resamples = f" ({evaluated['n_resamples'][0]:,} resamples)"
    return (
        f"Discrimination was measured by the area under the ROC curve (AUROC) with {level} "
        "intervals from Obuchowski's variance for clustered data on the logit scale. Other "
        f"intervals came from a bootstrap that draws patients with all of their ECGs{resamples}, "
        "the same draws for every model. What could not be estimated is left empty with its reason."
    )


def _comparison_words(results: Results) -> list[str]:
    names = set(results.tables)
    words = []
    if "pairwise" in names:
        words.append(
            "Models were compared in pairs on the same patients by the clustered covariance of "
            "their AUROCs, with Holm's correction over all pairs; the detectable difference is "
            "that found with a power of 0.8."
        )
    has_cuts = "operating_points" in names
    if has_cuts:
        words.append(
            "Cuts for sensitivity and specificity were chosen on validation records and frozen."
        )
    findings = results.frame.filter(pl.col("model").str.starts_with("flag:"))
    if not findings.is_empty():
        words.append(
            "Models and classical findings were compared at the budgets of the findings; scores "
            "equal at the border of a budget counted by their expectation."
        )
    return words


def _further_words(results: Results) -> list[str]:
    words = []
    if not results.frame.filter(pl.col("metric") == "cal_slope").is_empty():
        words.append(
            "Calibration was described in the large, by slope (patient-clustered sandwich errors), "
            "and by isotonic reliability curves with consistency bands."
        )
    if not results.curves.frame.filter(pl.col("curve") == "decision").is_empty():
        words.append(
            "Clinical use was judged by net benefit beside acting on everybody, on nobody and on "
            "each classical finding."
        )
    if "subgroup_gaps" in results.tables:
        words.append(
            "Each subgroup was compared with all other records, with Holm's correction over the "
            "groups; groups with too few records of either class were not estimated."
        )
    if "selective_testing" in results.tables:
        words.append(
            "As outcomes are known in tested patients only, AUROC was also estimated for everybody "
            "by inverse probability of testing, doubly robust, and under bounds on the untested."
        )
    return words
