"""The quick reading of a file: its scores in the order of the ids, or None on any doubt.

It answers only fine or not fine, and may say "not fine" of a good file (one with quotes, say); the
slow path then reads the bytes again. What it accepts, the slow path accepts with the same scores.
"""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["IdIndex", "fast_scores"]

Floats = NDArray[np.float64]
Columns = list[str]

_NOT_SEPARATORS = bytes(set(range(256)) - set(b",\n"))
_OF_NUMBERS = b"+-.0123456789Ee"
_HEADERS: dict[bytes, Columns] = {
    b"ecg_id,score": ["ecg_id", "score"],
    b"ecg_id,task,score": ["ecg_id", "task", "score"],
}
_MAX_NUMBER = 64
_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[Ee][+-]?[0-9]+)?$"
_COLUMNAR_FROM = 5_000


class IdIndex:
    """The ids of a task, ready to be looked up.

    Parameters
    ----------
    ids : tuple of str
    """

    def __init__(self, ids: tuple[str, ...]) -> None:
        self.ids = ids

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each id."""
        return {ecg_id: row for row, ecg_id in enumerate(self.ids)}

    @cached_property
    def by_hash(self) -> tuple[NDArray[np.uint64], NDArray[np.intp], pl.Series]:
        """Hashes in their order, the row of each, and the ids in the same order."""
        ids = pl.Series(self.ids, dtype=pl.String)
        hashes = ids.hash().to_numpy()
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order, ids.gather(order)


def fast_scores(
    content: bytes, index: IdIndex, *, slug: str, columnar_from: int = _COLUMNAR_FROM
) -> Floats | None:
    """Scores in the order of the ids; None where a file is not plainly fine.

    Parameters
    ----------
    content : bytes
        Decompressed, without byte-order mark.
    index : IdIndex
    slug : str
        What a column ``task`` has to hold.
    columnar_from : int
        Rows from which a columnar reader is worth its start.
    """
    if b'"' in content or b"\0" in content:
        return None
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    header, _, body = content.partition(b"\n")
    columns = _HEADERS.get(header)
    if columns is None or b"\r" in content:
        return None
    read = _read_small if len(index.ids) < columnar_from else _read_large
    try:
        aligned = read(body, columns, index, slug)
    except (ValueError, KeyError, pl.exceptions.PolarsError):
        return None
    if aligned is None or not ((aligned >= 0) & (aligned <= 1)).all():  # NaN fails both
        return None
    return aligned


def _read_small(body: bytes, columns: Columns, index: IdIndex, slug: str) -> Floats | None:
    n, width = len(index.ids), len(columns)
    if not body.endswith(b"\n"):
        body += b"\n"
    if body.translate(None, _NOT_SEPARATORS) != (b"," * (width - 1) + b"\n") * n:
        return None
    cells = body.decode().replace("\n", ",").split(",")
    numbers = cells[width - 1 :: width]
    # of these characters alone, every parser takes exactly the grammar
    if (
        "".join(numbers).encode().translate(None, _OF_NUMBERS)
        or max(map(len, numbers)) > _MAX_NUMBER
    ):
        return None
    if width == 3 and cells[1::3].count(slug) != n:
        return None
    rows = np.fromiter(map(index.rows.__getitem__, cells[:-1:width]), dtype=np.intp, count=n)
    aligned = np.full(n, np.nan)
    aligned[rows] = pl.Series(numbers).cast(pl.Float64).to_numpy()
    return aligned  # an id that is doubled leaves the NaN of one that is missing


def _read_large(body: bytes, columns: Columns, index: IdIndex, slug: str) -> Floats | None:
    frame = pl.read_csv(
        body, has_header=False, infer_schema=False, quote_char=None, new_columns=columns
    )
    ids, texts = frame["ecg_id"], frame["score"]
    if len(ids) != len(index.ids) or any(column.has_nulls() for column in frame):
        return None
    if "task" in frame and not (frame["task"] == slug).all():
        return None
    longest = texts.str.len_bytes().max()
    if not isinstance(longest, int) or longest > _MAX_NUMBER:
        return None
    if not texts.str.contains(_NUMBER).all():
        return None
    hashes, rows, expected = index.by_hash
    mine = ids.hash().to_numpy()
    order = np.argsort(mine)
    # the ids themselves are compared too: equal hashes prove nothing
    if not np.array_equal(mine[order], hashes) or not ids.gather(order).equals(expected):
        return None
    aligned = np.empty(len(rows))
    aligned[rows] = texts.cast(pl.Float64).to_numpy()[order]
    return aligned


def is_number(text: str) -> bool:
    """Whether a text is a number by the grammar that every parser here shares."""
    return len(text) <= _MAX_NUMBER and re.match(_NUMBER, text) is not None and text[-1] != "\n"
