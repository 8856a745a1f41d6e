"""A published benchmark beside its reproduction: by its own rules, and by sound ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from acsbench.provenance import atomic_text
from acsbench.report.guard import hide_small_counts
from acsbench.report.methods import versions
from acsbench.report.page import render
from acsbench.report.parts import Note, Section, Table
from acsbench.report.reproduction_figures import figure_sections
from acsbench.report.reproduction_rules import rules_section
from acsbench.report.reproduction_tables import (
    further_sections,
    opening_sections,
    predictor_title,
)
from acsbench.report.view import Row, TaskView
from acsbench.results import Results
from acsbench.tables import Cohort

__all__ = ["JudgedSet", "Side", "published_figures", "write_reproduction"]


def published_figures() -> dict[str, Any]:
    """Aggregates that the original's notebooks print, with their source."""
    text = (files("acsbench.report") / "published.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


class JudgedSet(NamedTuple):
    """One set of records with its results."""

    results: Results
    cohort: Cohort


@dataclass(frozen=True, kw_only=True)
class Side:
    """A reproduction by one set of rules.

    Attributes
    ----------
    title : str
        Names it in a table's heading.
    folder : Path
        Its run: report, predictions, stores.
    sets : tuple of JudgedSet
        The set that the networks were fitted on; before it, where there is one, a larger set for
        whatever reads no waveform.
    spread : DataFrame
        ``model, task, metric, n_seeds, mean, sd, min, max`` over seeds.
    """

    title: str
    folder: Path
    sets: tuple[JudgedSet, ...]
    spread: pl.DataFrame

    @property
    def cohort(self) -> Cohort:
        """Of the larger set."""
        return self.sets[0].cohort

    @property
    def min_count(self) -> int:
        """Counts from 1 to this number are hidden."""
        return self.cohort.min_count

    @cached_property
    def views(self) -> list[TaskView]:
        """ACS in each set, as sections look at it."""
        return [
            TaskView(hide_small_counts(one.results, self.min_count), "acs", self.min_count)
            for one in self.sets
        ]

    @property
    def waveforms(self) -> TaskView:
        """The set that the networks were fitted on."""
        return self.views[-1]

    def rows(self, table: str, **wanted: Any) -> list[Row]:
        """Rows of the first set that has them."""
        return next((rows for view in self.views if (rows := view.rows(table, **wanted))), [])

    def row(self, table: str, **wanted: Any) -> Row:
        """The first of these rows; nothing where there is none."""
        return next(iter(self.rows(table, **wanted)), {})


def write_reproduction(
    original: Side,
    sound: Side,
    file: Path,
    *,
    title: str,
    remarks: Sequence[str],
    facts: Mapping[str, str],
    is_generated: bool,
    lost: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write the page that sets published, reproduced and sound figures side by side.

    Parameters
    ----------
    original, sound : Side
    file : Path
    title : str
    remarks : sequence of str
        What has to be read first.
    facts : mapping of str to str
    is_generated : bool
        Whether the data are a generated hospital, whose figures say nothing of the published ones.
    lost : sequence of (model, reason)
        Models that could not be fitted.
    """
    published = published_figures()
    sections = [
        rules_section(original, sound, published),
        *opening_sections(original, sound, published, is_generated=is_generated),
        *figure_sections(original, sound),
        *further_sections(original, sound, published),
        _examples(original, sound, file.parent),
    ]
    if len(original.spread):
        sections.append(_spread(original, sound))
    if lost:
        sections.append(_lost(lost))
    known = {**facts, "Published figures": published["source"], **versions()}
    page = render(
        "reproduction.html.j2", title=title, remarks=remarks, sections=sections, facts=known
    )
    atomic_text(file, page)
    return file


def _examples(original: Side, sound: Side, here: Path) -> Section:
    drawn = [
        str(path.relative_to(here))
        for side in (original, sound)
        for path in sorted((side.folder / "figures").glob("original-examples-*.png"))
    ]
    words = "Nothing is drawn: no group has its rows 10 to 25."
    if drawn:
        words = (
            "The original draws rows 10 to 25 of each of four groups, with the ECGs' ids above. "
            "Here they are drawn without ids, as files beside this page and not in it, since each "
            f"is one person's ECG: {', '.join(drawn)}."
        )
    return Section(key="e10", title="E10: example ECGs", parts=(Note(words=words),))


def _spread(original: Side, sound: Side) -> Section:
    rows = [
        [_fit_title(row["model"]), row["task"].upper(), title, _over_seeds(row)]
        for title, side in ((original.title, original), (sound.title, sound))
        for row in side.spread.filter(pl.col("metric") == "auroc").iter_rows(named=True)
    ]
    table = Table(
        name="spread",
        caption="AUROC over seeds: mean, standard deviation and range",
        header=["Model", "Task", "Rules", "AUROC"],
        rows=rows,
        note="By the original's rules a fit is judged here on test alone, the half of the records "
        "that did not choose its epoch; everywhere else on this page on both halves.",
    )
    return Section(
        key="spread",
        title="Another seed, another figure",
        lead="Each is one network that the original would have printed.",
        parts=(table,),
    )


def _fit_title(name: str) -> str:
    """Name a fit; the first stage of a network has its own."""
    stage = ", first stage" if name.endswith("-mace") else ""
    return predictor_title(name.removesuffix("-mace")) + stage


def _over_seeds(row: Row) -> str:
    if row["mean"] is None:
        return "not estimable"
    if row["n_seeds"] < 2:
        return f"{row['mean']:.3f} (one seed)"
    return (
        f"{row['mean']:.3f} ± {row['sd']:.3f} ({row['min']:.3f}-{row['max']:.3f}, "
        f"{row['n_seeds']} seeds)"
    )


def _lost(lost: Sequence[tuple[str, str]]) -> Section:
    table = Table(
        name="lost",
        caption="Models that could not be fitted",
        header=["Model", "Reason"],
        rows=[list(one) for one in lost],
        is_figures=False,
    )
    return Section(key="lost", title="What did not run", parts=(table,))
