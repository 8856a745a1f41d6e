"""The one configuration of a board: a data folder and the file ``board.toml`` in it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from acsbench.errors import ConfigError
from acsbench.provenance import StepConfig, parse_config
from acsbench.server.sign_in.config import SignIn

__all__ = ["CONFIG_NAME", "Processes", "RateLimits", "ServerConfig", "load_config"]

CONFIG_NAME = "board.toml"
Seconds = Annotated[float, Field(gt=0)]


class RateLimits(StepConfig):
    """Requests a minute before the answer is 429; a burst of the same size is allowed.

    Attributes
    ----------
    per_address : int
        All requests of one network address.
    per_account : int
        All requests with the tokens of one account.
    checks, uploads : int
        Files one account may have checked, or may send.
    streams : int
        Event streams one account may hold open at once.
    """

    per_address: int = Field(default=600, gt=0)
    per_account: int = Field(default=300, gt=0)
    checks: int = Field(default=20, gt=0)
    uploads: int = Field(default=20, gt=0)
    streams: int = Field(default=8, gt=0)


class Processes(StepConfig):
    """How many processes `serve` starts; more than one of a kind needs PostgreSQL.

    Attributes
    ----------
    web, workers : int
    """

    web: int = Field(default=1, ge=1, le=64)
    workers: int = Field(default=1, ge=0, le=64)


class ServerConfig(StepConfig):
    """Where a board keeps its things, and its limits.

    Attributes
    ----------
    data : Path
        Folder of database, files, keys and backups. On a local disk.
    host, port : str, int
        Where the web process listens; port 0 takes a free one.
    public_url : str
        Where people reach the board: ``https://board.example.org`` behind a proxy with TLS. Empty
        means plain http on this machine: cookies then go without ``Secure`` and ``__Host-``.
    database : str
        Empty for SQLite in the data folder, or ``postgresql://user:password@host/name``.
    processes : Processes
    blobs : str
        Empty for files in the data folder, or
        ``s3://bucket/prefix?endpoint=https://store.example.org`` with credentials in the
        environment.
    vault_key : str
        Where the worker finds the master key: ``file:PATH`` (relative to the data folder),
        ``env:NAME``, or ``command:...`` which prints it.
    web_user, worker_user : str
        Users the two processes run as when `serve` is started by root; empty keeps its own.
    lease_seconds, renew_seconds, poll_seconds : float
        How long a worker owns a submission, how often it says it is alive, how often it looks.
    max_attempts : int
        Leases that may expire before a submission has failed.
    idle_upload_seconds, whole_upload_seconds : float
        An upload without progress, or not finished by then, is cut off.
    max_upload_bytes : int
        Largest request of all; each task has its own, smaller limit by its number of rows.
    orphan_hours : float
        Files without a submission are removed after that.
    key_days : float
        How long an idempotency key is remembered.
    webhooks : bool
        Whether `serve` starts the courier, which calls the addresses that teams and hosts gave.
    webhook_pause_seconds : float
        Before the second of six tries; each later pause is five times as long.
    webhooks_to_this_machine : bool
        Allow plain http to this machine. For tests.
    notice : str
        A sentence at the head of every page: that this is a demo, say.
    own_teams : bool
        Whether somebody who is signed in may make a team; else the operator makes every one.
    licence : str
        Address of the terms under which the board's tables may be used, for catalogues.
    limits : RateLimits
    sign_in : SignIn
        How people come into their accounts; tokens work in any case.
    """

    data: Path = Path("board-data")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: str = Field(default="", pattern=r"^(https?://[^/\s]+)?$")
    database: str = Field(default="", pattern=r"^(postgres(ql)?://\S+)?$")
    processes: Processes = Processes()
    blobs: str = Field(default="", pattern=r"^(s3://\S+)?$")
    vault_key: str = "file:keys/vault.key"
    web_user: str = ""
    worker_user: str = ""
    lease_seconds: Seconds = 60.0
    renew_seconds: Seconds = 15.0
    poll_seconds: Seconds = 0.1
    max_attempts: int = Field(default=3, gt=0)
    idle_upload_seconds: Seconds = 60.0
    whole_upload_seconds: Seconds = 600.0
    max_upload_bytes: int = Field(default=32 * 1024 * 1024, gt=0)
    orphan_hours: Seconds = 24.0
    key_days: Seconds = 7.0
    webhooks: bool = False
    webhook_pause_seconds: Seconds = 30.0
    webhooks_to_this_machine: bool = False
    notice: str = Field(default="", max_length=300)
    own_teams: bool = False
    licence: str = Field(default="", pattern=r"^(https?://\S+)?$")
    limits: RateLimits = RateLimits()
    sign_in: SignIn = SignIn()

    @model_validator(mode="after")
    def _renewal_comes_before_expiry(self) -> Self:
        if self.renew_seconds * 2 > self.lease_seconds:
            raise ValueError(
                f"renew_seconds = {self.renew_seconds:g} must be at most half of lease_seconds = "
                f"{self.lease_seconds:g}, so that one late renewal does not lose a lease"
            )
        return self

    @model_validator(mode="after")
    def _many_processes_share_a_server(self) -> Self:
        if not self.database and max(self.processes.web, self.processes.workers) > 1:
            raise ValueError(
                "several processes of a kind need PostgreSQL: set "
                'database = "postgresql://user:password@host/name"'
            )
        return self

    @property
    def is_secure(self) -> bool:
        """Whether people reach the board over TLS."""
        return self.public_url.startswith("https://")

    @property
    def address(self) -> str:
        """Where people reach the board, as far as the configuration says."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def blob_folder(self) -> Path:
        """Accepted files, by their SHA-256, when they are on this disk."""
        return self.data / "blobs"

    @property
    def incoming(self) -> Path:
        """Uploads while they arrive, when they are large."""
        return self.data / "incoming"

    @property
    def vaults(self) -> Path:
        """Encrypted labels, one file per task version; the worker's."""
        return self.data / "vaults"

    @property
    def scores(self) -> Path:
        """Encrypted results at full precision; the worker's."""
        return self.data / "worker"

    @property
    def keys(self) -> Path:
        """Signing keys and the secrets of the web process; the vault key if it is a file."""
        return self.data / "keys"

    @property
    def backups(self) -> Path:
        """Copies of the database made before migrations."""
        return self.data / "backups"

    @property
    def sqlite_file(self) -> Path | None:
        """The database file, or None when the database is another one."""
        return None if self.database else self.data / "board.sqlite3"


def load_config(data: Path) -> ServerConfig:
    """Read ``board.toml`` of a data folder; without one, every value is its default.

    Raises
    ------
    ConfigError
        Naming each key, the rule it breaks, and the nearest known key.
    """
    path = data / CONFIG_NAME
    values = {}
    if path.is_file():
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}.") from None
    return parse_config(ServerConfig, {**values, "data": data}, where=str(path))
