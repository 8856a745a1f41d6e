"""What the worker keeps: full-precision results, encrypted, out of the web role's reach."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np

from acsbench.errors import MissingPathError, VaultError
from acsbench.leaderboard.durable_files import write_durably
from acsbench.leaderboard.encryption import decrypt, encrypt, new_key
from acsbench.leaderboard.scoring import Scored
from acsbench.leaderboard.secret_files import read_secret_bytes, write_secret_bytes

__all__ = ["WorkerStore"]

_ABOUT_KEY = "acsbench worker store key"
_KEY_FILE = "store.key"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


class WorkerStore:
    """Scored submissions in a folder, one file each.

    Parameters
    ----------
    folder : Path
        Made with mode 0700 when it is not there.
    master : bytes
        Wraps the store's own key.

    Raises
    ------
    VaultError
        When the store was made under another master key.
    """

    def __init__(self, folder: Path, master: bytes) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / _KEY_FILE
        if not path.exists():
            # of two workers that start at once one writes the key, and both read it
            with contextlib.suppress(VaultError):
                write_secret_bytes(path, encrypt(master, new_key(), about=_ABOUT_KEY))
        what = f"The worker's store {folder}"
        self._key = decrypt(master, read_secret_bytes(path), about=_ABOUT_KEY, what=what)

    def put(self, submission: str, version_name: str, scored: Scored) -> None:
        """Keep a result; on the disk when this returns. A later one replaces it."""
        path = self._path(submission, version_name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        content = _to_bytes(scored)
        write_durably(path, encrypt(self._key, content, about=path.name))

    def get(self, submission: str, version_name: str) -> Scored:
        """Read a result.

        Raises
        ------
        MissingPathError, VaultError
        """
        path = self._path(submission, version_name)
        if not path.is_file():
            raise MissingPathError(f"Submission {submission} has no result of {version_name}.")
        what = f"The result {path.name}"
        return _from_bytes(decrypt(self._key, path.read_bytes(), about=path.name, what=what))

    def has(self, submission: str, version_name: str) -> bool:
        """Whether there is a result."""
        return self._path(submission, version_name).is_file()

    def rotate(self, *, old: bytes, new: bytes) -> None:
        """Wrap the store's key by another master key; the results stay as they are."""
        path = self.folder / _KEY_FILE
        what = f"The worker's store {self.folder}"
        key = decrypt(old, read_secret_bytes(path), about=_ABOUT_KEY, what=what)
        write_durably(path, encrypt(new, key, about=_ABOUT_KEY))
        path.chmod(0o600)

    def _path(self, submission: str, version_name: str) -> Path:
        for name in (submission, version_name):
            if not _NAME.fullmatch(name):
                raise VaultError(f"'{name[:40]}' cannot name a result.")
        return self.folder / submission[:2] / f"{submission}.{version_name}.bin"


def _to_bytes(scored: Scored) -> bytes:
    about = {
        "part": scored.part,
        "values": scored.values,
        "reasons": scored.reasons,
        "n_rows": scored.n_rows,
        "n_patients": scored.n_patients,
        "n_positive": scored.n_positive,
    }
    arrays = {f"resamples {name}": values for name, values in scored.resamples.items()}
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    np.savez(buffer, about=text, scores=scored.scores, **arrays)  # type: ignore[arg-type]  # numpy types the one keyword it has itself
    return buffer.getvalue()


def _from_bytes(content: bytes) -> Scored:
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        about = json.loads(found["about"].tobytes())
        prefix = "resamples "
        resamples = {k.removeprefix(prefix): found[k] for k in found.files if k.startswith(prefix)}
        return Scored(scores=found["scores"], resamples=resamples, **about)
