"""The careful reading of a file, in plain Python: every finding, with its line and a way out."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acsbench.leaderboard.fast_check import is_number
from acsbench.leaderboard.findings import Finding, Tally, finding
from acsbench.leaderboard.hints import (
    columns_hint,
    encoding_hint,
    header_hint,
    id_hint,
    number_hint,
    other_delimiter,
    range_hint,
)

__all__ = ["MAX_FIELD", "read_slowly"]

MAX_FIELD = 64
"""Characters of a field; no id is longer."""
_HEADERS = (["ecg_id", "score"], ["ecg_id", "task", "score"])
_SEPARATOR = re.compile(r"[,;\t|]")
_WORDS_NOT_FINITE = {"nan": "NaN", "inf": "infinite", "infinity": "infinite"}


def read_slowly(
    content: bytes, rows: Mapping[str, int], *, slug: str, others: Mapping[str, Collection[str]]
) -> NDArray[np.float64] | tuple[Finding, ...]:
    """Scores in the order of the ids, or everything that is wrong with a file.

    Parameters
    ----------
    content : bytes
        Decompressed, without byte-order mark.
    rows : mapping of str to int
        Row of each id.
    slug : str
        The task.
    others : mapping of str to collection of str
        Ids of other tasks, for a hint.

    Notes
    -----
    Lines beyond twice the rows of the task are not read: such a file is refused in any case.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = encoding_hint(content)
        return (finding("E06_ENCODING", offset=str(error.start), line=str(line), hint=hint),)
    if not text.strip("\r\n\t \ufeff"):
        return (finding("E01_EMPTY", n=len(rows)),)
    n_lines = 2 * len(rows) + 100
    header, *lines = text.split("\n", n_lines)
    is_cut = len(lines) == n_lines
    if is_cut or lines[-1:] == [""]:
        lines.pop()
    wrong = _header_finding(header.removesuffix("\r"), rows)
    if wrong is not None:
        return (wrong,)
    reading = _Reading(rows, slug, n_columns=len(_cells(header.removesuffix("\r")) or []))
    for number, one in enumerate(lines, start=2):
        reading.line(number, one.removesuffix("\r"))
    findings = tuple(reading.findings(others, is_cut=is_cut))
    return findings or reading.scores


def _header_finding(header: str, rows: Collection[str]) -> Finding | None:
    cells = _cells(header)
    if cells in _HEADERS:
        return None
    tally = Tally()
    tally.add(1, header)
    if "\0" in header:
        return finding("E07_NUL", tally)
    other = other_delimiter(header)
    if other:
        return finding("E08_DELIMITER", tally, found=other)
    if cells is None:
        return finding("E12_QUOTE", tally)
    return finding("E09_HEADER", tally, hint=header_hint(header, cells, rows))


def _cells(line: str) -> list[str] | None:
    """Fields of one line; None when a quote is not closed, or is followed by more than a comma."""
    if '"' not in line:
        return line.split(",")
    cells, at = [], 0
    while True:
        if line[at : at + 1] == '"':
            end = _closing_quote(line, at + 1)
            if end is None or line[end + 1 : end + 2] not in ("", ","):
                return None
            cells.append(line[at + 1 : end].replace('""', '"'))
            at = end + 1
        else:
            comma = line.find(",", at)
            end = len(line) if comma < 0 else comma
            cells.append(line[at:end])
            at = end
        if at == len(line):
            return cells
        at += 1  # a comma; a line that ends with one has an empty last field


def _closing_quote(line: str, start: int) -> int | None:
    at = line.find('"', start)
    while at >= 0 and line[at + 1 : at + 2] == '"':
        at = line.find('"', at + 2)
    return at if at >= 0 else None


