"""The board's page before Django is asked: one read over indexes, then bytes that are there.

Only what everybody gets is answered here: the page as it is without filter and order, when this
process has drawn it already. Anything else goes on to the view, which draws it.
"""

from __future__ import annotations

import re

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from acsbench.server.config import ServerConfig
from acsbench.server.headers import security_headers
from acsbench.server.pages.confirm import Confirm
from acsbench.server.pages.rendered import Body, RenderedPages, chosen

__all__ = ["EarlyBoard"]

_BOARD = re.compile(r"/tasks/([a-z][a-z0-9_-]{0,39})/board/")


class EarlyBoard:
    """An ASGI application around another one that serves board pages from memory.

    On SQLite alone: a read there takes microseconds, while another database would hold up
    everybody else's requests. It writes no log line and counts no request.

    Parameters
    ----------
    app : ASGI application
    config : ServerConfig
    pages : RenderedPages
        What the view of the board has drawn.
    confirm : Confirm
        Says which board is published.
    """

    def __init__(
        self, app: ASGI3Application, config: ServerConfig, pages: RenderedPages, confirm: Confirm
    ) -> None:
        self.app = app
        self._pages = pages
        self._confirm = confirm
        same = {**security_headers(config), "Content-Type": "text/html; charset=utf-8"}
        same |= {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        self._headers = [(k.lower().encode(), v.encode()) for k, v in same.items()]

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            asked = _BOARD.fullmatch(scope["path"])
            if asked is not None:
                sent = {k: v for k, v in scope["headers"] if k in _SENT}
                body = self._find(asked[1], sent.get(b"accept-encoding", b"").decode("latin-1"))
                if body is not None:
                    await self._answer(body, sent.get(b"if-none-match", b""), send)
                    return
        await self.app(scope, receive, send)

    def _find(self, slug: str, accepted: str) -> Body | None:
        published = self._confirm.published(slug)
        if published is None:
            return None
        page = self._pages.peek((*published, "", "all", "rank"))
        return None if page is None else chosen(page, accepted)

    async def _answer(self, body: Body, known: bytes, send: ASGISendCallable) -> None:
        etag = body.etag.encode()
        is_known = known == etag
        content = b"" if is_known else body.content
        headers = [*self._headers, (b"etag", etag)]
        if not is_known:
            headers.append((b"content-length", str(len(content)).encode()))
        if body.encoding and not is_known:
            headers.append((b"content-encoding", body.encoding.encode()))
        await send(
            {
                "type": "http.response.start",
                "status": 304 if is_known else 200,
                "headers": headers,
                "trailers": False,
            }
        )
        await send({"type": "http.response.body", "body": content, "more_body": False})


_SENT = (b"accept-encoding", b"if-none-match")
