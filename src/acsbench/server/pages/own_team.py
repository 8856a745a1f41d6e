"""Where somebody who is in no team for a task makes one, if the board lets people do that."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

from acsbench.errors import InputError
from acsbench.server.models import Account, Task, Team
from acsbench.server.operate import add_member, new_team
from acsbench.server.pages.rendering import page
from acsbench.server.pages.who import account_of, actor_of, demand, signed_in
from acsbench.server.policy import Action, may
from acsbench.server.published import current_version

__all__ = ["no_team", "own_team"]

_LONGEST = 120


@signed_in
def own_team(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Take the form of `no_team`, and lead back to where files are sent."""
    task = current_version(slug).task
    submit = HttpResponseRedirect(f"/tasks/{slug}/submit/", status=303)
    if request.method != "POST":
        return submit
    if not settings.BOARD.own_teams:
        return no_team(request, task, status=404)
    demand(request, Action.MAKE_TEAM, task)
    affiliation = request.POST.get("affiliation", "").strip()[:_LONGEST]
    try:
        _enter(account_of(request), task, request.POST.get("name", "").strip(), affiliation)
    except InputError as refusal:
        return no_team(request, task, problem=str(refusal), status=422)
    return submit


def no_team(
    request: HttpRequest, task: Task, *, problem: str = "", status: int = 200
) -> HttpResponse:
    """Say that a team is needed: with a form for one, or whom to ask."""
    mine = _teams_of(account_of(request)).first()
    context = {
        "may_make": settings.BOARD.own_teams and may(actor_of(request), Action.MAKE_TEAM, task),
        "name": request.POST.get("name", mine.name if mine else ""),
        "affiliation": request.POST.get("affiliation", mine.affiliation if mine else ""),
        "problem": problem,
        "task_slug": task.slug,
        "tab": "submit",
        "here": "tasks",
    }
    return page(request, "no_team.html", context, status=status)


def _enter(account: Account, task: Task, name: str, affiliation: str) -> None:
    """Into a new team, or the one that the account is in for another task."""
    actor = f"account:{account.public_id}"
    with transaction.atomic():
        team = _teams_of(account).filter(name=name).first()
        if team is None:
            team = new_team(name, affiliation=affiliation, actor=actor)
        add_member(team.slug, account.email, task.slug, actor=actor)


def _teams_of(account: Account) -> QuerySet[Team]:
    return Team.objects.filter(
        memberships__account=account, memberships__left_at__isnull=True
    ).order_by("id")
