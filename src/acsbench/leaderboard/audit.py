"""The audit chain: each entry holds the hash of the one before it, so none can change unseen.

Pure functions over entries; whoever keeps them stores them append-only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from acsbench.errors import AuditError
from acsbench.leaderboard.receipts import canonical_json, utc_text

__all__ = ["FIRST_HASH", "AuditEntry", "append", "entry_hash", "verify_chain"]

FIRST_HASH = "0" * 64


@dataclass(frozen=True)
class AuditEntry:
    """What somebody did to something.

    Attributes
    ----------
    seq : int
        From 1, without gaps.
    at : str
        UTC.
    actor, action, object : str
    detail : dict
        Strings, and lists and dicts of strings.
    prev_hash, hash : str
        SHA-256 of the entry before, and of this one with it.
    """

    seq: int
    at: str
    actor: str
    action: str
    object: str
    detail: dict[str, Any]
    prev_hash: str
    hash: str


def append(
    head: AuditEntry | None,
    *,
    at: datetime,
    actor: str,
    action: str,
    object: str,  # noqa: A002  the audit's own word
    detail: Mapping[str, Any],
) -> AuditEntry:
    """Make the entry that follows the last one.

    Parameters
    ----------
    head : AuditEntry or None
        The last one; None begins a chain.
    at : datetime
        With its time zone.
    actor, action, object, detail
        See `AuditEntry`.
    """
    body: dict[str, Any] = {
        "seq": 1 if head is None else head.seq + 1,
        "at": utc_text(at),
        "actor": actor,
        "action": action,
        "object": object,
        "detail": dict(detail),
        "prev_hash": FIRST_HASH if head is None else head.hash,
    }
    return AuditEntry(**body, hash=entry_hash(body))


def entry_hash(body: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of everything but the hash."""
    return hashlib.sha256(canonical_json({**body, "seq": str(body["seq"])})).hexdigest()


def verify_chain(
    entries: Iterable[AuditEntry], *, head: AuditEntry | None = None
) -> AuditEntry | None:
    """Check that entries follow one another, and return the last.

    Parameters
    ----------
    entries : iterable of AuditEntry
        In their order.
    head : AuditEntry, optional
        A verified entry that they follow.

    Raises
    ------
    AuditError
        Naming the first that does not fit.
    """
    for entry in entries:
        seq, previous = (1, FIRST_HASH) if head is None else (head.seq + 1, head.hash)
        if entry.seq != seq:
            raise AuditError(entry.seq, f"stands where entry {seq} should; one is missing.")
        if entry.prev_hash != previous:
            raise AuditError(seq, "does not follow the entry before it.")
        body = asdict(entry)
        if entry_hash({k: v for k, v in body.items() if k != "hash"}) != entry.hash:
            raise AuditError(seq, "was changed: its hash is not that of its content.")
        head = entry
    return head
