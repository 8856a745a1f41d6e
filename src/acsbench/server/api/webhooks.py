"""Webhooks of a team, or of a host."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime
from typing import Annotated, Any, Literal

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from acsbench.server import audit
from acsbench.server.api.auth import Bearer, account_for, actor_of, demand
from acsbench.server.api.schemas import Strict
from acsbench.server.models import Webhook
from acsbench.server.outgoing import check_target
from acsbench.server.policy import Action, team_of
from acsbench.server.problems import Problem
from acsbench.server.published import current_version

__all__ = ["router"]

router = Router(tags=["webhooks"], auth=Bearer())
_MOST = 10
Event = Literal["submission.scored", "submission.failed", "board.changed"]


class WebhookBody(Strict):
    """Who is told what. A member is told of the team's submissions, a host of everybody's."""

    task: str = Field(max_length=40)
    url: str = Field(max_length=500)
    events: Annotated[list[Event], Field(min_length=1, max_length=3)]


class DeliveryOut(Schema):
    """How far a message has come."""

    id: str
    event: str
    status: str
    tries: int
    answer: str
    created_at: datetime
    next_try_at: datetime | None


class WebhookOut(Schema):
    """A webhook with its last deliveries; the secret is shown once, when it is made."""

    id: str
    task: str
    team: str | None
    url: str
    events: list[str]
    secret: str | None
    deliveries: list[DeliveryOut]


class WebhookList(Schema):
    """Webhooks of the account."""

    items: list[WebhookOut]


@router.post("/webhooks", response={201: WebhookOut}, summary="New webhook")
def new_webhook(request: HttpRequest, body: WebhookBody) -> Any:
    """Ask to be told of events: signed by HMAC-SHA-256 (standardwebhooks.com), six tries."""
    actor = actor_of(request)
    task = current_version(body.task).task
    demand(actor, Action.ADD_WEBHOOK, task)
    config = settings.BOARD
    if not config.webhooks:
        raise Problem(
            409, "webhooks_off", "This board sends no webhooks: its host turned them off."
        )
    check_target(body.url, this_machine=config.webhooks_to_this_machine)
    account = account_for(actor)
    if Webhook.objects.filter(account=account).count() >= _MOST:
        raise Problem(
            409, "too_many_webhooks", f"An account has at most {_MOST}. Delete one first."
        )
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    with transaction.atomic():
        made = Webhook.objects.create(
            account=account,
            task=task,
            team=team_of(account, task),
            url=body.url,
            secret=secret,
            events=sorted(set(body.events)),
        )
        _tell(actor.name, "webhook.added", made)
    return Status(201, _out(made) | {"secret": secret})


@router.get("/webhooks", response=WebhookList, summary="Your webhooks")
def list_webhooks(request: HttpRequest) -> dict[str, Any]:
    """List the account's webhooks, each with its last deliveries."""
    actor = actor_of(request)
    if "read" not in actor.scopes:
        raise Problem(404, "not_found", "Your token may not read webhooks.")
    mine = Webhook.objects.filter(account=account_for(actor)).select_related("task", "team")
    return {"items": [_out(one) for one in mine.order_by("id")]}


@router.delete("/webhooks/{public_id}", response={204: None}, summary="Delete a webhook")
def delete_webhook(request: HttpRequest, public_id: str) -> Any:
    """Tell this address nothing more."""
    actor = actor_of(request)
    found = Webhook.objects.filter(public_id=public_id).select_related("task").first()
    if found is None:
        raise Problem(404, "not_found", "There is no such webhook of yours.")
    demand(actor, Action.DELETE_WEBHOOK, found)
    with transaction.atomic():
        _tell(actor.name, "webhook.deleted", found)
        found.delete()
    return Status(204, None)


def _tell(actor: str, action: str, webhook: Webhook) -> None:
    audit.record(
        actor=actor,
        action=action,
        object=f"webhook:{webhook.public_id}",
        detail={"task": webhook.task.slug},
    )


def _out(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.public_id,
        "task": webhook.task.slug,
        "team": webhook.team.slug if webhook.team else None,
        "url": webhook.url,
        "events": webhook.events,
        "secret": None,
        "deliveries": [
            {
                "id": one.public_id,
                **{
                    name: getattr(one, name)
                    for name in ("event", "status", "tries", "answer", "created_at", "next_try_at")
                },
            }
            for one in webhook.deliveries.order_by("-id")[:20]
        ],
    }
