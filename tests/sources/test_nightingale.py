from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.errors import RecordingError, TableError
from acsbench.sources.nightingale import NightingaleSource, read_recording
from acsbench.sources.synthetic import write_hospital


@pytest.fixture
def tables_folder(tmp_path: Path) -> Path:
    write_hospital(tmp_path / "h", n_patients=40, waveforms=False)
    return tmp_path / "h" / "ed-bwh-ecg" / "v1"


def _edit(path: Path, change: pl.Expr | list[pl.Expr] | dict[str, str]) -> None:
    frame = pl.read_csv(path, infer_schema=False)
    frame = frame.rename(change) if isinstance(change, dict) else frame.with_columns(change)
    frame.write_csv(path)


def _first_row(column: str, value: str | pl.Expr) -> pl.Expr:
    new = pl.lit(value) if isinstance(value, str) else value
    return pl.when(pl.int_range(pl.len()) == 0).then(new).otherwise(pl.col(column)).alias(column)


def _npz(path: Path, array: np.ndarray) -> Path:
    np.savez(path, anything=array)
    return path


def test_a_page_under_any_key_is_read_with_its_gaps(tmp_path: Path) -> None:
    page = np.zeros((15, 5000), np.float32)
    page[0, 1250:] = np.nan
    recording = read_recording(_npz(tmp_path / "0123456789.npz", page))
    assert recording.ecg_id == "ecg0123456789"
    np.testing.assert_array_equal(np.isnan(recording.signal), np.isnan(page))


