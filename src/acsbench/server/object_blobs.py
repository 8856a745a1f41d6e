"""Accepted files in an S3-compatible store: there before anything says they are."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from acsbench.errors import ConfigError, MissingDependencyError, MissingPathError, StoreError
from acsbench.server.blobs import sweep_incoming

__all__ = ["Guard", "ObjectBlobs"]

Guard = Callable[[bool], AbstractContextManager[None]]
"""Holds a lock over all processes of a board: shared, or with True for one alone."""
_THERE = ("PreconditionFailed", "ConditionalRequestConflict")
_OPTIONS = ("endpoint", "region")


class ObjectBlobs:
    """Objects of a bucket, named by the hash of their content.

    Credentials come from where boto3 looks for them: ``AWS_ACCESS_KEY_ID`` and
    ``AWS_SECRET_ACCESS_KEY``, a profile, or the role of the machine.

    Parameters
    ----------
    address : str
        ``s3://bucket/prefix?endpoint=https://store.example.org&region=eu-west-1``.
    incoming : Path
        Where uploads wait that Django keeps on the disk; swept together.
    guard : function
        Keeps a sweep from removing what is put again at that moment.
    """

    def __init__(self, address: str, *, incoming: Path, guard: Guard) -> None:
        parts = urlsplit(address)
        options = dict(parse_qsl(parts.query))
        unknown = sorted(set(options) - set(_OPTIONS))
        if parts.scheme != "s3" or not parts.netloc or unknown:
            raise ConfigError(
                f"blobs = {address!r} is no store: s3://BUCKET/PREFIX?endpoint=https://HOST. "
                f"Known options: {', '.join(_OPTIONS)}."
            )
        prefix = parts.path.strip("/")
        self.bucket = parts.netloc
        self.prefix = f"{prefix}/" if prefix else ""
        self.incoming = incoming
        self._guard = guard
        self._client = _client(options)

    def put(self, content: bytes, *, sha256: str) -> None:
        """Write content; the store answers when it is durable, and checks the hash itself.

        Content that is there already gets a new date, which keeps it from a sweep that runs
        before its submission is recorded.
        """
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        with self._guard(False):
            new = {
                "Bucket": self.bucket,
                "Key": self._key(sha256),
                "Body": content,
                "ChecksumSHA256": checksum,
            }
            try:
                self._client.put_object(**new, IfNoneMatch="*")
            except self._client.exceptions.ClientError as error:
                if _code(error) not in _THERE:
                    raise
                if self.holds(sha256):
                    self._renew(sha256)
                else:
                    self._client.put_object(**new)  # what is there is damaged

    def holds(self, sha256: str) -> bool:
        """Whether the content is there, whole."""
        try:
            self.get(sha256)
        except (StoreError, MissingPathError):
            return False
        return True

    def _renew(self, sha256: str) -> None:
        self._client.copy_object(
            Bucket=self.bucket,
            Key=self._key(sha256),
            CopySource={"Bucket": self.bucket, "Key": self._key(sha256)},
            MetadataDirective="REPLACE",
            ChecksumAlgorithm="SHA256",
        )

    def get(self, sha256: str) -> bytes:
        """Read content, and refuse it when it no longer has its hash.

        Raises
        ------
        MissingPathError, StoreError
            When the object is gone or damaged.
        """
        where = f"s3://{self.bucket}/{self._key(sha256)}"
        try:
            answer = self._client.get_object(Bucket=self.bucket, Key=self._key(sha256))
        except self._client.exceptions.ClientError as error:
            if _code(error) in ("NoSuchKey", "404"):
                raise MissingPathError(f"{where} is missing. Restore it.") from None
            raise
        content: bytes = answer["Body"].read()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StoreError(f"{where} is damaged: its SHA-256 is not its name. Restore it.")
        return content

    def all(self) -> Iterator[str]:
        """Hashes of all objects, sorted."""
        for key, _ in self._listed():
            yield key

    def is_usable(self) -> bool:
        """Whether the store answers."""
        try:
            self._client.head_bucket(Bucket=self.bucket)
        except Exception:  # whatever it is: the store cannot be used now
            return False
        return True

    def sweep(self, known: Callable[[], Container[str]], *, before: float) -> int:
        """Remove objects that nothing refers to, older than a time; see `Blobs.sweep`."""
        removed = sweep_incoming(self.incoming, before=before)
        old = [key for key, modified in self._listed() if modified < before]
        keep = known() if old else ()
        return removed + sum(self._remove(key, before) for key in old if key not in keep)

    def _remove(self, sha256: str, before: float) -> bool:
        with self._guard(True):  # no `put` between look and removal
            head = self._client.head_object(Bucket=self.bucket, Key=self._key(sha256))
            is_old: bool = head["LastModified"].timestamp() < before
            if is_old:
                self._client.delete_object(Bucket=self.bucket, Key=self._key(sha256))
        return is_old

    def _listed(self) -> Iterator[tuple[str, float]]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=f"{self.prefix}blobs/"):
            for one in page.get("Contents", ()):
                yield one["Key"].rpartition("/")[2], one["LastModified"].timestamp()

    def _key(self, sha256: str) -> str:
        return f"{self.prefix}blobs/{sha256}"


def _code(error: Any) -> str:
    return str(error.response["Error"]["Code"])


def _client(options: dict[str, str]) -> Any:
    try:
        import boto3  # noqa: PLC0415  an extra
        from botocore.config import Config  # noqa: PLC0415  as above
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "Files in S3 need boto3, which is not installed: pip install 'acsbench[s3]'."
        ) from None
    return boto3.client(
        "s3",
        endpoint_url=options.get("endpoint"),
        region_name=options.get("region"),
        config=Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5),
    )
