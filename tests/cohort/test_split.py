from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acsbench.cohort.split import (
    shared_patients,
    split_by_file,
    split_like_the_paper,
    split_patients,
)
from acsbench.errors import TableError
from acsbench.tables import Split

FRACTIONS = {Split.TRAIN: 0.6, Split.VAL: 0.15, Split.TEST: 0.25}


@given(st.sets(st.text(min_size=1), min_size=1, max_size=50), st.integers(0, 5))
def test_a_patients_split_does_not_depend_on_who_else_is_there(
    patients: set[str], seed: int
) -> None:
    together = split_patients(sorted(patients), fractions=FRACTIONS, seed=seed)
    for patient in patients:
        alone = split_patients([patient], fractions=FRACTIONS, seed=seed)
        assert alone[patient] == together[patient]


def test_splits_have_the_shares_that_were_asked() -> None:
    found = split_patients([f"p{i}" for i in range(20_000)], fractions=FRACTIONS, seed=0)
    for split, share in FRACTIONS.items():
        mine = sum(one is split for one in found.values()) / len(found)
        assert mine == pytest.approx(share, abs=0.015)


def test_upstreams_valid_is_read_as_val(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ecg_id": ["a", "b"], "patient_id": ["p", "q"]})
    (tmp_path / "s.csv").write_text("patient_id,split\np,train\nq,valid\n")
    assert split_by_file(frame, tmp_path / "s.csv")["b"] is Split.VAL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient_id,split\np,train\nq,dev\n", "unknown splits dev"),
        ("patient_id,split\np,train\n", "names no split for 1"),
        ("patient_id,part\np,train\n", "needs 'split'"),
        ("patient_id,split\np,train\np,val\nq,val\n", "stands in two splits"),
    ],
)
def test_a_bad_split_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    frame = pl.DataFrame({"ecg_id": ["a", "b"], "patient_id": ["p", "q"]})
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        split_by_file(frame, tmp_path / "s.csv")


def test_a_record_without_its_patient_is_refused() -> None:
    with pytest.raises(TableError, match=r"1 of 2 records have no patient_id"):
        split_patients(["p", None], fractions=FRACTIONS, seed=0)


def test_another_seed_is_another_split() -> None:
    patients = [f"p{i}" for i in range(200)]
    first, second = (split_patients(patients, fractions=FRACTIONS, seed=n) for n in (0, 1))
    assert first != second
    assert set(first) == set(second) == set(patients)


def test_records_of_a_file_decide_alone_and_never_divide_a_patient(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ecg_id": ["a", "b"], "patient_id": ["p", "p"]})
    (tmp_path / "s.csv").write_text("ecg_id,split\na,train\nb,test\n")
    with pytest.raises(TableError, match=r"put 1 patients in two splits \(first: p\)"):
        split_by_file(frame, tmp_path / "s.csv")


def two_populations(n: int) -> pl.DataFrame:
    """Everybody has a tested and an untested visit; a last record has no flag."""
    rows = [(f"e{i}{k}", f"p{i:04d}", k == "t", k == "u") for i in range(n) for k in "tu-"]
    names = ["ecg_id", "patient_id", "is_tested", "is_untested"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    return frame.with_columns(is_included=pl.col("is_tested") | pl.col("is_untested"))


def test_the_papers_rule_draws_each_population_with_its_own_dice() -> None:
    frame = two_populations(400).with_columns(
        # as in the original, the two populations are not the same people
        is_included=pl.col("is_included")
        & ~(pl.col("is_untested") & pl.col("patient_id").str.ends_with("7"))
    )
    split_of = split_like_the_paper(frame, seed=3)
    placed = frame.with_columns(split=pl.Series([str(split_of[e]) for e in frame["ecg_id"]]))
    tested = placed.filter("is_tested")["split"].value_counts(sort=True)
    assert dict(tested.iter_rows()) == {"train": 280, "val": 60, "test": 60}
    assert shared_patients(placed) > 100
    assert set(split_of) == set(frame["ecg_id"])
    assert split_like_the_paper(frame, seed=3) == split_of


def test_patients_are_shared_only_through_included_records() -> None:
    frame = pl.DataFrame(
        {
            "patient_id": ["p", "p", "q", "q", None],
            "split": ["train", "test", "train", "val", "test"],
            "is_included": [True, True, True, False, True],
        }
    )
    assert shared_patients(frame) == 1
