from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from acsbench.errors import InputError, MissingPathError, RecordingError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12, limb_residual
from acsbench.sources.challenge import ChallengeSource
from acsbench.waveforms.quality import check_quality

Write = Callable[..., Path]


def write_cpsc(path: Path, signal: np.ndarray, *, sex: str = "Male", age: object = 52) -> None:
    savemat(path, {"ECG": {"sex": sex, "age": age, "data": signal}}, do_compression=True)


@pytest.fixture
def headers(tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write) -> Path:
    people = {
        "JS1": (" Age: 61", " Sex: Female", " Dx: 164865005,426783006"),
        "JS2": (" Age: NaN", " Sex: Unknown", " Dx: 426783006"),
        "HR3": (" Age: 300", " Sex: M"),
    }
    for name, comments in people.items():
        write_wfdb(tmp_path / "sub" / name, twelve_leads, units="mv", comments=comments)
    return tmp_path


def test_a_header_gives_age_sex_and_readings(headers: Path) -> None:
    tables = ChallengeSource(path=headers).tables()
    rows = {row["ecg_id"]: row for row in tables.ecgs.iter_rows(named=True)}
    assert {name: row["age"] for name, row in rows.items()} == {"JS1": 61, "JS2": None, "HR3": None}
    assert rows["JS1"]["reading_mi"] is True
    assert rows["JS1"]["reading_norm"] is False  # sinus rhythm beside an infarction
    assert rows["JS2"]["reading_norm"] is True
    assert rows["HR3"]["reading_mi"] is None  # no labels at all
    assert {row["origin"] for row in rows.values()} == {"JS", "HR"}
    sexes = dict(tables.patients.iter_rows())
    assert sexes == {"JS1": "Female", "JS2": None, "HR3": "Male"}


def test_every_record_is_its_own_cluster_and_a_remark_says_so(headers: Path) -> None:
    tables = ChallengeSource(path=headers).tables()
    assert tables.ecgs["patient_id"].n_unique() == 3
    assert tables.remarks[0].startswith("3 of 3 records have no patient id")


def test_a_header_over_a_matlab_file_is_read_by_the_offset_it_states(
    tmp_path: Path, twelve_leads: np.ndarray
) -> None:
    stored = np.rint(twelve_leads * 1000).astype("<i2")
    header = np.array([0, 1, 0, 0, 0, 0], "<i4").tobytes()  # 24 bytes, as MATLAB 4 writes
    (tmp_path / "A1.mat").write_bytes(header + stored.T.tobytes())
    lines = ["A1 12 500 5000"]
    lines += [f"A1.mat 16+24 1000/mV 16 0 0 0 0 {name}" for name in STANDARD_12]
    text = "\n".join(lines).replace(" 16 0 0 0 0 ", " 16 0 {first} {sum} 0 ")
    sums = [(int(row.sum()) + 2**15) % 2**16 - 2**15 for row in stored.astype(np.int64)]
    for row, total in zip(stored, sums, strict=True):
        text = text.replace("{first} {sum}", f"{row[0]} {total}", 1)
    (tmp_path / "A1.hea").write_text(text + "\n")
    (found,) = ChallengeSource(path=tmp_path).recordings(["A1"])
    assert isinstance(found, Recording)
    np.testing.assert_allclose(found.signal, twelve_leads, atol=1e-9)


def test_the_original_cpsc_files_are_read_at_any_length(
    tmp_path: Path, twelve_leads: np.ndarray
) -> None:
    write_cpsc(tmp_path / "A0001.mat", np.tile(twelve_leads, 3))
    write_cpsc(tmp_path / "A0002.mat", twelve_leads, sex="Female", age="NaN")
    (tmp_path / "REFERENCE.csv").write_text(
        "Recording,First_label,Second_label,Third_label\nA0001,9,5,\n"
    )
    source = ChallengeSource(path=tmp_path)
    tables = source.tables()
    assert dict(tables.patients.iter_rows()) == {"A0001": "Male", "A0002": "Female"}
    assert tables.ecgs["age"].to_list() == [52, None]
    assert tables.ecgs["reading_st_elevation"].to_list() == [True, None]
    long, unknown = source.recordings(["A0001", "B"])
    assert isinstance(long, Recording)
    assert long.signal.shape == (12, 15000)
    np.testing.assert_allclose(long.signal[:, :5000], twelve_leads)
    assert isinstance(unknown, RecordingError)


def test_broken_matlab_files_keep_their_row_and_say_why(
    tmp_path: Path, twelve_leads: np.ndarray
) -> None:
    write_cpsc(tmp_path / "A1.mat", twelve_leads)
    whole = (tmp_path / "A1.mat").read_bytes()
    (tmp_path / "A2.mat").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "A3.mat").write_bytes(b"")
    write_cpsc(tmp_path / "A4.mat", twelve_leads[:5])
    savemat(tmp_path / "A5.mat", {"val": twelve_leads})
    savemat(tmp_path / "A6.mat", {"ECG": np.zeros((3000, 3000))}, do_compression=True)
    source = ChallengeSource(path=tmp_path)
    assert len(source.tables().ecgs) == 6
    found = list(source.recordings([f"A{i}" for i in range(1, 7)]))
    assert isinstance(found[0], Recording)
    reasons = [f.reason for f in found[1:] if isinstance(f, RecordingError)]
    assert reasons == ["truncated", "empty", "wrong_shape", "truncated", "too_large"]


def test_two_records_of_one_name_and_an_empty_folder_are_refused(
    headers: Path, tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    write_wfdb(headers / "other" / "JS1", twelve_leads)
    with pytest.raises(InputError, match="two records called JS1"):
        ChallengeSource(path=headers).tables()
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingPathError, match=r"neither \.hea nor \.mat"):
        ChallengeSource(path=tmp_path / "empty").tables()
    with pytest.raises(MissingPathError, match="no folder"):
        ChallengeSource(path=tmp_path / "gone").tables()


@pytest.mark.shared
def test_the_challenge_samples_are_read_and_their_flat_leads_found(shared: Path) -> None:
    source = ChallengeSource(path=shared / "data" / "cinc2021_mini")
    tables = source.tables()
    assert len(tables.ecgs) == 28
    for found in source.recordings(tables.ecgs["ecg_id"].to_list()[::4]):
        assert isinstance(found, Recording)
        assert found.signal.shape == (12, 5000)
        assert limb_residual(*found.signal[:3]) < 0.01
    quality = check_quality(source, ids=["JS20004", "JS20008"], n_jobs=1)
    flat = quality.filter(quality["reasons"].str.contains("flat"))
    assert sorted(flat["lead"].unique()) == ["V2", "V4", "V6"]
    assert len(flat) == 6


@pytest.mark.shared
def test_the_cpsc_samples_are_read_at_their_own_lengths(shared: Path) -> None:
    source = ChallengeSource(path=shared / "data" / "cpsc2018_mini")
    found = list(source.recordings(source.tables().ecgs["ecg_id"].to_list()))
    lengths = [one.signal.shape[1] for one in found if isinstance(one, Recording)]
    assert lengths == [5000, 7950, 5000, 7500, 9500, 5517]
