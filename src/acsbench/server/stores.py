"""The stores beside the database: accepted files, and keys that sign what the board says."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator
from functools import lru_cache, partial
from typing import Any, Protocol

from acsbench.leaderboard.receipts import SigningKey, read_signing_key
from acsbench.server.blobs import Blobs
from acsbench.server.config import ServerConfig
from acsbench.server.object_blobs import ObjectBlobs
from acsbench.server.turns import sweep_guard

__all__ = [
    "METRICS_TOKEN",
    "PUBLIC_KEYS",
    "RECEIPT_KEY",
    "SCORE_KEY",
    "BlobStore",
    "blobs",
    "blobs_at",
    "published_keys",
    "signing_key",
]

RECEIPT_KEY = "receipts.key"
"""The web process signs with it that a file was accepted."""
SCORE_KEY = "scores.key"
"""The worker signs with it what was released: the web process cannot."""
PUBLIC_KEYS = "public-keys.json"
METRICS_TOKEN = "metrics.token"  # noqa: S105  the name of a file


class BlobStore(Protocol):
    """Where accepted files are: written durably before anybody is told, read by their hash."""

    def put(self, content: bytes, *, sha256: str) -> None:
        """Write content; a new date for what is there."""

    def get(self, sha256: str) -> bytes:
        """Read content and compare its hash."""

    def all(self) -> Iterator[str]:
        """Hashes of everything, sorted."""

    def is_usable(self) -> bool:
        """Whether files can be taken now."""

    def sweep(self, known: Callable[[], Container[str]], *, before: float) -> int:
        """Remove what nothing refers to and is older than a time."""


def blobs(config: ServerConfig) -> BlobStore:
    """Accepted files and id lists of a board."""
    if config.blobs:
        return blobs_at(config.blobs, config)
    return Blobs(config.blob_folder, incoming=config.incoming)


@lru_cache(maxsize=4)
def blobs_at(address: str, config: ServerConfig) -> ObjectBlobs:
    """The store at an address; connections are kept for the whole of a process."""
    return ObjectBlobs(address, incoming=config.incoming, guard=partial(sweep_guard, config))


@lru_cache(maxsize=2)
def signing_key(config: ServerConfig, name: str) -> SigningKey:
    """A key of this process, read once."""
    return read_signing_key(config.keys / name)


def published_keys(config: ServerConfig) -> dict[str, Any]:
    """The public keys of all there are and were."""
    found: dict[str, Any] = json.loads((config.keys / PUBLIC_KEYS).read_text(encoding="utf-8"))
    return found
