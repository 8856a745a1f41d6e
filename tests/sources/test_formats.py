from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acsbench.errors import MissingDependencyError, RecordingError
from acsbench.signal.leads import STANDARD_12
from acsbench.sources.formats import read_file

Write = Callable[..., Path]
INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
EXPECTED = "data/vendor_formats/expected.json"


def muse_xml(microvolts: np.ndarray, *, units_per_bit: str = "4.88") -> str:
    """A rhythm of eight leads and a median beat, as GE's system writes them."""

    def waveform(kind: str, rows: np.ndarray) -> str:
        leads = "".join(
            "<LeadData>"
            f"<LeadSampleCountTotal>{row.size}</LeadSampleCountTotal>"
            f"<LeadAmplitudeUnitsPerBit>{units_per_bit}</LeadAmplitudeUnitsPerBit>"
            f"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{name}</LeadID>"
            f"<WaveFormData>{base64.b64encode(row.astype('<i2').tobytes()).decode()}"
            "</WaveFormData></LeadData>"
            for name, row in zip(INDEPENDENT, rows, strict=True)
        )
        return (
            f"<Waveform><WaveformType>{kind}</WaveformType><NumberofLeads>8</NumberofLeads>"
            f"<SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>{leads}</Waveform>"
        )

    steps = np.rint(microvolts / 4.88)
    body = waveform("Median", steps[:, :600] * 2) + waveform("Rhythm", steps)
    return f'<?xml version="1.0" encoding="ISO-8859-1"?><RestingECG>{body}</RestingECG>'


def cardiosoft_xml(
    microvolts: np.ndarray, *, units: str = "uVperLsb", names: tuple[str, ...] = STANDARD_12
) -> str:
    waves = "".join(
        f'<WaveformData lead="{name}">{",".join(str(int(v)) for v in np.rint(row / 5))}'
        "</WaveformData>"
        for name, row in zip(names, microvolts, strict=True)
    )
    return (
        f"<CardiologyXML><StripData><NumberOfLeads>{len(names)}</NumberOfLeads>"
        '<SampleRate units="Hz">500</SampleRate>'
        f'<Resolution units="{units}">5</Resolution>{waves}</StripData>'
        '<MedianSamples><WaveformData lead="I">1,2</WaveformData></MedianSamples></CardiologyXML>'
    )


def limb_leads(one: np.ndarray, two: np.ndarray) -> list[np.ndarray]:
    return [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]


def test_a_muse_file_gives_twelve_leads_without_its_median_beat(
    tmp_path: Path, twelve_leads: np.ndarray
) -> None:
    stored = np.rint(twelve_leads[[0, 1, 6, 7, 8, 9, 10, 11]] * 1000 / 4.88) * 4.88
    (tmp_path / "a.xml").write_text(muse_xml(stored))
    found = read_file(tmp_path / "a.xml")
    assert (found.ecg_id, found.lead_names, found.sampling_rate) == ("a", STANDARD_12, 500)
    expected = np.stack([*limb_leads(stored[0], stored[1]), *stored[2:]])
    np.testing.assert_allclose(found.signal * 1000, expected, atol=1e-6)


def test_a_muse_file_that_states_no_voltage_is_refused(
    tmp_path: Path, twelve_leads: np.ndarray
) -> None:
    (tmp_path / "a.xml").write_text(muse_xml(twelve_leads[:8] * 1000, units_per_bit=""))
    with pytest.raises(RecordingError, match="voltage of a step"):
        read_file(tmp_path / "a.xml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_cardiosoft_file_gives_its_strip(
    tmp_path: Path, twelve_leads: np.ndarray, encoding: str
) -> None:
    stored = np.rint(twelve_leads * 200) * 5
    (tmp_path / "a.xml").write_bytes(cardiosoft_xml(stored).encode(encoding))
    found = read_file(tmp_path / "a.xml", ecg_id="visit-3")
    assert (found.ecg_id, found.sampling_rate) == ("visit-3", 500)
    np.testing.assert_allclose(found.signal * 1000, stored, atol=1e-6)


