from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.errors import ConfigError, MissingPathError, RecordingError, TableError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12, limb_residual
from acsbench.sources.folder import FolderSource
from acsbench.tasks import TASKS

Write = Callable[..., Path]
EXAMPLES = Path(__file__).parents[2] / "examples"
SIGNALS = {
    "npy": 'files = "{file}.npy"\nscale = 0.001\nsampling_rate = 500\nleads = {leads}',
    "csv": 'files = "{file}.csv"\nsampling_rate = 500',
    "wfdb": 'files = "{file}"',
    "npz": 'files = "all.npz"\narray = "x"\nscale = 0.001\nsampling_rate = 500\nleads = {leads}',
}
TABLE = """
[table]
file = "records.csv"
ecg_id = "id"
patient_id = "who"
fold = "fold"
age = "years"
age_values = { "over 89" = 90 }
sex = "sex"
labels = ["mi", "pci"]
features = ["lvef"]
subgroups = ["ward"]
"""
RECORDS = """id,who,file,fold,years,sex,mi,pci,lvef,ward
a,p1,rec/a,1,50,M,1,0,55,ED
b,p1,rec/b,1,51,M,0,,60,ED
c,,rec/c,2,over 89,F,1,1,,ICU
d,p2,rec/d,3,70,,0,0,40,ED
"""


def describe(folder: Path, layout: str, *, signals: str = "", table: str = TABLE) -> FolderSource:
    leads = str(list(STANDARD_12))
    body = signals or f'units = "mV"\n{SIGNALS[layout].replace("{leads}", leads)}'
    text = f'name = "clinic"\nmin_count = 5\n[signals]\nformat = "{layout}"\n{body}\n{table}'
    (folder / "source.toml").write_text(text)
    return FolderSource(path=folder)


def write_all(folder: Path, layout: str, leads: np.ndarray, write_wfdb: Write) -> None:
    (folder / "rec").mkdir()
    (folder / "records.csv").write_text(RECORDS)
    stored = [np.rint(leads * 1000).astype(np.int16) + place for place in range(4)]
    if layout == "npz":
        np.savez_compressed(folder / "all.npz", x=np.stack(stored).transpose(0, 2, 1))
    for name, one in zip("abcd", stored, strict=True):
        if layout == "npy":
            np.save(folder / f"rec/{name}.npy", one)
        if layout == "csv":
            pl.DataFrame((one / 1000).T, schema=list(STANDARD_12)).write_csv(
                folder / f"rec/{name}.csv"
            )
        if layout == "wfdb":
            write_wfdb(folder / f"rec/{name}", one / 1000)


@pytest.mark.parametrize("layout", SIGNALS)
def test_every_layout_gives_the_same_recordings(
    tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write, layout: str
) -> None:
    write_all(tmp_path, layout, twelve_leads, write_wfdb)
    source = describe(tmp_path, layout)
    found = list(source.recordings(["c", "nobody", "a"]))
    assert isinstance(found[0], Recording)
    assert isinstance(found[1], RecordingError)
    assert isinstance(found[2], Recording)
    assert [one.ecg_id for one in found] == ["c", "nobody", "a"]
    assert (found[2].lead_names, found[2].sampling_rate) == (STANDARD_12, 500)
    np.testing.assert_allclose(found[2].signal, twelve_leads, atol=1e-9)
    np.testing.assert_allclose(found[0].signal, twelve_leads + 0.002, atol=1e-9)


@pytest.fixture
def clinic(tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write) -> FolderSource:
    write_all(tmp_path, "npy", twelve_leads, write_wfdb)
    return describe(tmp_path, "npy")


def test_the_table_becomes_records_patients_labels_and_features(clinic: FolderSource) -> None:
    tables = clinic.tables()
    assert (tables.source, tables.min_count, tables.fold_column) == ("clinic", 5, "fold")
    assert (tables.outcomes, tables.features) == (("mi", "pci"), ("age", "is_female", "lvef"))
    assert tables.subgroups == ("sex", "age_band", "ward")
    assert tables.ecgs["age"].to_list() == [50, 51, 90, 70]
    assert tables.ecgs["pci"].to_list() == [False, None, True, False]
    assert dict(tables.patients.iter_rows()) == {"p1": "Male", "record c": "Female", "p2": None}


def test_a_record_without_a_patient_is_its_own_cluster_and_a_remark_says_so(
    clinic: FolderSource,
) -> None:
    tables = clinic.tables()
    assert tables.remarks[0].startswith("1 of 4 records have no patient id")
    config = CohortConfig.model_validate(
        {"scheme": "folds", "folds": {"train": [1], "val": [2], "test": [3]}}
    )
    cohort = build_cohort(tables, config=config)
    assert cohort.info["remarks"] == list(tables.remarks)
    labels = TASKS["label_mi"].labels(cohort)
    assert labels["label"].to_list() == [1, 0, 1, 0]
    assert labels["split"].to_list() == ["train", "train", "val", "test"]


