"""Two thousand ECGs: memory stays flat, a kill costs nothing, a bad file costs one line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from shelf import Shelf, beating_page

from acsbench.errors import RecordingError
from acsbench.recording import Recording
from acsbench.waveforms.process import process_waveforms

PAGE, _ = beating_page()
N = 2_100


@dataclass(frozen=True)
class Large(Shelf):
    """One page under many ids; one in a thousand is broken."""

    n: int = N

    @property
    def ids(self) -> list[str]:
        return [f"e{i:05d}" for i in range(self.n)]

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        for ecg_id in ids:
            if int(ecg_id[1:]) % 1000 == 500:
                yield RecordingError(ecg_id, "truncated", "cut")
            else:
                yield Recording(
                    ecg_id=ecg_id,
                    signal=PAGE.signal,
                    lead_names=PAGE.lead_names,
                    sampling_rate=500,
                    units="mV",
                )


def make(folder: Path, *, n: int = N) -> float:
    """Process, and return the peak memory of this process in MB."""
    large = Large(n=n)
    process_waveforms(large, large.cohort(), recipe="recorded_12", folder=folder, n_jobs=1)
    return peak_mb()


def peak_mb() -> float:
    """Peak of this program alone: `ru_maxrss` would count what the forking parent held."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def in_a_process(folder: Path, *, n: int = N) -> subprocess.Popen[str]:
    here = str(Path(__file__).parent)
    code = (
        f"import sys; sys.path[:0] = [{here!r}]\nfrom pathlib import Path\n"
        f"from test_scale import make\nprint(make(Path({str(folder)!r}), n={n}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_thousand_ecgs_in_flat_memory_killed_and_resumed(tmp_path: Path) -> None:
    whole = in_a_process(tmp_path / "whole")
    said, _ = whole.communicate()
    assert float(said) < 1_000  # MB, all libraries included
    lines = (tmp_path / "whole" / "failures.csv").read_text().splitlines()
    assert lines[1:] == ["e00500,truncated,cut", "e01500,truncated,cut"]
    stopped = in_a_process(tmp_path / "killed")
    while not list((tmp_path / "killed").glob("part-00000.json")):
        assert stopped.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)  # somewhere in the second shard
    os.kill(stopped.pid, signal.SIGKILL)
    stopped.communicate()
    assert not (tmp_path / "killed" / "manifest.json").exists()
    in_a_process(tmp_path / "killed").communicate()
    made, wanted = (
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()}
        for name in ("killed", "whole")
    )
    assert made == wanted
