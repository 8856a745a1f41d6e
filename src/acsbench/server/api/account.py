"""Tokens of the account that asks."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from acsbench.server.api.auth import Bearer, account_for, actor_of, demand
from acsbench.server.api.schemas import TokenBody, TokenOut
from acsbench.server.models import ApiToken
from acsbench.server.policy import Action
from acsbench.server.problems import Problem
from acsbench.server.tokens import issue_on_record, revoke

__all__ = ["router"]

router = Router(tags=["account"], auth=Bearer())


@router.post("/tokens", response={201: TokenOut}, summary="New token")
def new_token(request: HttpRequest, body: TokenBody) -> Any:
    """Make a token with at most the scopes and the lifetime of the one that asks."""
    actor = actor_of(request)
    if actor.token is None or not set(body.scopes) <= actor.scopes:
        raise Problem(422, "too_much", "A token cannot give scopes that it does not have itself.")
    ends = min(body.expires_at or actor.token.expires_at, actor.token.expires_at)
    made = issue_on_record(
        account_for(actor), scopes=body.scopes, expires_at=ends, actor=actor.name
    )
    return Status(
        201,
        {
            "id": made.row.public_id,
            "token": made.text,
            "scopes": made.row.scopes,
            "expires_at": made.row.expires_at,
        },
    )


@router.delete("/tokens/{public_id}", response={204: None}, summary="Revoke a token")
def revoke_token(request: HttpRequest, public_id: str) -> Any:
    """End a token of the same account, at once."""
    actor = actor_of(request)
    row = ApiToken.objects.filter(public_id=public_id, revoked_at__isnull=True).first()
    if row is None:
        raise Problem(404, "not_found", "There is no such token of yours.")
    demand(actor, Action.REVOKE_TOKEN, row)
    revoke(row, actor=actor.name)
    return HttpResponse(status=204)
