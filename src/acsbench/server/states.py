"""The states of a submission and the only ways between them."""

from __future__ import annotations

__all__ = ["EDGES", "FINAL"]

EDGES = frozenset(
    {
        ("queued", "scoring"),  # a worker took the lease
        ("scoring", "scored"),
        ("scoring", "failed"),  # the lease expired for the last time
        ("scored", "withdrawn"),  # by the team
        ("scored", "disqualified"),  # by a host, with a public reason
    }
)

FINAL = frozenset({"scored", "failed", "withdrawn", "disqualified"})
"""No worker touches these again."""
