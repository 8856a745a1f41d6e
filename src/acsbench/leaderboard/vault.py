"""The vault: labels, patients and subgroups of one task version, encrypted.

AES-256-GCM with the task version as associated data. The data key is wrapped by the master key,
so that a new master key rewraps it and leaves the table as it is. Only the worker has the master
key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import VaultError
from acsbench.leaderboard.definition import TaskVersion
from acsbench.leaderboard.encryption import decrypt, encrypt, new_key
from acsbench.leaderboard.scoring import Truth
from acsbench.leaderboard.truth_table import KEYS, check_truth

__all__ = ["Sealed", "Vault", "commitment", "open_vault", "rotate", "seal"]

_FORMAT = "acsbench-vault-1"
_SALT_BYTES = 32


class Sealed(NamedTuple):
    """Bytes of a vault, and what is published of it."""

    data: bytes
    commitment: str


@dataclass(frozen=True, eq=False)
class Vault:
    """An open vault; lives in the worker's memory only."""

    frame: pl.DataFrame
    salt: bytes
    version: TaskVersion

    def __repr__(self) -> str:
        return f"Vault of {self.version.name}"

    @property
    def commitment(self) -> str:
        """See `commitment`."""
        return commitment(self.salt, self.version.ids, self.frame["label"].to_list())

    @cached_property
    def truth(self) -> Truth:
        """The table as arrays."""
        names = self.frame["patient_id"].to_numpy()
        patients = np.unique(names, return_inverse=True)[1].astype(np.intp)
        subgroups = {
            name: tuple(self.frame[name].fill_null("").to_list())
            for name in self.frame.columns
            if name not in KEYS
        }
        part = _split_part(patients, self.salt, self.version.task.release.split_share)
        return Truth(self.frame["label"].to_numpy(), patients, subgroups, part)


def commitment(salt: bytes, ids: Sequence[str], labels: Sequence[int]) -> str:
    """SHA-256 over the salt and the table ``ecg_id,label``: published before, checked after.

    The salt keeps anybody from trying labels until one fits.
    """
    rows = "".join(f"{ecg_id},{label}\n" for ecg_id, label in zip(ids, labels, strict=True))
    return hashlib.sha256(salt + b"ecg_id,label\n" + rows.encode()).hexdigest()


def _split_part(patients: NDArray[np.intp], salt: bytes, share: float) -> NDArray[np.bool_]:
    """Rows of a share of the patients, drawn by the salt, which nobody outside knows."""
    secret = hmac.digest(salt, b"split", "sha256")
    order = np.random.default_rng(list(secret)).permutation(int(patients.max()) + 1)
    chosen = np.zeros(len(order), dtype=np.bool_)
    chosen[order[: round(share * len(order))]] = True
    return chosen[patients]


def seal(frame: pl.DataFrame, version: TaskVersion, master: bytes) -> Sealed:
    """Check a label table and encrypt it under a new data key and a new salt.

    Raises
    ------
    VaultError
        As `check_truth`; and when a part of the policy ``split`` would hold one class only.
    """
    table = check_truth(frame, version)
    salt = os.urandom(_SALT_BYTES)
    vault = Vault(table, salt, version)
    if version.task.release.policy == "split":
        for part in (vault.truth.of("feedback"), vault.truth.of("rest")):
            if not 0 < part.n_positive < len(part.labels):
                raise VaultError("A part of the split would hold one class; use another policy.")
    content = json.dumps({"salt": salt.hex(), "table": table.to_dict(as_series=False)}).encode()
    key = new_key()
    body = {
        "format": _FORMAT,
        "task_version": version.name,
        "key": _text(encrypt(master, key, about=_about_key(version.name))),
        "table": _text(encrypt(key, content, about=_about_table(version))),
    }
    return Sealed(json.dumps(body).encode(), vault.commitment)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _about_key(name: str) -> str:
    return f"{_FORMAT} key of {name}"


def _about_table(version: TaskVersion) -> str:
    return f"{_FORMAT} table of {version.name} {version.ids_sha256}"


def _parse(data: bytes, name: str) -> tuple[dict[str, Any], bytes, bytes]:
    try:
        body = json.loads(data)
        if body["format"] != _FORMAT or body["task_version"] != name:
            raise VaultError(
                f"The vault is '{body['format']}' of {body['task_version']}, not '{_FORMAT}' of "
                f"{name}."
            )
        key, table = (base64.b64decode(body[field], validate=True) for field in ("key", "table"))
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        if isinstance(error, VaultError):
            raise
        raise VaultError(f"The vault of {name} is damaged; restore it from a backup.") from None
    return body, key, table


def open_vault(data: bytes, version: TaskVersion, master: bytes) -> Vault:
    """Decrypt a vault.

    Raises
    ------
    VaultError
        When it is of another task version, the master key is another, or a byte was changed.
    """
    _, wrapped, sealed = _parse(data, version.name)
    what = f"The vault of {version.name}"
    key = decrypt(master, wrapped, about=_about_key(version.name), what=what)
    content = json.loads(decrypt(key, sealed, about=_about_table(version), what=what))
    names = list(content["table"])
    schema = {name: pl.Int8 if name == "label" else pl.String for name in names}
    return Vault(pl.DataFrame(content["table"], schema), bytes.fromhex(content["salt"]), version)


def rotate(data: bytes, name: str, *, old: bytes, new: bytes) -> bytes:
    """Wrap the data key by another master key; the table stays as it is.

    Parameters
    ----------
    data : bytes
    name : str
        Of the task version.
    old, new : bytes
        Master keys.
    """
    body, wrapped, _ = _parse(data, name)
    key = decrypt(old, wrapped, about=_about_key(name), what=f"The vault of {name}")
    return json.dumps({**body, "key": _text(encrypt(new, key, about=_about_key(name)))}).encode()
