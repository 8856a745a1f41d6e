"""An account: its teams, tokens, ways to sign in, and second factor."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils import timezone

from acsbench.errors import InputError
from acsbench.server.models import Account, ApiToken, Membership, Submission, TaskRole
from acsbench.server.pages.rendering import page
from acsbench.server.pages.who import account_of, actor_of, demand, signed_in
from acsbench.server.policy import Action
from acsbench.server.problems import Problem
from acsbench.server.tokens import SCOPES, issue_on_record, revoke

__all__ = ["account", "has_second_factor"]

_DAYS = (7, 30, 90, 365)
_SHOWN = 50


def has_second_factor(account: Account) -> bool:
    """Whether an authenticator app is asked for when this account signs in."""
    return bool(Authenticator.objects.filter(user=account, type=Authenticator.Type.TOTP).exists())


@signed_in
def account(request: HttpRequest) -> HttpResponseBase:
    """Show the account; forms make and revoke tokens."""
    owner = account_of(request)
    if request.method != "POST":
        return page(request, "account.html", _context(owner))
    try:
        if request.POST.get("do") == "revoke":
            _revoke(request)
            return HttpResponseRedirect("/account/#tokens", status=303)
        return _new_token(request, owner)
    except (Problem, InputError) as refusal:
        status = refusal.status if isinstance(refusal, Problem) else 422
        return page(
            request, "account.html", _context(owner) | {"problem": str(refusal)}, status=status
        )


def _new_token(request: HttpRequest, owner: Account) -> HttpResponse:
    """Make a token; a host's can do what the host's page does, so it asks for as much."""
    if TaskRole.objects.filter(account=owner).exists() and not has_second_factor(owner):
        raise Problem(
            403,
            "second_factor_needed",
            "You look after a task: set up an authenticator app first, then make tokens.",
        )
    days = request.POST.get("days", "")
    if days not in {str(one) for one in _DAYS}:
        raise Problem(422, "bad_request", "Choose how long the token is to last.")
    made = issue_on_record(
        owner,
        scopes=[one for one in SCOPES if one in request.POST.getlist("scope")],
        expires_at=timezone.now() + timedelta(days=int(days)) - timedelta(minutes=1),
        actor=actor_of(request).name,
    )
    return page(request, "account.html", _context(owner) | {"token": made.text}, status=201)


def _revoke(request: HttpRequest) -> None:
    row = ApiToken.objects.filter(
        public_id=request.POST.get("token", ""), revoked_at__isnull=True
    ).first()
    if row is None:
        raise Problem(404, "not_found", "There is no such token of yours.")
    demand(request, Action.REVOKE_TOKEN, row)
    revoke(row, actor=actor_of(request).name)


def _context(owner: Account) -> dict[str, Any]:
    memberships = Membership.objects.filter(account=owner, left_at__isnull=True)
    teams = list(memberships.select_related("team", "task"))
    submissions = Submission.objects.filter(
        team__in=[one.team_id for one in teams],
        task_version__task__in=[one.task_id for one in teams],
    )
    now = timezone.now()
    return {
        "owner": owner,
        "teams": teams,
        "own_teams": settings.BOARD.own_teams,
        "roles": TaskRole.objects.filter(account=owner).select_related("task").order_by("id"),
        "submissions": submissions.select_related("task_version__task").order_by("-id")[:_SHOWN],
        "tokens": owner.tokens.filter(revoked_at__isnull=True, expires_at__gt=now).order_by("-id"),
        "scopes": SCOPES,
        "days": _DAYS,
        "identities": owner.identities.order_by("id"),
        "has_providers": settings.BOARD.sign_in.has_providers,
        "has_password": owner.has_usable_password(),
        "may_have_password": settings.BOARD.sign_in.password,
        "second_factor": has_second_factor(owner),
        "here": "account",
    }
