"""Webhooks: signed, tried again, never into a private network, each event once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from acsbench.errors import InputError
from acsbench.server.outgoing import check_target, post

ALL_EVENTS = ["submission.scored", "submission.failed", "board.changed"]


class Listener:
    """A server of a team's own, that answers with a status."""

    def __init__(self) -> None:
        self.status = 204
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?a=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def open_world(world, settings_of_board):
    return world


@pytest.fixture
def settings_of_board(config, monkeypatch):
    from django.conf import settings

    changed = config.model_copy(update={"webhooks": True, "webhooks_to_this_machine": True})
    monkeypatch.setattr(settings, "BOARD", changed)
    return changed


def subscribe(world, who: str, url: str, events=ALL_EVENTS):
    body = {"task": "acs", "url": url, "events": list(events)}
    answer = world.call("POST", "/webhooks", who, json=body)
    assert answer.status_code == 201, answer.content
    return answer.json()


def carry(config):
    from acsbench.server.courier import Courier

    courier = Courier(config)
    courier.collect()
    while courier.deliver_next():
        pass


def test_a_team_is_told_of_its_own_and_a_host_of_everything(
    open_world, settings_of_board, listener
) -> None:
    world = open_world
    carry(settings_of_board)  # from here on
    made = subscribe(world, "ada", listener.url)
    host = subscribe(world, "host", listener.url, ["submission.scored"])
    assert (made["team"], host["team"]) == ("team-ada", None)
    mine = world.accept("ada", world.task.csv()).submission.public_id
    theirs = world.accept("bob", world.task.csv(seed=1)).submission.public_id
    world.work()
    world.call("PUT", "/tasks/acs/entry", "ada", json={"submission": mine})
    world.work()
    carry(settings_of_board)
    carry(settings_of_board)  # nothing is told twice
    secrets = {made["secret"]: [], host["secret"]: []}
    for headers, body in listener.got:
        signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
        for secret, told in secrets.items():
            key = base64.b64decode(secret.removeprefix("whsec_"))
            mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            if headers["Webhook-Signature"] == f"v1,{mac}":
                told.append(json.loads(body))
    of_team = [(one["type"], one["data"].get("submission")) for one in secrets[made["secret"]]]
    assert sorted(of_team) == [("board.changed", None), ("submission.scored", mine)]
    of_host = {one["data"]["submission"] for one in secrets[host["secret"]]}
    assert of_host == {mine, theirs}
    assert "0." not in str([body for _, body in listener.got])  # no value is told
    listed = world.call("GET", "/webhooks", "ada").json()["items"]
    assert {one["status"] for one in listed[0]["deliveries"]} == {"delivered"}
    assert listed[0]["secret"] is None


@pytest.mark.parametrize("status", [500, 302, 404])
def test_what_is_not_taken_is_tried_six_times_with_growing_pauses(
    open_world, settings_of_board, listener, status: int
) -> None:
    from django.utils import timezone

    from acsbench.server.courier import Courier
    from acsbench.server.models import Delivery

    carry(settings_of_board)
    subscribe(open_world, "ada", listener.url, ["submission.scored"])
    listener.status = status
    open_world.accept("ada", open_world.task.csv())
    open_world.work()
    courier = Courier(settings_of_board)
    courier.collect()
    pauses = []
    for _ in range(10):
        if courier.deliver_next():
            row = Delivery.objects.get()
            if row.next_try_at:
                pauses.append(round((row.next_try_at - timezone.now()).total_seconds()))
                past = timezone.now() - timedelta(seconds=1)
                Delivery.objects.update(next_try_at=past)
    row = Delivery.objects.get()
    assert (row.tries, row.status, row.answer) == (6, "given_up", str(status))
    assert len(listener.got) == 6  # and a redirect was not followed
    assert pauses == pytest.approx([30, 150, 750, 3750, 18750], abs=2)


def test_a_board_without_webhooks_says_so(world) -> None:
    body = {"task": "acs", "url": "https://x.example.org/", "events": ["board.changed"]}
    answer = world.call("POST", "/webhooks", "ada", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "webhooks_off")


PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "fe80::1",
    "fc00::1",
    "::ffff:10.0.0.1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_name_leads_into_a_private_network(address: str) -> None:
    asked = []

    def resolver(host: str, port: int) -> str:
        asked.append((host, port))
        return address

    with pytest.raises(InputError, match="not on the public internet"):
        post("https://innocent.example.org/x", b"{}", {}, resolver=resolver)
    assert asked == [("innocent.example.org", 443)]  # once
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(InputError, match="not on the public internet"):
        check_target(f"https://{literal}/x")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "https://a:b@example.org/",
        "https:///x",
        "x",
        "https://example.org:99999/",
        "https://exa mple.org/",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_public_https_address_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        check_target(url)
