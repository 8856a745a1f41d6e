from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from acsbench.errors import MissingPathError, StoreError
from acsbench.server.blobs import Blobs


@pytest.fixture
def store(tmp_path: Path) -> Blobs:
    for name in ("blobs", "incoming"):
        (tmp_path / name).mkdir()
    return Blobs(tmp_path / "blobs", incoming=tmp_path / "incoming")


def put(store: Blobs, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    store.put(content, sha256=sha256)
    return sha256


def test_content_comes_back_and_damage_is_told(store: Blobs) -> None:
    sha256 = put(store, b"abc")
    assert store.get(sha256) == b"abc"
    store.path(sha256).write_bytes(b"abX")
    with pytest.raises(StoreError, match="damaged"):
        store.get(sha256)
    store.path(sha256).unlink()
    with pytest.raises(MissingPathError, match="Restore"):
        store.get(sha256)


def test_file_and_folder_are_synced_before_put_returns(store: Blobs, monkeypatch) -> None:
    synced = []
    real = os.fsync

    def note(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    sha256 = put(store, b"abc")
    folder = store.path(sha256).parent
    assert [Path(one).parent == folder or Path(one) == folder for one in synced[-2:]] == [True] * 2
    assert synced[-1] == str(folder)
    assert str(store.folder) in synced  # a new shard is a new name in the folder above


def test_a_sweep_takes_old_orphans_and_leaves_the_rest(store: Blobs) -> None:
    known, orphan, young = (put(store, name) for name in (b"known", b"orphan", b"young"))
    old = time.time() - 100_000
    for sha256 in (known, orphan):
        os.utime(store.path(sha256), (old, old))
    for name in ("half.tmp", "1-1.lock"):
        (store.incoming / name).write_bytes(b"")
        os.utime(store.incoming / name, (old, old))
    assert store.sweep(lambda: {known}, before=time.time() - 86_400) == 2
    assert sorted(store.all()) == sorted([known, young])
    assert [path.name for path in store.incoming.iterdir()] == ["1-1.lock"]


def test_a_retry_keeps_an_orphan_from_the_sweep(store: Blobs) -> None:
    sha256 = put(store, b"orphan")
    old = time.time() - 100_000
    os.utime(store.path(sha256), (old, old))
    put(store, b"orphan")
    assert store.sweep(set, before=time.time() - 86_400) == 0
    assert store.get(sha256) == b"orphan"


def test_a_retry_in_the_middle_of_a_sweep_keeps_its_file(store: Blobs) -> None:
    sha256 = put(store, b"orphan")
    old = time.time() - 100_000
    os.utime(store.path(sha256), (old, old))

    def known() -> set[str]:  # asked after the look at dates: the retry comes just then
        put(store, b"orphan")
        return set()

    assert store.sweep(known, before=time.time() - 86_400) == 0
    assert store.get(sha256) == b"orphan"


def test_files_of_today_ask_nobody(store: Blobs) -> None:
    put(store, b"young")
    assert store.sweep(pytest.fail, before=time.time() - 86_400) == 0
