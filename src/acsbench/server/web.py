"""The web process: takes files and answers. It starts without the vault key."""

from __future__ import annotations

import os
import signal
import socket
from importlib import import_module
from typing import cast

import uvicorn
from asgiref.typing import ASGI3Application
from django.conf import settings

from acsbench.server.config import ServerConfig
from acsbench.server.edge import Edge
from acsbench.server.handler import BoardHandler
from acsbench.server.limited_http import LimitedHttp
from acsbench.server.logs import log
from acsbench.server.pages.early import EarlyBoard
from acsbench.server.parent import leave_with_parent

__all__ = ["main"]

_DRAIN_S = 20


def main(config: ServerConfig, descriptor: str) -> None:
    """Serve on a listening socket that the parent holds, so that a restart refuses nobody."""
    leave_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    django = cast("ASGI3Application", BoardHandler())
    import_module(settings.ROOT_URLCONF)  # now, not while the first visitor waits
    board_page = import_module("acsbench.server.pages.board_page")
    server = uvicorn.Server(
        uvicorn.Config(
            EarlyBoard(Edge(django, config), config, board_page.PAGES, board_page.confirm()),
            http=LimitedHttp,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
            timeout_keep_alive=15,
            backlog=1024,
        )
    )
    log("web.started", pid=os.getpid())
    server.run(sockets=[socket.socket(fileno=int(descriptor))])
    log("web.stopped", pid=os.getpid())
