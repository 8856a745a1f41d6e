"""Limits on what arrives, before Django sees it: bytes, silence, and time in all."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPRequestEvent,
    Scope,
)

from acsbench.server.config import ServerConfig
from acsbench.server.logs import log
from acsbench.server.problems import CONTENT_TYPE, Problem, problem_body

__all__ = ["Edge"]


class Edge:
    """An ASGI application around another one that cuts off uploads beyond the limits.

    Parameters
    ----------
    app : ASGI application
    config : ServerConfig
    """

    def __init__(self, app: ASGI3Application, config: ServerConfig) -> None:
        self.app = app
        self.config = config

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        guard = _Body(receive, self.config)
        answered = False

        async def watched(event: ASGISendEvent) -> None:
            nonlocal answered
            answered = True
            await send(event)

        too_large = _declared_bytes(scope) > self.config.max_upload_bytes
        if not too_large:
            await self.app(scope, guard.receive, watched)
        problem = _too_large(self.config) if too_large else guard.problem
        if problem is not None and not answered:
            if problem.status == 413:
                await guard.discard()
            await _refuse(problem, send)


class _Body:
    """The body of one request: counted and timed while it arrives."""

    def __init__(self, receive: ASGIReceiveCallable, config: ServerConfig) -> None:
        self._receive = receive
        self._config = config
        self._bytes = 0
        self._ends_at = time.monotonic() + config.whole_upload_seconds
        self._is_complete = False
        self.problem: Problem | None = None

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece; a disconnect once a limit is reached."""
        if self._is_complete:
            return await self._receive()
        left = min(self._config.idle_upload_seconds, self._ends_at - time.monotonic())
        try:
            async with asyncio.timeout(max(0.0, left)):
                event = await self._receive()
        except TimeoutError:
            return self._cut(Problem(408, "too_slow", "The upload stood still or took too long."))
        if event["type"] == "http.request":
            self._count(event)
            if self._bytes > self._config.max_upload_bytes:
                return self._cut(_too_large(self._config))
        return event

    async def discard(self) -> None:
        """Read on, as far again as is allowed, and keep nothing.

        A connection that is closed on a sender is reset, and it never hears the answer.
        """
        most = self._bytes + self._config.max_upload_bytes
        while not self._is_complete and self._bytes < most:
            left = min(self._config.idle_upload_seconds, self._ends_at - time.monotonic())
            try:
                async with asyncio.timeout(max(0.0, left)):
                    event = await self._receive()
            except TimeoutError:
                return
            if event["type"] != "http.request":
                return
            self._count(event)

    def _count(self, event: HTTPRequestEvent) -> None:
        self._bytes += len(event["body"])
        self._is_complete = not event["more_body"]

    def _cut(self, problem: Problem) -> ASGIReceiveEvent:
        self.problem = problem
        return {"type": "http.disconnect"}


def _declared_bytes(scope: Any) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _too_large(config: ServerConfig) -> Problem:
    return Problem(
        413, "too_large", f"The request is larger than {config.max_upload_bytes:,} bytes."
    )


async def _refuse(problem: Problem, send: ASGISendCallable) -> None:
    request_id = secrets.token_hex(8)
    log("request.cut", status=problem.status, code=problem.code, request_id=request_id)
    body = json.dumps(problem_body(problem, request_id=request_id)).encode()
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": headers,
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
