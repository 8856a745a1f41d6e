from __future__ import annotations

import os
from pathlib import Path

import pytest

from acsbench.errors import RecordingError, UnknownNameError
from acsbench.sources.base import file_of, open_source, read_each, remembered


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    calls: list[str] = []

    @remembered
    def read(path: Path, word: str) -> str:
        calls.append(word)
        return path.read_text() + word

    path = tmp_path / "a.txt"
    path.write_text("one")
    assert [read(path, "!"), read(path, "!")] == ["one!", "one!"]
    assert calls == ["!"]
    assert read(path, "?") == "one?"
    path.write_text("three")
    assert read(path, "!") == "three!"
    status = path.stat()
    path.write_text("other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    assert read(path, "!") == "other!"


def test_an_error_is_not_remembered(tmp_path: Path) -> None:
    @remembered
    def read(path: Path) -> str:
        return path.read_text()

    with pytest.raises(FileNotFoundError):
        read(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("now")
    assert read(tmp_path / "a.txt") == "now"


def test_a_record_that_cannot_be_read_is_yielded_and_other_errors_are_not_hidden() -> None:
    def read(ecg_id: str) -> object:
        if ecg_id == "bad":
            raise RecordingError(ecg_id, "empty", "no bytes")
        return {"good": ecg_id}[ecg_id]

    found = read_each(["good", "bad"], read)
    assert next(found) == "good"
    assert isinstance(next(found), RecordingError)
    with pytest.raises(KeyError):
        list(read_each(["mistake in the code"], read))


def test_an_unknown_id_names_the_table() -> None:
    assert file_of("a", {"a": "a.dat"}, table="list.csv") == "a.dat"
    with pytest.raises(RecordingError, match=r"unknown_id: the id is not in list\.csv"):
        file_of("b", {"a": "a.dat"}, table="list.csv")


def test_an_unknown_source_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mimic_iv_ecg'"):
        open_source("mimic_iv")
