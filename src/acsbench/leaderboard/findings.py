"""What a check of a file finds: codes, exact messages, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MESSAGES",
    "Checked",
    "Finding",
    "Place",
    "Refused",
    "Tally",
    "as_text",
    "echo",
    "finding",
    "human_bytes",
]

MAX_PLACES = 20
_MAX_ECHO = 40

MESSAGES = {
    "E01_EMPTY": "The file is empty. Expected a header `ecg_id,score` and {n} rows.",
    "E02_TOO_LARGE": "The file is larger than {limit} for task `{task}`. "
    "A file with {n} rows needs about {typical}.",
    "E03_GZIP": "The gzip stream is damaged or has more than one member. Compress one CSV file.",
    "E04_EXPANDS": "The gzip stream expands beyond {limit}; reading stopped there.",
    "E05_TYPE": "This looks like {found}, not CSV. Upload `.csv` or `.csv.gz`.",
    "E06_ENCODING": "Byte {offset} (line {line}) is not UTF-8.{hint}",
    "E07_NUL": "Line {line} contains a NUL byte.",
    "E08_DELIMITER": "The header has no comma but has {found}. "
    "Use commas between columns and a point in decimals.",
    "E09_HEADER": "Header is `{found}`; expected `ecg_id,score`.{hint}",
    "E10_COLUMNS": "Line {line} has {found} columns; expected {expected}.{hint}",
    "E11_LONG": "Line {line} has a field longer than {limit} characters.",
    "E12_QUOTE": "Line {line}: a quoted field is not closed.",
    "E13_TASK": "Line {line}: task is `{found}`; this upload is for `{task}`.",
    "E20_UNKNOWN_ID": "{count} ids are not in task `{task}`, first: line {line} `{id}`.{hint}",
    "E21_DUPLICATE_ID": "{count} ids occur more than once, first: `{id}` on lines {a} and {b}.",
    "E22_MISSING_ID": "{count} of {n} ids are missing, first: `{id}`.",
    "E30_NOT_NUMBER": "Line {line}: score `{found}` is not a number.{hint}",
    "E31_NOT_FINITE": "Line {line}: score is {found}. Every ECG needs a finite score.",
    "E32_RANGE": "{count} scores are outside [0, 1], first: line {line} `{found}`.{hint}",
    "W01_BOM": "The file starts with a byte-order mark; it was ignored.",
    "W02_CONSTANT": "All scores are equal; AUROC will be 0.5.",
    "W03_FEW_VALUES": "Only {k} different scores. "
    "That is fine for rule-based methods; is it what you meant?",
}
"""A hint, where there is one, follows its sentence after a space."""


@dataclass(frozen=True)
class Place:
    """Where something was found: the line (the header is 1) and what stands there."""

    line: int | None
    text: str


@dataclass(frozen=True)
class Finding:
    """Everything of one code: its message names the first place."""

    code: str
    message: str
    count: int = 1
    places: tuple[Place, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a problem document."""
        return {**asdict(self), "places": [asdict(place) for place in self.places]}


@dataclass(frozen=True, eq=False)
class Checked:
    """A file that is fine.

    Attributes
    ----------
    scores : array of shape (n,)
        In the order of the task's ids.
    content : bytes
        Decompressed.
    sha256 : str
        Of the content.
    warnings : tuple of Finding
    """

    scores: NDArray[np.float64]
    content: bytes
    sha256: str
    warnings: tuple[Finding, ...] = ()

    @property
    def n_bytes(self) -> int:
        """Bytes of the content."""
        return len(self.content)


@dataclass(frozen=True)
class Refused:
    """A file that is not, and everything that is wrong with it."""

    findings: tuple[Finding, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """One a finding."""
        return tuple(finding.code for finding in self.findings)

    def problem(self) -> dict[str, Any]:
        """Body of the answer 422, ``application/problem+json`` (RFC 9457)."""
        first = self.findings[0]
        return {
            "type": "about:blank",
            "title": "The file was not accepted",
            "status": 422,
            "detail": first.message,
            "code": first.code,
            "findings": [finding.as_dict() for finding in self.findings],
        }


@dataclass
class Tally:
    """Places of one code, as they are met: all are counted, the first are kept."""

    count: int = 0
    places: tuple[Place, ...] = ()
    first: str = ""

    def add(self, line: int | None, text: str) -> None:
        """One more."""
        if not self.count:
            self.first = text
        self.count += 1
        if len(self.places) < MAX_PLACES:
            self.places += (Place(line, echo(text)),)


def finding(code: str, tally: Tally | None = None, *, hint: str = "", **values: object) -> Finding:
    """Fill the braces of a message; numbers get their thousands' commas."""
    tally = tally or Tally(1)
    filled = {k: f"{v:,}" if isinstance(v, int) else v for k, v in values.items()}
    if tally.places:
        first = tally.places[0]
        filled = {"found": first.text, "id": first.text, **filled, "line": f"{first.line}"}
    message = MESSAGES[code].format(
        **{"count": f"{tally.count:,}", **filled, "hint": f" {hint}" if hint else ""}
    )
    return Finding(code, message, tally.count, tally.places)


def echo(text: str) -> str:
    r"""What a file says, safe to show: cut to 40 characters, what cannot be printed is escaped.

    >>> echo("a\\tb")
    'a\\\\tb'
    """
    cut = text if len(text) <= _MAX_ECHO else text[: _MAX_ECHO - 1] + "…"
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    # escapes are longer than what they stand for
    return shown if len(shown) <= _MAX_ECHO else shown[: _MAX_ECHO - 1] + "…"


def human_bytes(n: int) -> str:
    """Bytes for people.

    >>> human_bytes(999), human_bytes(263_096), human_bytes(14_004_096)
    ('999 bytes', '257 KiB', '13.4 MiB')
    """
    if n < 1024:
        return f"{n} bytes"
    return f"{n / 1024:.0f} KiB" if n < 1 << 20 else f"{n / (1 << 20):.1f} MiB"


def as_text(findings: Iterable[Finding]) -> str:
    """One line a finding, and one line of its further places."""
    lines = []
    for one in findings:
        lines.append(f"{one.code}: {one.message}")
        if one.count > 1 and one.places:
            lines.append(f"    {_further(one.places, one.count)}")
    return "\n".join(lines)


def _further(places: Sequence[Place], count: int) -> str:
    shown = [f"line {p.line} `{p.text}`" if p.line else f"`{p.text}`" for p in places]
    rest = count - len(places)
    return ", ".join(shown) + (f", and {rest:,} more" if rest > 0 else "")
