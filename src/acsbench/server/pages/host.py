"""Where hosts look after a task; stewards also see what is undisclosed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from pydantic import BaseModel, ValidationError

from acsbench.server import hosting
from acsbench.server.api.schemas import GrantBody, LeakBody, ReasonBody, TextBody, VerificationBody
from acsbench.server.entries import take_off
from acsbench.server.leaks import leak_of_task
from acsbench.server.models import Result, Signal, State, Submission, TaskVersion, Team
from acsbench.server.pages.account import has_second_factor
from acsbench.server.pages.rendering import page
from acsbench.server.pages.who import account_of, actor_of, demand, signed_in, submission_of
from acsbench.server.pages.words import VERIFICATIONS
from acsbench.server.policy import Action, may
from acsbench.server.problems import Problem
from acsbench.server.published import current_version, published
from acsbench.server.quota import places

__all__ = ["host"]

_SHOWN = 200
Body = TypeVar("Body", bound=BaseModel)


@signed_in
def host(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Show the task to its hosts, and do what their forms say."""
    version = current_version(slug)
    demand(request, Action.EDIT_TASK, version.task)
    if not has_second_factor(account_of(request)):
        context = {"task_slug": slug, "tab": "host", "here": "tasks"}
        return page(request, "need_second_factor.html", context, status=403)
    if request.method != "POST":
        return page(request, "host.html", _context(request, version))
    try:
        _ACTS.get(request.POST.get("do", ""), _nothing)(request, version)
    except Problem as problem:
        context = _context(request, version) | {"problem": problem.detail}
        return page(request, "host.html", context, status=problem.status)
    return HttpResponseRedirect(f"/tasks/{slug}/host/?done={request.POST['do']}", status=303)


def _edit(request: HttpRequest, version: TaskVersion) -> None:
    text = request.POST.get("text", "").replace("\r\n", "\n")
    body = _read(TextBody, {"text": text})
    hosting.edit_text(version, actor_of(request), body.text)


def _grant(request: HttpRequest, version: TaskVersion) -> None:
    demand(request, Action.GRANT, version.task)
    names = ("team", "places", "reason")
    body = _read(GrantBody, {name: request.POST.get(name, "") for name in names})
    hosting.grant_places(
        version,
        body.team,
        account_of(request),
        actor_of(request),
        places=body.places,
        reason=body.reason,
    )


def _verify(request: HttpRequest, version: TaskVersion) -> None:
    row = _of_task(request, version, Action.VERIFY)
    names = ("level", "evidence_url", "note")
    body = _read(VerificationBody, {name: request.POST.get(name, "") for name in names})
    hosting.verify(row, account_of(request), actor_of(request), **body.model_dump())


def _disqualify(request: HttpRequest, version: TaskVersion) -> None:
    row = _of_task(request, version, Action.DISQUALIFY)
    body = _read(ReasonBody, {"reason": request.POST.get("reason", "")})
    take_off(row, State.DISQUALIFIED, reason=body.reason, actor=actor_of(request))


def _allow(request: HttpRequest, version: TaskVersion) -> None:
    demand(request, Action.ALLOW_LEAK, version.task)
    body = _read(
        LeakBody,
        {"share": request.POST.get("share", ""), "reason": request.POST.get("reason", "")},
    )
    hosting.allow_leak(version, actor_of(request), share=body.share, reason=body.reason)


def _nothing(_: HttpRequest, __: TaskVersion) -> None:
    raise Problem(422, "bad_request", "The form says nothing that can be done.")


_ACTS: dict[str, Callable[[HttpRequest, TaskVersion], None]] = {
    "edit": _edit,
    "grant": _grant,
    "verify": _verify,
    "disqualify": _disqualify,
    "allow": _allow,
}


def _of_task(request: HttpRequest, version: TaskVersion, action: Action) -> Submission:
    row = submission_of(request, request.POST.get("submission", "").strip(), action)
    if row.task_version.task_id != version.task_id:
        raise Problem(404, "not_found", "That submission is for another task.")
    return row


def _read(cls: type[Body], values: Mapping[str, Any]) -> Body:
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        said = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())
        raise Problem(422, "invalid_request", f"Nothing was changed. {said}.") from None


def _context(request: HttpRequest, version: TaskVersion) -> dict[str, Any]:
    rules = published(version, settings.BOARD)
    limits = rules.task.limits
    teams = Team.objects.filter(memberships__task=version.task, memberships__left_at=None)
    rows = Submission.objects.filter(task_version__task=version.task).select_related("team")
    signals = Signal.objects.filter(submission__task_version__task=version.task)
    is_steward = may(actor_of(request), Action.READ_UNDISCLOSED, version.task)
    version.refresh_from_db(fields=["leak_allowed"])
    return {
        "version": version,
        "teams": [(one, places(one, version, limits)) for one in teams.distinct().order_by("slug")],
        "submissions": rows.order_by("-id")[:_SHOWN],
        "signals": signals.select_related("submission__team", "other_team").order_by("-id")[
            :_SHOWN
        ],
        "levels": VERIFICATIONS.items(),
        "is_steward": is_steward,
        "undisclosed": _undisclosed(version) if is_steward else [],
        "leak": leak_of_task(version) if is_steward else None,
        "done": request.GET.get("done", "") in _ACTS,
        "task_slug": version.task.slug,
        "tab": "host",
        "here": "tasks",
    }


def _undisclosed(version: TaskVersion) -> list[tuple[Submission, str | None]]:
    results = Result.objects.filter(task_version=version).select_related("submission__team")
    return [(one.submission, one.released["steward"]) for one in results.order_by("-id")[:_SHOWN]]
