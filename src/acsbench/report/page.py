"""One self-contained HTML page: no network, no script needed, the same bytes for the same input."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from pydantic import Field

from acsbench.provenance import StepConfig, atomic_text
from acsbench.recording import Recording
from acsbench.report.checklist import checklist_section
from acsbench.report.counts import guarded_fact, privacy_note
from acsbench.report.exports import write_exports
from acsbench.report.guard import hide_small_counts
from acsbench.report.methods import methods_text, versions
from acsbench.report.names import task_title
from acsbench.report.parts import Figure, Note, Section, Table
from acsbench.report.section_findings import findings_section
from acsbench.report.section_groups import robustness_section, subgroup_section
from acsbench.report.section_models import pairs_section, roc_section, verdict_section
from acsbench.report.section_operating import operating_section, slider_data
from acsbench.report.section_original import original_section
from acsbench.report.section_people import Example, examples_section, people_section
from acsbench.report.section_risk import budget_section, calibration_section, decision_section
from acsbench.report.section_selection import selection_section
from acsbench.report.view import TaskView
from acsbench.results import Results
from acsbench.tables import Cohort

__all__ = ["ReportConfig", "render", "write_report"]

# the order of the page: what was found, whether to believe it, for whom, beside what
_SECTIONS: Sequence[Callable[[TaskView], Section | None]] = (
    verdict_section,
    roc_section,
    calibration_section,
    decision_section,
    budget_section,
    operating_section,
    pairs_section,
    subgroup_section,
    robustness_section,
    findings_section,
    selection_section,
    original_section,
)


class ReportConfig(StepConfig):
    """What the report shows.

    Attributes
    ----------
    title : str or None
        By default the run's name.
    n_examples : int
        ECGs drawn on paper grid, at most 4.
    original_examples : bool
        Also draw the original's four groups of 16 ECGs (E10) into ``figures/``, beside the page.
    with_ids : bool
        Show ids of ECGs; without it the page holds neither ids nor dates.
    """

    title: str | None = None
    n_examples: int = Field(default=4, ge=0, le=4)
    original_examples: bool = False
    with_ids: bool = False


@dataclass(frozen=True, kw_only=True)
class _TaskPart:
    title: str
    sections: list[Section]
    slider: Markup


def write_report(
    results: Results,
    folder: Path | str,
    *,
    title: str,
    cohort: Cohort | None = None,
    examples: Sequence[Example | tuple[str, Recording]] = (),
    facts: Mapping[str, str] | None = None,
    with_ids: bool = False,
    min_count: int = 0,
) -> Path:
    """Write one page that anybody can open and print, and its figures and numbers as files.

    Parameters
    ----------
    results : Results
        A section is there when its data are.
    folder : Path or str
        Gets ``report.html``, ``metrics.json``, ``figures/`` (an SVG and a CSV each) and ``latex/``;
        or the page alone when it ends in ``.html``.
    title : str
    cohort : Cohort, optional
        Gives the flow diagram and Table 1.
    examples : sequence of Example, or of (caption, Recording)
        ECGs to draw.
    facts : mapping of str to str, optional
        Seed, split, source: what a reader has to know.
    with_ids : bool
        Print the ids of the examples.
    min_count : int
        Counts from 1 to this number are hidden, all others rounded; see `counts`. A cohort that
        asks for more gets more.

    Returns
    -------
    Path
        Of the page.
    """
    folder = Path(folder)
    if cohort is not None:
        min_count = max(min_count, cohort.min_count)
    shown = hide_small_counts(results, min_count)
    known = {key: guarded_fact(key, value, min_count) for key, value in (facts or {}).items()}
    views = [TaskView(shown, task, min_count) for task in _tasks(shown)]
    tasks = [_task_part(view) for view in views]
    closing = _closing(
        cohort, [Example(*one) for one in examples], min_count=min_count, with_ids=with_ids
    )
    sections = [section for task in tasks for section in task.sections] + closing
    closing.append(checklist_section(sections, has_facts=True))
    sections.append(closing[-1])
    page = render(
        "page.html.j2",
        title=title,
        remarks=shown.remarks,
        tasks=tasks,
        closing=closing,
        contents=_contents(tasks, closing),
        methods=methods_text(shown, views, cohort=cohort, facts=known),
        facts=known | versions(),
    )
    if folder.suffix == ".html":
        atomic_text(folder, page)
        return folder
    atomic_text(folder / "report.html", page)
    write_exports(shown, sections, folder, facts=known, min_count=min_count)
    return folder / "report.html"


def _tasks(results: Results) -> list[str]:
    """Tasks with an AUROC; averages over tasks have none of their own."""
    overall = results.overall
    names = overall.filter(overall["metric"] == "auroc")["task"].unique(maintain_order=True)
    return [name for name in names if name]


def _task_part(view: TaskView) -> _TaskPart:
    sections = [section for make in _SECTIONS if (section := make(view)) is not None]
    note = Note(words=privacy_note(view.min_count))
    if note.words:
        sections = [
            replace(s, parts=(*s.parts, note)) if any(isinstance(p, Table) for p in s.parts) else s
            for s in sections
        ]
    cuts = slider_data(view)
    # within a script element "<" could close it
    text = json.dumps(cuts, separators=(",", ":")).replace("<", "\\u003c") if cuts else ""
    return _TaskPart(title=task_title(view.task), sections=sections, slider=Markup(text))  # noqa: S704  our own JSON, "<" escaped


def _closing(
    cohort: Cohort | None, examples: Sequence[Example], *, min_count: int, with_ids: bool
) -> list[Section]:
    drawn = examples_section(examples, with_ids=with_ids)
    people = None if cohort is None else people_section(cohort, min_count=min_count)
    return [section for section in (drawn, people) if section is not None]


def _contents(tasks: Sequence[_TaskPart], closing: Sequence[Section]) -> list[tuple[str, str]]:
    found = []
    for task in tasks:
        prefix = f"{task.title.split(':')[0]}: " if len(tasks) > 1 else ""
        found += [(s.key, f"{prefix}{s.title.split(':')[0]}") for s in task.sections]
    found += [(s.key, s.title) for s in closing]
    return [*found, ("methods", "Methods, ready to paste"), ("facts", "How this was made")]


def render(template: str, **values: Any) -> str:
    """Fill one of this package's templates, with its own style and script inside."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("acsbench.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["runs"] = _runs
    environment.filters["unbroken"] = _unbroken
    styled = {"css": _asset("page.css"), "js": _asset("page.js")}
    return environment.get_template(template).render(**styled, **values)


def _asset(name: str) -> Markup:
    return Markup((files("acsbench.report") / name).read_text(encoding="utf-8"))  # noqa: S704  our own file


def _unbroken(words: str) -> Markup:
    """Keep an estimate and its interval on one line."""
    safe = str(escape(words))
    kept = re.sub(r"[-+\d.]+ \([^)]*\d\)", r'<span class="one">\g<0></span>', safe)
    return Markup(kept)  # noqa: S704  escaped above


def _runs(section: Section) -> Iterator[tuple[str, list[Figure | Table | Note]]]:
    """Parts in runs of one kind: panels that follow each other share a row."""

    def kind(part: Figure | Table | Note) -> str:
        return part.kind if isinstance(part, Figure) else type(part).__name__.lower()

    for name, group in itertools.groupby(section.parts, kind):
        yield name, list(group)
