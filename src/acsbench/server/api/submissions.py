"""Submissions of a team: check, send, look, pick, withdraw."""

from __future__ import annotations

from typing import Annotated, Any

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Query, Router, Status

from acsbench.leaderboard.check import check_file
from acsbench.leaderboard.findings import Refused
from acsbench.server.accept import Sender, accept
from acsbench.server.api.auth import Bearer, account_for, actor_of, demand
from acsbench.server.api.events import events_of
from acsbench.server.api.paging import Cursor, Limit, page
from acsbench.server.api.schemas import (
    CheckOut,
    EntryBody,
    EntryOut,
    ReceivedOut,
    SubmissionList,
    SubmissionOut,
)
from acsbench.server.api.uploads import FILE_BODY, UPLOAD_BODY, read_file, read_upload
from acsbench.server.entries import pick, take_off
from acsbench.server.limiter import Limiter, Streams
from acsbench.server.models import Membership, State, Submission, Task, Team
from acsbench.server.policy import Action, Actor, team_of
from acsbench.server.problems import Problem
from acsbench.server.published import current_version, other_ids, published
from acsbench.server.quota import Places, picks_left, places
from acsbench.server.views import submission_out

__all__ = ["router"]

router = Router(tags=["submissions"], auth=Bearer())
TeamSlug = Annotated[str | None, Query(max_length=60, description="A baseline of the host")]
AttestationVersion = Annotated[str | None, Query(max_length=40, description="You accept it")]
_checks = Limiter(settings.BOARD.limits.checks, "check")
_uploads = Limiter(settings.BOARD.limits.uploads, "upload")
_streams = Streams(settings.BOARD.limits.streams)


