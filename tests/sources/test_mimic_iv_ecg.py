from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.cohort.build import build_cohort
from acsbench.errors import MissingPathError, RecordingError, TableError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12
from acsbench.sources.icd import BYPASS, CATHETERIZATION, INFARCTION, INTERVENTION, NSTEMI, STEMI
from acsbench.sources.mimic_iv_ecg import MimicIvEcgSource
from acsbench.tasks import TASKS

Write = Callable[..., Path]
ORDER = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
RECORDS = """subject_id,study_id,file_name,ecg_time,path
10,101,101,2150-03-01 08:00:00,files/p1000/p10/s101/101
10,102,102,2150-03-02 09:00:00,files/p1000/p10/s102/102
10,103,103,2152-01-01 09:00:00,files/p1000/p10/s103/103
11,111,111,2160-05-05 10:00:00,files/p1000/p11/s111/111
12,121,121,2170-07-07 11:00:00,files/p1000/p12/s121/121
13,131,131,2170-07-07 11:00:00,files/p1000/p13/s131/131
"""
MACHINE = (
    "subject_id,study_id,rr_interval,p_onset,p_end,qrs_onset,qrs_end,t_end,p_axis,qrs_axis,t_axis"
    """
10,101,800,40,140,200,300,600,50,20,30
10,102,29999,29999,29999,200,300,29999,29999,-20,29999
10,103,0,-5,20,200,100,600,50,20,30
11,111,1000,40,140,180,280,560,50,20,30
12,121,600,40,140,180,280,560,50,20,30
13,131,600,40,140,180,280,560,50,20,30
"""
)
HOSP = {
    "patients": """subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod
10,M,60,2150,2014 - 2016,
11,F,70,2158,2014 - 2016,2160-05-20
12,F,50,2170,2014 - 2016,
""",
    "admissions": """subject_id,hadm_id,admittime,dischtime,edregtime
10,201,2150-03-01 12:00:00,2150-03-05 12:00:00,2150-03-01 07:00:00
11,211,2160-05-05 09:00:00,2160-05-09 12:00:00,
""",
    "procedures_icd": """subject_id,hadm_id,seq_num,chartdate,icd_code,icd_version
10,201,1,2150-03-02,4A023N7,10
10,201,2,2150-03-02,027034Z,10
11,211,1,2160-05-16,3722,9
""",
    "diagnoses_icd": """subject_id,hadm_id,seq_num,icd_code,icd_version
10,201,1,I214,10
11,211,1,41012,9
""",
}
ED = {
    "edstays": """subject_id,hadm_id,stay_id,intime,outtime
10,201,301,2150-03-01 07:00:00,2150-03-01 11:00:00
12,,321,2170-07-07 10:00:00,2170-07-07 20:00:00
""",
    "diagnosis": """subject_id,stay_id,seq_num,icd_code,icd_version,icd_title
12,321,1,R079,10,Chest pain
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "record_list.csv").write_text(RECORDS)
    (tmp_path / "machine_measurements.csv").write_text(MACHINE)
    for name, tables in (("hosp", HOSP), ("ed", ED)):
        (tmp_path / name).mkdir()
        for table, text in tables.items():
            with gzip.open(tmp_path / name / f"{table}.csv.gz", "wt") as stream:
                stream.write(text)
    return tmp_path


def full(folder: Path) -> MimicIvEcgSource:
    return MimicIvEcgSource(path=folder, hosp=folder / "hosp", ed=folder / "ed")


def test_leads_are_taken_by_name_though_avf_comes_before_avl(
    folder: Path, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    rows = [STANDARD_12.index(name) for name in ORDER]
    write_wfdb(folder / "files/p1000/p10/s101/101", twelve_leads[rows], names=ORDER)
    found, missing, unknown = MimicIvEcgSource(path=folder).recordings(["101", "102", "9"])
    assert isinstance(found, Recording)
    np.testing.assert_allclose(found.signal, twelve_leads, atol=1e-9)
    assert isinstance(missing, RecordingError)
    assert isinstance(unknown, RecordingError)
    assert (missing.reason, unknown.reason) == ("missing_file", "unknown_id")


def test_what_the_device_did_not_measure_is_missing(folder: Path) -> None:
    ecgs = MimicIvEcgSource(path=folder).tables().ecgs.sort("ecg_id")
    assert ecgs["vent_rate"].to_list()[:3] == [75.0, None, None]
    assert ecgs["pr_interval"].to_list()[:3] == [160.0, None, None]
    assert ecgs["qrs_duration"].to_list()[:3] == [100.0, 100.0, None]
    assert ecgs["qt_interval"].to_list()[:3] == [400.0, None, 400.0]
    assert ecgs["p_axes"].to_list()[:3] == [50.0, None, 50.0]
    assert ecgs["r_axes"].to_list()[:3] == [20.0, -20.0, 20.0]


def test_without_hospital_tables_there_are_no_outcomes_and_a_remark_says_so(folder: Path) -> None:
    tables = MimicIvEcgSource(path=folder).tables()
    assert (tables.outcomes, tables.encounters) == ((), None)
    assert "source.hosp" in tables.remarks[0]


def test_an_ecg_belongs_to_the_visit_during_which_it_was_taken(folder: Path) -> None:
    ecgs = full(folder).tables().ecgs
    assert dict(ecgs.select("ecg_id", "encounter_id").iter_rows()) == {
        "101": "201",  # in the emergency department, before the admission
        "102": "201",
        "103": None,
        "111": "211",
        "121": "ed321",
        "131": None,
    }


def test_the_age_is_that_of_the_visit(folder: Path) -> None:
    visits = full(folder).tables().encounters
    assert visits is not None
    ages = dict(visits.select("encounter_id", "age").iter_rows())
    assert ages == {"201": 60, "211": 72, "ed321": 50}


def test_outcomes_follow_the_codes_and_the_days(folder: Path) -> None:
    visits = full(folder).tables().encounters
    assert visits is not None
    rows = {row["encounter_id"]: row for row in visits.iter_rows(named=True)}
    treated, late, home = rows["201"], rows["211"], rows["ed321"]
    assert (treated["cath_010_day"], treated["pci_or_cabg_010_day"]) == (True, True)
    assert treated["days_to_cath"] == 1
    assert (treated["diagnosis_i21"], treated["diagnosis_nstemi"]) == (True, True)
    assert treated["diagnosis_stemi"] is False
    assert (late["cath_010_day"], late["days_to_cath"]) == (False, None)  # on the eleventh day
    assert late["diagnosis_i21"] is False  # 410.12 is a later episode of care
    assert late["death_030_day"] is True
    assert (home["cath_010_day"], home["diagnosis_i21"]) == (False, False)


def test_a_visit_that_was_never_coded_has_no_diagnosis_rather_than_none(folder: Path) -> None:
    path = folder / "hosp" / "diagnoses_icd.csv.gz"
    with gzip.open(path, "wt") as stream:
        stream.write(
            HOSP["diagnoses_icd"].split("10,201")[0]
            + "11,211,1,I10,10\n".replace("11,211", "1,211")
        )
    visits = full(folder).tables().encounters
    assert visits is not None
    found = dict(visits.select("encounter_id", "diagnosis_i21").iter_rows())
    assert found["201"] is None
    assert found["211"] is False


def test_both_tasks_find_their_records(folder: Path) -> None:
    rng = np.random.default_rng(0)
    people = range(1000, 1060)
    records = ["subject_id,study_id,ecg_time,path"]
    admissions = ["subject_id,hadm_id,admittime,dischtime,edregtime"]
    procedures = ["subject_id,hadm_id,seq_num,chartdate,icd_code,icd_version"]
    diagnoses = ["subject_id,hadm_id,seq_num,icd_code,icd_version"]
    patients = ["subject_id,gender,anchor_age,anchor_year,dod"]
    machine = [MACHINE.splitlines()[0]]
    for who in people:
        records.append(f"{who},{who + 5000},2150-01-01 10:00:00,files/{who}")
        machine.append(f"{who},{who + 5000},800,40,140,200,300,600,50,20,30")
        admissions.append(f"{who},{who + 9000},2150-01-01 09:00:00,2150-01-04 09:00:00,")
        patients.append(f"{who},F,60,2150,")
        diagnoses.append(f"{who},{who + 9000},1,{'I2109' if rng.random() < 0.5 else 'R079'},10")
        procedures.append(f"{who},{who + 9000},1,2150-01-02,B2111ZZ,10")
        if rng.random() < 0.5:
            procedures.append(f"{who},{who + 9000},2,2150-01-03,0210093,10")
    (folder / "record_list.csv").write_text("\n".join(records))
    (folder / "machine_measurements.csv").write_text("\n".join(machine))
    texts = {"patients": patients, "admissions": admissions}
    texts |= {"procedures_icd": procedures, "diagnoses_icd": diagnoses}
    for name, lines in texts.items():
        with gzip.open(folder / "hosp" / f"{name}.csv.gz", "wt") as stream:
            stream.write("\n".join(lines))
    cohort = build_cohort(MimicIvEcgSource(path=folder, hosp=folder / "hosp").tables())
    for name in ("mimic_acs_pci", "mimic_i21"):
        labels = TASKS[name].labels(cohort)
        assert len(labels) == 60
        assert 0 < labels["label"].sum() < 60


def test_all_findings_of_all_tables_come_at_once(folder: Path) -> None:
    (folder / "record_list.csv").write_text(RECORDS.replace("ecg_time", "ecgtime", 1))
    (folder / "machine_measurements.csv").write_text(MACHINE.replace("10,101,800", "10,101,fast"))
    with pytest.raises(TableError) as caught:
        MimicIvEcgSource(path=folder).tables()
    assert "Did you mean 'ecgtime'" in str(caught.value)
    assert "row 1: 'fast'" in str(caught.value)


def test_a_missing_table_is_named_with_its_option(folder: Path) -> None:
    (folder / "hosp" / "admissions.csv.gz").unlink()
    with pytest.raises(MissingPathError, match=r"admissions\.csv.*source\.hosp"):
        full(folder).tables()
    with pytest.raises(MissingPathError, match="record_list"):
        MimicIvEcgSource(path=folder / "hosp").tables()


@pytest.mark.parametrize(
    ("code_set", "version", "codes", "others"),
    [
        (INFARCTION, 10, ["I21", "I21.4", "I21A1", "i2109"], ["I22", "I200", "I252"]),
        (INFARCTION, 9, ["41011", "410.71"], ["41012", "412", "4100"]),
        (STEMI, 10, ["I2109", "I2111", "I213"], ["I214", "I219", "I21A1"]),
        (STEMI, 9, ["41001", "41081"], ["41071", "41091"]),
        (NSTEMI, 10, ["I214"], ["I213"]),
        (NSTEMI, 9, ["41071"], ["41001", "41072"]),
        (CATHETERIZATION, 9, ["3722", "37.23", "8856"], ["3721", "8852"]),
        (CATHETERIZATION, 10, ["4A023N7", "B2111ZZ"], ["4A023N6", "B2151ZZ"]),
        (INTERVENTION, 9, ["0066", "3607"], ["3603", "3604", "3610"]),
        (INTERVENTION, 10, ["027034Z", "02703DZ", "02C13ZZ"], ["02700ZZ", "027F34Z", "0210093"]),
        (BYPASS, 9, ["3610", "3615"], ["3601", "362"]),
        (BYPASS, 10, ["0210093", "021109W"], ["027034Z", "021K0Z8"]),
    ],
)
def test_codes_mean_what_they_should(
    code_set: object, version: int, codes: list[str], others: list[str]
) -> None:
    frame = pl.DataFrame({"icd_code": [*codes, *others], "icd_version": version})
    found = frame.select(code_set.holds().alias("x"))["x"].to_list()
    assert found == [True] * len(codes) + [False] * len(others)
