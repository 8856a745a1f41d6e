"""One submission as its team sees it, with what the team can do to it."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

from acsbench.server.entries import pick, take_off
from acsbench.server.models import State, Submission
from acsbench.server.pages.card_form import card_fields
from acsbench.server.pages.rendering import page
from acsbench.server.pages.who import actor_of, signed_in, submission_of
from acsbench.server.policy import Action
from acsbench.server.problems import Problem
from acsbench.server.published import current_version, published
from acsbench.server.quota import picks_left, places
from acsbench.server.states import FINAL
from acsbench.server.views import submission_out

__all__ = ["receipt", "submission"]

_STATES = {
    "queued": "Waiting to be scored",
    "scoring": "Being scored",
    "scored": "Scored",
    "failed": "Could not be scored",
    "withdrawn": "Withdrawn",
    "disqualified": "Disqualified",
}


@signed_in
def submission(request: HttpRequest, public_id: str) -> HttpResponseBase:
    """Show a submission; a form picks it as the entry or withdraws it."""
    row = submission_of(request, public_id, Action.READ_SUBMISSION)
    if request.method != "POST":
        return page(request, "submission.html", _context(request, row))
    try:
        _act(request, row)
    except Problem as problem:
        context = _context(request, row) | {"problem": problem.detail}
        return page(request, "submission.html", context, status=problem.status)
    return HttpResponseRedirect(f"/submissions/{public_id}/", status=303)


def _act(request: HttpRequest, row: Submission) -> None:
    wish = request.POST.get("do", "")
    if wish == "pick":
        row = submission_of(request, row.public_id, Action.PICK_ENTRY)
        version = current_version(row.task_version.task.slug)
        pick(row, version, published(version, settings.BOARD), actor_of(request))
    elif wish == "withdraw" and request.POST.get("sure") == "yes":
        row = submission_of(request, row.public_id, Action.WITHDRAW)
        take_off(row, State.WITHDRAWN, reason="", actor=actor_of(request))
    elif wish == "withdraw":
        raise Problem(422, "not_sure", "Tick the box first: a withdrawal cannot be undone.")
    else:
        raise Problem(422, "bad_request", "The form says nothing that can be done.")


def _context(request: HttpRequest, row: Submission) -> dict[str, Any]:
    row.refresh_from_db(fields=["state", "state_reason", "scored_at"])
    shown = submission_out(row)
    version = current_version(row.task_version.task.slug)
    rules = published(version, settings.BOARD)
    received = request.session.get("received", {})
    return {
        "shown": shown,
        "state": _STATES[shown["state"]],
        "is_final": shown["state"] in FINAL,
        "received": received if received.get("id") == row.public_id else None,
        "received_at": f"{row.created_at:%Y-%m-%d %H:%M} UTC",
        "team": row.team,
        "card": [(one.label, one.words) for one in card_fields(row.card)],
        "places": places(row.team, version, rules.task.limits),
        "picks_left": picks_left(row.team, version, rules.task.limits),
        "is_unlimited": row.team.is_baseline,
        "task_slug": version.task.slug,
        "here": "tasks",
    }


@signed_in
def receipt(request: HttpRequest, public_id: str) -> HttpResponseBase:
    """The signed receipt, with the signed record of the score once there is one, as a file."""
    row = submission_of(request, public_id, Action.READ_SUBMISSION)
    records = [result.record for result in row.results.order_by("id")]
    return HttpResponse(
        json.dumps({"receipt": row.receipt, "score_records": records}, indent=1),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="receipt-{public_id}.json"'},
    )
