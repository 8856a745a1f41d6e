"""Sending a file: by the same acceptance as the API's, with every finding on one page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.html import format_html, format_html_join

from acsbench.leaderboard.findings import Finding, Refused
from acsbench.server.accept import Sender, Upload, accept
from acsbench.server.card import ModelCard
from acsbench.server.limiter import Limiter
from acsbench.server.models import Account, Attestation, Submission, TaskVersion, Team
from acsbench.server.pages.card_form import card_fields, card_from
from acsbench.server.pages.markdown import as_html
from acsbench.server.pages.own_team import no_team
from acsbench.server.pages.rendering import page
from acsbench.server.pages.task import example_file
from acsbench.server.pages.who import account_of, actor_of, demand, signed_in
from acsbench.server.policy import Action, may, team_of
from acsbench.server.problems import Problem
from acsbench.server.published import Published, current_version, published
from acsbench.server.quota import places, refusals_left

__all__ = ["submit"]

_uploads = Limiter(settings.BOARD.limits.uploads, "upload")
_MOST_COMMENT = 500


@dataclass
class _Answer:
    """What the page says after something was sent, and what it keeps of it."""

    status: int = 200
    problem: str = ""
    findings: list[dict[str, Any]] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] | None = None
    comment: str = ""
    file_name: str = ""


@signed_in
def submit(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Show the form, or take what it sends."""
    version = current_version(slug)
    account = account_of(request)
    teams = _teams(request, account, version)
    if not teams:
        return no_team(request, version.task, status=404 if request.method == "POST" else 200)
    answer = _Answer()
    if request.method == "POST":
        sent = _send(request, account, version, teams)
        if isinstance(sent, HttpResponse):
            return sent
        answer = sent
    return _form(request, account, version, teams, answer)


def _teams(request: HttpRequest, account: Account, version: TaskVersion) -> list[Team]:
    """The account's own team, and the baselines for those who host the task."""
    own = team_of(account, version.task)
    teams = [own] if own is not None else []
    actor = actor_of(request)
    baselines = Team.objects.filter(is_baseline=True).order_by("slug")
    return teams + [one for one in baselines if may(actor, Action.SUBMIT, one, task=version.task)]


def _send(
    request: HttpRequest, account: Account, version: TaskVersion, teams: list[Team]
) -> HttpResponse | _Answer:
    answer = _Answer(comment=request.POST.get("comment", "")[: _MOST_COMMENT + 1])
    team = next((one for one in teams if one.slug == request.POST.get("team", "")), teams[0])
    demand(request, Action.SUBMIT, team, task=version.task)
    rules = published(version, settings.BOARD)
    upload = _read(request, rules, answer)
    if upload is None:
        return answer
    try:
        _uploads.take(account.public_id)
        taken = accept(upload, Sender(account, team, version), settings.BOARD)
    except Problem as problem:
        answer.status, answer.problem = problem.status, _for_pages(problem)
        return answer
    if isinstance(taken, Refused):
        answer.status, answer.findings = 422, [_shown(one) for one in taken.findings]
        return answer
    request.session["received"] = {
        "id": taken.submission.public_id,
        "is_new": taken.is_new,
        "warnings": [one.message for one in taken.warnings],
    }
    return HttpResponseRedirect(f"/submissions/{taken.submission.public_id}/", status=303)


def _shown(finding: Finding) -> dict[str, Any]:
    """A finding for a page: what stands between backticks is code."""
    parts = enumerate(finding.message.split("`"))
    message = format_html_join(
        "",
        "{}",
        ((format_html("<code>{}</code>", part) if at % 2 else part,) for at, part in parts),
    )
    has_lines = any(place.line is not None for place in finding.places)
    return {**finding.as_dict(), "message": message, "has_lines": has_lines}


def _for_pages(problem: Problem) -> str:
    """A refusal in words for a page, where the API speaks of its own parts."""
    if problem.code == "attestation_missing":
        return "Please read the attestation and tick its box."
    return problem.detail


def _read(request: HttpRequest, rules: Published, answer: _Answer) -> Upload | None:
    """What the form holds; None, with the answer saying why, when it is not whole."""
    card = card_from(request.POST)
    answer.values = {
        key.removeprefix("card-"): value
        for key, value in request.POST.items()
        if key.startswith("card-")
    }
    file = request.FILES.get("file")
    attestation = rules.task.attestation
    if isinstance(card, dict):
        answer.wrong |= card
    if file is None:
        answer.wrong["file"] = "Choose a file."
    else:
        answer.file_name = str(file.name)
    if len(answer.comment) > _MOST_COMMENT or not answer.comment.isprintable():
        answer.wrong["comment"] = f"At most {_MOST_COMMENT} characters, on one line."
    if file is None or not isinstance(card, ModelCard) or answer.wrong:
        answer.status = 422
        answer.problem = "Something in the form is missing or wrong. Nothing was sent to be scored."
        return None
    agreed = request.POST.get("attestation") == (attestation.version if attestation else "")
    return Upload(
        data=bytes(file.read(rules.max_bytes + 1)),
        card=card,
        comment=answer.comment,
        attestation=attestation.version if attestation and agreed else None,
    )


def _form(
    request: HttpRequest,
    account: Account,
    version: TaskVersion,
    teams: list[Team],
    answer: _Answer,
) -> HttpResponse:
    rules = published(version, settings.BOARD)
    chosen = next((one for one in teams if one.slug == request.POST.get("team", "")), teams[0])
    values = answer.values
    if values is None:
        last = Submission.objects.filter(team=chosen).order_by("-id").first()
        values = last.card if last else {}
    context = {
        "version": version,
        "rules": rules,
        "teams": teams,
        "chosen": chosen,
        "places": places(chosen, version, rules.task.limits),
        "refusals": refusals_left(chosen, version, rules.task.limits),
        "limits": rules.task.limits,
        "attestation": _attestation(account, version, rules),
        "fields": card_fields(values, answer.wrong),
        "answer": answer,
        "example": example_file(rules),
        "task_slug": version.task.slug,
        "tab": "submit",
        "here": "tasks",
    }
    return page(request, "submit.html", context, status=answer.status)


def _attestation(account: Account, version: TaskVersion, rules: Published) -> dict[str, Any] | None:
    """What has to be promised; only that it was, once it was."""
    asked = rules.task.attestation
    if asked is None:
        return None
    before = Attestation.objects.filter(
        account=account, task=version.task, version=asked.version
    ).first()
    return {
        "version": asked.version,
        "text": as_html(rules.attestation_text),
        "accepted_at": before.accepted_at if before else None,
    }
