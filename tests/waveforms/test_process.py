from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import Shelf, page

from acsbench.errors import InputError, StepError
from acsbench.provenance import MANIFEST_NAME
from acsbench.store import WaveformStore
from acsbench.waveforms import process
from acsbench.waveforms.process import process_waveforms
from acsbench.waveforms.recipes import get_recipe

SHELF = Shelf()


def make(folder: Path, *, shelf: Shelf = SHELF, **options: Any) -> WaveformStore:
    chosen = {"max_failed_share": 0.5, "n_jobs": 1, **options}
    return process_waveforms(shelf, shelf.cohort(), folder=folder, **chosen)


def store_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SHARD_SIZE", 2)


def test_the_store_gives_back_what_went_in_within_half_a_step(tmp_path: Path) -> None:
    store = make(tmp_path / "s")
    made = get_recipe("three_by_four")(page("e002", seed=2))
    read = store.read("e002")
    assert np.abs(read.signal - made.signal).max() <= 0.0005 + 1e-6
    np.testing.assert_array_equal(read.mask, made.mask)
    assert store.failed() == {"e004": "truncated", "e005": "out_of_range"}
    assert "±32.767" in store.failures()["e005"]["detail"]
    assert len(store) == 6


@pytest.mark.slow
@pytest.mark.usefixtures("small_shards")
def test_no_byte_depends_on_workers_or_on_being_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", n_jobs=2)
    calls: list[int] = []
    whole = process.write_shard

    def stop_at_the_third(folder: Path, shard: int, *args: Any, **more: Any) -> Any:
        calls.append(shard)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(folder, shard, *args, **more)

    monkeypatch.setattr(process, "write_shard", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "c")
    make(tmp_path / "c")
    assert calls == [0, 1, 2, 2]
    whole_store = store_bytes(tmp_path / "a")
    assert whole_store == store_bytes(tmp_path / "b") == store_bytes(tmp_path / "c")


def test_too_many_failures_end_the_step_with_counts(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"2 of 6 ECGs.*truncated.*failures\.csv"):
        make(tmp_path / "s", max_failed_share=0.05)
    assert "e004,truncated,cut" in (tmp_path / "s" / "failures.csv").read_text()


def test_a_store_over_the_limit_is_refused_each_time_and_looks_finished_at_none(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        with pytest.raises(StepError, match="have no waveform"):
            make(tmp_path / "s", max_failed_share=0.1)
        assert not (tmp_path / "s" / MANIFEST_NAME).exists()
    make(tmp_path / "s")
    with pytest.raises(StepError, match="choose another folder"):
        make(tmp_path / "s", max_failed_share=0.1)
    assert len(make(tmp_path / "s")) == 6


@pytest.mark.usefixtures("small_shards")
def test_the_step_ends_as_soon_as_the_limit_is_passed(tmp_path: Path) -> None:
    shelf = Shelf(n=6, n_broken=6)  # the first two records are broken
    with pytest.raises(StepError, match=r"2 of 6 ECGs"):
        make(tmp_path / "s", shelf=shelf, max_failed_share=0.2)
    assert not (tmp_path / "s" / "signal-00001.npy").exists()


@pytest.mark.usefixtures("small_shards")
def test_a_mended_record_is_read_again_and_whole_shards_are_kept(tmp_path: Path) -> None:
    with pytest.raises(StepError):
        make(tmp_path / "s", max_failed_share=0)
    kept = (tmp_path / "s" / "signal-00000.npy").stat().st_mtime_ns
    store = make(tmp_path / "s", shelf=Shelf(n_broken=0), max_failed_share=0)
    assert not store.failed()
    assert (tmp_path / "s" / "signal-00000.npy").stat().st_mtime_ns == kept


def test_a_store_of_another_job_is_never_mixed_or_overwritten(tmp_path: Path) -> None:
    store = make(tmp_path / "s")
    before = store_bytes(store.folder)
    with pytest.raises(InputError, match="holds a store of recipe"):
        make(tmp_path / "s", recipe="recorded_12")
    assert store_bytes(tmp_path / "s") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"notes\.txt"):
        make(tmp_path / "mine")


