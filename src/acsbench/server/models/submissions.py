"""Submissions, their results, and the entries that teams put on the board.

The submission row is the job: its state and its lease say everything a worker has to know.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from acsbench.server.models.people import Account, Team
from acsbench.server.models.tasks import TaskVersion
from acsbench.server.names import new_public_id

__all__ = ["Entry", "Result", "State", "Submission"]


class State(models.TextChoices):
    """Where a submission stands; see `acsbench.server.states` for the edges."""

    QUEUED = "queued"
    SCORING = "scoring"
    SCORED = "scored"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    DISQUALIFIED = "disqualified"


class Submission(models.Model):
    """One accepted file of a team for a task version."""

    public_id = models.CharField(max_length=24, unique=True, default=new_public_id, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="submissions")
    task_version = models.ForeignKey(
        TaskVersion, on_delete=models.PROTECT, related_name="submissions"
    )
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="submissions")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    rows = models.PositiveIntegerField()
    card = models.JSONField(default=dict)
    comment = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED)
    state_reason = models.CharField(max_length=500, blank=True)
    attempt_no = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=100, blank=True)
    idempotency_key = models.CharField(max_length=200, null=True, blank=True)
    receipt = models.JSONField(default=dict)
    scored_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "task_version", "sha256"],
                condition=~Q(state="failed"),  # what the server could not score may come again
                name="submission_once_per_file",
            ),
            models.UniqueConstraint(
                fields=["team", "idempotency_key"], name="submission_once_per_key"
            ),
            models.CheckConstraint(
                condition=Q(state__in=State.values), name="submission_state_is_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "team", "task_version", "id"], name="submission_by_state"
            ),
            models.Index(fields=["team", "task_version", "created_at"], name="submission_window"),
        ]


class Result(models.Model):
    """What may be told about a submission under one task version: decimal strings alone.

    `released` holds ``feedback`` (for the team), ``steward`` (the rounded primary value) and, once
    the submission is an entry, ``entry``. Full precision stays in the worker's store.
    """

    submission = models.ForeignKey(Submission, on_delete=models.PROTECT, related_name="results")
    task_version = models.ForeignKey(TaskVersion, on_delete=models.PROTECT, related_name="results")
    released = models.JSONField()
    record = models.JSONField(default=dict)
    code_version = models.CharField(max_length=60)
    provenance = models.JSONField(default=dict)
    seed = models.CharField(max_length=20)
    improved = models.BooleanField(default=False)
    """Whether the ladder took it as the team's best."""
    leak_bits = models.FloatField(default=0.0)
    is_reviewed = models.BooleanField(default=False)
    """Whether the worker has looked for signals to the host."""
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["submission", "task_version"], name="result_once"),
        ]


class Entry(models.Model):
    """The submission a team shows on the board, from `since` until `until`."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="entries")
    task_version = models.ForeignKey(TaskVersion, on_delete=models.PROTECT, related_name="entries")
    submission = models.ForeignKey(Submission, on_delete=models.PROTECT, related_name="entries")
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True, blank=True)
    leak_bits = models.FloatField(default=0.0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "task_version"],
                condition=Q(until__isnull=True),
                name="entry_one_open_per_team",
            ),
        ]
