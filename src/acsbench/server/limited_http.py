"""HTTP by httptools, with a limit on what comes before a body.

The parser itself takes request lines and headers of any length, and keeps them in memory.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["MAX_HEAD", "LimitedHttp"]

MAX_HEAD = 16 * 1024
"""Bytes of request line and headers together; more is answered with 400."""


class LimitedHttp(HttpToolsProtocol):
    """uvicorn's protocol, which refuses a head beyond `MAX_HEAD`."""

    _is_in_head = True
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a head that does not end is counted by what has arrived of it."""
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self.send_400_response(f"Request line and headers exceed {MAX_HEAD} bytes.")

    def on_message_begin(self) -> None:
        """Count anew."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Refuse a long head that arrived at once: the parser turns the error into a 400."""
        self._is_in_head = False
        sizes = (len(name) + len(value) for name, value in self.headers)
        if len(self.url) + sum(sizes) > MAX_HEAD:
            raise ValueError("the head is too long")
        super().on_headers_complete()
