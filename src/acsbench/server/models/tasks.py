"""Tasks and their versions: what is asked, of which ids, against which committed labels."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

__all__ = ["Task", "TaskVersion"]


class Task(models.Model):
    """A question with hidden labels, whatever its version. Hosts may edit `text`."""

    slug = models.CharField(max_length=40, unique=True)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class TaskVersion(models.Model):
    """One fixed set of ids, labels and rules. After opening only its state moves (a trigger).

    `definition` is `leaderboard.definition.TaskVersion.public()`; the id list is the blob of
    `ids_blob`.
    """

    class State(models.TextChoices):
        """A superseded version stays readable."""

        DRAFT = "draft"
        OPEN = "open"
        CLOSED = "closed"
        SUPERSEDED = "superseded"

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    ids_sha256 = models.CharField(max_length=64)
    ids_blob = models.CharField(max_length=64)
    n_rows = models.PositiveIntegerField()
    label_commitment = models.CharField(max_length=64)
    state = models.CharField(max_length=12, choices=State, default=State.DRAFT)
    superseded_by = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="supersedes"
    )
    leak_allowed = models.FloatField(default=0.5)
    """Share of the rows' bits after which feedback pauses; a host may raise it, on the log."""
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "number"], name="task_version_once"),
            models.UniqueConstraint(
                fields=["task"],
                condition=Q(state__in=["draft", "open", "closed"]),
                name="task_version_one_current",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "open", "closed", "superseded"]),
                name="task_version_state_is_known",
            ),
        ]

    @property
    def name(self) -> str:
        """For people and for the worker's files: ``acs-v1``."""
        return f"{self.task.slug}-v{self.number}"