@router.post(
    "/tasks/{slug}/check", response=CheckOut, summary="Check a file", openapi_extra=FILE_BODY
)
def check(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Say what is wrong with a file; nothing of it is kept."""
    actor = actor_of(request)
    version = current_version(slug)
    demand(actor, Action.CHECK, version.task)
    _checks.take(account_for(actor).public_id)
    rules = published(version, settings.BOARD)
    checked = check_file(
        read_file(request, rules.max_bytes), rules, others=other_ids(version, settings.BOARD)
    )
    if isinstance(checked, Refused):
        raise refusal(checked)
    return {
        "rows": rules.n_rows,
        "sha256": checked.sha256,
        "warnings": [finding.as_dict() for finding in checked.warnings],
    }


@router.post(
    "/tasks/{slug}/submissions",
    response={200: ReceivedOut, 201: ReceivedOut},
    summary="Submit a file",
    openapi_extra=UPLOAD_BODY,
)
def submit(
    request: HttpRequest,
    slug: str,
    team: TeamSlug = None,
    attestation: AttestationVersion = None,
) -> Any:
    """Take a file: 201 with a signed receipt once it is on the disk, 200 if it was there before."""
    actor = actor_of(request)
    version = current_version(slug)
    sender = Sender(account_for(actor), _team(actor, version.task, team), version)
    demand(actor, Action.SUBMIT, sender.team, task=version.task)
    _uploads.take(sender.account.public_id)
    upload = read_upload(
        request, published(version, settings.BOARD).max_bytes, attestation=attestation
    )
    taken = accept(upload, sender, settings.BOARD)
    if isinstance(taken, Refused):
        raise refusal(taken)
    body = {
        "receipt": taken.submission.receipt,
        "submission": submission_out(taken.submission),
        "quota": taken.places,
        "warnings": [finding.as_dict() for finding in taken.warnings],
    }
    return Status(201 if taken.is_new else 200, body)


def refusal(refused: Refused) -> Problem:
    """The findings of a file, as the API tells them."""
    told = refused.problem()
    extra = {key: told[key] for key in told if key not in ("type", "title", "status", "code")}
    return Problem(422, told["code"], str(extra.pop("detail")), extra=extra)


def _team(actor: Actor, task: Task, slug: str | None) -> Team:
    """The asker's own team, or the baseline they named."""
    if slug is None:
        found = team_of(account_for(actor), task)
    else:
        found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise Problem(
            404, "no_team", f"You are in no team for task '{task.slug}'. Ask the host to add you."
        )
    return found


def own(actor: Actor, public_id: str, action: Action) -> Submission:
    """A submission that the actor may do this to; 404 for any other."""
    found = (
        Submission.objects.select_related("team", "task_version__task", "account")
        .filter(public_id=public_id)
        .first()
    )
    if found is None:
        raise Problem(404, "not_found", "There is no such submission of yours.")
    demand(actor, action, found)
    return found


@router.get("/submissions", response=SubmissionList, summary="Submissions of your teams")
def list_submissions(
    request: HttpRequest, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """List what the asker's teams have submitted, youngest first."""
    actor = actor_of(request)
    if "read" not in actor.scopes:
        raise Problem(404, "not_found", "Your token may not read submissions.")
    mine = Membership.objects.filter(account=account_for(actor), left_at__isnull=True)
    rows = Submission.objects.none()
    for membership in mine:
        rows = rows | Submission.objects.filter(
            team=membership.team_id, task_version__task=membership.task_id
        )
    rows = rows.select_related("team", "task_version__task")
    found, following = page(rows, by="public_id", cursor=cursor, limit=limit)
    return {"items": [submission_out(row) for row in found], "next_cursor": following}


@router.get("/submissions/{public_id}", response=SubmissionOut, summary="One submission")
def get_submission(request: HttpRequest, public_id: str) -> dict[str, Any]:
    """State, place in the queue, and feedback."""
    return submission_out(own(actor_of(request), public_id, Action.READ_SUBMISSION))


@router.get(
    "/submissions/{public_id}/events",
    summary="State as it changes",
    openapi_extra={
        "responses": {
            200: {
                "description": "Server-sent events until a final state",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        }
    },
)
def get_events(request: HttpRequest, public_id: str) -> StreamingHttpResponse:
    """Follow a submission until it is scored or has failed."""
    submission = own(actor_of(request), public_id, Action.READ_SUBMISSION)
    account = account_for(actor_of(request)).public_id
    _streams.check(account)
    return StreamingHttpResponse(
        events_of(submission.pk, _streams.hold(account)),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/submissions/{public_id}/receipt", response=dict[str, Any], summary="Signed receipt")
def get_receipt(request: HttpRequest, public_id: str) -> dict[str, Any]:
    """The proof of acceptance and, once scored, the signed record of the released values."""
    submission = own(actor_of(request), public_id, Action.READ_SUBMISSION)
    records = [result.record for result in submission.results.order_by("id")]
    return {"receipt": submission.receipt, "score_records": records}


@router.put("/tasks/{slug}/entry", response=EntryOut, summary="Pick your entry")
def pick_entry(request: HttpRequest, slug: str, body: EntryBody) -> dict[str, Any]:
    """Show a scored submission on the board, in place of the one before."""
    actor = actor_of(request)
    submission = own(actor, body.submission, Action.PICK_ENTRY)
    version = current_version(slug)
    rules = published(version, settings.BOARD)
    if submission.task_version.task_id != version.task_id:
        raise Problem(404, "not_found", "There is no such submission of yours for this task.")
    entry, wanted = pick(submission, version, rules, actor)
    return {
        "submission": submission.public_id,
        "since": entry.since,
        "picks_left": picks_left(submission.team, version, rules.task.limits),
        "board_version": wanted,
    }


@router.post("/submissions/{public_id}/withdraw", response=SubmissionOut, summary="Withdraw")
def withdraw(request: HttpRequest, public_id: str) -> dict[str, Any]:
    """Take a scored submission off the board for good; it stays on record."""
    actor = actor_of(request)
    submission = own(actor, public_id, Action.WITHDRAW)
    take_off(submission, State.WITHDRAWN, reason="", actor=actor)
    return submission_out(submission)


@router.get("/tasks/{slug}/quota", response=Places, summary="Places left")
def get_quota(request: HttpRequest, slug: str) -> Places:
    """Tell how many files the asker's team may still send, and when."""
    actor = actor_of(request)
    version = current_version(slug)
    team = _team(actor, version.task, None)
    return places(team, version, published(version, settings.BOARD).task.limits)
