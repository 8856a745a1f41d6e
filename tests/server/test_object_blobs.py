"""Accepted files in an S3-compatible store, against a local server."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from acsbench.errors import ConfigError, MissingPathError, StoreError
from acsbench.server.config import load_config
from acsbench.server.object_blobs import ObjectBlobs


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    pytest.importorskip("moto.server")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def address(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket."""
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    name = f"board-{os.urandom(6).hex()}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=name)
    return f"s3://{name}/some/where?endpoint={endpoint}&region=us-east-1"


def guard(_: bool):
    return nullcontext()


@pytest.fixture
def store(address: str, tmp_path: Path) -> ObjectBlobs:
    return ObjectBlobs(address, incoming=tmp_path, guard=guard)


def put(store: ObjectBlobs, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    store.put(content, sha256=sha256)
    return sha256


def test_what_is_put_is_read_and_listed(store: ObjectBlobs) -> None:
    hashes = sorted(put(store, content) for content in (b"a", b"b", b"a"))
    assert list(store.all()) == sorted(set(hashes))
    assert store.get(hashes[0]) in (b"a", b"b")
    assert store.is_usable()


def test_what_is_gone_or_damaged_is_told(store: ObjectBlobs) -> None:
    sha256 = put(store, b"whole")
    key = f"{store.prefix}blobs/{sha256}"
    store._client.put_object(Bucket=store.bucket, Key=key, Body=b"other")
    with pytest.raises(StoreError, match="is damaged"):
        store.get(sha256)
    with pytest.raises(MissingPathError, match="is missing"):
        store.get("0" * 64)


def test_bytes_that_change_on_the_way_are_refused(store: ObjectBlobs) -> None:
    """The hash travels with the bytes, so that the store refuses what it did not get whole."""
    sent = []
    store._client.meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: sent.append(dict(request.headers))
    )
    sha256 = put(store, b"content")
    assert sent
    import base64

    told = sent[0]["x-amz-checksum-sha256"]
    told = told.decode() if isinstance(told, bytes) else told
    assert base64.b64decode(told).hex() == sha256
    assert sent[0]["If-None-Match"] in ("*", b"*")


def test_a_sweep_takes_what_nothing_refers_to_and_what_is_old(store: ObjectBlobs) -> None:
    known, orphan = put(store, b"known"), put(store, b"orphan")
    (store.incoming / "half.upload").write_bytes(b"x")
    assert store.sweep(lambda: {known}, before=time.time() - 3600) == 0
    assert store.sweep(lambda: {known}, before=time.time() + 3600) == 2
    assert list(store.all()) == [known]
    with pytest.raises(MissingPathError):
        store.get(orphan)


def test_what_is_put_again_is_young_again(store: ObjectBlobs) -> None:
    sha256 = put(store, b"content")
    time.sleep(1.1)  # dates have whole seconds
    cut = time.time()
    time.sleep(1.1)
    put(store, b"content")
    assert store.sweep(set, before=cut) == 0
    assert store.get(sha256) == b"content"


def test_no_put_comes_between_look_and_removal(address: str, tmp_path: Path) -> None:
    asked: list[bool] = []
    lock = threading.Lock()

    def watched(is_alone: bool):
        asked.append(is_alone)
        return lock

    store = ObjectBlobs(address, incoming=tmp_path, guard=watched)
    put(store, b"content")
    store.sweep(set, before=time.time() + 60)
    assert asked == [False, True]


@pytest.mark.parametrize(
    "wrong",
    ["s3://", "s3://bucket?endpont=http://x", "https://bucket/x"],
    ids=["none", "typo", "http"],
)
def test_a_wrong_address_is_told(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no store"):
        ObjectBlobs(wrong, incoming=tmp_path, guard=guard)
    if not wrong.startswith("s3://b"):
        return
    (tmp_path / "board.toml").write_text('blobs = "ftp://x/y"\n')
    with pytest.raises(ConfigError, match="blobs"):
        load_config(tmp_path)


def test_a_board_moves_its_files_resumes_and_scores_from_there(world, address: str) -> None:
    from acsbench.server.integrity import find_damage
    from acsbench.server.moving import move_files
    from acsbench.server.stores import blobs

    first = world.accept("ada", world.task.csv()).submission
    n = len(list(blobs(world.config).all()))
    moved = move_files(world.config, address)
    assert (moved.n, moved.n_before) == (n, 0)
    there = world.config.model_copy(update={"blobs": address})
    key = f"some/where/blobs/{first.sha256}"
    store = blobs(there)
    store._client.put_object(Bucket=store.bucket, Key=key, Body=b"torn")
    again = move_files(world.config, address)
    assert (again.n, again.n_before) == (n, n - 1)  # what was torn is written again
    world.config = there
    world.accept("bob", world.task.csv(seed=3))
    world.work()
    assert (
        json.loads(world.call("GET", f"/submissions/{first.public_id}", "ada").content)["state"]
        == "scored"
    )
    assert find_damage(there) == []


def test_a_backup_holds_the_objects_and_fills_an_empty_store(
    world, address: str, endpoint: str, tmp_path: Path
) -> None:
    from acsbench.server.backup import back_up, fill_stores
    from acsbench.server.moving import move_files
    from acsbench.server.putting_back import put_back
    from acsbench.server.stores import blobs

    first = world.accept("ada", world.task.csv()).submission
    move_files(world.config, address)
    there = world.config.model_copy(update={"blobs": address})
    world.config.data.joinpath("blobs", first.sha256[:2], first.sha256).unlink()
    done = back_up(there, tmp_path / "copy")
    assert done["copied"] == done["files"]
    assert back_up(there, tmp_path / "copy")["copied"] == 1  # the database
    put_back(tmp_path / "copy", tmp_path / "new", keys=None)
    emptied = address.replace("some/where", "another/place")
    new = there.model_copy(update={"data": tmp_path / "new", "blobs": emptied})
    (new.data / "incoming").mkdir()
    fill_stores(new)
    assert list(blobs(new).all()) == list(blobs(there).all())
    assert blobs(new).get(first.sha256) == world.task.csv()
