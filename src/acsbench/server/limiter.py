"""Rate limits: a bucket for each key that refills evenly.

A board on SQLite has one web process, which keeps the buckets in its memory; on PostgreSQL all
web processes share those of the database.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from acsbench.server.problems import Problem
from acsbench.server.shared_limits import take_shared

__all__ = ["Limiter", "Streams"]

_MAX_KEYS = 10_000


class Limiter:
    """At most `per_minute` requests a minute for each key, as many of them at once.

    Parameters
    ----------
    per_minute : int
    name : str
        Keeps the keys of one limit apart from those of others.
    """

    def __init__(self, per_minute: int, name: str = "") -> None:
        self.per_minute = per_minute
        self.name = name
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    @property
    def is_shared(self) -> bool:
        """Whether the buckets are in the database; asking it may then wait."""
        return settings.BOARD.sqlite_file is None

    def take(self, key: str) -> None:
        """Count one request.

        Raises
        ------
        Problem
            429, with the seconds to wait.
        """
        if self.is_shared:
            granted, left = take_shared(f"{self.name}:{key}", per_minute=self.per_minute)
        else:
            granted, left = self._take_here(key)
        if not granted:
            wait = max(1, round((1 - left) / (self.per_minute / 60)))
            raise Problem(
                429,
                "rate_limited",
                f"More than {self.per_minute} requests of this kind in a minute. "
                f"Wait {wait} seconds.",
                headers={"Retry-After": str(wait)},
            )

    def _take_here(self, key: str) -> tuple[bool, float]:
        now = time.monotonic()
        rate = self.per_minute / 60
        with self._lock:
            left, at = self._buckets.get(key, (float(self.per_minute), now))
            left = min(float(self.per_minute), left + (now - at) * rate)
            granted = left >= 1
            self._buckets[key] = (left - 1 if granted else left, now)
            if len(self._buckets) > _MAX_KEYS:
                self._forget(now)
        return granted, left

    def _forget(self, now: float) -> None:
        """Drop keys whose bucket is full again: they are as new."""
        self._buckets = {key: held for key, held in self._buckets.items() if now - held[1] < 60}


class Streams:
    """How many event streams each account holds open at this web process."""

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
