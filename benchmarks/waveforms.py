"""Waveforms: recipes, ingest and reading against a plain re-statement of the original algorithms.

Run side by side on one core, in CPU seconds of this process, so that a busy machine changes both
sides alike. What bounds each is printed beside it.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal
from scipy import stats

from acsbench.cohort.build import build_cohort
from acsbench.errors import RecordingError
from acsbench.signal.beats import common_r_peaks
from acsbench.signal.hamilton import find_r_peaks_hamilton
from acsbench.signal.leads import STANDARD_12
from acsbench.sources.nightingale import NightingaleSource, read_recording
from acsbench.sources.synthetic import write_hospital
from acsbench.waveforms.process import process_waveforms
from acsbench.waveforms.quality import check_quality
from acsbench.waveforms.recipes import get_recipe

_N = 40


def cpu_seconds(function: Callable[[], object], *, repeats: int = 3) -> float:
    """Least CPU time of a few runs, in this process alone."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def original_page(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The original's 3x4 page: the mode of each lead by sorting, then a sum of leads."""
    leads = signal[:12].copy()
    for number in range(12):
        finite = leads[number][~np.isnan(leads[number])]
        mode = stats.mode(finite).mode if finite.size else 0.0
        leads[number] = leads[number] - mode
    leads = np.nan_to_num(leads)[:, :5000]
    return np.stack([leads[row::3].sum(axis=0) for row in range(3)])


