"""How the board is: what waits, how long scoring takes, what came in 30 days."""

from __future__ import annotations

import statistics
from collections import Counter
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from acsbench.server.health import readiness
from acsbench.server.models import Submission
from acsbench.server.pages.rendering import page
from acsbench.server.queue import waiting

__all__ = ["status"]

_DAYS = 30


def status(request: HttpRequest) -> HttpResponse:
    """Show it to all."""
    ready = readiness(settings.BOARD)
    since = timezone.now() - timedelta(days=_DAYS)
    recent = list(
        Submission.objects.filter(created_at__gt=since).values_list("created_at", "scored_at")
    )
    took = [(scored - at).total_seconds() for at, scored in recent if scored is not None]
    context: dict[str, Any] = {
        "ready": ready,
        "waiting": waiting().count(),
        "oldest": _span(ready.oldest_waiting_s),
        "median": _span(statistics.median(took)) if took else "–",
        "n_recent": len(recent),
        "days": _bars(Counter(at.date() for at, _ in recent)),
        "here": "status",
    }
    return page(request, "status.html", context)


def _span(seconds: float) -> str:
    """A length of time, in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def _bars(counted: Counter[date]) -> list[dict[str, Any]]:
    """One bar a day, the oldest first, in per cent of the picture."""
    today = timezone.now().date()
    days = [today - timedelta(days=back) for back in range(_DAYS - 1, -1, -1)]
    most = max([*counted.values(), 1])
    width = 100 / _DAYS
    return [
        {
            "day": day.isoformat(),
            "n": counted[day],
            "x": f"{at * width + 0.15 * width:.2f}%",
            "width": f"{0.7 * width:.2f}%",
            "y": f"{100 - 100 * counted[day] / most:.2f}%",
            "height": f"{100 * counted[day] / most:.2f}%",
        }
        for at, day in enumerate(days)
    ]
