"""Who asks: a bearer token, never a cookie."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from ninja.security import HttpBearer

from acsbench.server.limiter import Limiter
from acsbench.server.models import Account, Task
from acsbench.server.policy import Action, Actor, Target, may
from acsbench.server.problems import Problem
from acsbench.server.tokens import account_of

__all__ = ["Bearer", "account_for", "actor_of", "demand"]


class Bearer(HttpBearer):
    """Turns a token into an actor and counts the request for its account."""

    def __init__(self) -> None:
        super().__init__()
        self._limiter = Limiter(settings.BOARD.limits.per_account, "account")

    def authenticate(self, _request: HttpRequest, token: str) -> Actor | None:
        """Return the actor behind a token; None, which is 401, for any other text."""
        row = account_of(token)
        if row is None:
            return None
        self._limiter.take(row.account.public_id)
        return Actor(row.account, frozenset(row.scopes), row)


def actor_of(request: HttpRequest) -> Actor:
    """The actor that `Bearer` found."""
    actor: Actor = request.auth  # type: ignore[attr-defined]  # ninja puts it there
    return actor


def account_for(actor: Actor) -> Account:
    """The account behind an actor that has passed `Bearer`."""
    if actor.account is None:
        raise Problem(401, "unauthorized", "Send `Authorization: Bearer acsb_...`.")
    return actor.account


def demand(actor: Actor, action: Action, target: Target, *, task: Task | None = None) -> None:
    """Refuse with 404 what the policy does not allow: others' objects do not exist.

    Raises
    ------
    Problem
    """
    if not may(actor, action, target, task=task):
        raise Problem(
            404,
            "not_found",
            f"There is nothing at this address, or your token may not {action.value}.",
        )