def test_a_label_that_nobody_brought_is_named_with_the_nearest(clinic: FolderSource) -> None:
    cohort = build_cohort(
        clinic.tables(),
        config=CohortConfig.model_validate(
            {"scheme": "folds", "folds": {"train": [1], "val": [2], "test": [3]}}
        ),
    )
    with pytest.raises(TableError, match="Did you mean 'pci'"):
        TASKS["label_pcl"].labels(cohort)


def test_a_missing_lead_is_not_recorded_and_a_misnamed_one_is_an_error(
    tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    (tmp_path / "records.csv").write_text(RECORDS)
    write_wfdb(tmp_path / "rec/a", twelve_leads[:11], names=STANDARD_12[:11])
    write_wfdb(tmp_path / "rec/b", twelve_leads, names=[*STANDARD_12[:11], "C6"])
    source = describe(tmp_path, "wfdb")
    lacking, misnamed = source.recordings(["a", "b"])
    assert isinstance(lacking, Recording)
    assert np.isnan(lacking.lead("V6")).all()
    assert isinstance(misnamed, RecordingError)
    assert misnamed.reason == "missing_leads"
    assert "C6" in misnamed.detail
    renamed = describe(
        tmp_path, "wfdb", signals='units = "mV"\nfiles = "{file}"\nrenamed = {C6 = "V6"}'
    )
    (found,) = renamed.recordings(["b"])
    assert isinstance(found, Recording)
    np.testing.assert_allclose(found.signal, twelve_leads, atol=1e-9)


def test_records_that_cannot_be_used_say_why(
    clinic: FolderSource, twelve_leads: np.ndarray
) -> None:
    path = clinic.path / "rec" / "a.npy"

    def reason() -> str:
        (found,) = clinic.recordings(["a"])
        assert isinstance(found, RecordingError)
        return found.reason

    np.save(path, twelve_leads[:7])
    assert reason() == "wrong_shape"
    np.save(path, twelve_leads * 1e6)  # the description says thousandths of a millivolt
    assert reason() == "wrong_units"
    np.save(path, np.full((12, 10), "x"))
    assert reason() == "wrong_type"
    path.write_bytes(b"")
    assert reason() == "empty"
    path.unlink()
    assert reason() == "missing_file"


def test_a_csv_cell_that_is_no_number_is_named(
    tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    write_all(tmp_path, "csv", twelve_leads, write_wfdb)
    path = tmp_path / "rec/a.csv"
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[1], "n/a", 1)
    path.write_text("\n".join(lines))
    (found,) = describe(tmp_path, "csv").recordings(["a"])
    assert isinstance(found, RecordingError)
    assert "row 3: 'n/a'" in found.detail


def test_a_path_out_of_the_folder_is_refused(clinic: FolderSource, tmp_path: Path) -> None:
    text = RECORDS.replace("rec/a", "../../etc/passwd")
    (tmp_path / "records.csv").write_text(text)
    (found,) = FolderSource(path=tmp_path).recordings(["a"])
    assert isinstance(found, RecordingError)
    assert "outside" in found.detail


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a,p1,rec/a,1,50", "a,p1,rec/a,1,old", r"column 'years'.*row 1: 'old'"),
        ("b,p1", "a,p1", "more than one row"),
        ("a,p1,rec/a,1,50,M,1", "a,p1,rec/a,1,50,M,3", r"column 'mi'.*row 1: '3'"),
        ("1,50,M", "1,50,X", r"\['X'\] mean no sex.*sex_values"),
        ("id,who,file", "id,who,files", r"column 'file' is missing.*'files'"),
        ("a,p1,rec/a,1", "a,p1,rec/a,one", r"column 'fold'.*row 1: 'one'"),
    ],
)
def test_a_broken_table_is_one_clear_error(
    clinic: FolderSource, tmp_path: Path, old: str, new: str, message: str
) -> None:
    (tmp_path / "records.csv").write_text(RECORDS.replace(old, new, 1))
    with pytest.raises(TableError, match=message):
        FolderSource(path=tmp_path).tables()