def original_twelve(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The original's ten seconds: a median beat of each lead, added at every R peak."""
    peaks = original_r_peaks(np.nan_to_num(signal[13]))
    rows = np.zeros((12, signal.shape[1]))
    window = np.hanning(400)
    for number in range(12):
        where = np.flatnonzero(~np.isnan(signal[number]))
        if not where.size:
            continue
        packed = signal[number][where]
        beats = []
        for peak in peaks:
            if where[0] <= peak <= where[-1]:
                beat = packed[max(peak - where[0] - 200, 0) : peak - where[0] + 200]
                if beat.size == 400 and peak - where[0] >= 200:
                    beats.append(beat)
        if not beats:
            continue
        median = np.median(np.array(beats), axis=0) * window
        for peak in peaks:
            start, end = max(peak - 200, 0), min(peak + 200, signal.shape[1])
            rows[number, start:end] += median[start - peak + 200 : end - peak + 200]
    rows[[6, 1, 10]] = np.nan_to_num(signal[12:15])
    return rows


def original_r_peaks(  # noqa: C901  as plain as the original, on purpose
    samples: NDArray[np.float64],
) -> list[int]:
    """Hamilton's rules as plainly as they are published, a comparison of all peaks for each."""
    rate = 500.0
    band = samples
    for kind, corner in (("lowpass", 25.0), ("highpass", 3.0)):
        band = scipy_signal.filtfilt(*scipy_signal.butter(4, corner, kind, fs=rate), band)
    slope = np.abs(np.diff(band)) * rate
    window = scipy_signal.windows.hamming(40)
    padded = np.r_[np.full(40, slope[0]), slope, np.full(40, slope[-1])]
    energy = np.convolve(window / window.sum(), padded, mode="same")[40:-40]
    tops = np.flatnonzero(np.diff(np.sign(np.diff(energy))) < 0) + 1
    qrs = [energy[n * 500 : (n + 1) * 500].max() for n in range(8)]
    noise, rr = [0.0] * 8, [rate] * 8
    found: list[int] = []
    for top in tops:
        threshold = np.median(noise) + 0.475 * (np.median(qrs) - np.median(noise))
        near = tops[(tops > top - 100) & (tops < top + 100) & (tops != top)]
        if near.any() and max(energy[near]) > energy[top]:
            continue
        elapsed = top - found[-1] if found else math.inf
        if energy[top] > threshold:
            around = np.diff(samples[max(top - 23, 0) : top + 23])
            if not 0 < len(around[around > 0]) < len(around):
                continue
            if elapsed < 180:
                last = np.diff(samples[max(found[-1] - 23, 0) : found[-1] + 23])
                if max(around) < 0.5 * max(last):
                    continue
            if energy[top] < 3 * np.median(qrs):
                rr = [*rr[1:], elapsed] if found else rr
                qrs = [*qrs[1:], energy[top]]
                found.append(int(top))
        elif len(found) >= 2 and elapsed >= 1.5 * np.median(rr) and elapsed > 180:
            if energy[top] > 0.5 * threshold:
                found.append(int(top))
        else:
            noise = [*noise[1:], energy[top]]
    placed = set()
    for beat in found:
        start = max(beat - 100, 0)
        part = samples[start : beat + 100]
        level = np.where(np.diff(part) == 0)[0]
        highs = np.r_[np.flatnonzero(np.diff(np.sign(np.diff(part))) < 0) + 1, level]
        lows = np.r_[np.flatnonzero(np.diff(np.sign(np.diff(part))) > 0) + 1, level]
        up = sorted(zip(part[highs], highs, strict=True), reverse=True)
        down = sorted(zip(part[lows], lows, strict=True))
        rise = next((up[0][0] - v for v, at in up[1:] if abs(at - up[0][1]) > 25), 0.0)
        fall = next((v - down[0][0] for v, at in down[1:] if abs(at - down[0][1]) > 25), 0.0)
        placed.add(start + int(up[0][1] if rise > 0.85 * fall else down[0][1]))
    return sorted(placed)


def original_load(path: Path) -> NDArray[np.float64]:
    """What the original does at each training step: load a page and filter it."""
    page = np.load(path)
    b, a = scipy_signal.butter(5, (0.5, 50), "bandpass", fs=500)
    return np.asarray(scipy_signal.filtfilt(b, a, page, axis=-1))


def inflate(path: Path) -> int:
    """Bytes of a file's array after nothing but inflating it: the floor of any reader."""
    with ZipFile(path) as archive:
        return len(archive.read(archive.namelist()[0]))


def main() -> None:
    """Print the ratios, and what bounds each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = NightingaleSource(path=write_hospital(folder / "h", n_patients=25))
        root = next((folder / "h").rglob("ecg-waveforms-npz"))
        paths = [path for path in sorted(root.rglob("*.npz")) if _is_whole(path)][:_N]
        _recipes(paths)
        _ingest(paths, folder)
        _reading(source, folder)
    _detector()
    print("numbers of this machine; ratios are of CPU seconds in one process")


def _is_whole(path: Path) -> bool:
    """Whether the original can process it at all."""
    try:
        signal = read_recording(path).signal
    except RecordingError:
        return False
    return signal.shape[1] >= 5000 and bool(np.isfinite(signal).any())


def _detector() -> None:
    """R peaks against the marks of cardiologists, where LUDB lies beside the checkout."""
    shared = Path(os.environ.get("ACSBENCH_SHARED", Path(__file__).parents[2] / "shared"))
    folder = shared / "data" / "ludb" / "data"
    names = sorted(path.stem for path in folder.glob("*.hea"))
    if not names:
        print("R peaks: LUDB is not here, nothing measured")
        return
    warnings.simplefilter("ignore")  # wfdb 4.3 uses what pandas is about to retire
    import wfdb  # noqa: PLC0415  an extra

    hits = marked = right = found = sound = 0
    for name in names:
        record = wfdb.rdrecord(str(folder / name), physical=False)
        marks = wfdb.rdann(str(folder / name), "ii")
        truth = marks.sample[np.array(marks.symbol) == "N"]
        leads = dict(zip(STANDARD_12, record.d_signal.T / 1000.0, strict=True))
        peaks = common_r_peaks(leads, sampling_rate=500)
        # beats at the ends are not all marked
        peaks = peaks[(peaks > truth.min() - 38) & (peaks < truth.max() + 38)]
        near = np.abs(peaks[:, None] - truth[None]) <= 37
        hits, marked = hits + near.any(axis=0).sum(), marked + truth.size
        right, found = right + near.any(axis=1).sum(), found + peaks.size
        sound += bool(near.any(axis=0).all() and near.any(axis=1).all())
    print(
        f"R peaks on LUDB, 75 ms: sensitivity {hits / marked:.3f}, PPV {right / found:.3f}, "
        f"{sound} of {len(names)} ECGs without an error"
    )


def _recipes(paths: list[Path]) -> None:
    recordings = [read_recording(path) for path in paths]
    signals = [one.signal for one in recordings]
    for label, recipe, original, goal in (
        ("page recipe", "paper_3x4", original_page, 15.0),
        ("12-lead recipe", "paper_12x10s", original_twelve, 2.5),
    ):
        made = get_recipe(recipe)
        worst = max(
            float(np.abs(made(r).signal - original(x)).max())
            for r, x in zip(recordings, signals, strict=True)
        )
        theirs = cpu_seconds(lambda original=original: [original(x) for x in signals])
        ours = cpu_seconds(lambda made=made: [made(r) for r in recordings])
        print(
            f"{label} ({recipe}): {theirs / ours:.1f} times as fast (goal {goal:g}), "
            f"{len(paths) / ours:,.0f} ECG/s against {len(paths) / theirs:,.0f}; "
            f"largest difference {worst:.1g} mV"
        )
    detector = cpu_seconds(
        lambda: [find_r_peaks_hamilton(np.nan_to_num(x[13]), sampling_rate=500) for x in signals]
    )
    print(f"  bound of the 12-lead recipe: its R peaks alone, {len(paths) / detector:,.0f} ECG/s")
    for recipe in ("three_by_four", "recorded_12", "twelve_lead_10s", "hubert_100hz"):
        made = get_recipe(recipe)
        ours = cpu_seconds(lambda made=made: [made(r) for r in recordings])
        print(f"  sound recipe {recipe}: {len(paths) / ours:,.0f} ECG/s")


def _ingest(paths: list[Path], folder: Path) -> None:
    """From compressed files to pages on disk."""
    out = folder / "pages"
    out.mkdir()
    made = get_recipe("paper_3x4")

    def theirs() -> None:
        for path in paths:
            with np.load(path) as archive:
                signal = archive[archive.files[0]].astype(np.float64)
            np.save(out / f"{path.stem}.npy", original_page(signal))

    def ours() -> None:
        for path in paths:
            made(read_recording(path))

    slow, fast = cpu_seconds(theirs), cpu_seconds(ours)
    floor = cpu_seconds(lambda: [inflate(path) for path in paths])
    print(
        f"ingest from .npz: {slow / fast:.1f} times as fast (goal 4), {len(paths) / fast:,.0f} "
        f"ECG/s; bound: inflating the files alone takes {100 * floor / fast:.0f} % of our time"
    )


def _reading(source: NightingaleSource, folder: Path) -> None:
    cohort = build_cohort(source.tables(), quality=check_quality(source, n_jobs=1))
    store = process_waveforms(
        source, cohort, recipe="three_by_four", folder=folder / "s", max_failed_share=0.5, n_jobs=1
    )
    rows = store.index.filter(store.index["status"] == "ok")["row"].to_list()[:200]
    pages = sorted((folder / "pages").glob("*.npy"))
    stored = cpu_seconds(lambda: [store.read_row(row) for row in rows]) / len(rows)
    loaded = cpu_seconds(lambda: [original_load(path) for path in pages]) / len(pages)
    print(
        f"training-time read: {loaded / stored:.0f} times as fast as load and filter (goal 25), "
        f"{1 / stored:,.0f} ECG/s"
    )
    array = np.load(store.folder / "signal-00000.npy", mmap_mode="r")
    scale = np.float32(0.001)
    bare = cpu_seconds(lambda: [array[row] * scale for row in rows], repeats=7) / len(rows)
    signal = cpu_seconds(lambda: [store.read_signal(row) for row in rows], repeats=7) / len(rows)
    print(f"stored read of the signal: {signal / bare:.2f} of a bare memory map (goal 1.3)")


if __name__ == "__main__":
    main()
