"""Move a board into a larger house: its files to an object store, its rows to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, zip_longest

from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connections, transaction
from django.db.models import Model

from acsbench.errors import InputError, StepError
from acsbench.leaderboard.audit import verify_chain
from acsbench.parallel import progress
from acsbench.server import audit
from acsbench.server.config import ServerConfig
from acsbench.server.postgres import postgres_settings
from acsbench.server.stores import blobs, blobs_at

__all__ = ["Moved", "move_files", "move_rows"]

_TARGET = "move_target"
_CHUNK = 500
_MADE_BY_MIGRATE = ("contenttypes", "auth")


@dataclass(frozen=True)
class Moved:
    """How much was moved, and how much was there from an earlier attempt.

    Attributes
    ----------
    n : int
        Files or rows that are in the new place, every one of them compared.
    n_before : int
        Of these, found there already.
    """

    n: int
    n_before: int = 0


def move_files(config: ServerConfig, address: str) -> Moved:
    """Copy every accepted file to an object store, and read each back; a stopped run goes on.

    The old files stay where they are.

    Raises
    ------
    StoreError, MissingPathError
        When a file is damaged or missing here, or is not what it should be there.
    """
    source, target = blobs(config), blobs_at(address, config)
    hashes = list(source.all())
    there = set(target.all())
    n_before = 0
    for sha256 in progress(hashes, label="files", total=len(hashes)):
        if sha256 in there and target.holds(sha256):
            n_before += 1
        else:
            target.put(source.get(sha256), sha256=sha256)
            target.get(sha256)
    return Moved(len(hashes), n_before)


def move_rows(address: str) -> Moved:
    """Copy every row into an empty PostgreSQL database, in one transaction, and compare.

    Nothing can be written to the board meanwhile. What was stopped left nothing, and starts anew.

    Raises
    ------
    InputError
        When the database holds a board already.
    StepError
        When it does not end with the same rows.
    """
    with _target(address):
        call_command("migrate", database=_TARGET, verbosity=0, interactive=False)
        tables = [
            one
            for one in apps.get_models(include_auto_created=True)
            if one._meta.managed and one._meta.app_label not in _MADE_BY_MIGRATE
        ]
        taken = [
            one._meta.db_table for one in tables if one._default_manager.using(_TARGET).exists()
        ]
        if taken:
            raise InputError(f"The database holds a board already ({taken[0]} has rows).")
        # on SQLite a transaction begins with the write lock: what is copied is one moment
        with transaction.atomic(), transaction.atomic(using=_TARGET):
            n = sum(_copy(one) for one in tables)
            _verify(tables)
    return Moved(n)


@contextmanager
def _target(address: str) -> Iterator[None]:
    settings = connections["default"].settings_dict | postgres_settings(address)
    connections.settings[_TARGET] = settings
    try:
        yield
    finally:
        connections[_TARGET].close()
        del connections[_TARGET]
        del connections.settings[_TARGET]


def _copy(model: type[Model]) -> int:
    """Copy one table with its keys, and let new rows be counted on from there."""
    rows = model._default_manager.using("default").order_by("pk").iterator(chunk_size=_CHUNK)
    n = 0
    while chunk := list(islice(rows, _CHUNK)):
        n += len(model._default_manager.using(_TARGET).bulk_create(chunk))
    target = connections[_TARGET]
    with target.cursor() as cursor:
        for statement in target.ops.sequence_reset_sql(no_style(), [model]):
            cursor.execute(statement)
    return n


def _verify(models: list[type[Model]]) -> None:
    """Compare every row by its values, and the audit chain by its hashes."""
    for model in models:
        here, there = (
            model._default_manager.using(name).order_by("pk").values().iterator(_CHUNK)
            for name in ("default", _TARGET)
        )
        for ours, theirs in zip_longest(here, there):
            if ours != theirs:
                raise StepError(f"A row of {model._meta.db_table} is not the same there.")
    verify_chain(audit.chain(using=_TARGET))
