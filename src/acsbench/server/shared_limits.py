"""Buckets of rate limits that all web processes share, in PostgreSQL.

One statement refills, decides and takes. The table is not logged: after a crash of the database
every bucket is full again, which harms nobody.
"""

from __future__ import annotations

import itertools

from django.db import connection

__all__ = ["take_shared"]

_TAKE = """
INSERT INTO board_ratebucket AS b (key, level, granted, at)
VALUES (%(key)s, %(most)s - 1, true, clock_timestamp())
ON CONFLICT (key) DO UPDATE SET
    granted = {refilled} >= 1,
    level = {refilled} - CASE WHEN {refilled} >= 1 THEN 1 ELSE 0 END,
    at = clock_timestamp()
RETURNING granted, level
""".format(
    refilled="LEAST(%(most)s, b.level + EXTRACT(EPOCH FROM clock_timestamp() - b.at) * %(rate)s)"
)
_FORGET = "DELETE FROM board_ratebucket WHERE at < clock_timestamp() - interval '2 minutes'"
_FORGET_EVERY = 2000
_count = itertools.count(1)


def take_shared(key: str, *, per_minute: int) -> tuple[bool, float]:
    """Take one from a bucket; whether it was there, and how many are left."""
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE, {"key": key[:120], "most": float(per_minute), "rate": per_minute / 60}
        )
        granted, level = cursor.fetchone()
        if next(_count) % _FORGET_EVERY == 0:
            cursor.execute(_FORGET)  # whoever is idle for so long has a full bucket again
    return bool(granted), float(level)
