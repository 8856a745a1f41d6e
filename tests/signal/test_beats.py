from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hearts import RATE, heart, steady
from hypothesis import given, settings
from hypothesis import strategies as st

from acsbench.signal.beats import (
    LEAD_MEASURES,
    MEASURE_NAMES,
    find_qrs,
    find_r_peaks,
    measure_ecg,
    median_beat,
)
from acsbench.signal.leads import STANDARD_12


@pytest.mark.parametrize("rate_per_min", [35, 60, 90, 130, 160])
@pytest.mark.parametrize("sign", [1, -1])
def test_every_r_peak_is_found_and_none_is_invented(rate_per_min: float, sign: int) -> None:
    beats = steady(rate_per_min)
    found = find_r_peaks(sign * heart(beats), sampling_rate=RATE)
    np.testing.assert_allclose(found / RATE, beats, atol=0.004)


def test_noise_an_offset_and_tall_t_waves_change_nothing() -> None:
    beats = steady(70)
    noise = np.random.default_rng(0).normal(0, 0.05, 5000)
    noisy = heart(beats, t_height=0.8, level=3.0) + noise
    found = find_r_peaks(noisy, sampling_rate=RATE)
    np.testing.assert_allclose(found / RATE, beats, atol=0.008)


def test_peaks_are_the_same_at_another_rate() -> None:
    beats = steady(75)
    found = find_r_peaks(heart(beats, rate=100.0), sampling_rate=100.0)
    np.testing.assert_allclose(found / 100.0, beats, atol=0.011)


@pytest.mark.parametrize("lead", [np.zeros(5000), np.full(5000, np.nan), np.ones(100)])
def test_a_flat_missing_or_tiny_lead_has_no_peaks(lead: np.ndarray) -> None:
    assert find_r_peaks(lead, sampling_rate=RATE).size == 0


def test_the_median_beat_ignores_beats_with_gaps_and_at_the_edges() -> None:
    beats = steady(60, first=0.1)
    lead = heart(beats)
    peaks = np.rint(beats * RATE).astype(int)
    lead[peaks[3] : peaks[3] + 20] = np.nan
    lead[peaks[4] - 20 : peaks[4] + 20] += 50  # one wild beat
    beat = median_beat(lead, peaks, before=125, after=250)
    assert beat is not None
    truth = heart(np.array([5.0]))[2500 - 125 : 2500 + 250]
    np.testing.assert_allclose(beat, truth, atol=1e-9)


def test_no_whole_beat_is_none_and_not_zero() -> None:
    lead = heart(steady(60))
    assert median_beat(lead[:300], np.array([250]), before=125, after=250) is None
    assert median_beat(lead, np.array([], dtype=int), before=125, after=250) is None


@given(st.floats(0.07, 0.16), st.floats(-0.3, 0.3), st.floats(0.6, 2.0))
@settings(max_examples=40, deadline=None)
def test_the_j_point_is_found_whatever_the_qrs_width_and_the_st(
    qrs_s: float, st_mv: float, r_height: float
) -> None:
    beats = [
        heart(np.array([0.5]), seconds=1.2, qrs_s=qrs_s, st=st_mv, r_height=sign * r_height)
        for sign in (1, -1)
    ]
    start, end = find_qrs(beats, r=250, sampling_rate=RATE)
    assert start is not None
    assert end is not None
    assert (250 - start) / RATE == pytest.approx(qrs_s / 2, abs=0.014)
    assert (end - 250) / RATE == pytest.approx(qrs_s / 2, abs=0.012)


def test_a_lead_that_rests_early_does_not_end_the_qrs() -> None:
    flat = np.zeros(600)
    wide = heart(np.array([0.5]), seconds=1.2, qrs_s=0.14)
    _, end = find_qrs([flat, wide, flat], r=250, sampling_rate=RATE)
    assert end is not None
    assert (end - 250) / RATE == pytest.approx(0.07, abs=0.012)


