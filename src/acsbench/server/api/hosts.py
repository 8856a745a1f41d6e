"""What hosts and stewards of a task may do; every act is on the audit chain."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Router, Status

from acsbench.server import hosting
from acsbench.server.api.auth import Bearer, account_for, actor_of, demand
from acsbench.server.api.paging import Cursor, Limit, page
from acsbench.server.api.schemas import (
    GrantBody,
    LeakBody,
    ReasonBody,
    SubmissionOut,
    TaskOut,
    TextBody,
    UndisclosedList,
    VerificationBody,
)
from acsbench.server.api.tasks import task_out
from acsbench.server.entries import take_off
from acsbench.server.leaks import leak_of_task
from acsbench.server.models import Result, State, Submission
from acsbench.server.policy import Action, Actor
from acsbench.server.problems import Problem
from acsbench.server.published import current_version, published
from acsbench.server.quota import Places, places
from acsbench.server.views import submission_out

__all__ = ["router"]

router = Router(tags=["hosts"], auth=Bearer())


def _of_task(actor: Actor, public_id: str, action: Action) -> Submission:
    found = (
        Submission.objects.select_related("team", "task_version__task")
        .filter(public_id=public_id)
        .first()
    )
    if found is None:
        raise Problem(404, "not_found", "There is no such submission for a task of yours.")
    demand(actor, action, found)
    return found


@router.post("/submissions/{public_id}/disqualify", response=SubmissionOut, summary="Disqualify")
def disqualify(request: HttpRequest, public_id: str, body: ReasonBody) -> dict[str, Any]:
    """Take a submission off the board, with a public reason."""
    actor = actor_of(request)
    submission = _of_task(actor, public_id, Action.DISQUALIFY)
    take_off(submission, State.DISQUALIFIED, reason=body.reason, actor=actor)
    return submission_out(submission) | {"feedback": []}


@router.post("/submissions/{public_id}/verifications", response={204: None}, summary="Verify")
def verify(request: HttpRequest, public_id: str, body: VerificationBody) -> Any:
    """Mark how far a submission has been confirmed; the board shows the last mark."""
    actor = actor_of(request)
    submission = _of_task(actor, public_id, Action.VERIFY)
    hosting.verify(submission, account_for(actor), actor, **body.model_dump())
    return Status(204, None)


@router.post("/tasks/{slug}/grants", response=Places, summary="Grant places")
def grant(request: HttpRequest, slug: str, body: GrantBody) -> Places:
    """Give a team more places."""
    actor = actor_of(request)
    version = current_version(slug)
    demand(actor, Action.GRANT, version.task)
    team = hosting.grant_places(
        version, body.team, account_for(actor), actor, places=body.places, reason=body.reason
    )
    return places(team, version, published(version, settings.BOARD).task.limits)


@router.put("/tasks/{slug}/text", response=TaskOut, summary="Edit the text")
def edit_text(request: HttpRequest, slug: str, body: TextBody) -> dict[str, Any]:
    """Replace the text of a task; rules and labels stay as they are."""
    actor = actor_of(request)
    version = current_version(slug)
    demand(actor, Action.EDIT_TASK, version.task)
    hosting.edit_text(version, actor, body.text)
    return task_out(version)


@router.put("/tasks/{slug}/leak-budget", response={204: None}, summary="Allow more feedback")
def allow_leak(request: HttpRequest, slug: str, body: LeakBody) -> Any:
    """Decide how much of the leak budget feedback may use."""
    actor = actor_of(request)
    version = current_version(slug)
    demand(actor, Action.ALLOW_LEAK, version.task)
    hosting.allow_leak(version, actor, share=body.share, reason=body.reason)
    return Status(204, None)


@router.get("/tasks/{slug}/undisclosed", response=UndisclosedList, summary="Undisclosed scores")
def undisclosed(
    request: HttpRequest, slug: str, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """Show stewards the rounded value of each submission, and the use of the leak budget."""
    version = current_version(slug)
    demand(actor_of(request), Action.READ_UNDISCLOSED, version.task)
    results = Result.objects.filter(task_version=version).select_related("submission__team")
    found, following = page(results, by="public_id", cursor=cursor, limit=limit)
    leak = leak_of_task(version)
    items = [
        {
            "submission": one.submission.public_id,
            "team": one.submission.team.slug,
            "value": one.released["steward"],
        }
        for one in found
    ]
    return {
        "items": items,
        "next_cursor": following,
        "leak_bits": leak.bits,
        "leak_share": leak.share,
        "leak_state": leak.state,
    }
