"""Rate limits of this process: a bucket for each key that refills evenly.

Places of teams, which decide over scores, are counted in the database; these limits only keep one
client from taking the machine, so each web process keeps its own.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from acsbench.server.problems import Problem

__all__ = ["Limiter", "Streams"]

_MAX_KEYS = 10_000


class Limiter:
    """At most `per_minute` requests a minute for each key, as many of them at once."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Count one request.

        Raises
        ------
        Problem
            429, with the seconds to wait.
        """
        now = time.monotonic()
        rate = self.per_minute / 60
        with self._lock:
            left, at = self._buckets.get(key, (float(self.per_minute), now))
            left = min(float(self.per_minute), left + (now - at) * rate)
            granted = left >= 1
            self._buckets[key] = (left - 1 if granted else left, now)
            if len(self._buckets) > _MAX_KEYS:
                self._forget(now)
        if not granted:
            wait = max(1, round((1 - left) / rate))
            raise Problem(
                429,
                "rate_limited",
                f"More than {self.per_minute} requests of this kind in a minute. "
                f"Wait {wait} seconds.",
                headers={"Retry-After": str(wait)},
            )

    def _forget(self, now: float) -> None:
        """Drop keys whose bucket is full again: they are as new."""
        self._buckets = {key: held for key, held in self._buckets.items() if now - held[1] < 60}


class Streams:
    """How many event streams each account holds open."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._open: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def check(self, key: str) -> None:
        """Refuse one stream too many (429)."""
        if self._open[key] >= self.most:
            raise Problem(
                429,
                "too_many_streams",
                f"{self.most} event streams are open; close one first.",
                headers={"Retry-After": "5"},
            )

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Count a stream while it is open."""
        with self._lock:
            self._open[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]
