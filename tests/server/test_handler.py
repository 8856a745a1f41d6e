"""Threads of the web process: one for each request at a time, kept for the next."""

from __future__ import annotations

import asyncio
import threading

from asgiref.sync import sync_to_async


def test_requests_have_a_thread_each_and_leave_it_to_the_next(config, monkeypatch) -> None:
    from acsbench.server import handler

    monkeypatch.setattr(handler, "_MOST_IDLE", 2)
    at_once, used = 3, []

    class Asking(handler.BoardHandler):
        async def handle(self, scope, receive, send) -> None:
            first = await sync_to_async(threading.current_thread)()
            await meeting.wait()
            assert await sync_to_async(threading.current_thread)() == first
            used.append(first)

    async def three_and_three() -> None:
        nonlocal meeting
        for _ in range(2):
            meeting = asyncio.Barrier(at_once)
            await asyncio.gather(*(app({"type": "http"}, None, None) for _ in range(at_once)))

    meeting = None
    app = Asking()
    asyncio.run(three_and_three())
    assert len(set(used[:at_once])) == at_once
    assert len(set(used[at_once:])) == at_once
    assert len(set(used[:at_once]) & set(used[at_once:])) == 2
    assert len(app._idle) == 2
