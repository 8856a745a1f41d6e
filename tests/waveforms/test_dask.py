"""A real cluster of two workers, one of which is killed in the middle of the work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from shelf import Shelf

from acsbench.errors import RecordingError
from acsbench.parallel import Workers
from acsbench.recording import Recording
from acsbench.waveforms import process
from acsbench.waveforms.process import process_waveforms

distributed = pytest.importorskip("distributed")


@dataclass(frozen=True)
class Slow(Shelf):
    """Takes its time, and leaves a mark at each record it begins."""

    marks: str = ""

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        for ecg_id, found in zip(ids, super().recordings(ids), strict=True):
            (Path(self.marks) / f"{ecg_id}-{os.getpid()}").touch()
            time.sleep(0.05)
            yield found


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as running:
        yield running


def kill_one(cluster: Any, marks: Path, killed: list[int]) -> None:
    """Wait until both workers are at it, then kill the first."""
    pids = {worker.process.pid for worker in cluster.workers.values()}
    while True:
        busy = {int(path.name.split("-")[1]) for path in marks.iterdir()} & pids
        if len(busy) == 2:
            break
        time.sleep(0.02)
    killed.append(min(busy))
    os.kill(killed[0], signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # a killed worker leaves sockets and processes unclosed
def test_a_cluster_that_loses_a_worker_makes_the_same_store(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SHARD_SIZE", 8)
    marks = tmp_path / "marks"
    marks.mkdir()
    slow = Slow(n=64, marks=str(marks))
    killed: list[int] = []
    killer = Thread(target=kill_one, args=(cluster, marks, killed), daemon=True)
    killer.start()
    workers = Workers(engine="dask", scheduler=cluster.scheduler_address)
    process_waveforms(slow, slow.cohort(), folder=tmp_path / "dask", workers=workers)
    killer.join(timeout=10)
    begun = [path.name.split("-")[0] for path in marks.iterdir()]
    assert killed
    assert len(begun) > len(set(begun)) == 64  # what the killed one had begun was begun again
    alone = Shelf(n=64)
    process_waveforms(alone, alone.cohort(), folder=tmp_path / "alone", n_jobs=1)
    made, wanted = (
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("dask", "alone")
    )
    assert made == wanted
