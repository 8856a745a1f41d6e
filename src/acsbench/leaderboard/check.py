"""The check of an uploaded file. It needs no labels, so its messages can be exact.

Two paths, one truth: the fast one says only fine or not fine, the slow one reads the bytes again
and writes the messages.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import MissingPathError
from acsbench.leaderboard.definition import TaskVersion
from acsbench.leaderboard.fast_check import fast_scores
from acsbench.leaderboard.findings import Checked, Finding, Refused, finding, human_bytes
from acsbench.leaderboard.hints import looks_like
from acsbench.leaderboard.slow_check import read_slowly

__all__ = ["check_content", "check_file", "is_few"]

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_GZIP_ALONE = 16 + zlib.MAX_WBITS
_NO_OTHERS: Mapping[str, Collection[str]] = {}
_PEEK = 4096
_DIGITS_OF_A_SCORE = 10


def check_file(
    data: bytes | Path | BinaryIO,
    version: TaskVersion,
    *,
    others: Mapping[str, Collection[str]] = _NO_OTHERS,
) -> Checked | Refused:
    """Check a file, plain or gzip, and put its scores in the order of the task's ids.

    Parameters
    ----------
    data : bytes, Path or binary file
        Of a file no more is read than the limits allow.
    version : TaskVersion
    others : mapping of str to collection of str
        Ids of other tasks by slug, for a hint.

    Raises
    ------
    MissingPathError
        When a path is no file. Nothing else, whatever the bytes are.
    """
    if isinstance(data, Path):
        if not data.is_file():
            raise MissingPathError(f"There is no file {data}.")
        with data.open("rb") as file:
            return check_file(file, version, others=others)
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    content = _content(stream, version)
    if isinstance(content, Finding):
        return Refused((content,))
    return check_content(content, version, others=others)


def _content(stream: BinaryIO, version: TaskVersion) -> bytes | Finding:
    """What the file holds, decompressed; at most one byte more than allowed is ever read."""
    limit = version.max_bytes
    raw = _read_up_to(stream, limit + 1)
    found = looks_like(raw[:_PEEK])
    if found:
        return finding("E05_TYPE", found=found)
    if len(raw) > limit:
        return finding(
            "E02_TOO_LARGE",
            limit=human_bytes(limit),
            task=version.task.slug,
            n=version.n_rows,
            typical=human_bytes(_typical_bytes(version)),
        )
    if not raw.startswith(_GZIP):
        return raw
    content = _gunzip(raw, limit)
    if isinstance(content, bytes) and (found := looks_like(content[:_PEEK])):
        return finding("E05_TYPE", found=found)
    return content


def _read_up_to(stream: BinaryIO, n: int) -> bytes:
    parts: list[bytes] = []
    while n > 0 and (part := stream.read(n)):
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def _gunzip(raw: bytes, limit: int) -> bytes | Finding:
    reader = zlib.decompressobj(_GZIP_ALONE)
    try:
        content = reader.decompress(raw, limit + 1)
    except zlib.error:
        return finding("E03_GZIP")
    if len(content) > limit:
        return finding("E04_EXPANDS", limit=human_bytes(limit))
    if not reader.eof or reader.unused_data:
        return finding("E03_GZIP")
    return content


def _typical_bytes(version: TaskVersion) -> int:
    return sum(map(len, version.ids)) + (_DIGITS_OF_A_SCORE + 2) * version.n_rows


def check_content(
    content: bytes,
    version: TaskVersion,
    *,
    others: Mapping[str, Collection[str]] = _NO_OTHERS,
) -> Checked | Refused:
    """Check what a file holds: the part of `check_file` behind the limits."""
    index, slug = version.index, version.task.slug
    body = content.removeprefix(_BOM)
    scores = fast_scores(body, index, slug=slug)
    if scores is None:
        read = read_slowly(body, index.rows, slug=slug, others=others)
        if isinstance(read, tuple):
            return Refused(read)
        scores = read
    warnings = _warnings(scores, has_bom=len(body) < len(content))
    return Checked(scores, content, hashlib.sha256(content).hexdigest(), warnings)


def _warnings(scores: NDArray[np.float64], *, has_bom: bool) -> tuple[Finding, ...]:
    found = [finding("W01_BOM")] if has_bom else []
    if len(scores) > 1 and (scores == scores[0]).all():
        found.append(finding("W02_CONSTANT"))
    elif is_few(scores):
        found.append(finding("W03_FEW_VALUES", k=len(np.unique(scores))))
    return tuple(found)


def is_few(scores: NDArray[np.float64]) -> bool:
    """Whether fewer than 1 % of the scores are different; of few rows, at most two."""
    most = max(2, (len(scores) - 1) // 100)
    # the first rows of a usual file settle it without sorting all
    return all(len(np.unique(part)) <= most for part in (scores[: 8 * most], scores))
