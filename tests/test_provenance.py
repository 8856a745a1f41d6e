from __future__ import annotations

import errno
from pathlib import Path

import pytest

from acsbench.errors import ConfigError, MissingPathError, StepError, StoreError
from acsbench.provenance import (
    StepConfig,
    atomic_path,
    atomic_text,
    holds,
    parse_config,
    read_manifest,
    write_manifest,
)


class Inner(StepConfig):
    low_hz: float = 0.5


class Outer(StepConfig):
    inner: Inner = Inner()
    n_jobs: int = 1


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match=r"inner\.low_h: no such key\. Did you mean 'low_hz'"):
        parse_config(Outer, {"inner": {"low_h": 1}}, where="a.toml")


def test_all_findings_of_a_config_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(Outer, {"jobs": 2, "inner": {"low_hz": "high"}}, where="a.toml")
    assert "jobs" in str(caught.value)
    assert "inner.low_hz = 'high'" in str(caught.value)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    atomic_text(target, "old")

    def fail_half_way() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="No space left"), atomic_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StepError, match="Cannot write"):
        atomic_text(tmp_path / "file" / "table.csv", "text")


def test_a_key_that_is_missing_is_named_without_what_stands_around_it() -> None:
    class Needs(StepConfig):
        name: str
        kind: str

    with pytest.raises(ConfigError) as caught:
        parse_config(Needs, {"name": "x"}, where="card.toml")
    assert str(caught.value).splitlines()[1:] == ["  kind: is missing."]


def test_a_manifest_holds_until_config_input_or_output_changes(tmp_path: Path) -> None:
    atomic_text(tmp_path / "out.csv", "1")
    asked = {"step": "cohort", "config": {"seed": 0}, "inputs": {"tables": "abc"}}
    write_manifest(tmp_path, **asked, outputs=["out.csv"])
    assert holds(tmp_path, **asked) is not None
    assert holds(tmp_path, **{**asked, "config": {"seed": 1}}) is None
    assert holds(tmp_path, **{**asked, "inputs": {"tables": "abd"}}) is None
    atomic_text(tmp_path / "out.csv", "2")
    assert holds(tmp_path, **asked) is None


def test_equal_inputs_give_equal_manifests(tmp_path: Path) -> None:
    for name in ("a", "b"):
        atomic_text(tmp_path / name / "out.csv", "1")
        write_manifest(tmp_path / name, step="s", config={}, inputs={}, outputs=["out.csv"])
    assert (tmp_path / "a/manifest.json").read_bytes() == (
        tmp_path / "b/manifest.json"
    ).read_bytes()


def test_a_missing_and_a_damaged_manifest_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match="not the output of a finished step"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("{half")
    with pytest.raises(StoreError, match="damaged"):
        read_manifest(tmp_path)
