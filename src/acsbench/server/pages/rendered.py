"""Pages that are the same for everybody, kept as the bytes that leave: plain, gzip, zstd."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified

__all__ = ["Body", "Rendered", "RenderedPages", "answer", "chosen"]

_GZIP_LEVEL = 6

_zstd: Callable[[bytes], bytes] | None
try:  # in the standard library from Python 3.14 on
    _zstd = import_module("compression.zstd").compress
except ModuleNotFoundError:
    _zstd = None


@dataclass(frozen=True)
class Body:
    """Bytes in one encoding, with the hash that names them."""

    content: bytes
    encoding: str

    @cached_property
    def etag(self) -> str:
        """Hash of these very bytes: it tells nothing that the page does not."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


@dataclass(frozen=True)
class Rendered:
    """A page as it was drawn; other encodings are made when somebody first takes them."""

    html: bytes

    @cached_property
    def plain(self) -> Body:
        """As it is."""
        return Body(self.html, "")

    @cached_property
    def gzip(self) -> Body:
        """Compressed; the same page gives the same bytes."""
        return Body(gzip.compress(self.html, _GZIP_LEVEL, mtime=0), "gzip")

    @cached_property
    def zstd(self) -> Body:
        """Compressed for browsers that know it, where this Python does."""
        return self.gzip if _zstd is None else Body(_zstd(self.html), "zstd")


def chosen(rendered: Rendered, accepted: str) -> Body:
    """The smallest body that a client takes; `accepted` is its ``Accept-Encoding``."""
    offered = {part.strip().split(";")[0] for part in accepted.lower().split(",")}
    if "zstd" in offered and _zstd is not None:
        return rendered.zstd
    return rendered.gzip if "gzip" in offered and "gzip;q=0" not in accepted else rendered.plain


class RenderedPages:
    """The last pages drawn, by what they were drawn from: another key is another page."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._pages: OrderedDict[Hashable, Rendered] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, draw: Callable[[], str]) -> Rendered:
        """The page of this key, drawn if it is not here."""
        with self._lock:
            found = self._pages.get(key)
            if found is not None:
                self._pages.move_to_end(key)
                return found
        made = Rendered(draw().encode())
        with self._lock:
            self._pages[key] = made
            while len(self._pages) > self._most:
                self._pages.popitem(last=False)
        return made

    def peek(self, key: Hashable) -> Rendered | None:
        """The page if it is here."""
        return self._pages.get(key)


def answer(request: HttpRequest, rendered: Rendered) -> HttpResponse:
    """Answer with the page, or with 304 to whoever has these bytes already."""
    body = chosen(rendered, request.headers.get("Accept-Encoding", ""))
    headers = {"ETag": body.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if request.headers.get("If-None-Match") == body.etag:
        return HttpResponseNotModified(headers=headers)
    if body.encoding:
        headers["Content-Encoding"] = body.encoding
    return HttpResponse(body.content, headers=headers)
