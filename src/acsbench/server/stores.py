"""The stores beside the database: accepted files, and keys that sign what the board says."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from acsbench.leaderboard.receipts import SigningKey, read_signing_key
from acsbench.server.blobs import Blobs
from acsbench.server.config import ServerConfig

__all__ = [
    "METRICS_TOKEN",
    "PUBLIC_KEYS",
    "RECEIPT_KEY",
    "SCORE_KEY",
    "blobs",
    "published_keys",
    "signing_key",
]

RECEIPT_KEY = "receipts.key"
"""The web process signs with it that a file was accepted."""
SCORE_KEY = "scores.key"
"""The worker signs with it what was released: the web process cannot."""
PUBLIC_KEYS = "public-keys.json"
METRICS_TOKEN = "metrics.token"  # noqa: S105  the name of a file


def blobs(config: ServerConfig) -> Blobs:
    """Accepted files and id lists of a board."""
    return Blobs(config.blobs, incoming=config.incoming)


@lru_cache(maxsize=2)
def signing_key(config: ServerConfig, name: str) -> SigningKey:
    """A key of this process, read once."""
    return read_signing_key(config.keys / name)


def published_keys(config: ServerConfig) -> dict[str, Any]:
    """The public keys of all there are and were."""
    found: dict[str, Any] = json.loads((config.keys / PUBLIC_KEYS).read_text(encoding="utf-8"))
    return found
