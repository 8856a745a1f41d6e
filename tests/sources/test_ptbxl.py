from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.errors import MissingPathError, RecordingError, TableError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12, limb_residual
from acsbench.sources.ptbxl import PtbxlSource

Write = Callable[..., Path]
COLUMNS = {
    "ecg_id": ["1", "2", "3", "4"],
    "patient_id": ["11.0", "11.0", "12.0", "13.0"],
    "age": ["56.0", "57.0", "300.0", ""],
    "sex": ["1", "1", "", "0"],
    "recording_date": ["1984-11-09 09:17:34"] * 4,
    "report": ["sinus rhythm", "infarct", "", ""],
    "scp_codes": ["{'NORM': 100.0, 'SR': 0.0}", "{'IMI': 0.0}", "{'SR': 0.0}", "{'LVH': 50.0}"],
    "heart_axis": ["LAD", "", "", ""],
    "infarction_stadium1": ["", "Stadium I", "", ""],
    "infarction_stadium2": ["", "", "", ""],
    "strat_fold": ["1", "1", "9", "10"],
    "filename_lr": [f"records100/{i:05d}_lr" for i in range(1, 5)],
    "filename_hr": [f"records500/{i:05d}_hr" for i in range(1, 5)],
}
STATEMENTS = {
    "": ["NORM", "IMI", "LVH", "SR"],
    "diagnostic": ["1.0", "1.0", "1.0", ""],
    "diagnostic_class": ["NORM", "MI", "HYP", ""],
}


@pytest.fixture
def ptbxl(tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write) -> PtbxlSource:
    pl.DataFrame(COLUMNS).write_csv(tmp_path / "ptbxl_database.csv")
    pl.DataFrame(STATEMENTS).write_csv(tmp_path / "scp_statements.csv")
    for name in COLUMNS["filename_hr"]:
        write_wfdb(tmp_path / name, twelve_leads)
    return PtbxlSource(path=tmp_path)


def change(source: PtbxlSource, **columns: list[str]) -> None:
    pl.DataFrame({**COLUMNS, **columns}).write_csv(source.path / "ptbxl_database.csv")


def one(source: PtbxlSource, ecg_id: str = "1") -> Recording | RecordingError:
    return next(source.recordings([ecg_id]))


def test_a_record_is_read_to_the_microvolt(ptbxl: PtbxlSource, twelve_leads: np.ndarray) -> None:
    found = one(ptbxl)
    assert isinstance(found, Recording)
    assert (found.sampling_rate, found.units, found.lead_names) == (500, "mV", STANDARD_12)
    np.testing.assert_allclose(found.signal, twelve_leads, atol=1e-9)


@pytest.mark.parametrize("unit", ["uV", "mv", "V"])
def test_other_units_become_millivolts(
    ptbxl: PtbxlSource, twelve_leads: np.ndarray, write_wfdb: Write, unit: str
) -> None:
    write_wfdb(ptbxl.path / "records500/00001_hr", twelve_leads, units=unit)
    found = one(ptbxl)
    assert isinstance(found, Recording)
    np.testing.assert_allclose(found.signal, twelve_leads, atol=1e-9)


