from __future__ import annotations

import numpy as np
import pytest
from hearts import RATE, heart, steady
from hypothesis import given, settings
from hypothesis import strategies as st

from acsbench.signal.beat_filling import fill_with_own_beats


def printed(lead: np.ndarray, quarter: int) -> np.ndarray:
    """A lead of which only one quarter was printed."""
    part = np.full(lead.shape, np.nan)
    n = lead.size // 4
    part[quarter * n : (quarter + 1) * n] = lead[quarter * n : (quarter + 1) * n]
    return part


@pytest.mark.parametrize("rate_per_min", [40, 50, 60, 75, 90, 110, 130])
@pytest.mark.parametrize("quarter", range(4))
def test_st_and_t_are_kept_at_any_heart_rate(rate_per_min: float, quarter: int) -> None:
    beats = np.arange(0.3, 10.0, 60 / rate_per_min)
    truth = heart(beats, st=0.15, t_height=0.4)
    peaks = np.rint(beats * RATE).astype(int)
    filled = fill_with_own_beats(printed(truth, quarter), peaks, sampling_rate=RATE)
    inner = peaks[(peaks > 200) & (peaks < 4700)]
    for after in (0, 75, 105, 150):  # R, J + 60 ms, J + 120 ms, T
        np.testing.assert_allclose(filled[inner + after], truth[inner + after], atol=0.05)


@given(
    st.lists(st.floats(0.45, 1.3), min_size=8, max_size=25),
    st.integers(0, 3),
    st.floats(-0.2, 0.2),
)
@settings(max_examples=60, deadline=None)
def test_what_was_recorded_stays_and_nothing_jumps(
    rr: list[float], quarter: int, drift: float
) -> None:
    beats = np.cumsum([0.2, *rr])
    beats = beats[beats < 10]
    truth = heart(beats, st=0.1) + np.linspace(0, drift, 5000)
    part = printed(truth, quarter)
    peaks = np.rint(beats * RATE).astype(int)
    filled = fill_with_own_beats(part, peaks, sampling_rate=RATE)
    recorded = np.isfinite(part)
    np.testing.assert_array_equal(filled[recorded], part[recorded])
    if np.isfinite(filled).all():
        # a QRS of 1 mV in 45 ms climbs 0.045 mV a sample; two may overlap where a beat is early
        assert np.abs(np.diff(filled)).max() < 0.2


def test_a_lead_without_a_whole_beat_or_a_rhythm_stays_as_it_is() -> None:
    lead = np.full(5000, np.nan)
    lead[:100] = 0.1
    for peaks in (np.array([50, 550, 1050]), np.array([50]), np.array([], dtype=int)):
        np.testing.assert_array_equal(fill_with_own_beats(lead, peaks, sampling_rate=RATE), lead)


def test_a_whole_lead_is_not_touched() -> None:
    lead = heart(steady(60))
    peaks = np.rint(steady(60) * RATE).astype(int)
    np.testing.assert_array_equal(fill_with_own_beats(lead, peaks, sampling_rate=RATE), lead)
