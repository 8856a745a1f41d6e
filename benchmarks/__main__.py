"""`make bench`: ratios measured side by side in one run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from acsbench.cohort.build import build_cohort
from acsbench.evaluation.intervals import clustered_delong
from acsbench.sources.nightingale import NightingaleSource
from acsbench.sources.synthetic import write_hospital
from acsbench.waveforms.process import process_waveforms
from acsbench.waveforms.recipes import get_recipe


def seconds(function: Callable[[], object], *, repeats: int = 3) -> float:
    """Return the best of a few runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Compare reading a stored waveform with loading and filtering the raw file."""
    with tempfile.TemporaryDirectory() as name:
        hospital = write_hospital(Path(name) / "h", n_patients=60)
        source = NightingaleSource(path=hospital)
        cohort = build_cohort(source.tables())
        store = process_waveforms(source, cohort, folder=Path(name) / "s")
        ids = store.index["ecg_id"].to_list()[:100]
        recipe = get_recipe("three_by_four")
        raw = seconds(lambda: [recipe(one) for one in source.recordings(ids)], repeats=1)
        stored = seconds(lambda: [store.read_row(row) for row in range(len(ids))])
    print(f"stored read against load and filter: {raw / stored:.0f} times as fast")
    rng = np.random.default_rng(0)
    labels, scores = rng.random(100_000) < 0.4, rng.random(100_000)
    few, many = rng.integers(0, 50_000, 100_000), np.arange(100_000)
    ratio = seconds(lambda: clustered_delong(labels, scores, few)) / seconds(
        lambda: clustered_delong(labels, scores, many)
    )
    print(
        f"clustered DeLong, 100,000 rows: two ECGs a patient cost {ratio:.2f} of one (sort-bound)"
    )


main()
