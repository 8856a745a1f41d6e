"""Who looks at a page, and what the policy lets them do there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from urllib.parse import urlencode

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect

from acsbench.server.models import Account, Submission, Task
from acsbench.server.policy import VISITOR, Action, Actor, Target, may
from acsbench.server.problems import Problem
from acsbench.server.tokens import SCOPES

__all__ = ["account_of", "actor_of", "demand", "signed_in", "submission_of"]

View = Callable[..., HttpResponseBase]


def actor_of(request: HttpRequest) -> Actor:
    """The account of this session, with every scope; a visitor without one."""
    user: Account | AnonymousUser = request.user
    if not isinstance(user, Account) or not user.is_active:
        return VISITOR
    return Actor(user, frozenset(SCOPES))


def account_of(request: HttpRequest) -> Account:
    """The account of this session, behind `signed_in`."""
    account = actor_of(request).account
    if account is None:
        raise Problem(401, "unauthorized", "Sign in first.")
    return account


def signed_in(view: View) -> View:
    """Lead whoever is not signed in to where they can, and back again."""

    @functools.wraps(view)
    def shown(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if actor_of(request).account is None:
            back = urlencode({"next": request.get_full_path()})
            return HttpResponseRedirect(f"/account/login/?{back}")
        return view(request, *args, **kwargs)

    return shown


def demand(
    request: HttpRequest, action: Action, target: Target, *, task: Task | None = None
) -> None:
    """Refuse with 404 what the policy does not allow: others' objects do not exist.

    Raises
    ------
    Problem
    """
    if not may(actor_of(request), action, target, task=task):
        raise _nothing_here()


def submission_of(request: HttpRequest, public_id: str, action: Action) -> Submission:
    """A submission that the visitor may do this to; 404 for any other."""
    found = (
        Submission.objects.select_related("team", "task_version__task", "account")
        .filter(public_id=public_id)
        .first()
    )
    if found is None:
        raise _nothing_here()
    demand(request, action, found)
    return found


def _nothing_here() -> Problem:
    return Problem(
        404, "not_found", "There is nothing at this address, or nothing that your account may see."
    )
