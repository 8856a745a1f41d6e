from __future__ import annotations

import numpy as np
import pytest
from shelf import full, page

from acsbench.errors import ConfigError, RecordingError
from acsbench.signal.leads import STANDARD_12
from acsbench.waveforms.recipes import get_recipe


def test_each_page_lead_keeps_its_own_quarter() -> None:
    made = get_recipe("three_by_four", low_hz=None)(page())
    assert made.signal.shape == (3, 5000)
    assert (made.mask == 1).all()
    assert made.lead_names[0] == "I+aVR+V1+V4"
    raw = page()
    shift = raw.lead("aVR")[1250:2500] - made.signal[0, 1250:2500]
    assert np.ptp(shift) < 1e-5


def test_a_full_recording_gives_the_quarters_of_its_page() -> None:
    raw = full()
    made = get_recipe("three_by_four", low_hz=None)(raw)
    shift = raw.lead("V6")[3750:] - made.signal[2, 3750:]
    assert np.ptp(shift) < 1e-5


def test_no_lead_leaks_into_its_neighbour() -> None:
    loud = page()
    loud.signal[3, 1250:2500] *= 50  # aVR, the quarter after I
    quiet_row = get_recipe("three_by_four")(page()).signal[0]
    loud_row = get_recipe("three_by_four")(loud).signal[0]
    np.testing.assert_array_equal(quiet_row[:1250], loud_row[:1250])
    np.testing.assert_array_equal(quiet_row[2500:], loud_row[2500:])


def test_recorded_12_takes_the_long_lead_where_it_is() -> None:
    made = get_recipe("recorded_12")(page())
    share = dict(zip(made.lead_names, (made.mask == 1).mean(axis=1), strict=True))
    assert {n for n, s in share.items() if s == 1} == {"V1", "II", "V5"}
    assert share["aVL"] == pytest.approx(0.25)


def test_a_missing_lead_is_masked_and_zero() -> None:
    raw = page()
    raw.signal[4] = np.nan
    made = get_recipe("recorded_12")(raw)
    assert not made.mask[STANDARD_12.index("aVL")].any()
    assert not made.signal[STANDARD_12.index("aVL")].any()


def test_longer_input_is_cut_and_shorter_refused_with_its_length() -> None:
    assert get_recipe("recorded_12")(full(seconds=12)).signal.shape == (12, 5000)
    with pytest.raises(RecordingError, match="4000 samples at 500 Hz"):
        get_recipe("recorded_12")(page(samples=4000))


def test_another_rate_is_resampled() -> None:
    assert get_recipe("recorded_12")(full(rate=100)).signal.shape == (12, 5000)


def test_an_unknown_parameter_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'low_hz'"):
        get_recipe("recorded_12", low_hzz=1)
