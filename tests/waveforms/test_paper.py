"""The original's rules, against the goldens its own algorithms made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import full, page

from acsbench.errors import RecordingError
from acsbench.recording import Recording
from acsbench.signal.filters import exact_modes
from acsbench.signal.hamilton import find_r_peaks_hamilton
from acsbench.signal.hubert import decimate_flattened
from acsbench.signal.leads import PAGE_LEADS, STANDARD_12
from acsbench.waveforms.recipes import get_recipe

pytestmark = pytest.mark.shared
GOLDENS = (
    "s01_normal60",
    "s02_tachy130",
    "s03_missing_leads",
    "s04_flat_rhythm_lead",
    "s05_short_4000",
    "s06_long_5500_gaps",
    "s07_tall_T",
)
WITH_PAGE = tuple(name for name in GOLDENS if name != "s05_short_4000")


def load(shared: Path, name: str) -> Any:
    return np.load(shared / "golden" / "waveforms" / f"{name}.npz")


def recording(raw: np.ndarray) -> Recording:
    return Recording(
        ecg_id="g",
        signal=raw.astype(np.float64),
        lead_names=PAGE_LEADS,
        sampling_rate=500,
        units="mV",
    )


@pytest.mark.parametrize("name", WITH_PAGE)
def test_the_page_and_its_modes_are_the_originals(shared: Path, name: str) -> None:
    golden = load(shared, name)
    made = get_recipe("paper_3x4")(recording(golden["raw"]))
    np.testing.assert_allclose(made.signal, golden["page3x4"], atol=1e-6)
    leads = golden["raw"][:12].astype(np.float64)
    modes = exact_modes(leads, finite=np.isfinite(leads))
    np.testing.assert_allclose(modes, golden["mode"], atol=1e-6)


@pytest.mark.parametrize("name", ["s01_normal60", "s03_missing_leads"])
def test_values_rounded_to_the_grid_give_the_same_page(shared: Path, name: str) -> None:
    golden = load(shared, name)
    rounded = np.rint(golden["raw"].astype(np.float64) / 0.005) * 0.005
    made = get_recipe("paper_3x4")(recording(rounded))
    np.testing.assert_allclose(made.signal, golden["page3x4"], atol=1e-6)


@pytest.mark.parametrize("name", GOLDENS)
def test_r_peaks_are_the_originals_to_the_sample(shared: Path, name: str) -> None:
    golden = load(shared, name)
    long_two = np.nan_to_num(golden["raw"][13].astype(np.float64))
    found = find_r_peaks_hamilton(long_two, sampling_rate=500)
    np.testing.assert_array_equal(found, golden["r_peaks"])


@pytest.mark.parametrize("name", GOLDENS)
def test_the_rebuilt_leads_are_the_originals_at_any_length(shared: Path, name: str) -> None:
    golden = load(shared, name)
    made = get_recipe("paper_12x10s")(recording(golden["raw"]))
    np.testing.assert_allclose(made.signal, golden["ext12"], atol=1e-6)
    assert made.lead_names == STANDARD_12


@pytest.mark.parametrize("name", WITH_PAGE)
@pytest.mark.parametrize(
    ("bandpass", "key"), [("bandpass", "bp_05_50_o5"), ("butterworth", "bp_02_25_o4")]
)
@pytest.mark.parametrize(("form", "tolerance"), [("sos", 2e-6), ("ba", 2e-3)])
def test_the_two_band_passes_are_the_originals_in_both_forms(
    shared: Path, name: str, bandpass: str, key: str, form: str, tolerance: float
) -> None:
    golden = load(shared, name)
    made = get_recipe("paper_3x4", bandpass=bandpass, form=form)(recording(golden["raw"]))
    np.testing.assert_allclose(made.signal, golden[f"{key}_{form}"], atol=tolerance)


@pytest.mark.parametrize("record", ["clean", "lead_missing", "printout_3x4", "zero_padded"])
@pytest.mark.parametrize("start", [0, 1250, 2500])
def test_the_flattened_order_is_huberts(shared: Path, record: str, start: int) -> None:
    golden = np.load(shared / "golden" / "hubert" / "input_prep.npz")
    raw = golden[f"{record}/raw"]
    vector = decimate_flattened(raw[:, start : start + 2500])
    np.testing.assert_allclose(vector, golden[f"{record}/acs/crop{start}/input"], atol=2e-5)


def test_a_short_page_is_refused_with_its_length(shared: Path) -> None:
    short = recording(load(shared, "s05_short_4000")["raw"])
    with pytest.raises(RecordingError, match="too_short: 4000 samples"):
        get_recipe("paper_3x4")(short)
    with pytest.raises(RecordingError, match="too_short"):
        get_recipe("paper_12x10s", duration_s=10.0)(short)
    assert get_recipe("paper_12x10s", duration_s=8.0)(short).signal.shape == (12, 4000)


def test_huberts_input_is_the_rebuilt_leads_decimated_flat(shared: Path) -> None:
    raw = recording(load(shared, "s01_normal60")["raw"])
    made = get_recipe("paper_hubert_100hz")(raw)
    rebuilt = get_recipe("paper_12x10s")(raw).signal[:, :2500]
    assert made.signal.shape == (12, 500)
    assert made.sampling_rate == 100
    np.testing.assert_allclose(made.signal.ravel(), decimate_flattened(rebuilt), atol=1e-6)


def test_what_the_original_invents_is_marked(shared: Path) -> None:
    made = get_recipe("paper_12x10s")(recording(load(shared, "s03_missing_leads")["raw"]))
    mask = dict(zip(STANDARD_12, made.mask, strict=True))
    assert set(np.unique(mask["II"])) <= {0, 1}
    assert 1 not in mask["V6"]
    assert not made.signal[made.mask == 0].any()
    silent = [name for name in STANDARD_12 if not mask[name].any()]
    raw = load(shared, "s03_missing_leads")["raw"]
    assert set(silent) >= {
        name
        for name, lead in zip(STANDARD_12, raw, strict=False)
        if not np.isfinite(lead).any() and name not in ("V1", "II", "V5")
    }


def test_rows_are_taken_by_name_and_others_than_pages_refused() -> None:
    made = get_recipe("paper_12x10s")(page())
    backwards = replace(page(), signal=page().signal[::-1], lead_names=PAGE_LEADS[::-1])
    np.testing.assert_array_equal(get_recipe("paper_12x10s")(backwards).signal, made.signal)
    for name in ("paper_3x4", "paper_12x10s", "paper_hubert_100hz"):
        with pytest.raises(RecordingError, match="not_a_page"):
            get_recipe(name)(full())


def test_a_blank_page_is_no_waveform() -> None:
    blank = replace(page(), signal=np.full((15, 5000), np.nan))
    for name in ("paper_3x4", "paper_12x10s"):
        with pytest.raises(RecordingError, match="all_missing"):
            get_recipe(name)(blank)
