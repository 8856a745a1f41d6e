"""Files that hold a key: mode 0600, never overwritten, refused when others can read them."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path

from acsbench.errors import MissingPathError, VaultError
from acsbench.leaderboard.durable_files import sync_folder

__all__ = [
    "decode_secret",
    "read_secret",
    "read_secret_bytes",
    "write_secret",
    "write_secret_bytes",
]


def write_secret(path: Path, secret: bytes) -> None:
    """Write a key as base64 into a new file that its owner alone can read.

    Raises
    ------
    VaultError
        When it is there already: a key that is overwritten loses what it protects.
    """
    write_secret_bytes(path, base64.b64encode(secret) + b"\n")


def write_secret_bytes(path: Path, content: bytes) -> None:
    """As `write_secret`, of bytes as they are; the file is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, path)  # unlike a rename, this refuses to replace a file
    except FileExistsError:
        raise VaultError(f"{path} is there already; a key is never overwritten.") from None
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def read_secret(path: Path, *, n_bytes: int) -> bytes:
    """Read a key that `write_secret` wrote.

    Raises
    ------
    MissingPathError
    VaultError
        When others can read the file, or it holds something else.
    """
    content = read_secret_bytes(path)
    return decode_secret(content.decode("ascii", "replace"), n_bytes=n_bytes, where=str(path))


def read_secret_bytes(path: Path) -> bytes:
    """Read a file that its owner alone can read."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except FileNotFoundError:
        raise MissingPathError(f"There is no key file {path}.") from None
    except OSError as error:
        raise VaultError(f"The key file {path} cannot be read: {error.strerror}.") from None
    if mode & 0o077:
        raise VaultError(
            f"The key file {path} has mode {mode:04o}, so others can read it. "
            f"chmod 600 {path}, and make a new key if somebody may have."
        )
    return content


def decode_secret(text: str, *, n_bytes: int, where: str) -> bytes:
    """Read a key of a given length from base64 or hex.

    Raises
    ------
    VaultError
        Without the text, which may be a key.
    """
    text = text.strip()
    for decode in (bytes.fromhex, lambda given: base64.b64decode(given, validate=True)):
        try:
            secret = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(secret) == n_bytes:
            return secret
    raise VaultError(f"{where} holds no key of {n_bytes} bytes in base64 or hex.")
