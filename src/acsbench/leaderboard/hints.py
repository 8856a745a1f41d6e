"""Hints that follow a message: what most likely went wrong, and the way out. None reads a label."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from acsbench.leaderboard.fast_check import is_number
from acsbench.leaderboard.findings import echo

__all__ = [
    "columns_hint",
    "encoding_hint",
    "header_hint",
    "id_hint",
    "looks_like",
    "number_hint",
    "other_delimiter",
    "range_hint",
]

_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_ENDINGS = (".npy", ".npz", ".csv", ".hea", ".dat")
_ROUNDING = 1e-6


def looks_like(head: bytes) -> str | None:
    """Which other kind of file begins like this; None for text."""
    if head.startswith(b"PK"):
        return "xlsx" if b"xl/" in head or b"[Content_Types].xml" in head else "zip"
    if head.startswith(b"PAR1"):
        return "parquet"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:1]
    return {b"{": "json", b"[": "json", b"<": "html"}.get(start)


def encoding_hint(content: bytes) -> str:
    """Which encoding it may be instead of UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "This looks like UTF-16; save as UTF-8."
    if content.startswith(b"\x1f\x8b"):
        return "This looks like gzip inside gzip; compress once."
    if b"\0" in content:
        return "This looks like a binary file."
    return "This looks like Latin-1 or Windows-1252; save as UTF-8."


def other_delimiter(header: str) -> str | None:
    """What stands between the columns of a header that has no comma."""
    if "," in header:
        return None
    return next((name for sign, name in _DELIMITERS.items() if sign in header), None)


def header_hint(header: str, cells: list[str], rows: Collection[str]) -> str:
    """Why a header is not the expected one."""
    if "\r" in header:
        return "Its lines end with a lone CR; save with LF or CRLF line ends."
    if cells[0] in rows or is_number(cells[-1]):
        return "The header line is missing."
    plain = [cell.strip().lower() for cell in cells]
    if sorted(plain) in (["ecg_id", "score"], ["ecg_id", "score", "task"]):
        return _names_hint(cells, plain)
    return "Leave the other columns out." if {"ecg_id", "score"} <= set(plain) else ""


def _names_hint(cells: list[str], plain: list[str]) -> str:
    if plain[0] != "ecg_id" or plain[-1] != "score":
        return "The columns are in another order."
    if [cell.lower() for cell in cells] == plain:
        return "The names are in lower case."
    return "There are spaces around the names."


def columns_hint(line: str, found: int, expected: int) -> str:
    """Why a line has another number of columns."""
    if line.strip() == "":
        return "It is empty."
    if found == expected + 1 and all(part.strip().isdecimal() for part in line.split(",")[-2:]):
        return "A decimal comma splits a number in two."
    other = other_delimiter(line)
    return f"It has {other} instead of commas." if other else ""


def id_hint(ecg_id: str, rows: Collection[str], others: Mapping[str, Collection[str]]) -> str:
    """Which known id an unknown one may mean."""
    if ecg_id.strip() in rows:
        return "Spaces around it."
    for ending in _ENDINGS:
        if ecg_id.endswith(ending) and ecg_id.removesuffix(ending) in rows:
            return f"Without `{ending}` it would match."
    for slug, ids in others.items():
        if ecg_id in ids:
            return f"It belongs to task `{slug}`."
    if ecg_id.lower() in rows:
        return "In lower case it would match."
    if ecg_id.isdecimal() and any(ecg_id.zfill(n) in rows for n in range(len(ecg_id) + 1, 21)):
        return "Its leading zeros were lost; keep ids as text."
    return "With `ecg` before it it would match." if f"ecg{ecg_id}" in rows else ""


def number_hint(text: str) -> str:
    """Why a score is no number."""
    bare = text.strip()
    if bare.upper() in ("TRUE", "FALSE", "T", "F", "YES", "NO"):
        return "A score is a number, not true or false."
    if bare.upper() in ("NA", "N/A", "NULL", "NONE", "-", "?", "."):
        return "Every ECG needs a score; none can be missing."
    if bare.endswith("%"):
        return "Leave the percent sign out and divide by 100."
    if "," in bare and is_number(bare.replace(",", ".", 1)):
        return "Use a point, not a comma, in decimals."
    if bare != text and is_number(bare):
        return "There are spaces around it."
    return ""


def range_hint(low: float, high: float) -> str:
    """What scores outside [0, 1] may be."""
    if low >= -_ROUNDING and high <= 1 + _ROUNDING:
        return "They are off by rounding; clip them to [0, 1]."
    if low < 0:
        return "Negative values: these look like log-odds; apply the logistic function."
    largest = echo(f"{high:g}")
    if high <= 100:
        return f"Largest is {largest}: these look like percentages; divide by 100."
    return f"Largest is {largest}: these are no probabilities."
