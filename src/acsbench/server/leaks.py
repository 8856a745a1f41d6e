"""How much of the hidden labels the numbers shown so far could tell, at most.

Stewards see the sum over everything that was shown, entries included. What pauses a team's
feedback is the sum over the feedback it had itself: that is what it can steer.
"""

from __future__ import annotations

from acsbench.leaderboard.leak_budget import Leak, leak
from acsbench.server.models import Entry, Result, TaskVersion, Team

__all__ = ["feedback_is_paused", "leak_of_task"]


def leak_of_task(version: TaskVersion) -> Leak:
    """Bits shown to all teams together, by feedback and by entries."""
    shown = (Result.objects, Entry.objects)
    bits = [
        one
        for rows in shown
        for one in rows.filter(task_version=version).values_list("leak_bits", flat=True)
    ]
    return leak(bits, n_rows=version.n_rows)


def feedback_is_paused(version: TaskVersion, team: Team) -> bool:
    """Whether the next number for a team has to wait for a host's decision."""
    results = Result.objects.filter(task_version=version, submission__team=team)
    shown = leak(results.values_list("leak_bits", flat=True), n_rows=version.n_rows)
    return shown.share >= version.leak_allowed
