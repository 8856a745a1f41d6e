"""The queue is the table of submissions: a worker owns a row by a lease written on it.

`attempt_no` is a fencing number: it rises with every lease, and whoever comes with an older one
is refused. On PostgreSQL rows are taken with ``FOR UPDATE SKIP LOCKED``, on SQLite inside
``BEGIN IMMEDIATE``; Django's `select_for_update` and the transaction mode of the settings do both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from acsbench.errors import StepError
from acsbench.server import audit
from acsbench.server.config import ServerConfig
from acsbench.server.models import State, Submission

__all__ = ["Lease", "LeaseLostError", "finish", "lease_next", "renew", "waiting"]

_WAITING = (State.QUEUED, State.SCORING)


class LeaseLostError(StepError):
    """Another worker owns the submission by now; the result in hand is not recorded."""


@dataclass(frozen=True)
class Lease:
    """The right to score one submission, until it expires."""

    submission: Submission
    attempt_no: int
    owner: str


def waiting() -> QuerySet[Submission]:
    """Submissions that are not scored yet, oldest first."""
    return Submission.objects.filter(state__in=_WAITING).order_by("id")


def _free() -> QuerySet[Submission]:
    """Rows that may be leased now: queued, or left by a worker that is gone.

    A team's submissions are scored in their order, since the ladder compares each with those
    before it: a row waits for its elder ones.
    """
    elder = Submission.objects.filter(
        team=OuterRef("team"),
        task_version=OuterRef("task_version"),
        id__lt=OuterRef("id"),
        state__in=_WAITING,
    )
    expired = Q(state=State.SCORING, lease_until__lt=timezone.now())
    return waiting().filter(Q(state=State.QUEUED) | expired).exclude(Exists(elder))


def lease_next(owner: str, config: ServerConfig) -> Lease | None:
    """Take the oldest free submission, or fail those whose last lease has expired."""
    with transaction.atomic():
        rows = _free().select_related("team", "task_version__task", "account")
        if connection.features.has_select_for_update:
            rows = rows.select_for_update(skip_locked=True, of=("self",))
        row = rows.first()
        if row is None:
            return None
        if row.attempt_no >= config.max_attempts:
            _fail(row, "given up after several tries")
            return None
        row.state = State.SCORING
        row.attempt_no += 1
        row.lease_owner = owner
        row.lease_until = timezone.now() + timedelta(seconds=config.lease_seconds)
        row.save(update_fields=["state", "attempt_no", "lease_owner", "lease_until"])
    return Lease(row, row.attempt_no, owner)


def _fail(row: Submission, reason: str) -> None:
    row.state = State.FAILED
    row.state_reason = reason
    row.lease_until = None
    row.save(update_fields=["state", "state_reason", "lease_until"])
    audit.record(
        actor="worker",
        action="submission.failed",
        object=f"submission:{row.public_id}",
        detail={"tries": str(row.attempt_no)},
    )


def renew(lease: Lease, config: ServerConfig) -> bool:
    """Say that the work goes on; False when the lease is lost."""
    until = timezone.now() + timedelta(seconds=config.lease_seconds)
    return bool(_owned(lease).update(lease_until=until))


def release(lease: Lease) -> None:
    """Give a submission back after an error, for the next try."""
    _owned(lease).update(lease_until=timezone.now())


def finish(lease: Lease) -> None:
    """Mark the submission as scored, inside the transaction that writes its result.

    Raises
    ------
    LeaseLostError
        When the lease has gone to another worker: the caller's transaction is undone.
    """
    now = timezone.now()
    if not _owned(lease).update(state=State.SCORED, scored_at=now, lease_until=None):
        raise LeaseLostError(
            f"Submission {lease.submission.public_id} belongs to another worker by now; "
            f"attempt {lease.attempt_no} is not recorded."
        )


def _owned(lease: Lease) -> QuerySet[Submission]:
    return Submission.objects.filter(
        pk=lease.submission.pk, state=State.SCORING, attempt_no=lease.attempt_no
    )
