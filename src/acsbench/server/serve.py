"""The small parent of a board: its web, worker and courier processes, started again when they end.

It holds the listening socket, so that connections wait while a web process starts again, and
the write end of each child's standard input, so that no child outlives it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from acsbench.errors import InputError
from acsbench.server.config import ServerConfig
from acsbench.server.logs import log
from acsbench.server.setup import has_two_users

__all__ = ["Supervisor", "listen"]

Role = Literal["web", "worker", "courier"]
_Facts = Mapping[str, Any]
_LOOK_EVERY_S = 0.05
_QUICK_DEATH_S = 5.0
_DRAIN_S = 30.0


def listen(config: ServerConfig) -> socket.socket:
    """Open the listening socket.

    Raises
    ------
    InputError
        When the address is taken or not of this machine.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise InputError(
            f"Cannot listen on {config.host}:{config.port}: {error.strerror}. "
            "Take another with --port."
        ) from None
    return listener


@dataclass
class _Child:
    role: Role
    number: int = 1
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    quick_deaths: int = 0

    @property
    def name(self) -> str:
        """``web``, ``web-2``, ..."""
        return self.role if self.number == 1 else f"{self.role}-{self.number}"

    def start_at(self, max_pause_s: float) -> float:
        """When it may start again: at once, later and later when it keeps ending early."""
        pause = 0.25 * 2**self.quick_deaths if self.quick_deaths > 2 else 0.0
        return self.started + min(max_pause_s, pause)


@dataclass
class Supervisor:
    """Keeps all processes running until it is told to stop.

    Attributes
    ----------
    config : ServerConfig
    listener : socket
    max_pause_s : float
        Longest wait before a process that keeps ending early is started again.
    """

    config: ServerConfig
    listener: socket.socket
    max_pause_s: float = 10.0
    _children: list[_Child] = field(init=False)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        counts: dict[Role, int] = {
            "web": self.config.processes.web,
            "worker": self.config.processes.workers,
            "courier": int(self.config.webhooks),
        }
        self._children = [
            _Child(role, number) for role, n in counts.items() for number in range(1, n + 1)
        ]

    def run(self, *, tell: Callable[[_Facts], None]) -> None:
        """Start all, restart any, and drain on SIGTERM or SIGINT.

        Parameters
        ----------
        tell : function
            Called once with the address and the processes, when all have been started, in a
            thread: it may take its time. What it raises ends the board, and is raised here.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        try:
            self._restart_ended()
            told = _in_background(tell, {"address": self.address, **self.pids})
            while not self._stop.wait(_LOOK_EVERY_S):
                self._restart_ended()
                if told.done():
                    told.result()
        finally:
            self._drain()

    @property
    def address(self) -> str:
        """Where the board answers."""
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by role: ``web``, ``web-2``, ``worker``."""
        return {one.name: one.process.pid for one in self._children if one.process}

    def _restart_ended(self) -> None:
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                lived = time.monotonic() - child.started
                child.quick_deaths = child.quick_deaths + 1 if lived < _QUICK_DEATH_S else 0
                log("process.ended", role=child.name, status=child.process.returncode)
                _close(child.process)
                child.process = None
            if child.process is None and time.monotonic() >= child.start_at(self.max_pause_s):
                child.process = self._spawn(child.role)
                child.started = time.monotonic()

    def _spawn(self, role: Role) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "acsbench.server", role, str(self.config.data)]
        shared: tuple[int, ...] = ()
        if role == "web":
            shared = (self.listener.fileno(),)
            command.append(str(self.listener.fileno()))
        return subprocess.Popen(  # noqa: S603  our own interpreter, no shell
            command,
            stdin=subprocess.PIPE,
            pass_fds=shared,
            env=environment_for(role, self.config),
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then drains
            umask=0o007,
            **_as_user(role, self.config),
        )

    def _drain(self) -> None:
        """Ask all to finish what they do; end them when they do not."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        ends_at = time.monotonic() + _DRAIN_S
        for process in running:
            try:
                process.wait(max(0.1, ends_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _close(process)
        self.listener.close()


def _in_background(work: Callable[[_Facts], None], facts: _Facts) -> Future[None]:
    """Do something in a thread that keeps nobody from leaving."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            work(facts)
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


def environment_for(role: Role, config: ServerConfig) -> dict[str, str]:
    """Environment of a child: this one; the vault key, if it is there, reaches the worker alone."""
    kind, _, name = config.vault_key.partition(":")
    hidden = {name} if kind == "env" and role != "worker" else set()
    return {key: value for key, value in os.environ.items() if key not in hidden}


def _as_user(role: Role, config: ServerConfig) -> dict[str, Any]:
    """Arguments that start a child as its own user; the web user's group is shared."""
    if not has_two_users(config):
        return {}
    web = pwd.getpwnam(config.web_user)
    own = pwd.getpwnam(config.worker_user) if role == "worker" else web
    return {"user": own.pw_uid, "group": own.pw_gid, "extra_groups": [web.pw_gid]}


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
