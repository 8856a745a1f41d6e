from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal as scipy_signal
from shelf import beating_page, full, page

from acsbench.recording import NOT_RECORDED, RECORDED, SYNTHETIC
from acsbench.signal.leads import STANDARD_12
from acsbench.waveforms.recipes import get_recipe


@pytest.mark.parametrize("rate_per_min", [45, 70, 120])
def test_a_page_becomes_dense_and_says_what_is_made(rate_per_min: float) -> None:
    recording, truth = beating_page(rate_per_min=rate_per_min)
    made = get_recipe("twelve_lead_10s", low_hz=None)(recording)
    assert made.signal.shape == (12, 5000)
    error = made.signal - truth
    offsets = np.median(error, axis=1, keepdims=True)
    # half a sample of jitter on a QRS that climbs 0.1 mV a sample
    assert np.abs(error - offsets).max() < 0.12
    mask = dict(zip(STANDARD_12, made.mask, strict=True))
    assert all((mask[name] == RECORDED).all() for name in ("V1", "II", "V5"))
    assert (mask["aVF"][1250:2500] == RECORDED).all()
    assert (mask["aVF"][2500:] == SYNTHETIC).all()


def test_a_full_recording_is_left_as_it_was_recorded() -> None:
    dense, plain = (get_recipe(name)(full()) for name in ("twelve_lead_10s", "recorded_12"))
    np.testing.assert_array_equal(dense.signal, plain.signal)
    assert (dense.mask == RECORDED).all()


def test_without_a_rhythm_only_what_was_recorded_is_there() -> None:
    recording, _ = beating_page()
    silent = recording.signal.copy()
    silent[12:] = 0.0
    made = get_recipe("twelve_lead_10s")(replace(recording, signal=silent))
    assert set(np.unique(made.mask)) == {NOT_RECORDED, RECORDED}
    assert not made.signal[made.mask == NOT_RECORDED].any()


def test_a_missing_lead_is_not_invented() -> None:
    recording, _ = beating_page()
    rows = recording.signal.copy()
    rows[4] = np.nan
    made = get_recipe("twelve_lead_10s")(replace(recording, signal=rows))
    assert not made.mask[4].any()
    assert not made.signal[4].any()


def test_hubert_input_is_decimated_lead_by_lead() -> None:
    recording, _ = beating_page()
    dense = get_recipe("twelve_lead_10s")(recording)
    made = get_recipe("hubert_100hz")(recording)
    assert made.signal.shape == (12, 1000)
    assert made.sampling_rate == 100
    alone = scipy_signal.decimate(dense.signal[7].astype(np.float64), 5)
    np.testing.assert_allclose(made.signal[7], alone, atol=1e-6)
    np.testing.assert_array_equal(made.mask, dense.mask[:, ::5])


@pytest.mark.parametrize(
    "name", ["twelve_lead_10s", "hubert_100hz", "recorded_12", "three_by_four"]
)
def test_no_lead_changes_another(name: str) -> None:
    quiet, loud = page(), page()
    loud.signal[8] *= 3  # V3, which no rhythm is read from
    row = 2 if name == "three_by_four" else 8
    first, second = (get_recipe(name)(one).signal for one in (quiet, loud))
    same = [n for n in range(len(first)) if n != row]
    np.testing.assert_array_equal(first[same], second[same])


@pytest.mark.parametrize(
    "name", ["twelve_lead_10s", "hubert_100hz", "recorded_12", "three_by_four"]
)
@pytest.mark.parametrize("samples", [5000, 5001, 5500, 7777])
def test_any_length_from_ten_seconds_gives_the_same_shape_and_no_nan(
    name: str, samples: int
) -> None:
    rows = page(samples=samples, seed=3).signal
    rows[3, 1300:1305] = np.nan  # 10 ms: filled
    rows[4, 1300:1400] = np.nan  # 200 ms: masked
    made = get_recipe(name)(replace(page(), signal=rows))
    assert made.signal.shape[1] == round(10 * made.sampling_rate)
    assert np.isfinite(made.signal).all()
    assert not made.signal[made.mask == NOT_RECORDED].any()
    assert set(np.unique(made.mask)) <= {NOT_RECORDED, RECORDED, SYNTHETIC}
