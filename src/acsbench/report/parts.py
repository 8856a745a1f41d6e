"""What a page is made of: sections of figures, tables and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
from markupsafe import Markup

from acsbench.report.svg import page_svg

__all__ = ["Figure", "Note", "Section", "Table"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text.

    Attributes
    ----------
    name : str
        Of its file, unique in a report.
    caption : str
    header : sequence of str
    rows : sequence of sequence of str
        The first cell of a row is its heading.
    note : str
        Stands below.
    is_figures : bool
        Whether further cells are numbers, set to the right.
    """

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    is_figures: bool = True


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture with the numbers it was drawn from.

    Attributes
    ----------
    name : str
        Of its files, unique in a report.
    svg : str
        As `svg.svg_text` gives it.
    caption : str
    data : DataFrame
        Every number drawn.
    kind : str
        How wide it may be: ``chart``, ``panel`` (several in a row), ``flow`` or ``paper``.
    """

    name: str
    svg: str
    caption: str
    data: pl.DataFrame
    kind: str = "chart"

    @property
    def markup(self) -> Markup:
        """The picture in the page's colours."""
        return Markup(page_svg(self.svg, key=self.name))  # noqa: S704  our own SVG


@dataclass(frozen=True, kw_only=True)
class Note:
    """A paragraph; ``heading`` opens a part of a section."""

    words: str = ""
    heading: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page under one heading.

    Attributes
    ----------
    key : str
        Its anchor, unique in a report.
    title : str
    lead : str
        What to take away, in words, before any figure.
    parts : tuple
        In order. A section without parts is not shown.
    """

    key: str
    title: str
    lead: str = ""
    parts: tuple[Table | Figure | Note, ...] = field(default=())