def test_leads_are_found_by_name_in_any_order_and_case(
    ptbxl: PtbxlSource, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    order = np.random.default_rng(0).permutation(12)
    names = [STANDARD_12[i].lower() for i in order]
    write_wfdb(ptbxl.path / "records500/00001_hr", twelve_leads[order], names=names)
    found = one(ptbxl)
    assert isinstance(found, Recording)
    np.testing.assert_allclose(found.signal, twelve_leads, atol=1e-9)


def test_records_that_cannot_be_used_say_why(
    ptbxl: PtbxlSource, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    path = ptbxl.path / "records500/00001_hr"

    def reason() -> str:
        found = one(ptbxl)
        assert isinstance(found, RecordingError)
        return found.reason

    write_wfdb(path, twelve_leads[:11], names=STANDARD_12[:11])
    assert reason() == "missing_leads"
    write_wfdb(path, twelve_leads, names=[*STANDARD_12[:11], "V5"])
    assert reason() == "duplicate_leads"
    write_wfdb(path, twelve_leads, units="mmHg")
    assert reason() == "wrong_units"
    write_wfdb(path, twelve_leads, sampling_rate=250)
    assert reason() == "wrong_rate"
    write_wfdb(path, twelve_leads)
    data = path.with_name("00001_hr.dat")
    whole = data.read_bytes()
    data.write_bytes(whole[:-200])
    assert reason() == "truncated"
    data.write_bytes(whole[:5000] + b"\x01\x02" + whole[5002:])
    assert reason() == "checksum"
    data.write_bytes(b"")
    assert reason() == "empty"
    data.unlink()
    assert reason() == "missing_file"
    path.with_name("00001_hr.hea").write_text("")
    assert reason() == "empty"
    path.with_name("00001_hr.hea").unlink()
    assert reason() == "missing_file"


def test_a_broken_record_and_an_unknown_id_do_not_stop_the_others(ptbxl: PtbxlSource) -> None:
    (ptbxl.path / "records500/00002_hr.dat").unlink()
    found = list(ptbxl.recordings(["1", "2", "99", "3"]))
    assert [isinstance(f, Recording) for f in found] == [True, False, False, True]


def test_a_missing_sex_an_age_above_89_and_a_missing_age_stay_what_they_are(
    ptbxl: PtbxlSource,
) -> None:
    tables = ptbxl.tables()
    assert dict(tables.patients.select("patient_id", "sex").iter_rows()) == {
        "11": "Female",
        "12": None,
        "13": "Male",
    }
    assert tables.ecgs.sort("ecg_id")["age"].to_list() == [56.0, 57.0, 90.0, None]


def test_readings_count_at_any_likelihood(ptbxl: PtbxlSource) -> None:
    ecgs = ptbxl.tables().ecgs.sort("ecg_id")
    assert ecgs["reading_mi"].to_list() == [False, True, False, False]
    assert ecgs["reading_norm"].to_list() == [True, False, False, False]


def test_all_broken_statements_are_named_in_one_error(ptbxl: PtbxlSource) -> None:
    change(ptbxl, scp_codes=["NORM", "{'IMI': 0.0}", "(" * 3000, "{1: 2}"])
    with pytest.raises(TableError, match=r"scp_codes: 3 values(.|\n)*ecg_id 1(.|\n)*ecg_id 4"):
        ptbxl.tables()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("strat_fold", ["0", "1", "9", "10"], "below 1"),
        ("ecg_id", ["1", "1", "3", "4"], "more than one row"),
        ("age", ["56", "57", "old", "1"], "row 3: 'old'"),
        ("sex", ["1", "1", "2", "0"], "none of 0, 1"),
        ("patient_id", ["", "1", "2", "3"], "missing values"),
    ],
)
def test_a_broken_table_is_one_clear_error(
    ptbxl: PtbxlSource, column: str, values: list[str], message: str
) -> None:
    change(ptbxl, **{column: values})
    with pytest.raises(TableError, match=message):
        ptbxl.tables()


def test_a_folder_without_ptbxl_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match=r"ptbxl_database\.csv is missing"):
        PtbxlSource(path=tmp_path).tables()


def test_no_feature_comes_from_what_a_cardiologist_wrote(ptbxl: PtbxlSource) -> None:
    before = ptbxl.tables()
    assert before.features == ("age", "is_female")
    assert before.flags == ()
    change(
        ptbxl,
        scp_codes=["{'LVH': 100.0}"] * 4,
        report=["something else"] * 4,
        heart_axis=["RAD"] * 4,
        infarction_stadium1=["Stadium III"] * 4,
        infarction_stadium2=["Stadium II"] * 4,
    )
    after = ptbxl.tables()
    ages, old_ages = after.ecgs.drop(after.outcomes), before.ecgs.drop(before.outcomes)
    assert ages.equals(old_ages)
    assert after.patients.equals(before.patients)


@pytest.mark.shared
def test_the_first_records_of_ptbxl_are_read_as_published(shared: Path) -> None:
    source = PtbxlSource(path=shared / "data" / "ptbxl_mini")
    tables = source.tables()
    assert (len(tables.ecgs), tables.ecgs["patient_id"].n_unique()) == (353, 339)
    assert {name: int(tables.ecgs[name].sum()) for name in tables.outcomes} == {
        "reading_norm": 225,
        "reading_mi": 49,
        "reading_sttc": 59,
        "reading_cd": 57,
        "reading_hyp": 25,
    }
    ids = tables.ecgs["ecg_id"].to_list()
    for found in source.recordings(ids[::40]):
        assert isinstance(found, Recording)
        assert found.signal.shape == (12, 5000)
        assert limb_residual(*found.signal[:3]) < 0.002
    slow = PtbxlSource(path=source.path, sampling_rate=100)
    found = next(slow.recordings(ids[:1]))
    assert isinstance(found, Recording)
    assert found.signal.shape == (12, 1000)


@pytest.mark.shared
def test_folds_of_ptbxl_never_divide_a_patient(shared: Path) -> None:
    tables = PtbxlSource(path=shared / "data" / "ptbxl_mini").tables()
    folds = {"train": (1, 2, 3, 4, 5), "val": (6,), "test": (7, 8, 9, 10)}
    config = CohortConfig.model_validate({"scheme": "folds", "folds": folds})
    assert build_cohort(tables, config=config).info["shared_patients"] == 0
