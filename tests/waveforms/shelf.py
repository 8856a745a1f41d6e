"""A source that lives in memory, for tests of the stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from acsbench.errors import RecordingError
from acsbench.recording import Recording
from acsbench.signal.leads import PAGE_LEADS, STANDARD_12
from acsbench.tables import Cohort, Tables


def page(ecg_id: str = "e1", *, seed: int = 0, samples: int = 5000) -> Recording:
    """White noise in the geometry of a printed page."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, 0.2, (15, samples))
    for row in range(12):
        quarter = row // 3
        signal[row, : quarter * 1250] = np.nan
        signal[row, (quarter + 1) * 1250 :] = np.nan
    return Recording(
        ecg_id=ecg_id, signal=signal, lead_names=PAGE_LEADS, sampling_rate=500, units="mV"
    )


def full(*, rate: float = 500, seconds: float = 10, seed: int = 0) -> Recording:
    """White noise in twelve leads."""
    signal = np.random.default_rng(seed).normal(0, 0.2, (12, round(rate * seconds)))
    return Recording(
        ecg_id="f", signal=signal, lead_names=STANDARD_12, sampling_rate=rate, units="mV"
    )


def beating_page(*, rate_per_min: float = 70) -> tuple[Recording, np.ndarray]:
    """A page of a regular rhythm on the drawing grid, and the twelve leads it was printed from."""
    t = np.arange(5000) / 500
    since = (t - 0.3) % (60 / rate_per_min)
    beat = np.exp(-0.5 * (np.minimum(since, 60 / rate_per_min - since) / 0.012) ** 2)
    wave = 0.3 * np.exp(-0.5 * ((since - 0.3) / 0.04) ** 2)
    one, two = np.rint((np.array([[0.6], [1.0]]) * beat + wave) / 0.01) * 0.01
    limbs = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    chest = np.rint((np.linspace(0.4, 1.5, 6)[:, None] * beat + wave) / 0.005) * 0.005
    truth = np.concatenate([limbs, chest])
    rows = np.full((15, 5000), np.nan)
    for lead in range(12):
        quarter = slice(lead // 3 * 1250, (lead // 3 + 1) * 1250)
        rows[lead, quarter] = truth[lead, quarter]
    rows[12:] = truth[[6, 1, 10]]
    recording = Recording(
        ecg_id="b", signal=rows, lead_names=PAGE_LEADS, sampling_rate=500, units="mV"
    )
    return recording, truth


@dataclass(frozen=True)
class Shelf:
    """Recordings by id: the last one is too loud for a store, the one before unreadable."""

    n: int = 6
    n_broken: int = 2

    @property
    def ids(self) -> list[str]:
        return [f"e{i:03d}" for i in range(self.n)]

    def tables(self) -> Tables:
        frame = pl.DataFrame({"ecg_id": self.ids})
        return Tables(source="shelf", fingerprint="f", ecgs=frame, patients=frame)

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        for ecg_id in ids:
            number = int(ecg_id[1:])
            broken = number - (self.n - self.n_broken)
            if broken == 0:
                yield RecordingError(ecg_id, "truncated", "cut")
                continue
            recording = page(ecg_id, seed=number)
            if broken == 1:
                recording.signal[0, :1250] *= 1000
            yield recording

    def cohort(self) -> Cohort:
        frame = pl.DataFrame({"ecg_id": self.ids, "is_included": [True] * self.n})
        return Cohort(frame=frame, flow=pl.DataFrame(), source="shelf", scheme="patient")
