"""What comes before a body is counted, at once or in drips."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from acsbench.server.limited_http import MAX_HEAD, LimitedHttp

START = b"GET /tasks/ HTTP/1.1\r\nhost: board\r\n"


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


async def answers(pieces: Iterable[bytes]) -> tuple[list[bytes], bool]:
    """Status lines of what is answered, and whether the connection was closed."""
    config = uvicorn.Config(app, http=LimitedHttp, ws="none", lifespan="off", log_config=None)
    protocol = LimitedHttp(config=config, server_state=ServerState(), app_state={})
    transport = Transport()
    protocol.connection_made(transport)
    for piece in pieces:
        if transport.closed:
            break
        protocol.data_received(piece)
        for _ in range(5):
            await asyncio.sleep(0)
    was_closed = transport.closed
    protocol.connection_lost(None)
    lines = [line for line in transport.written.split(b"\r\n") if line.startswith(b"HTTP/1.1")]
    return lines, was_closed


OK, REFUSED = b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request"
LONG = b"x" * (MAX_HEAD + 1)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([START + b"\r\n"], [OK]),
        ([START + b"\r\n"] * 3, [OK] * 3),
        ([START + b"a: " + b"x" * (MAX_HEAD - 200) + b"\r\n\r\n"] * 3, [OK] * 3),
        ([START + b"a: " + LONG + b"\r\n\r\n"], [REFUSED]),
        ([b"GET /" + LONG + b" HTTP/1.1\r\nhost: board\r\n\r\n"], [REFUSED]),
        ([START, *(b"a: " + b"x" * 1000 + b"\r\n" for _ in range(40))], [REFUSED]),
        ([START + b"a: ", *(b"x" * 1000 for _ in range(40))], [REFUSED]),
        ([b"GET /", *(b"x" * 1000 for _ in range(40))], [REFUSED]),
        ([START + b"\r\n", START + b"a: ", *(b"x" * 1000 for _ in range(40))], [OK, REFUSED]),
        ([START + b"content-length: 60000\r\n\r\n", b"x" * 60000, START + b"\r\n"], [OK, OK]),
    ],
    ids=[
        *("short", "three", "below", "header", "path"),
        *("headers", "drips", "path-drips", "second", "body"),
    ],
)
def test_a_head_has_a_limit_and_a_body_is_no_part_of_it(
    pieces: list[bytes], lines: list[bytes]
) -> None:
    found, closed = asyncio.run(answers(pieces))
    assert found == lines
    assert closed == (lines[-1] == REFUSED)
