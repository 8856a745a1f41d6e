"""What is written down about what happened: attempts, quotas, signals, the audit chain, boards."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from acsbench.server.models.people import Account, Team
from acsbench.server.models.submissions import Submission
from acsbench.server.models.tasks import TaskVersion

__all__ = [
    "Attempt",
    "Audit",
    "BoardState",
    "Freeze",
    "Grant",
    "Lock",
    "QuotaState",
    "RateBucket",
    "Signal",
    "Verification",
    "WorkerBeat",
]


def _nothing() -> list[Any]:
    return []


class Attempt(models.Model):
    """Any upload, accepted or refused. No content of the file."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="attempts")
    task_version = models.ForeignKey(TaskVersion, on_delete=models.PROTECT, related_name="attempts")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="attempts")
    outcome = models.CharField(max_length=12)
    codes = models.JSONField(default=_nothing)
    bytes = models.PositiveBigIntegerField()
    duration_ms = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["team", "task_version", "outcome", "created_at"], name="attempt_window"
            ),
        ]


class QuotaState(models.Model):
    """One row per team and task version: locking it makes reservations wait for each other."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="quotas")
    task_version = models.ForeignKey(TaskVersion, on_delete=models.PROTECT, related_name="quotas")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "task_version"], name="quota_state_once"),
        ]


class Grant(models.Model):
    """Places a host gives beyond the quota, with the reason."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="grants")
    task_version = models.ForeignKey(TaskVersion, on_delete=models.PROTECT, related_name="grants")
    places = models.PositiveIntegerField()
    reason = models.CharField(max_length=500)
    by = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="grants_given")
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class Signal(models.Model):
    """Something a host should look at; never a punishment by itself."""

    submission = models.ForeignKey(Submission, on_delete=models.PROTECT, related_name="signals")
    kind = models.CharField(max_length=20)
    detail = models.CharField(max_length=500)
    other_team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class Verification(models.Model):
    """How far somebody else has confirmed a submission."""

    submission = models.ForeignKey(
        Submission, on_delete=models.PROTECT, related_name="verifications"
    )
    level = models.CharField(max_length=12)
    by = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="verifications")
    evidence_url = models.URLField(blank=True)
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(level__in=["claimed", "artefact", "reproduced"]),
                name="verification_level_is_known",
            ),
        ]


class Audit(models.Model):
    """One link of the chain; append only and gapless (triggers)."""

    seq = models.PositiveBigIntegerField(primary_key=True)
    at = models.CharField(max_length=40)
    actor = models.CharField(max_length=100)
    action = models.CharField(max_length=60)
    object = models.CharField(max_length=100)
    detail = models.JSONField(default=dict)
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)


class Lock(models.Model):
    """A row to lock by name, for writers that must not overtake each other."""

    name = models.CharField(max_length=40, primary_key=True)


class RateBucket(models.Model):
    """What is left of a rate limit, where several web processes share it."""

    key = models.CharField(max_length=120, primary_key=True)
    level = models.FloatField()
    granted = models.BooleanField()
    at = models.DateTimeField(db_index=True)


class BoardState(models.Model):
    """The public board of a task version: `wanted` is raised by what changes it, `version` follows.

    `document` is the board as everybody gets it. A worker owns the work on it by the same kind of
    lease as a submission's.
    """

    task_version = models.OneToOneField(
        TaskVersion, on_delete=models.PROTECT, related_name="board_state"
    )
    wanted = models.PositiveBigIntegerField(default=0)
    version = models.PositiveBigIntegerField(default=0)
    document = models.TextField(blank=True)
    document_sha256 = models.CharField(max_length=64, blank=True)
    attempt_no = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class Freeze(models.Model):
    """What a board showed when it was closed for good; `acsbench server freeze` writes it out."""

    task_version = models.OneToOneField(
        TaskVersion, on_delete=models.PROTECT, related_name="freeze"
    )
    document = models.TextField()
    details = models.JSONField()
    provenance = models.JSONField()
    audit_seq = models.PositiveBigIntegerField()
    audit_hash = models.CharField(max_length=64)
    doi = models.CharField(max_length=200, blank=True)
    frozen_at = models.DateTimeField(default=timezone.now)


class WorkerBeat(models.Model):
    """When each worker was last seen."""

    owner = models.CharField(max_length=100, primary_key=True)
    at = models.DateTimeField()
