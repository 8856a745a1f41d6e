"""A submission as its team sees it: for answers, events and, one day, pages."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from acsbench.server.config import ServerConfig
from acsbench.server.models import State, Submission
from acsbench.server.queue import waiting
from acsbench.server.standings import to_minute

__all__ = ["public_address", "submission_out"]


def public_address(request: HttpRequest, config: ServerConfig) -> str:
    """Where people reach the board: as configured, or as they reached it now."""
    return config.public_url or f"{request.scheme}://{request.get_host()}"


def submission_out(submission: Submission) -> dict[str, Any]:
    """Everything a team may know about its submission, and nothing else."""
    version = submission.task_version
    return {
        "id": submission.public_id,
        "task": version.task.slug,
        "task_version": version.name,
        "team": submission.team.slug,
        "state": str(submission.state),
        "reason": submission.state_reason,
        "sha256": submission.sha256,
        "rows": submission.rows,
        "card": submission.card,
        "comment": submission.comment,
        "received_at": submission.created_at,
        "scored_at": to_minute(submission.scored_at) or None,
        "queue_position": _position(submission),
        "is_entry": submission.entries.filter(until__isnull=True).exists(),
        "feedback": [
            {"task_version": result.task_version.name, **result.released["feedback"]}
            for result in submission.results.select_related("task_version__task").order_by("id")
        ],
    }


def _position(submission: Submission) -> int | None:
    """1 is next; None when it does not wait."""
    if submission.state not in (State.QUEUED, State.SCORING):
        return None
    return waiting().filter(id__lte=submission.pk).count()
