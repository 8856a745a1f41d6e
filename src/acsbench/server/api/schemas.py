"""What the API takes and gives. Numbers that are scores are decimal strings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from acsbench.server.card import ModelCard
from acsbench.server.quota import Places

__all__ = [
    "AuditHeadOut",
    "CheckOut",
    "EntryBody",
    "EntryOut",
    "FeedbackOut",
    "GrantBody",
    "KeysOut",
    "LeakBody",
    "PairOut",
    "ProblemOut",
    "ReasonBody",
    "ReceivedOut",
    "SubmissionList",
    "SubmissionOut",
    "TaskList",
    "TaskOut",
    "TextBody",
    "TokenBody",
    "TokenOut",
    "UndisclosedList",
    "UndisclosedOut",
    "VerificationBody",
]

Reason = Annotated[str, Field(min_length=3, max_length=500)]


class Strict(Schema):
    """What comes in: unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class ProblemOut(Schema):
    """A refusal (RFC 9457)."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class TaskOut(Schema):
    """A task as anybody may know it; `definition` and `ids_sha256` are what a client checks by."""

    slug: str
    title: str
    text: str
    name: str
    state: str
    n_rows: int
    ids_sha256: str
    definition: dict[str, Any]
    attestation_text: str
    attestation_sha256: str
    label_commitment: str
    superseded_by: str | None
    versions: list[str]


class TaskList(Schema):
    """Tasks of this board."""

    items: list[TaskOut]
    next_cursor: str | None


class FeedbackOut(Schema):
    """What the team learns of a submission."""

    task_version: str
    shown: str | None
    improved: bool
    text: str


class SubmissionOut(Schema):
    """A submission as its team sees it; times of scoring are to the minute."""

    id: str
    task: str
    task_version: str
    team: str
    state: str
    reason: str
    sha256: str
    rows: int
    card: ModelCard
    comment: str
    received_at: datetime
    scored_at: str | None
    queue_position: int | None
    is_entry: bool
    feedback: list[FeedbackOut]


class SubmissionList(Schema):
    """Submissions, youngest first."""

    items: list[SubmissionOut]
    next_cursor: str | None


class CheckOut(Schema):
    """A file without findings; notices do not stop it."""

    rows: int
    sha256: str
    warnings: list[dict[str, Any]]


class ReceivedOut(Schema):
    """An acknowledged submission: it is on the disk."""

    receipt: dict[str, Any]
    submission: SubmissionOut
    quota: Places
    warnings: list[dict[str, Any]]


class EntryBody(Strict):
    """Which submission a team shows on the board."""

    submission: str


class EntryOut(Schema):
    """The entry as picked; the board follows within a second or so."""

    submission: str
    since: datetime
    picks_left: int
    board_version: int


class PairOut(Schema):
    """Two entries: the difference a minus b, its interval, and the word for it."""

    a: str
    b: str
    difference: str | None
    low: str | None
    high: str | None
    word: str | None
    reason: str | None


class TokenBody(Strict):
    """A new token has at most the scopes of the one that asks."""

    scopes: list[Literal["read", "submit"]] = Field(min_length=1)
    expires_at: datetime | None = None


class TokenOut(Schema):
    """A token; its text is shown this once."""

    id: str
    token: str
    scopes: list[str]
    expires_at: datetime


class ReasonBody(Strict):
    """Why; it is public."""

    reason: Reason


class GrantBody(Strict):
    """More places for a team, with the reason for the audit log."""

    team: str
    places: int = Field(ge=1, le=1000)
    reason: Reason


class LeakBody(Strict):
    """Share of the rows' bits that feedback may use, with the reason for the audit log."""

    share: float = Field(ge=0, le=100)
    reason: Reason


class VerificationBody(Strict):
    """How far a submission has been confirmed."""

    level: Literal["claimed", "artefact", "reproduced"]
    evidence_url: str = Field(default="", max_length=200, pattern=r"^(https://\S+)?$")
    note: str = Field(default="", max_length=500)


class TextBody(Strict):
    """The text of a task."""

    text: str = Field(max_length=20_000)


class UndisclosedOut(Schema):
    """The rounded value of a submission whose team may not have seen it."""

    submission: str
    team: str
    value: str | None


class UndisclosedList(Schema):
    """For stewards: rounded values, and how much of the leak budget is used."""

    items: list[UndisclosedOut]
    next_cursor: str | None
    leak_bits: float
    leak_share: float
    leak_state: str


class AuditHeadOut(Schema):
    """The last link of the audit chain; zero and empty before the first."""

    seq: int
    hash: str
    at: str


class KeysOut(Schema):
    """Public keys that verify receipts."""

    keys: list[dict[str, Any]]
