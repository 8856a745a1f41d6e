"""Django as an ASGI application whose threads are kept from one request to the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
from asgiref.sync import ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries

__all__ = ["BoardHandler"]

_MOST_IDLE = 16


class BoardHandler(ASGIHandler):
    """Each request has a thread to itself, as in Django, but takes one that waits if there is one.

    Django starts and joins two threads a request, which costs more than a small page does, and
    goes to one of them before the request to do again what it has done after the last: there a
    connection beyond its age was closed already.
    """

    def __init__(self) -> None:
        django.setup(set_prefix=False)
        super().__init__()
        for once_is_enough in (close_old_connections, reset_queries):
            request_started.disconnect(once_is_enough)
        self._idle: list[ThreadPoolExecutor] = []

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one request."""
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(max_workers=1)
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, receive, send)
        finally:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(thread)
            else:
                thread.shutdown(wait=False)
