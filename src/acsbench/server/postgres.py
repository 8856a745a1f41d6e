"""PostgreSQL by its address, as Django wants it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["postgres_settings"]

_DURABLE = "-c synchronous_commit=on -c lock_timeout=60s"
_POOL = 8


def postgres_settings(address: str, *, pooled: bool = False) -> dict[str, Any]:
    """Django's settings of ``postgresql://user:password@host:port/name?sslmode=require``.

    A query may hold whatever libpq knows, and ``host=/folder`` for a unix socket. Without a user or
    a password libpq asks its own environment and ``~/.pgpass``. Whatever the instance says, what
    is acknowledged is on its disk.
    """
    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query))
    host = options.pop("host", "") or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "OPTIONS": {
            **options,
            "options": _DURABLE,
            # each request has a thread of its own, so connections wait for it in a pool
            **({"pool": {"min_size": 1, "max_size": _POOL, "timeout": 10}} if pooled else {}),
        },
    }
