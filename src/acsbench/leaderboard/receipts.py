"""Receipts: Ed25519 signatures over canonical JSON, which anybody can verify offline."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acsbench.errors import BoardError, MissingDependencyError, first_few
from acsbench.leaderboard.definition import TaskVersion
from acsbench.leaderboard.secret_files import read_secret, write_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "SigningKey",
    "canonical_json",
    "make_receipt",
    "make_score_record",
    "new_signing_key",
    "public_keys",
    "read_signing_key",
    "utc_text",
    "verify",
]

_SEED_BYTES = 32
_KEY_ID_CHARACTERS = 16
_ALGORITHM = "Ed25519"


def canonical_json(record: Mapping[str, Any]) -> bytes:
    r"""Sorted keys, no spaces, and strings only: one text for one content.

    Raises
    ------
    TypeError
        On any other value than strings, and lists and mappings of such.

    Examples
    --------
    >>> canonical_json({"b": "é", "a": ["1"]})
    b'{"a":["1"],"b":"\xc3\xa9"}'
    """
    _refuse_other_than_text(record, "record")
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _refuse_other_than_text(value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} has a key that is no text: {key!r}")
            _refuse_other_than_text(one, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for at, one in enumerate(value):
            _refuse_other_than_text(one, f"{where}[{at}]")
    elif not isinstance(value, str):
        # two programs may write one number in two ways
        raise TypeError(f"{where} is a {type(value).__name__}; canonical JSON holds text alone")


def utc_text(at: datetime) -> str:
    """A time in UTC, to the second: ``2027-01-01T00:00:00Z``."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class SigningKey:
    """A private key and its name."""

    _private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        """First half of the SHA-256 of the public key's hex, as it stands in a receipt."""
        return _key_id(self.public)

    def sign(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Add ``key_id`` and ``signature`` to a record."""
        signed = {**record, "key_id": self.key_id}
        signature = self._private.sign(canonical_json(signed))
        return {**signed, "signature": base64.b64encode(signature).decode()}


def _key_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:_KEY_ID_CHARACTERS]


def _signing_key(seed: bytes) -> SigningKey:
    return SigningKey(_ed25519().Ed25519PrivateKey.from_private_bytes(seed))


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingDependencyError(
            "Receipts need the library cryptography: pip install 'acsbench[board]'."
        ) from None
    return ed25519


def new_signing_key(path: Path) -> SigningKey:
    """Write a new key with mode 0600; a file that is there is refused."""
    key = _ed25519().Ed25519PrivateKey.generate()
    write_secret(path, key.private_bytes_raw())
    return SigningKey(key)


def read_signing_key(path: Path) -> SigningKey:
    """Read a key that `new_signing_key` wrote.

    Raises
    ------
    MissingPathError, VaultError
    """
    return _signing_key(read_secret(path, n_bytes=_SEED_BYTES))


def public_keys(keys: Iterable[SigningKey]) -> dict[str, Any]:
    """What a board publishes, so that receipts can be verified."""
    return {
        "keys": [
            {
                "key_id": key.key_id,
                "algorithm": _ALGORITHM,
                "public_key": base64.b64encode(key.public).decode(),
            }
            for key in keys
        ]
    }


def make_receipt(  # noqa: PLR0913  the fields of a receipt
    *,
    submission: str,
    team: str,
    version: TaskVersion,
    label_commitment: str,
    sha256: str,
    rows: int,
    received_at: datetime,
    attestation_version: str,
    audit_seq: int,
    audit_hash: str,
    key: SigningKey,
) -> dict[str, Any]:
    """Signed proof that a file was accepted."""
    return key.sign(
        {
            "kind": "receipt",
            "submission": submission,
            "team": team,
            "task": version.task.slug,
            "task_version": version.name,
            "label_commitment": label_commitment,
            "sha256": sha256,
            "rows": str(rows),
            "received_at": utc_text(received_at),
            "attestation_version": attestation_version,
            "audit_seq": str(audit_seq),
            "audit_hash": audit_hash,
        }
    )


def make_score_record(
    *,
    submission: str,
    version: TaskVersion,
    released: Mapping[str, Any],
    scored_at: datetime,
    key: SigningKey,
) -> dict[str, Any]:
    """Signed proof of what was released of a submission; numbers are decimal strings."""
    return key.sign(
        {
            "kind": "score",
            "submission": submission,
            "task": version.task.slug,
            "task_version": version.name,
            "released": _as_text(released),
            "scored_at": utc_text(scored_at),
        }
    )


def _as_text(value: Any) -> Any:
    """The same with counts as text, and without what is empty."""
    if isinstance(value, Mapping):
        return {k: _as_text(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_as_text(one) for one in value]
    return value if isinstance(value, str) else str(value)


def verify(record: Mapping[str, Any], keys: Mapping[str, Any]) -> None:
    """Check the signature of a receipt or score record against published keys.

    Parameters
    ----------
    record : mapping
    keys : mapping
        As `public_keys` makes it.

    Raises
    ------
    BoardError
        When the key is unknown, a field is missing, or anything was changed.
    """
    missing = [name for name in ("key_id", "signature") if not isinstance(record.get(name), str)]
    if missing:
        raise BoardError(f"No signed record: it has no {' and no '.join(missing)}.")
    public = _public_key(record["key_id"], keys)
    signed = {name: value for name, value in record.items() if name != "signature"}
    ed25519 = _ed25519()
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  an extra

    try:
        signature = base64.b64decode(record["signature"], validate=True)
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, canonical_json(signed))
    except (InvalidSignature, ValueError, TypeError, RecursionError):
        raise BoardError(
            "The signature does not fit: the record was changed, or is not of this key "
            f"({record['key_id']})."
        ) from None


def _public_key(key_id: str, keys: Mapping[str, Any]) -> bytes:
    listed = keys.get("keys")
    known: dict[str, bytes] = {}
    try:
        for one in listed or ():
            if one["algorithm"] == _ALGORITHM:
                public = base64.b64decode(one["public_key"], validate=True)
                known[_key_id(public)] = public  # the name that a file claims proves nothing
    except (TypeError, KeyError, binascii.Error):
        raise BoardError("The keys are damaged: each has key_id, algorithm, public_key.") from None
    if key_id not in known:
        raise BoardError(
            f"The record was signed with key {key_id}, which is not among the keys "
            f"({first_few(list(known)) or 'none'}). Fetch the keys of the board that gave it."
        )
    return known[key_id]
