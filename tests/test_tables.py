from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from acsbench.errors import MissingPathError, TableError
from acsbench.tables import LABELS, check, read_labels


def labels() -> pl.DataFrame:
    return pl.DataFrame({"ecg_id": ["a", "b"], "patient_id": ["p", "q"], "label": ["0", "1.0"]})


def test_text_is_cast_to_its_schema_and_other_columns_stay() -> None:
    table = check(labels().with_columns(site=pl.lit("x")), LABELS)
    assert table["label"].to_list() == [0, 1]
    assert table["site"].to_list() == ["x", "x"]


def test_a_misspelt_column_is_named_with_its_nearest() -> None:
    with pytest.raises(TableError, match=r"'patient_id' is missing\. Did you mean 'patientid'"):
        check(labels().rename({"patient_id": "patientid"}), LABELS)


def test_all_findings_are_told_at_once() -> None:
    bad = pl.DataFrame({"ecg_id": ["a", "a"], "patient_id": ["p", None], "label": ["2", "yes"]})
    with pytest.raises(TableError) as error:
        check(bad, LABELS, where="labels.csv")
    text = str(error.value)
    for finding in (
        "labels.csv",
        "patient_id",
        "none of 0, 1",
        "type integer",
        "more than one row",
    ):
        assert finding in text


def test_a_record_may_stand_in_several_tasks() -> None:
    twice = pl.concat([labels().with_columns(task=pl.lit(t)) for t in ("acs", "mace")])
    assert len(check(twice, LABELS)) == 4


def test_an_empty_label_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("ecg_id,patient_id,label,age\n01,7,1,60\n02,8,,61\n")
    table = read_labels(tmp_path / "labels.csv")
    assert table["label"].to_list() == [1, None]
    assert table["ecg_id"].to_list() == ["01", "02"]
    assert table["age"].to_list() == [60.0, 61.0]


def test_a_missing_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    with pytest.raises(MissingPathError, match=r"Did you mean 'labels\.csv'"):
        read_labels(tmp_path / "label.csv")


def test_labels_of_a_file_get_their_natural_types(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "ecg_id,patient_id,label,age,has_st,site,word\n"
        "1,01,0,50,true,1,true\n2,02,1,61.5,False,2,maybe\n3,02,1,,,3,no\n"
    )
    labels = read_labels(tmp_path / "labels.csv")
    assert labels["has_st"].to_list() == [True, False, None]
    assert labels["age"].to_list() == [50, 61.5, None]
    assert labels["patient_id"].to_list() == ["01", "02", "02"]
    assert labels["word"].to_list() == ["true", "maybe", "no"]