def test_a_full_disk_is_one_clear_error_and_a_later_run_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(tmp_path / "whole")
    opened = Path.open

    def full(path: Path, *args: Any, **more: Any) -> Any:
        if path.name.startswith(".mask-"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(StepError, match=r"No space left on the disk that holds .*free some"):
            make(tmp_path / "s", recipe="recorded_12")
    assert [p.name for p in (tmp_path / "s").iterdir()] == ["signal-00000.npy"]
    assert len(make(tmp_path / "s", recipe="recorded_12")) == len(whole)


FILE_LIMIT = """
import resource, sys
from pathlib import Path
sys.path[:0] = [{here!r}]
from test_process import make
from acsbench.errors import StepError
folder = Path({folder!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    make(folder)
except StepError as error:
    print(error)
print(sorted(p.name for p in folder.iterdir()))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(make(folder)))
"""


def in_a_process(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_limit_of_the_system_on_what_may_be_written_is_a_full_disk_too(tmp_path: Path) -> None:
    here, folder = str(Path(__file__).parent), str(tmp_path / "s")
    said = in_a_process(FILE_LIMIT.format(here=here, folder=folder))
    assert said[0].startswith("No space left on the disk that holds")
    assert folder in said[0]
    assert said[1:] == ["[]", "6"]


def test_a_disk_too_small_for_the_store_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "free_bytes", lambda folder: 100_000)
    with pytest.raises(StepError, match=r"need 0 MB.*Free some space, or choose"):
        make(tmp_path / "s")
    assert not list((tmp_path / "s").iterdir())


READ_ONLY = """
import os, sys
from pathlib import Path
sys.path[:0] = [{here!r}]
from test_process import make
from acsbench.errors import StepError
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write everywhere
try:
    make(Path({folder!r}))
except StepError as error:
    print(error)
"""


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        folder = f"{name}/store"
        said = in_a_process(READ_ONLY.format(here=str(Path(__file__).parent), folder=folder))
        Path(name).chmod(0o755)
        assert len(said) == 1
        assert said[0].startswith(f"Cannot write {folder}")
        assert said[0].endswith("Choose another folder with --out.")
        assert not list(Path(name).iterdir())


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{here!r}]
import acsbench.waveforms.process as process
from test_process import make
process.SHARD_SIZE = 2
rename = Path.replace
def strike(path, target):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, target)
Path.replace = strike
for left in {strikes}:
    folder = Path({folder!r}) / str(left)
    child = os.fork()
    if not child:
        make(folder)
        os._exit(0)
    print(os.waitpid(child, 0)[1])
"""


@pytest.mark.slow
@pytest.mark.usefixtures("small_shards")
def test_killed_at_any_point_and_started_again_gives_the_same_bytes(tmp_path: Path) -> None:
    strikes = (2, 4, 7, 10)
    here = str(Path(__file__).parent)
    said = in_a_process(KILLED.format(here=here, folder=str(tmp_path), strikes=strikes))
    assert said == ["9"] * len(strikes)
    make(tmp_path / "whole")
    for strike in strikes:
        folder = tmp_path / str(strike)
        assert not (folder / MANIFEST_NAME).exists()
        assert any(p.name.endswith(".tmp") for p in folder.iterdir())
        make(folder)
        assert store_bytes(folder) == store_bytes(tmp_path / "whole")


def test_a_store_travels_to_another_process(tmp_path: Path) -> None:
    import pickle

    store = make(tmp_path / "s")
    store.read("e000")
    sent = pickle.dumps(store)
    assert len(sent) < 100_000
    again: WaveformStore = pickle.loads(sent)
    np.testing.assert_array_equal(again.read("e001").signal, store.read("e001").signal)
