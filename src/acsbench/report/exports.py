"""The report's numbers as files: ``metrics.json``, an SVG and a CSV per figure, LaTeX tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from acsbench.provenance import atomic_path, atomic_text
from acsbench.report.counts import rounding_step
from acsbench.report.guard import HIDDEN
from acsbench.report.methods import versions
from acsbench.report.parts import Figure, Section, Table
from acsbench.report.svg import standalone_svg
from acsbench.results import Results

__all__ = ["METRICS_SCHEMA_VERSION", "latex_table", "write_exports"]

METRICS_SCHEMA_VERSION = 1
"""Of ``metrics.json``; rises when a key changes its meaning or goes."""


def write_exports(
    results: Results,
    sections: Iterable[Section],
    folder: Path,
    *,
    facts: Mapping[str, str],
    min_count: int,
) -> None:
    """Write ``metrics.json``, ``figures/`` and ``latex/`` from results that `guard` has passed."""
    parts = [part for section in sections for part in section.parts]
    for part in parts:
        if isinstance(part, Figure) and part.kind != "paper":
            atomic_text(folder / "figures" / f"{part.name}.svg", standalone_svg(part.svg))
            with atomic_path(folder / "figures" / f"{part.name}.csv") as temporary:
                _flat(_words_for_hidden(part.data, min_count)).write_csv(temporary)
        elif isinstance(part, Table):
            atomic_text(folder / "latex" / f"{part.name}.tex", latex_table(part))
    body = _metrics(results, facts=facts, min_count=min_count)
    text = json.dumps(body, indent=1, allow_nan=False, ensure_ascii=False)
    atomic_text(folder / "metrics.json", text + "\n")


def _metrics(results: Results, *, facts: Mapping[str, str], min_count: int) -> dict[str, Any]:
    """Every figure with estimate, interval, method and counts; see docs/reference/report.md."""
    tables = {"estimates": results.frame, **results.tables}
    shown = {name: _words_for_hidden(frame, min_count) for name, frame in tables.items()}
    estimates = shown.pop("estimates").rename({"value": "estimate"})
    return {
        "schema": "acsbench-metrics",
        "schema_version": METRICS_SCHEMA_VERSION,
        "level": results.level,
        "counts": {"hidden_up_to": min_count, "rounded_to": rounding_step(min_count)},
        "versions": versions(),
        "facts": dict(facts),
        "remarks": list(results.remarks),
        "estimates": _rows(estimates),
        "tables": {name: _rows(frame) for name, frame in sorted(shown.items())},
    }


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON knows them: what is not a finite number is null."""
    numbers = [pl.col(n) for n, dtype in frame.schema.items() if dtype.is_float()]
    finite = frame.with_columns(
        pl.when(c.is_finite()).then(c).alias(c.meta.output_name()) for c in numbers
    )
    return list(finite.iter_rows(named=True))


def _words_for_hidden(frame: pl.DataFrame, min_count: int) -> pl.DataFrame:
    """Counts as text where one is hidden, as ``<= 10``."""
    if not min_count:
        return frame
    hiding = [
        name
        for name, dtype in frame.schema.items()
        if dtype.is_integer() and (frame[name] == HIDDEN).any()
    ]
    return frame.with_columns(
        pl.when(pl.col(name) == HIDDEN)
        .then(pl.lit(f"<= {min_count}"))
        .otherwise(pl.col(name).cast(pl.String))
        .alias(name)
        for name in hiding
    )


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns that a CSV can hold."""
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    return frame.drop(nested)


_SPECIAL = {
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
} | {char: f"\\{char}" for char in "&%$#_{}"}


def latex_table(table: Table) -> str:
    r"""Write a table for LaTeX, with the rules of the package booktabs.

    >>> table = Table(name="t", caption="A & B", header=["", "x"], rows=[["a", "1 %"]])
    >>> print(latex_table(table))
    \begin{table}
      \caption{A \& B}
      \label{tab:t}
      \begin{tabular}{ll}
        \toprule
         & x \\
        \midrule
        a & 1 \% \\
        \bottomrule
      \end{tabular}
    \end{table}
    <BLANKLINE>
    """

    def line(cells: Sequence[str]) -> str:
        return f"    {' & '.join(map(_escaped, cells))} \\\\"

    return "\n".join(
        [
            r"\begin{table}",
            f"  \\caption{{{_escaped(table.caption)}}}",
            f"  \\label{{tab:{table.name}}}",
            f"  \\begin{{tabular}}{{{'l' * len(table.header)}}}",
            r"    \toprule",
            line(table.header),
            r"    \midrule",
            *(line(row) for row in table.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(char, char) for char in text)
