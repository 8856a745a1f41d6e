"""Who is told what over the web, and how far that has come."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from acsbench.server.models.people import Account, Team
from acsbench.server.models.tasks import Task
from acsbench.server.names import new_public_id

__all__ = ["CourierPlace", "Delivery", "Webhook"]


def _nothing() -> list[Any]:
    return []


class Webhook(models.Model):
    """An address of a team, or of a host, that is told of events of one task.

    The secret is kept as it is: whoever signs has to know it.
    """

    public_id = models.CharField(max_length=24, unique=True, default=new_public_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="webhooks")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="webhooks")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, related_name="webhooks")
    url = models.CharField(max_length=500)
    secret = models.CharField(max_length=64)
    events = models.JSONField(default=_nothing)
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class Delivery(models.Model):
    """One message to one address; `next_try_at` is empty when it is over."""

    public_id = models.CharField(max_length=24, unique=True, default=new_public_id, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=30)
    body = models.TextField()
    tries = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=10, default="waiting")
    answer = models.CharField(max_length=100, blank=True)
    next_try_at = models.DateTimeField(null=True, default=timezone.now, db_index=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class CourierPlace(models.Model):
    """How far the courier has read: the audit chain, and the version of each board."""

    name = models.CharField(max_length=60, primary_key=True)
    position = models.PositiveBigIntegerField()
