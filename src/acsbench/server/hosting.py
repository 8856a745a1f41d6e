"""What hosts of a task do, each act with its entry on the audit chain; rights are asked before."""

from __future__ import annotations

from django.db import transaction

from acsbench.server import audit
from acsbench.server.models import (
    Account,
    Entry,
    Grant,
    Submission,
    TaskVersion,
    Team,
    Verification,
)
from acsbench.server.policy import Actor
from acsbench.server.problems import Problem
from acsbench.server.standings import ask_for_refresh

__all__ = ["allow_leak", "edit_text", "grant_places", "verify"]


def verify(
    submission: Submission, by: Account, actor: Actor, *, level: str, evidence_url: str, note: str
) -> None:
    """Mark how far a submission has been confirmed; the board shows the last mark."""
    said = {"level": level, "evidence_url": evidence_url, "note": note}
    with transaction.atomic():
        Verification.objects.create(submission=submission, by=by, **said)
        audit.record(
            actor=actor.name,
            action="submission.verified",
            object=f"submission:{submission.public_id}",
            detail=said,
        )
        for entry in Entry.objects.filter(submission=submission, until__isnull=True):
            ask_for_refresh(entry.task_version)


def grant_places(
    version: TaskVersion, slug: str, by: Account, actor: Actor, *, places: int, reason: str
) -> Team:
    """Give a team of the task more places.

    Raises
    ------
    Problem
        404 when no such team takes part.
    """
    team = Team.objects.filter(slug=slug, memberships__task=version.task).first()
    if team is None:
        raise Problem(404, "not_found", f"No team '{slug[:60]}' takes part in this task.")
    with transaction.atomic():
        Grant.objects.create(team=team, task_version=version, places=places, reason=reason, by=by)
        audit.record(
            actor=actor.name,
            action="quota.granted",
            object=f"team:{team.slug}",
            detail={"task": version.task.slug, "places": str(places), "reason": reason},
        )
    return team


def edit_text(version: TaskVersion, actor: Actor, text: str) -> None:
    """Replace the text of a task; rules and labels stay as they are."""
    task = version.task
    with transaction.atomic():
        task.text = text
        task.save(update_fields=["text"])
        audit.record(actor=actor.name, action="task.edited", object=f"task:{task.slug}", detail={})


def allow_leak(version: TaskVersion, actor: Actor, *, share: float, reason: str) -> None:
    """Decide how much of the leak budget feedback may use."""
    with transaction.atomic():
        TaskVersion.objects.filter(pk=version.pk).update(leak_allowed=share)
        audit.record(
            actor=actor.name,
            action="leak.allowed",
            object=f"task:{version.task.slug}",
            detail={"share": str(share), "reason": reason},
        )
