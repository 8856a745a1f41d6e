"""One self-contained HTML page: no network, no script needed, the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jinja2
import polars as pl
from markupsafe import Markup
from pydantic import Field

from acsbench.provenance import StepConfig, atomic_text
from acsbench.recording import Recording
from acsbench.report.counts import guarded_fact, guarded_text, privacy_note
from acsbench.report.ecg_paper import draw_ecg
from acsbench.report.figures import forest_figure, roc_figure
from acsbench.report.flow import flow_figure
from acsbench.report.names import model_title, question
from acsbench.report.tables import (
    LEVEL,
    Table,
    difference_table,
    interval_title,
    subgroup_table,
    table_one,
    verdict_table,
)
from acsbench.results import Results, format_estimate
from acsbench.tables import Cohort

__all__ = ["ReportConfig", "write_report"]


class ReportConfig(StepConfig):
    """What the report shows.

    Attributes
    ----------
    title : str or None
        By default the run's name.
    n_examples : int
        ECGs drawn on paper grid, at most 4.
    with_ids : bool
        Show ids of ECGs; without it the page holds neither ids nor dates.
    """

    title: str | None = None
    n_examples: int = Field(default=4, ge=0, le=4)
    with_ids: bool = False


@dataclass(frozen=True, kw_only=True)
class _TaskPart:
    name: str
    sentence: str
    verdict: Table
    forest: Markup
    roc: Markup
    differences: Table
    subgroups: Table


def write_report(  # noqa: PLR0913  each is one thing a page shows
    results: Results,
    folder: Path,
    *,
    title: str,
    cohort: Cohort | None = None,
    examples: Sequence[tuple[str, Recording]] = (),
    facts: Mapping[str, str] | None = None,
    with_ids: bool = False,
    min_count: int = 0,
    level: float = LEVEL,
) -> Path:
    """Write one page that anybody can open and print.

    Parameters
    ----------
    results : Results
    folder : Path
        For ``report.html``, or the file itself when it ends in ``.html``.
    title : str
    cohort : Cohort, optional
        Gives the flow diagram and Table 1.
    examples : sequence of (caption, Recording)
        ECGs to draw.
    facts : mapping of str to str, optional
        Seed, split, source: what a reader has to know.
    with_ids : bool
        Print the ids of the examples.
    min_count : int
        Counts from 1 to this number are hidden, all others rounded; see `counts`. A cohort that
        asks for more gets more.
    level : float
        Coverage of the intervals in ``results``.

    Returns
    -------
    Path
        Of the page.
    """
    if cohort is not None:
        min_count = max(min_count, cohort.min_count)
    overall = results.overall
    names = overall.filter(pl.col("method") == "clustered_delong_logit")["task"]
    drawn = [
        (
            _caption(caption, recording, with_ids=with_ids),
            Markup(draw_ecg(recording, title=caption)),  # noqa: S704  our own SVG
        )
        for caption, recording in examples
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("acsbench.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("page.html.j2").render(
        title=title,
        remarks=[guarded_text(remark, min_count) for remark in results.remarks],
        tasks=[
            _task_part(results, name, level=level, min_count=min_count)
            for name in names.unique(maintain_order=True)
        ],
        flow=None if cohort is None else Markup(flow_figure(cohort.flow, min_count=min_count)),  # noqa: S704  our own SVG
        table_one=None if cohort is None else table_one(cohort, min_count=min_count),
        privacy=privacy_note(min_count),
        examples=drawn,
        facts={
            **{k: guarded_fact(k, v, min_count) for k, v in (facts or {}).items()},
            "acsbench": _version(),
        },
        has_flags=names.len() > 0 and overall["model"].str.starts_with("flag:").any(),
    )
    path = folder if folder.suffix == ".html" else folder / "report.html"
    atomic_text(path, page)
    return path


def _caption(words: str, recording: Recording, *, with_ids: bool) -> str:
    scale = "10 mm/mV" if recording.units == "mV" else "10 mm per standard deviation"
    named = f"{words} ({recording.ecg_id})" if with_ids else words
    return f"{named}. 25 mm/s, {scale}."


def _version() -> str:
    try:
        return version("acsbench")
    except PackageNotFoundError:
        return "not installed"


def _task_part(results: Results, task: str, *, level: float, min_count: int) -> _TaskPart:
    overall = results.overall
    return _TaskPart(
        name=task,
        sentence=_sentence(overall.filter(pl.col("task") == task), task, level=level),
        verdict=verdict_table(results, task=task, level=level, min_count=min_count),
        forest=Markup(forest_figure(overall, task=task)),  # noqa: S704  our own SVG
        roc=Markup(roc_figure(results.curves.frame, overall, task=task, min_count=min_count)),  # noqa: S704
        differences=difference_table(results, task=task, level=level),
        subgroups=subgroup_table(results, task=task, min_count=min_count),
    )


def _sentence(rows: pl.DataFrame, task: str, *, level: float) -> str:
    """Say the result in words."""
    headline = rows.filter(
        (pl.col("method") == "clustered_delong_logit") & pl.col("value").is_not_null()
    ).sort("value", "model", descending=[True, False])
    models = headline.filter(~pl.col("model").str.starts_with("flag:"))
    if models.is_empty():
        return "No model has an estimate on this task."
    best = models.row(0, named=True)
    estimate = f"{format_estimate(best['value'], best['low'], best['high'])}"
    title = model_title(best["model"])
    lead = (
        f"Of {len(models)} models, {title} has the highest AUROC"
        if len(models) > 1
        else (f"One model was judged: {title} has an AUROC of")
    )
    text = (
        f"{lead} {estimate} for telling records with {question(task)} from those without; 0.5 is "
        "chance, 1 is perfect."
    )
    if best["low"] is not None and best["low"] <= 0.5:
        text = f"Nothing is shown: the best model's {interval_title(level)} includes chance. {text}"
    findings = headline.filter(pl.col("model").str.starts_with("flag:"))
    if not findings.is_empty():
        finding = findings.row(0, named=True)
        value = format_estimate(finding["value"], finding["low"], finding["high"])
        text += f" The best classical finding, {model_title(finding['model'])}, has {value}."
    return text
