"""AES-256-GCM, and data keys that are wrapped by a master key."""

from __future__ import annotations

import os
from typing import Any

from acsbench.errors import MissingDependencyError, VaultError

__all__ = ["KEY_BYTES", "decrypt", "encrypt", "new_key"]

KEY_BYTES = 32
_NONCE_BYTES = 12


def new_key() -> bytes:
    """A random key."""
    return os.urandom(KEY_BYTES)


def encrypt(key: bytes, content: bytes, *, about: str) -> bytes:
    """Nonce and ciphertext; ``about`` is authenticated with it, and has to be known to read it."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed: bytes = _aes(key).encrypt(nonce, content, about.encode())
    return nonce + sealed


def decrypt(key: bytes, sealed: bytes, *, about: str, what: str) -> bytes:
    """Content of what `encrypt` made.

    Raises
    ------
    VaultError
        When the key is another, the bytes were changed, or they belong to something else.
    """
    aes = _aes(key)
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  an extra

    try:
        content: bytes = aes.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode())
    except (InvalidTag, ValueError):
        raise VaultError(
            f"{what} cannot be opened: the key is another one, the bytes were changed, or they "
            "belong to another task version."
        ) from None
    return content


def _aes(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingDependencyError(
            "Hidden labels need the library cryptography: pip install 'acsbench[board]'."
        ) from None
    return AESGCM(key)
