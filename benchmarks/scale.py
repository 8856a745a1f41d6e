"""Many ECGs: memory, a kill and a resume, broken files, and whether the time left is told right.

    python -m benchmarks.scale OUT [N_ECGS]

Writes a generated hospital of about N_ECGS (20,000) ECGs to OUT, breaks one file in a thousand,
and makes its store twice with two workers: once undisturbed, and once killed (SIGKILL to all its
processes) at a random point and started again. The hospital is kept; the stores are removed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from acsbench.cohort.build import build_cohort
from acsbench.parallel import Eta, Workers
from acsbench.provenance import file_sha256
from acsbench.sources.base import open_source
from acsbench.sources.synthetic import write_hospital
from acsbench.waveforms.process import process_waveforms
from acsbench.waveforms.quality import check_quality

_ECGS_PER_PATIENT = 2.56
_RECIPE = "three_by_four"
_N_JOBS = 2


def work(hospital: Path, step: str, out: Path) -> None:
    """One step in a process of its own."""
    source = open_source("nightingale", path=hospital)
    workers = Workers(n_jobs=_N_JOBS)
    if step == "quality":
        check_quality(source, folder=out, workers=workers)
    else:
        cohort = build_cohort(source.tables())
        process_waveforms(source, cohort, recipe=_RECIPE, folder=out, workers=workers)


def start(hospital: Path, step: str, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.scale", str(hospital), step, str(out)]
    return subprocess.Popen(command, start_new_session=True)


def peaks_mb(session: int) -> dict[int, float]:
    """Peak memory so far of every living process of a session, in MB."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                peak = re.search(r"VmHWM:\s+(\d+) kB", (folder / "status").read_text())
                found[int(folder.name)] = int(peak[1]) / 1024 if peak else 0.0
        except (OSError, ProcessLookupError):
            continue
    return found


def watch(process: subprocess.Popen[bytes], out: Path) -> tuple[dict[int, float], list[float]]:
    """Peak memory by process, and when each part was finished."""
    peaks: dict[int, float] = {}
    times: list[float] = []
    while process.poll() is None:
        for number, peak in peaks_mb(process.pid).items():
            peaks[number] = max(peak, peaks.get(number, 0.0))
        n_parts = len(finished(out))
        times += [time.monotonic()] * (n_parts - len(times))
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"The step failed with exit code {process.returncode}.")
    return peaks, times


def finished(out: Path) -> list[Path]:
    """Parts of a quality check, or shards of a store."""
    return [*out.rglob("part-*.parquet"), *out.glob("signal-*.npy")]


def eta_errors(times: list[float], begun: float, ended: float) -> list[str]:
    """What the bar said at a quarter, half and three quarters, against what was so."""
    now = begun
    eta = Eta(total=len(times), clock=lambda: now)
    said = []
    for number, at in enumerate(times, 1):
        now = at
        eta.advance(1)
        if number in {round(share * len(times)) for share in (0.25, 0.5, 0.75)}:
            left, truth = eta.seconds_left or 0.0, ended - at
            said.append(f"{number}/{len(times)}: {left:.0f} s said, {truth:.0f} s so")
    return said


def break_files(hospital: Path) -> int:
    """Cut one file in a thousand in half, the same ones each time."""
    files = sorted(hospital.rglob("ecg-waveforms-npz/*/*.npz"))[::1000]
    for file in files:
        whole = file.read_bytes()
        if len(whole) > 20_000:
            file.write_bytes(whole[: len(whole) // 3])
    return len(files)


def hashes(store: Path) -> dict[str, str]:
    return {str(p.relative_to(store)): file_sha256(p) for p in store.rglob("*") if p.is_file()}


def main(out: Path, n_ecgs: int) -> None:
    hospital = out / "hospital"
    write_hospital(hospital, n_patients=round(n_ecgs / _ECGS_PER_PATIENT), seed=0)
    data = hospital / "ed-bwh-ecg"
    print(f"{break_files(data)} files cut short", flush=True)
    for step in ("quality", "process"):
        folder = out / step
        shutil.rmtree(folder, ignore_errors=True)
        begun = time.monotonic()
        peaks, times = watch(start(data, step, folder), folder)
        took = time.monotonic() - begun
        print(f"{step}: {took:.0f} s, peak MB by process {sorted(map(round, peaks.values()))}")
        print(f"  time left: {'; '.join(eta_errors(times, begun, begun + took))}", flush=True)
    store = out / "process"
    failures = pl.read_csv(store / "failures.csv")
    n_rows = len(pl.read_parquet(store / "index.parquet"))
    reasons = dict(failures["reason"].value_counts().sort("reason").iter_rows())
    print(f"store: {n_rows:,} rows, {len(failures)} failures: {reasons}")
    wanted = hashes(store)
    killed = out / "killed"
    shutil.rmtree(killed, ignore_errors=True)
    process = start(data, "process", killed)
    n_shards = len(finished(store))
    stop_at = int(np.random.default_rng().integers(1, max(n_shards - 1, 2)))
    while len(finished(killed)) < stop_at and process.poll() is None:
        time.sleep(0.01)
    time.sleep(np.random.default_rng().random())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = len(finished(killed))
    start(data, "process", killed).wait()
    same = hashes(killed) == wanted
    print(f"killed with {left} of {n_shards} shards done; the same bytes after a resume: {same}")
    for folder in (store, killed, out / "quality"):
        shutil.rmtree(folder)
    if not same:
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        work(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
    elif len(sys.argv) in (2, 3):
        main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 20_000)
    else:
        sys.exit(__doc__)
