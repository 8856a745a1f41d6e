"""The key that everything hidden hangs on, and a process that keeps it to itself."""

from __future__ import annotations

import ctypes
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path

from acsbench.errors import VaultError
from acsbench.leaderboard.encryption import KEY_BYTES, new_key
from acsbench.leaderboard.secret_files import decode_secret, read_secret, write_secret

__all__ = ["harden_process", "new_master_key", "read_master_key"]

_COMMAND_TIMEOUT_S = 60
_PR_SET_DUMPABLE = 4
_MCL_CURRENT_AND_FUTURE = 3


def new_master_key(path: Path) -> bytes:
    """Write a new key with mode 0600; a file that is there is refused."""
    key = new_key()
    write_secret(path, key)
    return key


def read_master_key(source: str) -> bytes:
    """Read the master key from where the operator keeps it.

    Parameters
    ----------
    source : str
        ``file:PATH`` (mode 0600), ``env:NAME`` (removed from the environment once read, so that
        no child inherits it) or ``command:COMMAND``, which prints it. Base64 or hex.

    Raises
    ------
    VaultError, MissingPathError
        Never with any part of the key.
    """
    kind, _, where = source.partition(":")
    if kind == "file" and where:
        return read_secret(Path(where), n_bytes=KEY_BYTES)
    if kind == "env" and where:
        text = os.environ.pop(where, None)
        if text is None:
            raise VaultError(f"The environment has no variable {where} with the master key.")
        return decode_secret(text, n_bytes=KEY_BYTES, where=f"The variable {where}")
    if kind == "command" and where:
        return decode_secret(_output(where), n_bytes=KEY_BYTES, where="What the command printed")
    raise VaultError(
        f"A master key comes from file:PATH, env:NAME or command:COMMAND, not from '{kind}'."
    )


def _output(command: str) -> str:
    words = shlex.split(command)
    try:
        done = subprocess.run(  # noqa: S603  the operator's own command
            words, capture_output=True, text=True, check=True, timeout=_COMMAND_TIMEOUT_S
        )
    except (OSError, IndexError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        # its output may hold the key, so only the kind of failure is told
        raise VaultError(f"The key command failed: {type(error).__name__}.") from None
    return done.stdout


def harden_process() -> tuple[str, ...]:
    """Keep what is decrypted in memory alone: no core dump, no other reader, no swap.

    Returns
    -------
    tuple of str
        What this machine does not allow, for the log.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return ("other processes of this user and the swap file may see memory",)
    libc = ctypes.CDLL(None, use_errno=True)
    missing = []
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        missing.append("other processes of this user may read memory")
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    # under a limit, locking what is to come would make later allocations fail
    if not unlimited or libc.mlockall(_MCL_CURRENT_AND_FUTURE):
        missing.append("memory may be swapped out (the limit on locked memory is too low)")
    return tuple(missing)
