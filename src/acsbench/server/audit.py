"""The audit chain in the database: one more link, inside the transaction it tells about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from acsbench.leaderboard.audit import AuditEntry, append
from acsbench.server.models import Audit, Lock

__all__ = ["chain", "head", "record"]


def record(*, actor: str, action: str, object: str, detail: Mapping[str, str]) -> AuditEntry:  # noqa: A002  the column's name
    """Append one entry. Writers wait for each other, so that the chain has no forks and no gaps.

    Must run inside a transaction: what is told and what happened are committed together.
    """
    lock = Lock.objects.select_for_update().filter(name="audit")
    if lock.first() is None:
        Lock.objects.get_or_create(name="audit")
        lock.get()
    entry = append(
        head(),
        at=datetime.now(UTC),
        actor=actor,
        action=action,
        object=object,
        detail=dict(detail),
    )
    Audit.objects.create(
        seq=entry.seq,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        object=entry.object,
        detail=entry.detail,
        prev_hash=entry.prev_hash,
        hash=entry.hash,
    )
    return entry


def head() -> AuditEntry | None:
    """The last entry, or None of an empty chain."""
    row = Audit.objects.order_by("-seq").first()
    return _entry(row) if row else None


def chain(*, using: str = "default") -> Iterator[AuditEntry]:
    """All entries of a database, in order."""
    for row in Audit.objects.using(using).order_by("seq").iterator():
        yield _entry(row)


def _entry(row: Audit) -> AuditEntry:
    return AuditEntry(
        seq=row.seq,
        at=row.at,
        actor=row.actor,
        action=row.action,
        object=row.object,
        detail=row.detail,
        prev_hash=row.prev_hash,
        hash=row.hash,
    )
