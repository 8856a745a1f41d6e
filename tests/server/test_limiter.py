from __future__ import annotations

import threading

import pytest


def test_a_burst_is_granted_and_then_one_at_a_time(config, monkeypatch) -> None:
    from acsbench.server.limiter import Limiter
    from acsbench.server.problems import Problem

    limiter = Limiter(6, "burst")
    for _ in range(6):
        limiter.take("ada")
    with pytest.raises(Problem) as refused:
        limiter.take("ada")
    assert refused.value.status == 429
    assert 9 <= int(refused.value.headers["Retry-After"]) <= 10
    limiter.take("bob")


def test_parallel_requests_share_one_bucket(config) -> None:
    """On PostgreSQL over connections of their own, as over several web processes."""
    from django.db import connection

    from acsbench.server.limiter import Limiter
    from acsbench.server.problems import Problem

    limits = (
        [Limiter(20, "parallel")]
        if config.sqlite_file
        else [Limiter(20, "parallel"), Limiter(20, "parallel")]
    )
    granted = []

    def ask(limiter: Limiter) -> None:
        try:
            for _ in range(10):
                limiter.take("ada")
                granted.append(1)
        except Problem:
            pass
        connection.close()

    threads = [threading.Thread(target=ask, args=(limits[n % len(limits)],)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 20 <= len(granted) <= 24  # a slow machine refills one every three seconds