def test_an_array_stored_by_columns_is_read_the_same(tmp_path: Path) -> None:
    page = np.random.default_rng(0).normal(0, 0.3, (15, 5000)).astype(np.float32)
    by_column = read_recording(_npz(tmp_path / "0123456789.npz", np.asfortranarray(page)))
    np.testing.assert_array_equal(by_column.signal, page)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((12, 5000)), "wrong_shape"),
        (np.zeros((15, 0)), "wrong_shape"),
        (np.zeros(5000), "wrong_shape"),
        (np.tile(np.linspace(-900, 900, 5000), (15, 1)), "wrong_units"),
        (np.full((15, 10), "x"), "wrong_type"),
        (np.zeros((15, 10), complex), "wrong_type"),
        (np.full((15, 10), None, object), "wrong_type"),
        (np.zeros(15, [("a", "f4"), ("b", "f4")]), "wrong_type"),
        (np.zeros((15, 600_000)), "too_large"),
    ],
)
def test_an_array_that_is_no_page_is_named(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    path = tmp_path / "0011223344.npz"
    np.savez_compressed(path, anything=array, allow_pickle=True)
    with pytest.raises(RecordingError, match="0011223344") as caught:
        read_recording(path)
    assert (caught.value.reason, caught.value.ecg_id) == (reason, "ecg0011223344")


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "whole.npz"
    np.savez_compressed(path, waveform=np.random.default_rng(0).normal(size=(15, 5000)))
    whole = path.read_bytes()
    middle = len(whole) // 2
    (tmp_path / "cut.npz").write_bytes(whole[:middle])
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    (tmp_path / "flipped.npz").write_bytes(flipped)
    (tmp_path / "none.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("no archive")
    with zipfile.ZipFile(tmp_path / "nothing.npz", "w") as archive:
        archive.writestr("readme.txt", "no array")
    expected = {
        "cut": "truncated",
        "flipped": "truncated",
        "none": "empty",
        "text": "wrong_type",
        "nothing": "empty",
        "gone": "missing_file",
    }
    for name, reason in expected.items():
        with pytest.raises(RecordingError) as caught:
            read_recording(tmp_path / f"{name}.npz")
        assert caught.value.reason == reason, name


def test_an_archive_that_inflates_beyond_measure_is_refused_before_it_does(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (15, 10**10)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("waveform.npy", header.getvalue() + bytes(10**6))
    tracemalloc.start()
    with pytest.raises(RecordingError, match="too_large") as caught:
        read_recording(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert "limit is 67,108,864" in caught.value.detail


def test_a_missing_waveform_does_not_stop_the_others(tables_folder: Path) -> None:
    source = NightingaleSource(path=tables_folder)
    found = list(source.recordings(["ecg0000000000", "ecg0000000001"]))
    assert [f.reason for f in found if isinstance(f, RecordingError)] == ["missing_file"] * 2


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        (
            "ed-encounter.csv",
            {"cath_010_day": "cath_10_day"},
            r"column 'cath_010_day' is missing\. Did you mean 'cath_10_day'",
        ),
        ("ecg-metadata.csv", {"ecg_id": "ecgid"}, r"column 'ecg_id' is missing.*'ecgid'"),
        ("patient.csv", {"sex": "gender"}, r"column 'sex' is missing"),
        ("ecg-ed-enc.csv", {"ed_enc_id": "visit"}, r"column 'ed_enc_id' is missing"),
        (
            "ecg-metadata.csv",
            _first_row("ecg_id", "ecgXYZ"),
            r"column 'ecg_id': 1 values break the pattern .*row 1: 'ecgXYZ'",
        ),
        (
            "patient.csv",
            _first_row("patient_ngsci_id", "PAT00000001"),
            r"break the pattern pat.*row 1: 'PAT00000001'",
        ),
        (
            "patient.csv",
            _first_row("patient_ngsci_id", pl.col("patient_ngsci_id").get(1)),
            r"key patient_ngsci_id: 1 values stand in more than one row \(pat",
        ),
        (
            "ed-encounter.csv",
            _first_row("ed_enc_id", pl.col("ed_enc_id").get(1)),
            r"key ed_enc_id: 1 values stand in more than one row",
        ),
        ("ed-encounter.csv", _first_row("age_at_admit", "-3"), r"row 1: '-3'"),
        ("ed-encounter.csv", _first_row("cath_010_day", "maybe"), r"type flag .*row 1: 'maybe'"),
        (
            "ecg-metadata.csv",
            pl.col("patient_ngsci_id").reverse(),
            r"ECGs have another patient than their visit \(ecg.*its visit pat",
        ),
        (
            "ed-encounter.csv",
            _first_row("patient_ngsci_id", "patffffffff"),
            r"patients of ed-encounter\.csv are not in patient\.csv \(first: patffffffff",
        ),
        (
            "ecg-ed-enc.csv",
            _first_row("ed_enc_id", "encounter-9"),
            r"visits of ecg-ed-enc\.csv are not in ed-encounter\.csv \(first: encounter-9",
        ),
        (
            "patient.csv",
            pl.lit("1").alias("race_black"),
            r"patients of patient\.csv have not exactly one race column set \(first: pat",
        ),
        (
            "patient.csv",
            [pl.lit("0").alias(f"race_{r}") for r in ("black", "hispanic", "white", "other")],
            r"40 patients of patient\.csv have not exactly one race column set",
        ),
    ],
)
def test_a_broken_table_is_one_clear_error(
    tables_folder: Path, file: str, edit: pl.Expr | dict[str, str], message: str
) -> None:
    _edit(tables_folder / file, edit)
    with pytest.raises(TableError, match=message):
        NightingaleSource(path=tables_folder).tables()


def test_all_findings_of_all_files_come_at_once(tables_folder: Path) -> None:
    _edit(tables_folder / "patient.csv", {"sex": "sexe"})
    _edit(tables_folder / "patient.csv", _first_row("race_black", "2"))
    _edit(tables_folder / "ed-encounter.csv", _first_row("age_at_admit", "old"))
    (tables_folder / "ecg-ed-enc.csv").unlink()
    with pytest.raises(TableError) as caught:
        NightingaleSource(path=tables_folder).tables()
    text = str(caught.value)
    for finding in ("Did you mean 'sexe'", "row 1: '2'", "row 1: 'old'", "There is no file"):
        assert finding in text
    assert str(tables_folder / "ed-encounter.csv") in text


def test_the_other_spellings_of_race_and_visit_columns_give_the_same_tables(
    tables_folder: Path,
) -> None:
    before = NightingaleSource(path=tables_folder).tables()
    races = ("black", "hispanic", "white", "other")
    _edit(tables_folder / "patient.csv", {f"race_{race}": race for race in races})
    _edit(tables_folder / "ed-encounter.csv", {"ed_enc_id": "enc_id"})
    _edit(tables_folder / "ecg-ed-enc.csv", {"ed_enc_id": "enc_id"})
    after = NightingaleSource(path=tables_folder).tables()
    assert after.patients.equals(before.patients)
    assert after.ecgs.equals(before.ecgs)
    assert after.encounters is not None
    assert after.encounters.equals(before.encounters)


def test_a_run_on_broken_tables_leaves_nothing_behind(tables_folder: Path, tmp_path: Path) -> None:
    from acsbench.cohort.build import CohortConfig
    from acsbench.experiment.config import SourceStep
    from acsbench.experiment.steps import cohort_step, open_step

    _edit(tables_folder / "patient.csv", {"sex": "sexe"})
    out = tmp_path / "out"
    with pytest.raises(TableError):
        cohort_step(
            open_step(SourceStep(name="nightingale", path=tables_folder)),
            out,
            config=CohortConfig(),
            seed=0,
        )
    assert not out.exists()


def test_an_unknown_sex_is_missing_and_never_male(tables_folder: Path) -> None:
    _edit(tables_folder / "patient.csv", _first_row("sex", "Unknown"))
    assert NightingaleSource(path=tables_folder).tables().patients["sex"].null_count() == 1


def test_an_ecg_without_a_visit_keeps_its_row(tables_folder: Path) -> None:
    links = pl.read_csv(tables_folder / "ecg-ed-enc.csv")
    links.tail(-1).write_csv(tables_folder / "ecg-ed-enc.csv")
    ecgs = NightingaleSource(path=tables_folder).tables().ecgs
    assert ecgs.filter(pl.col("ecg_id") == links["ecg_id"][0])["encounter_id"].to_list() == [None]
