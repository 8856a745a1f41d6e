from __future__ import annotations

import numpy as np
import pytest
from hearts import RATE, heart, steady

from acsbench.signal.hamilton import find_r_peaks_hamilton


@pytest.mark.parametrize("rate_per_min", [45, 60, 90, 130, 160])
@pytest.mark.parametrize("sign", [1, -1])
def test_every_beat_of_a_regular_rhythm_is_found(rate_per_min: float, sign: int) -> None:
    beats = steady(rate_per_min)
    found = find_r_peaks_hamilton(sign * heart(beats), sampling_rate=RATE)
    np.testing.assert_allclose(found / RATE, beats, atol=0.01)


def test_half_the_threshold_is_enough_for_a_beat_that_is_overdue() -> None:
    early, late = np.array([0.5, 1.5, 2.5, 3.5, 4.5]), np.array([6.9, 7.9, 8.9])
    overdue = heart(np.array([6.1]), r_height=0.45, t_height=0.0)
    lead = heart(np.concatenate([early, late]), t_height=0.0) + overdue
    found = find_r_peaks_hamilton(lead, sampling_rate=RATE) / RATE
    assert np.abs(found - 6.1).min() < 0.06
    assert len(found) == 9


def test_a_flat_lead_has_no_beats() -> None:
    assert find_r_peaks_hamilton(np.zeros(5000), sampling_rate=RATE).size == 0


@pytest.mark.parametrize("seed", range(5))
def test_noise_gives_sorted_unique_peaks_inside_the_lead(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lead = np.round(np.cumsum(rng.normal(0, 0.05, 4100)) / 0.005) * 0.005
    found = find_r_peaks_hamilton(lead, sampling_rate=RATE)
    assert (np.diff(found) > 0).all()
    assert ((found >= 0) & (found < lead.size)).all()