def test_a_cardiosoft_file_in_a_strange_unit_or_cut_short_is_refused(
    tmp_path: Path, twelve_leads: np.ndarray
) -> None:
    path = tmp_path / "a.xml"
    path.write_text(cardiosoft_xml(twelve_leads * 1000, units="mmperLsb"))
    with pytest.raises(RecordingError, match="wrong_units"):
        read_file(path)
    whole = cardiosoft_xml(twelve_leads * 1000)
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match="truncated"):
        read_file(path)
    path.write_text("<CardiologyXML></CardiologyXML>")
    with pytest.raises(RecordingError, match="truncated"):
        read_file(path)


def test_further_leads_follow_the_standard_ones(
    tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    signal = np.concatenate([twelve_leads[:3], twelve_leads])
    names = ["vx", "vy", "vz", *reversed(STANDARD_12)]
    path = write_wfdb(tmp_path / "s1", signal, names=names)
    for given in (path, path.with_name("s1.hea")):
        found = read_file(given)
        assert found.lead_names == (*STANDARD_12, "vx", "vy", "vz")
        np.testing.assert_allclose(found.lead("V6"), twelve_leads[0], atol=1e-9)


def test_a_calibration_pulse_stays_unless_asked_to_go(
    tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    pulse = np.zeros((12, 250))
    pulse[:, 50:150] = 1.0
    path = write_wfdb(tmp_path / "s1", np.concatenate([twelve_leads, pulse], axis=1))
    assert read_file(path).signal.shape == (12, 5250)
    assert read_file(path, drop_calibration=True).signal.shape == (12, 5000)
    without = write_wfdb(tmp_path / "s2", twelve_leads)
    assert read_file(without, drop_calibration=True).signal.shape == (12, 5000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"plain text", "unknown_format"),
        (b"<RestingECG></RestingECG>", "truncated"),
        (b"<AnnotatedECG", "truncated"),
        (bytes(200), "unknown_format"),
    ],
)
def test_a_file_that_is_no_ecg_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        read_file(tmp_path / "a.bin")
    assert caught.value.reason == reason


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="missing_file"):
        read_file(tmp_path / "none.scp")


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.xml").write_text("<RestingECG>")
    monkeypatch.setitem(sys.modules, "ecgdatakit", None)
    with pytest.raises(MissingDependencyError, match=r"acsbench\[formats\]"):
        read_file(tmp_path / "a.xml")


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "hl7_aecg_example.xml",
        "scp_ecg_example.scp",
        "dicom_12lead_ecg.dcm",
        "philips_sierra_1_03.xml",
        "philips_sierra_1_04.xml",
        "philips_sierra_1_04_01.xml",
        "s0010_re",
    ],
)
def test_real_files_give_the_expected_microvolts(shared: Path, name: str) -> None:
    expected = json.loads((shared / EXPECTED).read_text())[name]
    found = read_file(shared / "data/vendor_formats" / name)
    assert found.sampling_rate == expected["fs"]
    names = [lead.upper() for lead in found.lead_names]
    assert names == list(expected["leads"])
    for lead, row in zip(names, found.signal * 1000, strict=True):
        wanted = expected["leads"][lead]
        assert row.size == wanted["n"]
        np.testing.assert_allclose(row[:5], wanted["first5_uV"], atol=1e-6)
        assert row.min() == pytest.approx(wanted["min_uV"], abs=1e-6)
        assert row.max() == pytest.approx(wanted["max_uV"], abs=1e-6)
        assert row.mean() == pytest.approx(wanted["mean_uV"], abs=1e-3)


@pytest.mark.shared
def test_one_recording_in_two_formats_is_the_same(shared: Path) -> None:
    folder = shared / "data/vendor_formats"
    aecg, scp = (
        read_file(folder / f"{n}") for n in ("hl7_aecg_example.xml", "scp_ecg_example.scp")
    )
    np.testing.assert_allclose(aecg.signal, scp.signal, atol=1e-9)


@pytest.mark.shared
def test_the_pulse_at_the_end_of_a_philips_file_can_be_cut(shared: Path) -> None:
    path = shared / "data/vendor_formats/philips_sierra_1_04.xml"
    assert read_file(path).duration_s == 11
    without = read_file(path, drop_calibration=True)
    assert 10 <= without.duration_s < 11
    assert without.lead("I").max() < 0.9
