"""The public board as one JSON document, written by the worker and served as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import F
from pydantic import BaseModel

from acsbench.leaderboard.ranks import Board
from acsbench.server.models import BoardState, Entry, TaskVersion

__all__ = [
    "BoardOut",
    "BoardTable",
    "EntryRow",
    "ask_for_refresh",
    "document",
    "find_pair",
    "save_document",
]


class TeamOut(BaseModel):
    """Who stands there."""

    name: str
    slug: str
    affiliation: str
    url: str


class EntryRow(BaseModel):
    """One line of the board."""

    submission: str
    team: TeamOut
    model: str
    kind: str
    is_baseline: bool
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    tie_group: int | None
    tied_with_leader: bool
    panel: list[dict[str, str | None]]
    verification: str | None
    scored_at: str
    since: str


class BoardPair(BaseModel):
    """Two entries: a minus b."""

    a: str
    b: str
    difference: str | None
    low: str | None
    high: str | None
    word: str | None
    reason: str | None


class BoardTable(BaseModel):
    """A board without its pairs: what most readers need, at a fraction of the parsing."""

    task: str
    task_version: str
    superseded_by: str | None
    version: int
    primary: str
    n_rows: int
    n_patients: int | None
    n_positive: int | None
    n_entries: int
    n_tied_with_leader: int
    entries: list[EntryRow]


class BoardOut(BoardTable):
    """A board; times are to the minute."""

    pairs: list[BoardPair]


def ask_for_refresh(version: TaskVersion) -> int:
    """Tell the worker that a board has changed, in the transaction that changed it."""
    BoardState.objects.filter(task_version=version).update(wanted=F("wanted") + 1)
    return BoardState.objects.values_list("wanted", flat=True).get(task_version=version)


def document(
    version: TaskVersion, *, number: int, board: Board | None, entries: Sequence[Entry]
) -> BoardOut:
    """Put ranks and names together.

    Parameters
    ----------
    version : TaskVersion
    number : int
        Version of the board.
    board : Board or None
        What the judge says; None of a board without entries.
    entries : sequence of Entry
        Those that were ranked, with team and submission.
    """
    judged: dict[str, Any] = board.as_dict() if board else {}
    by_key = {entry.submission.public_id: entry for entry in entries}
    rows = [_row(by_key[row["key"]], row) for row in judged.get("rows", [])]
    superseded_by = version.superseded_by
    return BoardOut(
        task=version.task.slug,
        task_version=version.name,
        superseded_by=superseded_by.name if superseded_by else None,
        version=number,
        primary=version.definition["definition"]["primary"],
        n_rows=version.n_rows,
        n_patients=judged.get("n_patients"),
        n_positive=judged.get("n_positive"),
        n_entries=len(rows),
        n_tied_with_leader=judged.get("n_tied_with_leader", 0),
        entries=rows,
        pairs=[BoardPair.model_validate(pair) for pair in judged.get("pairs", [])],
    )


def _row(entry: Entry, judged: dict[str, Any]) -> EntryRow:
    submission, team = entry.submission, entry.team
    verification = submission.verifications.order_by("-id").first()
    return EntryRow(
        submission=submission.public_id,
        team=TeamOut(name=team.name, slug=team.slug, affiliation=team.affiliation, url=team.url),
        model=submission.card["name"],
        kind=submission.card["kind"],
        is_baseline=team.is_baseline,
        panel=judged["released"]["panel"],
        verification=verification.level if verification else None,
        scored_at=to_minute(submission.scored_at),
        since=to_minute(entry.since),
        **{key: judged[key] for key in ("rank", "rank_low", "rank_high", "tie_group")},
        tied_with_leader=judged["tied_with_leader"],
    )


def to_minute(at: datetime | None) -> str:
    """A time as it is shown: seconds would tell how long scoring took."""
    return at.strftime("%Y-%m-%dT%H:%MZ") if at else ""


def save_document(state: BoardState, board: BoardOut) -> None:
    """Set the document and its hash on the row (not yet saved)."""
    state.document = board.model_dump_json()
    state.document_sha256 = hashlib.sha256(state.document.encode()).hexdigest()
    state.version = board.version


def find_pair(a: str, b: str) -> dict[str, Any] | None:
    """The pair of two entries of one board, in the order asked for; None if there is none."""
    entry = Entry.objects.filter(submission__public_id=a, until__isnull=True).first()
    if entry is None:
        return None
    state = BoardState.objects.get(task_version=entry.task_version_id)
    for pair in BoardOut.model_validate_json(state.document).pairs:
        if (pair.a, pair.b) == (a, b):
            return pair.model_dump()
        if (pair.a, pair.b) == (b, a):
            return _turned(pair)
    return None


_OPPOSITE = {"higher": "lower", "lower": "higher"}


def _turned(pair: BoardPair) -> dict[str, Any]:
    return {
        "a": pair.b,
        "b": pair.a,
        "difference": _negative(pair.difference),
        "low": _negative(pair.high),
        "high": _negative(pair.low),
        "word": _OPPOSITE.get(pair.word or "", pair.word),
        "reason": pair.reason,
    }


def _negative(number: str | None) -> str | None:
    """Minus a decimal string; zero has no sign."""
    if number is None or not number.strip("-0."):
        return number
    return number[1:] if number.startswith("-") else f"-{number}"
