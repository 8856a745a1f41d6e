"""The flow diagram: who is included, who left at each step and why."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

import polars as pl

from acsbench.report.counts import shown_count
from acsbench.report.names import outcome_title

__all__ = ["flow_figure"]

_COUNTS = (("visits", "n_encounters"), ("patients", "n_patients"), ("ECGs", "n_records"))
_WIDTH, _LINE, _PADDING, _GAP = 296, 18, 11, 30
_SIDE = _WIDTH + 30
_LETTERS = 36
"""Letters of a bold line that fit a box."""


def flow_figure(flow: pl.DataFrame, *, min_count: int = 0) -> str:
    """Boxes of who remains, with who left at each step beside them, then the branches.

    Parameters
    ----------
    flow : DataFrame
        See `tables.FLOW`. Visits are left out where the source knows none.
    min_count : int
        See `counts`.
    """
    rows = list(flow.iter_rows(named=True))
    counted = [(word, key) for word, key in _COUNTS if any(row[key] for row in rows)]

    def box(x: float, y: float, name: str, row: dict[str, Any], *, dashed: bool = False) -> float:
        counts = ", ".join(f"{shown_count(row[key], min_count)} {word}" for word, key in counted)
        lines = textwrap.wrap(name, _LETTERS)
        height = 2 * _PADDING + _LINE * (len(lines) + 1) - 4
        parts.append(_frame(x, y, height, dashed=dashed))
        parts.extend(_text(x, y, number, line, bold=True) for number, line in enumerate(lines))
        parts.append(_text(x, y, len(lines), counts))
        return height

    parts: list[str] = []
    y = 0.0
    for row in rows:
        if row["kind"] == "start":
            y += box(0, y, "All records", row)
        elif row["kind"] == "dropped":
            height = box(_SIDE, y + 8, _step_title(row["step"]), row, dashed=True)
            parts.append(_line(_WIDTH / 2, y, _WIDTH / 2, y + height + 16))
            parts.append(_line(_WIDTH / 2, y + 8 + height / 2, _SIDE, y + 8 + height / 2))
            y += height + 16
        elif row["kind"] == "kept":
            y += box(0, y, "Remaining", row)
    trunk = y
    y += _GAP / 2
    for row in (row for row in rows if row["kind"] == "branch"):
        height = box(40, y, _step_title(row["step"]), row)
        middle = y + height / 2
        parts += [_line(15, trunk, 15, middle), _line(15, middle, 40, middle)]
        y += height + 10
    return _picture(parts, width=_SIDE + _WIDTH + 4, height=y + 4)


def _step_title(step: str) -> str:
    """Name a missing outcome in words: the step carries its column."""
    column = step.removesuffix(" missing")
    if column == step or "_" not in column:
        return step[:1].upper() + step[1:]
    return f"{outcome_title(column)}: missing"


def _picture(parts: Sequence[str], *, width: float, height: float) -> str:
    words = "Flow of records: who is included, and who left at each step"
    return (
        f'<svg role="img" aria-label="{words}" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="-2 -2 {width:g} {height:g}"><title>{words}</title>{"".join(parts)}</svg>'
    )


def _frame(x: float, y: float, height: float, *, dashed: bool) -> str:
    style = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{height:g}" rx="6" fill="none" '
        f'stroke="currentColor"{style}/>'
    )


def _text(x: float, y: float, line: int, words: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x + 12:g}" y="{y + _PADDING + 11 + line * _LINE:g}" font-size="13"{weight} '
        f'fill="currentColor">{escape(words)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="currentColor"/>'