def test_no_rest_is_no_j_point() -> None:
    restless = np.sin(np.arange(600) / 3)
    assert find_qrs([restless], r=250, sampling_rate=RATE) == (None, None)


def measured(lead: np.ndarray, name: str = "V2", **options: float) -> dict[str, float]:
    mask = np.ones((1, lead.size), np.uint8)
    rate = options.get("sampling_rate", RATE)
    return measure_ecg(lead[None], mask, lead_names=[name], sampling_rate=rate)


@pytest.mark.parametrize("qrs_s", [0.08, 0.14])
def test_st_and_t_are_what_was_put_in_for_narrow_and_wide_complexes(qrs_s: float) -> None:
    lead = heart(steady(60), st=0.2, t_height=0.0, level=-0.7, qrs_s=qrs_s)
    found = measured(lead)
    for name in ("st_j40", "st_j60", "st_j80"):
        assert found[f"{name}_V2"] == pytest.approx(0.2, abs=0.005)
    assert found["st_slope_V2"] == pytest.approx(0, abs=0.005)
    assert found["r_amplitude_V2"] == pytest.approx(1.0, abs=0.02)
    tall = measured(heart(steady(60), t_height=-0.4, qrs_s=qrs_s))
    assert tall["t_amplitude_V2"] == pytest.approx(-0.4, abs=0.005)
    assert tall["t_area_V2"] == pytest.approx(-0.4 * 0.045 * np.sqrt(2 * np.pi), rel=0.05)


def test_rate_and_its_spread_are_in_their_units() -> None:
    found = measured(heart(steady(80)))
    assert found["heart_rate"] == pytest.approx(80, abs=0.5)
    assert found["rr_sd_ms"] < 2
    assert found["n_beats"] == len(steady(80))


def test_names_are_the_contract_and_what_is_not_there_is_nan() -> None:
    found = measured(heart(steady(60)))
    assert tuple(found) == MEASURE_NAMES
    assert len(MEASURE_NAMES) == 3 + len(STANDARD_12) * len(LEAD_MEASURES) == 111
    assert np.isnan(found["st_j60_V1"])
    nothing = measured(np.zeros(5000))
    assert nothing["n_beats"] == 0
    assert np.isnan(nothing["heart_rate"])


def test_masked_samples_are_not_measured() -> None:
    lead = heart(steady(60), st=0.2, t_height=0.0)
    mask = np.ones((1, lead.size), np.uint8)
    spoiled = lead.copy()
    spoiled[2500:] = 9.0
    mask[0, 2500:] = 0
    found = measure_ecg(spoiled[None], mask, lead_names=["V2"], sampling_rate=RATE)
    assert found["st_j60_V2"] == pytest.approx(0.2, abs=0.005)
    assert found["n_beats"] == 5


@pytest.mark.shared
def test_r_peaks_and_j_points_agree_with_cardiologists(shared: Path) -> None:
    from ludb import LudbRecord, ludb_records

    hits = marked = found_n = 0
    errors = []
    record: LudbRecord
    for record in ludb_records(shared, every=4):
        found = find_r_peaks(record.signal[1], sampling_rate=RATE)
        near = np.abs(found[:, None] - record.r_marks[None]) <= 0.075 * RATE
        inside = (found >= record.r_marks.min() - 37) & (found <= record.r_marks.max() + 37)
        hits += int(near.any(axis=0).sum())
        marked += record.r_marks.size
        found_n += int(inside.sum())
        beats = [median_beat(row, found, before=125, after=250) for row in record.signal]
        whole = [beat for beat in beats if beat is not None]
        _, end = find_qrs(whole, r=125, sampling_rate=RATE)
        if end is not None:
            errors.append(2 * (end - 125) - record.qrs_end_after_r_ms)
    assert hits / marked > 0.98
    assert hits / found_n > 0.98
    assert abs(np.median(errors)) < 4
    assert np.mean(np.abs(errors) <= 20) > 0.9
