"""A generated ECG for checks: waves in the right places, and a label that can be found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from acsbench.recording import Recording
from acsbench.signal.leads import LONG_LEADS, PAGE_COLUMNS, STANDARD_12

__all__ = ["generated_page", "generated_recording"]


def generated_recording(
    ecg_id: str, *, seed: int, is_positive: bool = False, duration_s: float = 10.0
) -> Recording:
    """Twelve leads at 500 Hz in mV: R and T waves at 70 a minute, ST raised in positives."""
    n = round(500 * duration_s)
    rng = np.random.default_rng(seed)
    since = (np.arange(n) / 500 + rng.random()) % (60 / 70)

    def bump(at: float, width: float) -> NDArray[np.float64]:
        return np.exp(-0.5 * ((since - at) / width) ** 2)

    beat = bump(0.3, 0.012) + 0.25 * bump(0.6, 0.05) + 0.2 * is_positive * bump(0.42, 0.05)
    gains = rng.uniform(0.5, 1.5, (12, 1))
    signal = gains * beat + rng.normal(0, 0.01, (12, n))
    return Recording(
        ecg_id=ecg_id, signal=signal, lead_names=STANDARD_12, sampling_rate=500, units="mV"
    )


def generated_page(ecg_id: str, *, seed: int, duration_s: float = 10.0) -> Recording:
    """The same as a printed page: each lead for a quarter of the time, three all along."""
    whole = generated_recording(ecg_id, seed=seed, duration_s=duration_s)
    printed = np.full_like(whole.signal, np.nan)
    n = whole.signal.shape[1] // len(PAGE_COLUMNS)
    for column, leads in enumerate(PAGE_COLUMNS):
        for lead in leads:
            shown = slice(column * n, (column + 1) * n)
            printed[STANDARD_12.index(lead), shown] = whole.lead(lead)[shown]
    long = [whole.lead(name.removeprefix("long_")) for name in LONG_LEADS]
    return replace(
        whole, signal=np.vstack([printed, *long]), lead_names=(*STANDARD_12, *LONG_LEADS)
    )
