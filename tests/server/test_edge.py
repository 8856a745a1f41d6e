from __future__ import annotations

import asyncio
import json

import pytest

from acsbench.server.config import ServerConfig


async def ask(app, config, events, headers=()):
    from acsbench.server.edge import Edge

    sent = []
    waiting = list(events)

    async def receive():
        event = waiting.pop(0) if waiting else {"type": "http.disconnect"}
        await asyncio.sleep(event.pop("after", 0))
        return event

    async def send(event) -> None:
        sent.append(event)

    await Edge(app, config)({"type": "http", "headers": list(headers)}, receive, send)
    return sent


async def reads_all(scope, receive, send) -> None:
    """As Django does: read the body, give up on a disconnect."""
    n = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        n += len(event["body"])
        if not event["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(n).encode()})


def piece(body: bytes, *, more: bool, after: float = 0.0):
    return {"type": "http.request", "body": body, "more_body": more, "after": after}


LIMITS = ServerConfig(max_upload_bytes=100, idle_upload_seconds=0.2, whole_upload_seconds=0.5)


def test_a_body_within_the_limits_passes_untouched() -> None:
    events = [piece(b"x" * 50, more=True), piece(b"y" * 50, more=False)]
    assert asyncio.run(ask(reads_all, LIMITS, events))[1]["body"] == b"100"


@pytest.mark.parametrize(
    ("events", "headers", "status"),
    [
        ([piece(b"x" * 40, more=True) for _ in range(3)], (), 413),
        ([], ((b"content-length", b"101"),), 413),
        ([piece(b"x", more=True), piece(b"x", more=True, after=1.0)], (), 408),
        ([piece(b"x", more=True, after=0.15) for _ in range(9)], (), 408),
    ],
    ids=["too many bytes", "says so itself", "stands still", "drips"],
)
def test_what_is_too_large_or_too_slow_is_cut_off(events, headers, status) -> None:
    sent = asyncio.run(ask(reads_all, LIMITS, events, headers))
    assert sent[0]["status"] == status
    assert json.loads(sent[1]["body"])["status"] == status


def test_a_sender_of_too_much_hears_so_and_is_read_as_far_again_and_no_further() -> None:
    from acsbench.server.edge import Edge

    waiting, sent = [piece(b"x" * 40, more=n < 8) for n in range(9)], []

    async def receive():
        return waiting.pop(0)

    async def send(event) -> None:
        sent.append(event)

    scope = {"type": "http", "headers": [(b"content-length", b"360")]}
    asyncio.run(Edge(reads_all, LIMITS)(scope, receive, send))
    assert sent[0]["status"] == 413
    assert len(waiting) == 6  # 120 bytes were read, where 100 are allowed


def test_a_long_answer_is_not_cut_off() -> None:
    async def streams(scope, receive, send) -> None:
        await receive()
        gone = asyncio.create_task(receive())  # as Django listens for a disconnect
        await asyncio.sleep(0.6)
        assert not gone.done()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone.cancel()

    events = [piece(b"", more=False), piece(b"", more=False, after=5.0)]
    assert asyncio.run(ask(streams, LIMITS, events))[0]["status"] == 200
