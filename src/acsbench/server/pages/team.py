"""A team: who it is, and what it shows on which board."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from acsbench.server.models import Entry, Submission, Team
from acsbench.server.pages.card_form import card_fields
from acsbench.server.pages.rendering import page
from acsbench.server.pages.who import actor_of
from acsbench.server.policy import Action, may
from acsbench.server.problems import Problem

__all__ = ["team"]

_MOST = 200


def team(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a team to all; its submissions to its members."""
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise Problem(404, "not_found", "There is no such team here.")
    entries = Entry.objects.filter(team=found, until__isnull=True).select_related(
        "submission", "task_version__task"
    )
    rows = Submission.objects.filter(team=found).select_related("team", "task_version__task")
    actor = actor_of(request)
    mine = [one for one in rows.order_by("-id")[:_MOST] if may(actor, Action.READ_SUBMISSION, one)]
    gone = [one for one in rows.order_by("-id") if one.state == "disqualified"]
    context = {
        "team": found,
        "entries": [
            (one, [(part.label, part.words) for part in card_fields(one.submission.card)])
            for one in entries
        ],
        "submissions": mine,
        "disqualified": gone,
        "here": "tasks",
    }
    return page(request, "team.html", context)