@dataclass
class _Reading:
    """What the lines of a file say, one after the other."""

    rows: Mapping[str, int]
    slug: str
    n_columns: int
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    first_columns: int = 0
    first_line: str = ""
    lines_of: dict[str, list[int]] = field(default_factory=dict)
    scores: NDArray[np.float64] = field(init=False)
    extremes: list[float] = field(default_factory=lambda: [math.inf, -math.inf])

    def __post_init__(self) -> None:
        self.scores = np.full(len(self.rows), np.nan)

    def line(self, number: int, line: str) -> None:
        cells = _cells(line)
        if "\0" in line:
            self._malformed("E07_NUL", number, line)
        elif cells is None:
            self._malformed("E12_QUOTE", number, line)
        elif len(cells) != self.n_columns:
            if not self.first_columns:
                self.first_columns, self.first_line = len(cells), line
            self._malformed("E10_COLUMNS", number, line)
        else:
            self._fields(number, cells)

    def _malformed(self, code: str, number: int, line: str) -> None:
        """Count the line, and its id as met where it can be told: it is not missing as well."""
        self.tallies[code].add(number, line)
        ecg_id = _SEPARATOR.split(line, maxsplit=1)[0].replace("\0", "").strip('" ')
        if ecg_id in self.rows:
            self.lines_of.setdefault(ecg_id, [])

    def _fields(self, number: int, cells: list[str]) -> None:
        ecg_id, score = cells[0], cells[-1]
        if self.n_columns == 3 and cells[1] != self.slug:
            code = "E11_LONG" if len(cells[1]) > MAX_FIELD else "E13_TASK"
            self.tallies[code].add(number, cells[1])
        if ecg_id in self.rows:
            self.lines_of.setdefault(ecg_id, []).append(number)
        elif len(ecg_id) > MAX_FIELD:
            self.tallies["E11_LONG"].add(number, ecg_id)
        else:
            self.tallies["E20_UNKNOWN_ID"].add(number, ecg_id)
        value = self._value(number, score)
        if value is not None and ecg_id in self.rows:
            self.scores[self.rows[ecg_id]] = value

    def _value(self, number: int, text: str) -> float | None:
        if len(text) > MAX_FIELD:
            self.tallies["E11_LONG"].add(number, text)
        elif is_number(text) and math.isfinite(value := float(text)):
            if 0 <= value <= 1:
                return value
            self.tallies["E32_RANGE"].add(number, text)
            self.extremes = [min(self.extremes[0], value), max(self.extremes[1], value)]
        else:
            code = "E31_NOT_FINITE" if _why_not_finite(text) else "E30_NOT_NUMBER"
            self.tallies[code].add(number, text)
        return None

    def findings(self, others: Mapping[str, Collection[str]], *, is_cut: bool) -> Iterator[Finding]:
        """In the order of their codes."""
        self._count_ids(is_cut=is_cut)
        for code, tally in sorted(self.tallies.items()):
            yield self._finding(code, tally, others)

    def _count_ids(self, *, is_cut: bool) -> None:
        for ecg_id, lines in self.lines_of.items():
            if len(lines) > 1:
                self.tallies["E21_DUPLICATE_ID"].add(lines[1], ecg_id)
        if is_cut:  # the rest may hold them
            return
        for ecg_id in self.rows:
            if ecg_id not in self.lines_of:
                self.tallies["E22_MISSING_ID"].add(None, ecg_id)

    def _finding(self, code: str, tally: Tally, others: Mapping[str, Collection[str]]) -> Finding:
        first = tally.first
        values: dict[str, Any] = {"task": self.slug, "n": len(self.rows)}
        match code:
            case "E10_COLUMNS":
                found, expected = self.first_columns, self.n_columns
                values = {"found": str(found), "expected": str(expected)}
                values["hint"] = columns_hint(self.first_line, found, expected)
            case "E11_LONG":
                values["limit"] = MAX_FIELD
            case "E20_UNKNOWN_ID":
                values["hint"] = id_hint(first, self.rows, others)
            case "E21_DUPLICATE_ID":
                values["a"], values["b"] = map(str, self.lines_of[first][:2])
            case "E30_NOT_NUMBER":
                values["hint"] = number_hint(first)
            case "E31_NOT_FINITE":
                values["found"] = _why_not_finite(first)
            case "E32_RANGE":
                values["hint"] = range_hint(*self.extremes)
        return finding(code, tally, **values)


def _why_not_finite(text: str) -> str | None:
    if text == "":
        return "empty"
    word = _WORDS_NOT_FINITE.get(text.lower().lstrip("+-"))
    return "infinite" if word is None and is_number(text) else word
