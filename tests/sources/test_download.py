from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acsbench.errors import InputError, NetworkError, StepError, UnknownNameError
from acsbench.sources import download as module
from acsbench.sources.download import DATASETS, dataset, download

FILES = {
    "RECORDS": b"1\n2\n",
    "data/1.dat": np.random.default_rng(0).bytes(300_000),
    "data/a b.dat": b"with a space",
    "empty.txt": b"",
}


class Mirror:
    """A publisher's folder on this machine, and what goes wrong on the way."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.cut: dict[str, int] = {}  # break the connection after so many bytes, once
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/set"

    def sums(self) -> bytes:
        lines = [f"{hashlib.sha256(body).hexdigest()} {path}" for path, body in FILES.items()]
        return "\n".join(lines).encode()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.removeprefix("/set/").replace("%20", " ")
        asked = request.headers.get("Range")
        self.asked.append((path, asked))
        body = self.files.get(path, self.sums() if path == "SHA256SUMS.txt" else None)
        if body is None:
            request.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if start and start >= len(body):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        request.wfile.write(body[start : self.cut.pop(path, len(body))])

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    found = Mirror()
    yield found
    found.close()


def contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS.txt")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_every_file_arrives_and_nothing_is_fetched_twice(mirror: Mirror, tmp_path: Path) -> None:
    assert download("ludb", tmp_path / "x", url=mirror.url) == tmp_path / "x"
    assert contents(tmp_path / "x") == FILES
    mirror.asked.clear()
    download("ludb", tmp_path / "x", url=mirror.url)
    assert mirror.asked == [("SHA256SUMS.txt", None)]


def test_a_broken_connection_goes_on_where_it_stopped(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut["data/1.dat"] = 100_000
    download("ludb", tmp_path, url=mirror.url)
    assert contents(tmp_path) == FILES
    assert ("data/1.dat", "bytes=100000-") in mirror.asked


def test_a_stopped_download_goes_on_in_the_next_run(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/1.dat.part").write_bytes(FILES["data/1.dat"][:250_000])
    (tmp_path / "RECORDS.part").write_bytes(FILES["RECORDS"])  # whole, but never renamed
    download("ludb", tmp_path, url=mirror.url)
    assert contents(tmp_path) == FILES
    assert ("data/1.dat", "bytes=250000-") in mirror.asked


def test_a_server_that_cannot_go_on_starts_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.ranges = False
    mirror.cut["data/1.dat"] = 100_000
    download("ludb", tmp_path, url=mirror.url)
    assert contents(tmp_path) == FILES


def test_a_damaged_remainder_is_thrown_away(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/1.dat.part").write_bytes(bytes(1000))
    (tmp_path / "RECORDS").write_bytes(b"changed since")
    download("ludb", tmp_path, url=mirror.url)
    assert contents(tmp_path) == FILES


def test_a_file_that_stays_damaged_is_named_and_not_kept(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["data/1.dat"] = b"not what the list says"
    with pytest.raises(StepError, match=r"data/1\.dat does not have the checksum"):
        download("ludb", tmp_path, url=mirror.url)
    assert "data/1.dat" not in contents(tmp_path)
    assert "data/1.dat.part" not in contents(tmp_path)


def test_a_missing_file_and_a_silent_server_are_named(mirror: Mirror, tmp_path: Path) -> None:
    del mirror.files["RECORDS"]
    with pytest.raises(NetworkError, match="RECORDS: the server answers 404") as caught:
        download("ludb", tmp_path, url=mirror.url)
    assert caught.value.exit_code == 3
    with pytest.raises(NetworkError, match=r"cannot be fetched \(Connection refused\)"):
        download("ludb", tmp_path, url="http://127.0.0.1:9/")


def test_a_folder_that_cannot_be_written_is_named(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StepError, match="Cannot write"):
        download("ludb", tmp_path / "file", url=mirror.url)


def test_only_what_was_asked_for_is_fetched(mirror: Mirror, tmp_path: Path) -> None:
    download("ludb", tmp_path, url=mirror.url, only=["data/*"])
    assert set(contents(tmp_path)) == {"data/1.dat", "data/a b.dat"}
    with pytest.raises(InputError, match=r"matches nothing/\*; it has RECORDS"):
        download("ludb", tmp_path, url=mirror.url, only=["nothing/*"])


@pytest.mark.parametrize(
    "text", ["", "<html>sign in</html>", f"{'0' * 64} ../../etc/passwd", f"{'0' * 64} /etc/passwd"]
)
def test_a_list_that_is_none_is_refused(mirror: Mirror, tmp_path: Path, text: str) -> None:
    mirror.files["SHA256SUMS.txt"] = text.encode()
    with pytest.raises(InputError, match="SHA256SUMS"):
        download("ludb", tmp_path, url=mirror.url)
    assert not contents(tmp_path)


def test_the_licence_and_the_citation_stand_in_the_notice() -> None:
    for name in DATASETS:
        notice = dataset(name).notice
        assert "Attribution" in notice
        assert "doi:" in notice
        assert dataset(name).url in notice


def test_an_unknown_name_and_a_strange_address_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'ptbxl'"):
        download("ptb_xl", tmp_path)
    with pytest.raises(InputError, match="http"):
        download("ludb", tmp_path, url="file:///etc")
