from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acsbench.cohort.build import build_cohort
from acsbench.errors import MissingPathError, RecordingError, TableError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12
from acsbench.sources.silent_cchs_ecg import SilentCchsEcgSource
from acsbench.tasks import TASKS

ID = "0f3c-aaa-1"


@pytest.fixture
def source(tmp_path: Path) -> SilentCchsEcgSource:
    tables = tmp_path / "v1" / "ecg-tables"
    tables.mkdir(parents=True)
    rows = [f"p{i // 2},{i:02x}3c-aaa-{i},2013-01-01 12:12:12" for i in range(60)]
    text = "patient_ngsci_id,ecg_id,acquired_datetime\n" + "\n".join(rows) + "\n"
    (tables / "ecg-metadata.csv").write_text(text)
    return SilentCchsEcgSource(path=tmp_path)


def write(source: SilentCchsEcgSource, array: np.ndarray, *, key: str = "waveform") -> None:
    path = source.path / "v1" / "ecg-waveforms" / ID[:2] / f"{ID}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{key: array})


def read(source: SilentCchsEcgSource) -> Recording | RecordingError:
    return next(source.recordings([ID]))


def microvolts(twelve_leads: np.ndarray, n_samples: int = 5500) -> np.ndarray:
    filled = np.zeros((12, n_samples))
    filled[:, : twelve_leads.shape[1]] = twelve_leads * 1000
    return filled


def test_microvolts_become_millivolts_and_the_zero_tail_is_no_signal(
    source: SilentCchsEcgSource, twelve_leads: np.ndarray
) -> None:
    write(source, microvolts(twelve_leads))
    found = read(source)
    assert isinstance(found, Recording)
    assert (found.lead_names, found.sampling_rate, found.units) == (STANDARD_12, 500, "mV")
    np.testing.assert_allclose(found.signal[:, :5000], twelve_leads, atol=1e-9)
    assert np.isnan(found.signal[:, 5000:]).all()


def test_a_zero_inside_a_recording_and_a_flat_lead_stay(
    source: SilentCchsEcgSource, twelve_leads: np.ndarray
) -> None:
    stored = microvolts(twelve_leads)
    stored[:, 1000:1100] = 0
    stored[3] = 0
    write(source, stored)
    found = read(source)
    assert isinstance(found, Recording)
    assert (found.signal[:, 1000:1100] == 0).all()
    assert (found.signal[3, :5000] == 0).all()
    assert np.isnan(found.signal[3, 5000:]).all()


def test_a_recording_of_zeros_alone_was_not_recorded(source: SilentCchsEcgSource) -> None:
    write(source, np.zeros((12, 5500)))
    found = read(source)
    assert isinstance(found, Recording)
    assert np.isnan(found.signal).all()


def test_records_that_cannot_be_used_say_why(
    source: SilentCchsEcgSource, twelve_leads: np.ndarray
) -> None:
    def reason() -> str:
        found = read(source)
        assert isinstance(found, RecordingError)
        return found.reason

    assert reason() == "missing_file"
    write(source, microvolts(twelve_leads)[:11])
    assert reason() == "wrong_shape"
    write(source, microvolts(twelve_leads), key="other")
    assert reason() == "wrong_shape"
    write(source, twelve_leads)
    assert reason() == "wrong_units"
    write(source, np.full((12, 10), None, object))
    assert reason() == "wrong_type"


def test_labels_of_ones_own_become_tasks(source: SilentCchsEcgSource, tmp_path: Path) -> None:
    ids = source.tables().ecgs["ecg_id"].to_list()
    labels = tmp_path / "labels.csv"
    rows = [f"{ecg_id},{i % 3 == 0:d}" for i, ecg_id in enumerate(ids[:-1])]
    labels.write_text("ecg_id,pci\n" + "\n".join(rows) + "\n")
    tables = SilentCchsEcgSource(path=source.path, labels=labels).tables()
    assert tables.outcomes == ("pci",)
    assert tables.ecgs["pci"].null_count() == 1
    found = TASKS["label_pci"].labels(build_cohort(tables))
    assert (len(found), found["label"].null_count()) == (60, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ecg_id,pci\n003c-aaa-0,2\n", r"column 'pci'.*type flag.*row 1: '2'"),
        ("ecg_id,pci\nnobody,1\n", r"1 ids are of no ECG.*nobody"),
        ("ecg_id,patient_id\n003c-aaa-0,1\n", r"already have patient_id; rename it"),
        ("ecg_id\n003c-aaa-0\n", "no column beside ecg_id"),
        ("ecg_id,pci\n003c-aaa-0,1\n003c-aaa-0,1\n", "more than one row"),
        ("id,pci\n003c-aaa-0,1\n", r"'ecg_id' is missing"),
    ],
)
def test_broken_labels_are_one_clear_error(
    source: SilentCchsEcgSource, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        SilentCchsEcgSource(path=source.path, labels=tmp_path / "labels.csv").tables()


def test_broken_metadata_and_a_wrong_folder_are_named(
    source: SilentCchsEcgSource, tmp_path: Path
) -> None:
    path = tmp_path / "v1" / "ecg-tables" / "ecg-metadata.csv"
    path.write_text("patient_ngsci_id,ecg_id,acquired_datetime\np1,../../x,never\n")
    with pytest.raises(TableError) as caught:
        source.tables()
    assert "row 1: '../../x'" in str(caught.value)
    assert "row 1: 'never'" in str(caught.value)
    with pytest.raises(MissingPathError, match="silent-cchs-ecg/v1"):
        SilentCchsEcgSource(path=tmp_path / "v1" / "ecg-tables").tables()
