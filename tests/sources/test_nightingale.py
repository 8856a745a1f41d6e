from __future__ import annotations

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


def _edit(path: Path, change: pl.Expr | dict[str, str]) -> None:
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


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((12, 5000)), "wrong_shape"),
        (np.zeros(5000), "wrong_shape"),
        (np.tile(np.linspace(-900, 900, 5000), (15, 1)), "wrong_units"),
        (np.full((15, 10), "x"), "wrong_type"),
    ],
)
def test_an_array_that_is_no_page_is_named(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    with pytest.raises(RecordingError) as caught:
        read_recording(_npz(tmp_path / "a.npz", array))
    assert caught.value.reason == reason


def test_broken_files_are_named(tmp_path: Path) -> None:
    whole = _npz(tmp_path / "whole.npz", np.zeros((15, 5000))).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.npz").write_bytes(b"")
    for name, reason in (("cut", "truncated"), ("none", "empty"), ("gone", "missing_file")):
        with pytest.raises(RecordingError) as caught:
            read_recording(tmp_path / f"{name}.npz")
        assert caught.value.reason == reason


def test_a_missing_waveform_does_not_stop_the_others(tables_folder: Path) -> None:
    source = NightingaleSource(path=tables_folder)
    found = list(source.recordings(["ecg0000000000", "ecg0000000001"]))
    assert [f.reason for f in found if isinstance(f, RecordingError)] == ["missing_file"] * 2


def test_a_misspelt_column_is_named_with_the_right_spelling(tables_folder: Path) -> None:
    _edit(tables_folder / "ed-encounter.csv", {"cath_010_day": "cath_10_day"})
    with pytest.raises(TableError, match=r"cath_010_day' is missing.*cath_10_day"):
        NightingaleSource(path=tables_folder).tables()


def test_an_id_off_its_pattern_is_refused(tables_folder: Path) -> None:
    _edit(tables_folder / "ecg-metadata.csv", _first_row("ecg_id", "ecgXYZ"))
    with pytest.raises(TableError, match=r"ecg_id.*pattern(.|\n)*ecgXYZ"):
        NightingaleSource(path=tables_folder).tables()


def test_a_duplicated_key_is_refused(tables_folder: Path) -> None:
    column = "patient_ngsci_id"
    _edit(tables_folder / "patient.csv", _first_row(column, pl.col(column).get(1)))
    with pytest.raises(TableError, match="more than one row"):
        NightingaleSource(path=tables_folder).tables()


def test_an_ecg_of_another_patient_than_its_visit_is_refused(tables_folder: Path) -> None:
    column = "patient_ngsci_id"
    _edit(tables_folder / "ecg-metadata.csv", pl.col(column).reverse())
    with pytest.raises(TableError, match="another patient than their visit"):
        NightingaleSource(path=tables_folder).tables()


def test_an_unknown_sex_is_missing_and_never_male(tables_folder: Path) -> None:
    _edit(tables_folder / "patient.csv", _first_row("sex", "Unknown"))
    assert NightingaleSource(path=tables_folder).tables().patients["sex"].null_count() == 1


def test_an_ecg_without_a_visit_keeps_its_row(tables_folder: Path) -> None:
    links = pl.read_csv(tables_folder / "ecg-ed-enc.csv")
    links.tail(-1).write_csv(tables_folder / "ecg-ed-enc.csv")
    ecgs = NightingaleSource(path=tables_folder).tables().ecgs
    assert ecgs.filter(pl.col("ecg_id") == links["ecg_id"][0])["encounter_id"].to_list() == [None]
