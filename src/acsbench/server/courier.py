"""The courier: a process of its own that tells webhooks what has happened.

The worker, which knows the labels, has no network; the web process takes from strangers and should
not call them. So a third process reads what the audit chain and the boards say, writes a delivery
for whoever asked, and sends it. `serve` starts it where ``webhooks = true``: without, a board opens
no connection to anybody.
"""

from __future__ import annotations

import http.client
import json
import time
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from acsbench.errors import InputError
from acsbench.server import audit
from acsbench.server.config import ServerConfig
from acsbench.server.logs import log
from acsbench.server.models import (
    Audit,
    BoardState,
    CourierPlace,
    Delivery,
    Submission,
    TaskVersion,
    Webhook,
)
from acsbench.server.outgoing import Resolve, post, resolve, signature
from acsbench.server.parent import told_to_stop

__all__ = ["EVENTS", "MAX_TRIES", "Courier", "main"]

EVENTS = ("submission.scored", "submission.failed", "board.changed")
MAX_TRIES = 6
_GROWTH = 5
_CLAIM_S = 60
_CHUNK = 200


def main(config: ServerConfig) -> None:
    """Carry until a signal comes or the parent is gone."""
    stop = told_to_stop()
    courier = Courier(config)
    log("courier.started")
    while not stop.is_set():
        courier.collect()
        if not courier.deliver_next():
            stop.wait(1.0)
    log("courier.stopped")


class Courier:
    """Turns events into deliveries, and deliveries into messages."""

    def __init__(self, config: ServerConfig, *, resolver: Resolve = resolve) -> None:
        self.config = config
        self._resolver = resolver

    def collect(self) -> int:
        """Write a delivery for each webhook that asked for what is new; return how many."""
        return self._from_audit() + self._from_boards()

    def _from_audit(self) -> int:
        """Scored and failed submissions, each once: the place moves in the same transaction."""
        last = audit.head()
        place, is_new = CourierPlace.objects.get_or_create(
            name="audit", defaults={"position": last.seq if last else 0}
        )
        if is_new:
            return 0
        with transaction.atomic():
            place = CourierPlace.objects.select_for_update().get(name="audit")
            rows = list(Audit.objects.filter(seq__gt=place.position).order_by("seq")[:_CHUNK])
            if not rows:
                return 0
            n = sum(_tell_of_submission(row) for row in rows if row.action in EVENTS)
            place.position = rows[-1].seq
            place.save()
        return n

    def _from_boards(self) -> int:
        n = 0
        places = dict(CourierPlace.objects.values_list("name", "position"))
        for state in BoardState.objects.only("id", "version", "task_version_id"):
            name = f"board:{state.pk}"
            if places.get(name) == state.version:
                continue
            with transaction.atomic():
                if name in places:
                    n += _tell_of_board(state)
                CourierPlace.objects.update_or_create(
                    name=name, defaults={"position": state.version}
                )
        return n

    def deliver_next(self) -> bool:
        """Send one message that is due; False when there is none."""
        delivery = self._claim()
        if delivery is None:
            return False
        answer, is_fine = self._send(delivery)
        delivery.answer = answer[:100]
        if is_fine:
            delivery.status, delivery.next_try_at = "delivered", None
        elif delivery.tries >= MAX_TRIES:
            delivery.status, delivery.next_try_at = "given_up", None
        else:
            pause = self.config.webhook_pause_seconds * _GROWTH ** (delivery.tries - 1)
            delivery.next_try_at = timezone.now() + timedelta(seconds=pause)
        delivery.save(update_fields=["answer", "status", "next_try_at"])
        log("webhook.tried", delivery=delivery.public_id, tries=delivery.tries, fine=is_fine)
        return True

    def _claim(self) -> Delivery | None:
        """Count the try before it is made: what dies while sending is tried again later."""
        with transaction.atomic():
            rows = Delivery.objects.filter(next_try_at__lte=timezone.now()).order_by("next_try_at")
            if connection.features.has_select_for_update:
                rows = rows.select_for_update(skip_locked=True)
            delivery = rows.first()
            if delivery is None:
                return None
            delivery.tries += 1
            delivery.next_try_at = timezone.now() + timedelta(seconds=_CLAIM_S)
            delivery.save(update_fields=["tries", "next_try_at"])
        return delivery

    def _send(self, delivery: Delivery) -> tuple[str, bool]:
        webhook, body = delivery.webhook, delivery.body.encode()
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "acsbench-board",
            "Webhook-Id": delivery.public_id,
            "Webhook-Timestamp": str(now),
            "Webhook-Signature": signature(webhook.secret, delivery.public_id, now, body),
        }
        try:
            status = post(
                webhook.url,
                body,
                headers,
                this_machine=self.config.webhooks_to_this_machine,
                resolver=self._resolver,
            )
        except InputError as refusal:
            return str(refusal), False
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__, False
        return str(status), 200 <= status < 300


def _tell_of_submission(row: Audit) -> int:
    submission = (
        Submission.objects.select_related("team", "task_version__task")
        .filter(public_id=row.object.partition(":")[2])
        .first()
    )
    if submission is None:
        return 0
    version = submission.task_version
    asked = Webhook.objects.filter(task=version.task).filter(
        Q(team=submission.team) | Q(team__isnull=True)
    )
    data = {
        "submission": submission.public_id,
        "team": submission.team.slug,
        "task": version.task.slug,
        "task_version": version.name,
    }
    return _write(list(asked), row.action, data)


def _tell_of_board(state: BoardState) -> int:
    version = TaskVersion.objects.select_related("task").get(pk=state.task_version_id)
    data: dict[str, str | int] = {
        "task": version.task.slug,
        "task_version": version.name,
        "board_version": state.version,
    }
    return _write(list(Webhook.objects.filter(task=version.task)), "board.changed", data)


def _write(webhooks: list[Webhook], event: str, data: dict[str, str | int] | dict[str, str]) -> int:
    """No value is told: who is told of a score asks for it with a token."""
    at = timezone.now().replace(second=0, microsecond=0).isoformat()
    body = json.dumps({"type": event, "timestamp": at, "data": data}, sort_keys=True)
    asked = [one for one in webhooks if event in one.events]
    Delivery.objects.bulk_create(Delivery(webhook=one, event=event, body=body) for one in asked)
    return len(asked)
