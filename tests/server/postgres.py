"""A PostgreSQL instance of the tests' own, on a unix socket in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

_USERS = ("postgres", "nobody")
_SETTINGS = ("listen_addresses=", "max_connections=60", "shared_buffers=32MB")


def binaries() -> Path | None:
    """Folder of the newest installed PostgreSQL."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    return found[-1] if found else None


def _as_server_user(folder: Path) -> dict[str, object]:
    """PostgreSQL refuses to run as root: arguments that start it as somebody else."""
    if os.geteuid():
        return {}
    for name in _USERS:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            os.chown(folder, user.pw_uid, user.pw_gid)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("root can start PostgreSQL only as another user, and there is none")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Start an instance and give its address; end it by its process id."""
    bin_ = binaries()
    if bin_ is None:
        if os.environ.get("CI"):
            pytest.fail("CI has to run this test, and PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    # a socket's path is short, so not in pytest's folder; and only its user may look into it
    with tempfile.TemporaryDirectory(prefix="acsbench-pg-", dir="/tmp") as name:
        folder = Path(name)
        other = _as_server_user(folder)
        data, log = folder / "data", folder / "log"
        made = [
            bin_ / "initdb",
            "-D",
            data,
            "-U",
            "board",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(made, check=True, cwd=folder, stdout=subprocess.DEVNULL, **other)
        options = [part for one in _SETTINGS for part in ("-c", one)]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [bin_ / "postgres", "-D", data, "-k", folder, *options],
                stdout=stream,
                stderr=stream,
                cwd=folder,
                **other,
            )
        try:
            _wait(bin_, folder, log)
            yield f"postgresql://board@/postgres?host={quote(name, safe='')}"
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: its data are thrown away
            process.wait(30)


def _wait(bin_: Path, folder: Path, log: Path) -> None:
    ends_at = time.monotonic() + 60
    while subprocess.run([bin_ / "pg_isready", "-q", "-h", folder], check=False).returncode:
        assert time.monotonic() < ends_at, log.read_text()
        time.sleep(0.05)


def new_database(address: str) -> str:
    """A fresh database on an instance; its address."""
    import psycopg

    name = f"board_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(address, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}".encode())
    return address.replace("/postgres?", f"/{name}?")
