"""What `serve` has to tell may take its time, and its failure ends the board."""

from __future__ import annotations

import signal
import threading

import pytest

from acsbench.errors import StepError


@pytest.fixture
def supervisor(config, monkeypatch):
    """One whose processes are not started; signals are given back."""
    from acsbench.server.serve import Supervisor, listen

    monkeypatch.setattr(Supervisor, "_restart_ended", lambda _: None)
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    yield Supervisor(config, listen(config.model_copy(update={"port": 0})))
    for one, handler in before.items():
        signal.signal(one, handler)


def test_processes_are_looked_after_while_something_is_told(supervisor) -> None:
    watched, told = threading.Event(), []
    supervisor._restart_ended = watched.set

    def tell(facts) -> None:
        watched.clear()
        assert watched.wait(20)
        told.append(facts["address"])
        supervisor._stop.set()

    supervisor.run(tell=tell)
    assert [address.partition("127.0.0.1")[0] for address in told] == ["http://"]


def test_what_cannot_be_told_ends_the_board(supervisor) -> None:
    def tell(_) -> None:
        raise StepError("The demo cannot be filled.")

    with pytest.raises(StepError, match="cannot be filled"):
        supervisor.run(tell=tell)
    assert supervisor.listener.fileno() == -1
