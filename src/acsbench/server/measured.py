"""What metrics tell about time, places and messages, counted from the rows themselves."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F
from django.utils import timezone

from acsbench.server.models import Delivery, Membership, Submission, TaskVersion, WorkerBeat
from acsbench.server.quota import DAY

__all__ = ["deliveries", "quota_use", "recent_score_seconds", "score_seconds", "workers_alive"]

_ALIVE = timedelta(seconds=30)
_TOOK = ExpressionWrapper(F("scored_at") - F("created_at"), output_field=DurationField())
_QUANTILES = (0.5, 0.99)


def score_seconds() -> tuple[int, float]:
    """How many submissions were scored, and the seconds from receipt to score of all together."""
    scored = Submission.objects.filter(scored_at__isnull=False)
    found = scored.aggregate(n=Count("id"), mean=Avg(_TOOK))
    mean = found["mean"].total_seconds() if found["mean"] else 0.0
    return found["n"], found["n"] * mean


def recent_score_seconds() -> dict[float, float]:
    """Median and 99th percentile of the last 24 hours; empty without any."""
    rows = Submission.objects.filter(scored_at__gt=timezone.now() - DAY)
    took = sorted(one.total_seconds() for one in rows.values_list(_TOOK, flat=True))
    return {q: took[min(len(took) - 1, int(q * len(took)))] for q in _QUANTILES if took}


def quota_use(version: TaskVersion) -> float:
    """Accepted files of the last 24 hours as a share of all teams' places."""
    teams = (
        Membership.objects.filter(
            task=version.task_id, left_at__isnull=True, team__is_baseline=False
        )
        .values("team")
        .distinct()
        .count()
    )
    accepted = (
        Submission.objects.filter(
            task_version=version, created_at__gt=timezone.now() - DAY, team__is_baseline=False
        )
        .exclude(state="failed")
        .count()
    )
    places = teams * int(version.definition["definition"]["limits"]["valid_per_24h"])
    return accepted / places if places else 0.0


def workers_alive() -> int:
    """Workers that gave a sign of life in the last half minute."""
    return WorkerBeat.objects.filter(at__gt=timezone.now() - _ALIVE).count()


def deliveries() -> dict[str, int]:
    """Webhook messages by how they ended, or that they wait."""
    counted = Delivery.objects.values_list("status").annotate(n=Count("id"))
    return dict(counted)
