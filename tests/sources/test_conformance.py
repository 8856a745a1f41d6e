"""Every registered source keeps the contract, on a small data set written here."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench import registry
from acsbench.sources.base import Source, open_source
from acsbench.sources.synthetic import write_hospital
from acsbench.testing import check_source

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hospital(tmp_path_factory.mktemp("conform") / "h", n_patients=15, n_jobs=1)


def _ptbxl(folder: Path, leads: np.ndarray, write_wfdb: Write) -> Source:
    write_wfdb(folder / "records500/1_hr", leads)
    pl.DataFrame(
        {
            "ecg_id": [1],
            "patient_id": [2],
            "age": [50],
            "sex": [1],
            "scp_codes": ["{'MI': 0.0}"],
            "strat_fold": [1],
            "filename_lr": ["records100/1_lr"],
            "filename_hr": ["records500/1_hr"],
        }
    ).write_csv(folder / "ptbxl_database.csv")
    (folder / "scp_statements.csv").write_text(",diagnostic,diagnostic_class\nMI,1.0,MI\n")
    return open_source("ptbxl", path=folder)


def _mimic(folder: Path, leads: np.ndarray, write_wfdb: Write) -> Source:
    write_wfdb(folder / "files/p1", leads)
    (folder / "record_list.csv").write_text(
        "subject_id,study_id,ecg_time,path\n10,1,2150-03-01 08:00:00,files/p1\n"
    )
    (folder / "machine_measurements.csv").write_text(
        "study_id,rr_interval,p_onset,p_end,qrs_onset,qrs_end,t_end,p_axis,qrs_axis,t_axis\n"
        "1,800,40,140,200,300,600,50,20,30\n"
    )
    hosp = {
        "patients": "subject_id,gender,anchor_age,anchor_year,dod\n10,M,60,2150,\n",
        "admissions": "subject_id,hadm_id,admittime,dischtime,edregtime\n"
        "10,5,2150-03-01 07:00:00,2150-03-02 07:00:00,\n",
        "procedures_icd": "subject_id,hadm_id,seq_num,chartdate,icd_code,icd_version\n"
        "10,5,1,2150-03-01,0066,9\n",
        "diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version\n10,5,1,I214,10\n",
    }
    (folder / "hosp").mkdir()
    for name, text in hosp.items():
        with gzip.open(folder / f"hosp/{name}.csv.gz", "wt") as stream:
            stream.write(text)
    return open_source("mimic_iv_ecg", path=folder, hosp=folder / "hosp")


def _silent(folder: Path, leads: np.ndarray, write_wfdb: Write) -> Source:
    (folder / "ecg-tables").mkdir()
    (folder / "ecg-tables/ecg-metadata.csv").write_text(
        "patient_ngsci_id,ecg_id,acquired_datetime\np1,ab-1,2013-01-01 12:12:12\n"
    )
    (folder / "ecg-waveforms/ab").mkdir(parents=True)
    np.savez(folder / "ecg-waveforms/ab/ab-1.npz", waveform=leads * 1000)
    (folder / "labels.csv").write_text("ecg_id,pci\nab-1,1\n")
    return open_source("silent_cchs_ecg", path=folder, labels=folder / "labels.csv")


def _challenge(folder: Path, leads: np.ndarray, write_wfdb: Write) -> Source:
    write_wfdb(folder / "A1", leads, comments=[" Age: 61", " Sex: Female", " Dx: 164865005"])
    return open_source("challenge", path=folder)


def _folder(folder: Path, leads: np.ndarray, write_wfdb: Write) -> Source:
    write_wfdb(folder / "a", leads)
    (folder / "records.csv").write_text("ecg_id,patient_id,age,mi\na,,60,1\n")
    (folder / "source.toml").write_text(
        '[signals]\nformat = "wfdb"\nfiles = "{ecg_id}"\nunits = "mV"\n'
        '[table]\nfile = "records.csv"\npatient_id = "patient_id"\nage = "age"\nlabels = ["mi"]\n'
    )
    return open_source("folder", path=folder)


SMALL: dict[str, Callable[[Path, np.ndarray, Write], Source]] = {
    "ptbxl": _ptbxl,
    "mimic_iv_ecg": _mimic,
    "silent_cchs_ecg": _silent,
    "challenge": _challenge,
    "folder": _folder,
}
GENERATED = {"synthetic": "", "nightingale": "", "holdout": "holdout"}


@pytest.mark.parametrize("name", sorted(registry.BUILT_INS["sources"]))
def test_every_source_keeps_its_contract(
    name: str, hospital: Path, tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    if name == "synthetic":
        check_source(open_source(name, path=hospital, n_patients=15))
    elif name in GENERATED:
        check_source(open_source(name, path=hospital / GENERATED[name]))
    else:
        check_source(SMALL[name](tmp_path, twelve_leads, write_wfdb))
