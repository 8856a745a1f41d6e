"""Whether everything a board has acknowledged is still there, and unchanged."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

from acsbench.errors import AcsbenchError
from acsbench.leaderboard.audit import verify_chain
from acsbench.leaderboard.receipts import verify
from acsbench.server import audit
from acsbench.server.config import ServerConfig
from acsbench.server.models import Audit, Result, Submission, TaskVersion
from acsbench.server.stores import blobs, published_keys
from acsbench.server.triggers import missing_triggers

__all__ = ["find_damage"]


def find_damage(config: ServerConfig) -> list[str]:
    """Look at chain, files, receipts and score records; empty when all is well."""
    return [*_rules(), *_chain(), *_files(config), *_receipts(config)]


def _rules() -> Iterator[str]:
    for name in missing_triggers(connection):
        yield f"The database does not keep the rule {name}; `acsbench server init` puts it back."


def _chain() -> Iterator[str]:
    try:
        verify_chain(audit.chain())
    except AcsbenchError as error:
        yield str(error)


def _files(config: ServerConfig) -> Iterator[str]:
    store = blobs(config)
    hashes = {
        *Submission.objects.values_list("sha256", flat=True),
        *TaskVersion.objects.values_list("ids_blob", flat=True),
    }
    for sha256 in sorted(hashes):
        try:
            store.get(sha256)
        except AcsbenchError as error:
            yield str(error)
    for version in TaskVersion.objects.select_related("task"):
        if not (config.vaults / f"{version.name}.vault").is_file():
            yield f"The vault of {version.name} is missing."


def _receipts(config: ServerConfig) -> Iterator[str]:
    keys = published_keys(config)
    chain = dict(Audit.objects.values_list("seq", "hash"))
    for row in Submission.objects.order_by("id").iterator():
        receipt = row.receipt
        try:
            verify(receipt, keys)
        except AcsbenchError as error:
            yield f"Receipt of {row.public_id}: {error}"
            continue
        told = (receipt["submission"], receipt["sha256"], receipt["audit_hash"])
        if told != (row.public_id, row.sha256, chain.get(int(receipt["audit_seq"]))):
            yield f"Receipt of {row.public_id} tells of something else than its row."
    for result in Result.objects.select_related("submission").order_by("id").iterator():
        try:
            verify(result.record, keys)
        except AcsbenchError as error:
            yield f"Score record of {result.submission.public_id}: {error}"
