"""The vault key, read where it is needed: by the worker, and by an operator's command."""

from __future__ import annotations

from acsbench.leaderboard.master_key import read_master_key
from acsbench.server.config import ServerConfig

__all__ = ["master_key"]


def master_key(config: ServerConfig) -> bytes:
    """The vault key, from where the configuration says; a path is taken from the data folder."""
    kind, _, rest = config.vault_key.partition(":")
    return read_master_key(f"file:{config.data / rest}" if kind == "file" else config.vault_key)