@pytest.mark.parametrize(
    ("layout", "signals", "table", "message"),
    [
        ("npy", 'files = "{file}.npy"', TABLE, "units"),
        ("npy", 'units = "mV"\nfiles = "{file}.npy"', TABLE, "sampling_rate; give it"),
        ("npy", 'units = "mV"\nfiles = "{file}"\nsampling_rate = 5', TABLE, "no lead names"),
        ("wfdb", 'units = "uV"\nfiles = "{file}"', TABLE, "set units = 'mV'"),
        ("wfdb", 'units = "mV"\nfiles = "a"', TABLE, "put a column in braces"),
        (
            "wfdb",
            'units = "mV"\nfiles = "{file}"\nrenamed = {C = "V66"}',
            TABLE,
            "Did you mean 'V6'",
        ),
        ("csv", 'unit = "mV"\nunits = "mV"\nfiles = "{file}"', TABLE, "Did you mean 'units'"),
        ("wfdb", "", TABLE.replace('"mi"', '"age"'), "makes columns of that name itself"),
        ("wfdb", "", TABLE.replace("fold =", "folds ="), "Did you mean 'fold'"),
        ("wfdb", "", "", "table"),
    ],
)
def test_a_wrong_description_is_one_clear_error(
    tmp_path: Path, layout: str, signals: str, table: str, message: str
) -> None:
    (tmp_path / "records.csv").write_text(RECORDS)
    with pytest.raises(ConfigError, match=message):
        describe(tmp_path, layout, signals=signals, table=table).tables()


def test_a_missing_description_folder_or_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match=r"source\.description"):
        FolderSource(path=tmp_path).tables()
    with pytest.raises(MissingPathError, match="no folder"):
        FolderSource(path=tmp_path / "gone").tables()
    with pytest.raises(MissingPathError, match=r"records\.csv"):
        describe(tmp_path, "wfdb").tables()
    (tmp_path / "source.toml").write_text("= = =")
    with pytest.raises(ConfigError, match="not valid TOML"):
        FolderSource(path=tmp_path).tables()


def test_one_array_must_have_a_row_for_each_record(
    tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    write_all(tmp_path, "npz", twelve_leads, write_wfdb)
    source = describe(tmp_path, "npz")
    assert len(source.tables().ecgs) == 4
    np.savez(tmp_path / "all.npz", x=np.zeros((3, 12, 10)))
    with pytest.raises(TableError, match=r"shape \(3, 12, 10\).*4 records"):
        describe(tmp_path, "npz").tables()
    np.savez(tmp_path / "all.npz", y=np.zeros((4, 12, 10)))
    with pytest.raises(TableError, match="no array 'x'; it has y"):
        describe(tmp_path, "npz").tables()
    (tmp_path / "all.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(TableError, match="truncated"):
        describe(tmp_path, "npz").tables()


def test_a_column_can_give_the_place_in_the_array(
    tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Write
) -> None:
    write_all(tmp_path, "npz", twelve_leads, write_wfdb)
    lines = RECORDS.splitlines()
    places = ["place", "3", "2", "1", "0"]
    text = "\n".join(f"{line},{place}" for line, place in zip(lines, places, strict=True))
    (tmp_path / "records.csv").write_text(text)
    (found,) = describe(tmp_path, "npz", table=f'{TABLE}row = "place"\n').recordings(["a"])
    assert isinstance(found, Recording)
    np.testing.assert_allclose(found.signal, twelve_leads + 0.003, atol=1e-9)


@pytest.mark.shared
def test_ludb_is_read_with_the_gain_that_its_headers_get_wrong(shared: Path) -> None:
    folder = shared / "data" / "ludb"
    source = FolderSource(path=folder, description=EXAMPLES / "sources" / "ludb.toml")
    ids = source.tables().ecgs["ecg_id"].to_list()[:12]
    for found in source.recordings(ids):
        assert isinstance(found, Recording)
        assert limb_residual(*found.signal[:3]) < 1e-12
        assert np.abs(found.signal).max() < 10


@pytest.mark.shared
def test_the_normalised_records_are_read_in_standard_deviations(shared: Path) -> None:
    folder = shared / "data" / "ptbxl_filtered_100hz"
    source = FolderSource(path=folder, description=EXAMPLES / "sources" / "ptbxl_filtered.toml")
    tables = source.tables()
    assert {name: int(tables.ecgs[name].sum()) for name in tables.outcomes} == {
        "NORM": 776,
        "MI": 206,
        "STTC": 411,
        "CD": 367,
        "HYP": 160,
    }
    assert tables.remarks[0].startswith("1,221 of 1,442 records have no patient id")
    ids = tables.ecgs["ecg_id"].to_list()[:3]
    for found in source.recordings(ids):
        assert isinstance(found, Recording)
        assert (found.units, found.sampling_rate, found.signal.shape) == ("sd", 100, (12, 1000))
        np.testing.assert_allclose(found.signal.std(axis=1), 1, atol=0.02)
