"""The board's page before Django is asked: one read over indexes, then bytes that are there.

Only what everybody gets is answered here: the page as it is without filter and order, when this
process has drawn it already. Anything else goes on to the view, which draws it.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import suppress
from pathlib import Path

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from acsbench.server.config import ServerConfig
from acsbench.server.headers import security_headers
from acsbench.server.pages.rendered import Body, RenderedPages, chosen

__all__ = ["EarlyBoard"]

_BOARD = re.compile(r"/tasks/([a-z][a-z0-9_-]{0,39})/board/")
_PUBLISHED = """
SELECT s.task_version_id, s.document_sha256 FROM board_boardstate s
JOIN board_taskversion v ON v.id = s.task_version_id JOIN board_task t ON t.id = v.task_id
WHERE t.slug = ? AND v.state IN ('open', 'closed')
"""


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
    """

    def __init__(self, app: ASGI3Application, config: ServerConfig, pages: RenderedPages) -> None:
        self.app = app
        self._pages = pages
        self._file = config.sqlite_file
        self._database: sqlite3.Connection | None = None
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
        published = self._published(slug)
        if published is None:
            return None
        page = self._pages.peek((*published, "", "all", "rank"))
        return None if page is None else chosen(page, accepted)

    def _published(self, slug: str) -> tuple[int, str] | None:
        """Version and hash of a board as the database has them now."""
        if self._file is None:
            return None
        with suppress(sqlite3.Error):  # the view says what is wrong
            if self._database is None:
                self._database = _open(self._file)
            found: tuple[int, str] | None = self._database.execute(_PUBLISHED, (slug,)).fetchone()
            return found
        self._database = None
        return None

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


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=0.05, isolation_level=None)
