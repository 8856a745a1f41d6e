"""The key that signs sessions and form tokens; made once, the web process' own."""

from __future__ import annotations

import secrets
from pathlib import Path

from acsbench.leaderboard.secret_files import write_secret_bytes

__all__ = ["SESSION_KEY", "make_session_key", "read_session_key"]

SESSION_KEY = "session.key"
_BYTES = 48


def make_session_key(keys: Path) -> None:
    """Write a new key that its owner alone can read; never over another."""
    write_secret_bytes(keys / SESSION_KEY, f"{secrets.token_urlsafe(_BYTES)}\n".encode())


def read_session_key(keys: Path) -> str:
    """The key, or one of this process alone where it cannot be read.

    The worker may not read it and signs nothing; what another process signs with a key of its own,
    no other one accepts.
    """
    try:
        return (keys / SESSION_KEY).read_text(encoding="ascii").strip()
    except OSError:
        return secrets.token_urlsafe(_BYTES)
