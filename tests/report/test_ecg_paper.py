"""The drawn ECG: readable, small, repeatable, and honest about what is missing."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from acsbench.errors import InputError
from acsbench.recording import Recording, Units
from acsbench.report.ecg_paper import draw_ecg, save_ecg
from acsbench.signal.leads import PAGE_LEADS, STANDARD_12


def recording(
    leads: tuple[str, ...] = STANDARD_12,
    *,
    noise: float = 0.02,
    offset: float = 0.0,
    units: Units = "mV",
) -> Recording:
    rng = np.random.default_rng(0)
    times = np.arange(5000) / 500
    beat = np.exp(-(((times % 0.8) - 0.4) ** 2) / 0.0004)
    signal = beat + offset + noise * rng.standard_normal((len(leads), 5000))
    return Recording(ecg_id="x", signal=signal, lead_names=leads, sampling_rate=500.0, units=units)


def words(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in ET.fromstring(svg).iter() if e.tag.endswith("}text")]


def test_every_lead_is_named_and_the_rhythm_strip_is_lead_two() -> None:
    assert sorted(words(draw_ecg(recording()))) == sorted([*STANDARD_12, "II"])


def test_a_page_has_its_three_long_leads() -> None:
    assert words(draw_ecg(recording(PAGE_LEADS)))[-3:] == ["V1", "II", "V5"]


def test_a_missing_lead_is_named_and_said_to_be_missing() -> None:
    some = recording(("I", "II", "V1"))
    some.signal[2] = np.nan
    shown = words(draw_ecg(some))
    assert "I" in shown
    assert "V1 (not recorded)" in shown
    assert "V6 (not recorded)" in shown


def test_the_baseline_of_a_lead_does_not_move_its_trace() -> None:
    quiet = recording(noise=0.0)
    assert draw_ecg(quiet) == draw_ecg(recording(noise=0.0, offset=4.0))


def test_standard_deviations_are_not_passed_off_as_millivolts() -> None:
    assert words(draw_ecg(recording(units="sd"))).count("1 sd") == 4


def test_a_noisy_page_stays_below_120_kilobytes() -> None:
    assert len(draw_ecg(recording(PAGE_LEADS, noise=0.02)).encode()) < 120_000


def test_a_title_is_text_and_not_markup() -> None:
    root = ET.fromstring(draw_ecg(recording(), title='<b>"&'))
    assert root.get("aria-label") == '<b>"&'


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_a_saved_picture_has_the_same_bytes_twice(tmp_path: Path, name: str) -> None:
    first = save_ecg(recording(), path=tmp_path / "1" / name)
    second = save_ecg(recording(), path=tmp_path / "2" / name)
    start = b"\x89PNG" if name.endswith("png") else b"<svg"
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        save_ecg(recording(), path=tmp_path / "a.pdf")
