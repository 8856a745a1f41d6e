"""A new board's folders and keys, and whose they are."""

from __future__ import annotations

import json
import os
import pwd
import secrets
from pathlib import Path

from acsbench.errors import ConfigError, MissingPathError, first_few
from acsbench.leaderboard.master_key import new_master_key
from acsbench.leaderboard.receipts import SigningKey, new_signing_key, public_keys
from acsbench.provenance import atomic_text
from acsbench.server.config import CONFIG_NAME, ServerConfig
from acsbench.server.sign_in.session_key import SESSION_KEY, make_session_key
from acsbench.server.stores import METRICS_TOKEN, PUBLIC_KEYS, RECEIPT_KEY, SCORE_KEY

__all__ = ["create_folders", "give_to_users", "has_two_users"]

_WEBS = ("blobs", "incoming")
_WORKERS = ("vaults", "worker")
_CONFIG_TEXT = """\
# Every key is optional; `acsbench server doctor` shows the values in use.
# host = "127.0.0.1"
# port = 8000
# public_url = "https://board.example.org"  # behind a proxy with TLS
# vault_key = "file:keys/vault.key"    # or "env:NAME", or "command:..." that prints it
# web_user = ""                        # users of the two processes, when root starts them
# worker_user = ""
"""


def create_folders(config: ServerConfig) -> list[str]:
    """Make what is not there yet: folders, keys, a commented configuration.

    Returns
    -------
    list of str
        What was made, relative to the data folder; empty when everything was there.
    """
    made: list[str] = []
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in (*_WEBS, *_WORKERS, "keys", "backups"):
        folder = config.data / name
        if not folder.is_dir():
            folder.mkdir(parents=True, mode=0o700 if name in _WORKERS else 0o755)
            made.append(f"{name}/")
    if not (config.data / CONFIG_NAME).exists():
        atomic_text(config.data / CONFIG_NAME, _CONFIG_TEXT)
        made.append(CONFIG_NAME)
    made += _create_keys(config)
    give_to_users(config)
    return made


def _create_keys(config: ServerConfig) -> list[str]:
    made = []
    kind, _, path = config.vault_key.partition(":")
    if kind == "file" and not (config.data / path).exists():
        _refuse_to_replace_the_key(config, path)
        new_master_key(config.data / path)
        made.append(path)
    for name in (RECEIPT_KEY, SCORE_KEY):
        if not (config.keys / name).exists():
            _publish(config, new_signing_key(config.keys / name))
            made.append(f"keys/{name}")
    if not (config.keys / SESSION_KEY).exists():
        make_session_key(config.keys)
        made.append(f"keys/{SESSION_KEY}")
    token = config.keys / METRICS_TOKEN
    if not token.exists():
        token.touch(mode=0o600)
        token.write_text(f"{secrets.token_urlsafe(24)}\n", encoding="ascii")
        made.append(f"keys/{METRICS_TOKEN}")
    return made


def _refuse_to_replace_the_key(config: ServerConfig, path: str) -> None:
    """A new key would open none of the vaults that are there."""
    sealed = sorted(one.name for one in config.vaults.glob("*.vault"))
    if sealed:
        raise MissingPathError(
            f"The vault key {config.data / path} is missing, and nothing else opens "
            f"{first_few(sealed)}. Copy it back from where you keep your keys; everything else is "
            "in place."
        )


def _publish(config: ServerConfig, key: SigningKey) -> None:
    """Add a public key to those that verify; old ones stay, for old receipts."""
    path = config.keys / PUBLIC_KEYS
    known = json.loads(path.read_text(encoding="utf-8"))["keys"] if path.exists() else []
    keys = [*known, *public_keys([key])["keys"]]
    atomic_text(path, json.dumps({"keys": keys}, indent=1) + "\n")


def has_two_users(config: ServerConfig) -> bool:
    """Whether web and worker run as users of their own: only root can start them so."""
    if bool(config.web_user) != bool(config.worker_user):
        raise ConfigError("board.toml needs both of web_user and worker_user, or neither.")
    return bool(config.web_user) and os.geteuid() == 0


def give_to_users(config: ServerConfig) -> None:
    """Give each process its files: database and blobs to both, keys and labels to one.

    The web user's group is what both share.
    """
    if not has_two_users(config):
        return
    web, worker = pwd.getpwnam(config.web_user), pwd.getpwnam(config.worker_user)
    for folder in (config.data, *(config.data / name for name in _WEBS)):
        os.chown(folder, web.pw_uid, web.pw_gid)
        folder.chmod(0o2770)
    for shared in (*config.data.glob("board.sqlite3*"), *config.blob_folder.rglob("*")):
        os.chown(shared, web.pw_uid, web.pw_gid)
        shared.chmod(0o2770 if shared.is_dir() else 0o660)
    for name in _WORKERS:
        for path in (config.data / name, *(config.data / name).rglob("*")):
            os.chown(path, worker.pw_uid, worker.pw_gid)
    for name, user in (
        (RECEIPT_KEY, web),
        (METRICS_TOKEN, web),
        (SESSION_KEY, web),
        (SCORE_KEY, worker),
        (Path(config.vault_key.partition(":")[2]).name, worker),
    ):
        if (config.keys / name).is_file():
            os.chown(config.keys / name, user.pw_uid, user.pw_gid)
