"""Places a team has left, in windows that slide: no calendar days, no time zones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

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

__all__ = [
    "DAY",
    "Places",
    "Taken",
    "lock_quota",
    "picks_left",
    "places",
    "refusals_left",
    "taken",
]

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


def lock_quota(team: Team, version: TaskVersion) -> None:
    """Lock the row that makes reservations of one team wait for each other (in a transaction)."""
    rows = QuotaState.objects.select_for_update().filter(team=team, task_version=version)
    if rows.first() is None:
        QuotaState.objects.get_or_create(team=team, task_version=version)
        rows.get()


@dataclass(frozen=True)
class Taken:
    """What a team has had so far: when its files were accepted, and what it was granted.

    Failed submissions, refused files and duplicates take no place.
    """

    accepted: tuple[datetime, ...]
    grants: tuple[tuple[datetime, int], ...]
    is_unlimited: bool

    def plus(self, at: datetime) -> Taken:
        """The same after one more accepted file."""
        return replace(self, accepted=(*self.accepted, at))

    def left(self, limits: _Limits, *, now: datetime) -> Places:
        """Places that are left now."""
        if self.is_unlimited:
            return Places(remaining_24h=None, remaining_total=None, next_possible_at=now)
        recent = sorted(at for at in self.accepted if at > now - DAY)
        per_day = limits.valid_per_24h + sum(n for at, n in self.grants if at > now - DAY)
        total = limits.valid_total + sum(n for _, n in self.grants)
        remaining_total = max(0, total - len(self.accepted))
        remaining_24h = min(max(0, per_day - len(recent)), remaining_total)
        possible: datetime | None = now
        if not remaining_24h:
            possible = recent[len(recent) - per_day] + DAY if remaining_total else None
        return Places(
            remaining_24h=remaining_24h, remaining_total=remaining_total, next_possible_at=possible
        )


def taken(team: Team, version: TaskVersion) -> Taken:
    """Read what a team has had so far."""
    if team.is_baseline:
        return Taken((), (), is_unlimited=True)
    accepted = Submission.objects.filter(team=team, task_version=version).exclude(
        state=State.FAILED
    )
    grants = Grant.objects.filter(team=team, task_version=version)
    return Taken(
        tuple(accepted.values_list("created_at", flat=True)),
        tuple(grants.values_list("created_at", "places")),
        is_unlimited=False,
    )


def places(
    team: Team, version: TaskVersion, limits: _Limits, *, now: datetime | None = None
) -> Places:
    """Count what a team has left."""
    return taken(team, version).left(limits, now=now or timezone.now())


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
