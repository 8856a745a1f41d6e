"""Places a team has left, in windows that slide: no calendar days, no time zones."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db.models import Sum
from django.utils import timezone
from pydantic import BaseModel

from acsbench.server.models import (
    Attempt,
    Entry,
    Grant,
    QuotaState,
    State,
    Submission,
    TaskVersion,
    Team,
)

__all__ = ["DAY", "Places", "lock_quota", "picks_left", "places", "refusals_left"]

DAY = timedelta(hours=24)
_PICK_WINDOW = timedelta(days=30)


class _Limits(Protocol):
    @property
    def valid_per_24h(self) -> int: ...
    @property
    def valid_total(self) -> int: ...
    @property
    def invalid_per_24h(self) -> int: ...
    @property
    def picks_per_30d(self) -> int: ...


class Places(BaseModel):
    """What a team may still submit; None where there is no limit or no such time.

    Attributes
    ----------
    remaining_24h, remaining_total : int or None
        Accepted files that still fit; baselines of a host have no limit.
    next_possible_at : datetime or None
        When the next file may be accepted: now, later, or never again.
    """

    remaining_24h: int | None
    remaining_total: int | None
    next_possible_at: datetime | None

    @property
    def is_free(self) -> bool:
        """Whether one more file may be accepted now."""
        return self.remaining_total is None or bool(self.remaining_total and self.remaining_24h)


def lock_quota(team: Team, version: TaskVersion) -> QuotaState:
    """Lock the row that makes reservations of one team wait for each other (in a transaction)."""
    QuotaState.objects.get_or_create(team=team, task_version=version)
    return QuotaState.objects.select_for_update().get(team=team, task_version=version)


def places(
    team: Team, version: TaskVersion, limits: _Limits, *, now: datetime | None = None
) -> Places:
    """Count what is left: failed submissions, refused files and duplicates take no place."""
    now = now or timezone.now()
    if team.is_baseline:
        return Places(remaining_24h=None, remaining_total=None, next_possible_at=now)
    accepted = Submission.objects.filter(team=team, task_version=version).exclude(
        state=State.FAILED
    )
    recent = list(
        accepted.filter(created_at__gt=now - DAY)
        .order_by("created_at")
        .values_list("created_at", flat=True)
    )
    grants = Grant.objects.filter(team=team, task_version=version)
    per_day = limits.valid_per_24h + _sum(grants.filter(created_at__gt=now - DAY))
    remaining_total = max(0, limits.valid_total + _sum(grants) - accepted.count())
    remaining_24h = min(max(0, per_day - len(recent)), remaining_total)
    if remaining_24h:
        possible: datetime | None = now
    else:
        possible = recent[len(recent) - per_day] + DAY if remaining_total and per_day else None
    return Places(
        remaining_24h=remaining_24h, remaining_total=remaining_total, next_possible_at=possible
    )


def refusals_left(team: Team, version: TaskVersion, limits: _Limits) -> int:
    """How many more files with findings are looked at within 24 hours."""
    refused = Attempt.objects.filter(
        team=team,
        task_version=version,
        outcome="refused",
        created_at__gt=timezone.now() - DAY,
    ).count()
    return max(0, limits.invalid_per_24h - refused)


def picks_left(team: Team, version: TaskVersion, limits: _Limits) -> int:
    """How many more entries a team may pick within 30 days."""
    picked = Entry.objects.filter(
        team=team, task_version=version, created_at__gt=timezone.now() - _PICK_WINDOW
    ).count()
    return max(0, limits.picks_per_30d - picked)


def _sum(grants: Any) -> int:
    return int(grants.aggregate(total=Sum("places"))["total"] or 0)
