from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from acsbench.errors import HoldoutError, TableError, UnknownNameError
from acsbench.tables import FLOW, LABELS, Cohort, check
from acsbench.tasks import ACS, TASKS, Task


def cohort(**change: Any) -> Cohort:
    n = 4
    frame = pl.DataFrame(
        {
            "ecg_id": ["d", "b", "c", "a"],
            "patient_id": ["p", "q", "r", "s"],
            "encounter_id": ["v", "w", "x", "y"],
            "split": ["test", "test", "train", "test"],
            "is_included": [True] * n,
            "exclusion": pl.Series([None] * n, dtype=pl.String),
            "is_tested": [True, True, True, False],
            "is_untested": [False, False, False, True],
            "ecg_order": [1] * n,
            "stent_or_cabg_010_day": [True, None, False, False],
            "sex": ["Female", "Male", "Male", "Male"],
        }
    ).with_columns(**change)
    flow = pl.DataFrame(schema=[c.name for c in FLOW.columns])
    return Cohort(frame=frame, flow=flow, source="made", scheme="patient", subgroups=("sex",))


@pytest.mark.parametrize("name", list(TASKS))
def test_every_registered_task_bears_its_own_name_and_a_reference(name: str) -> None:
    assert TASKS[name].name == name
    assert TASKS[name].reference
    assert TASKS[name].version >= 1


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mace'"):
        TASKS["macee"]


def test_a_selection_holds_only_its_population_with_an_outcome() -> None:
    assert ACS.select(cohort(), "test")["ecg_id"].to_list() == ["d"]


def test_an_empty_split_is_refused_and_says_what_there_is() -> None:
    with pytest.raises(TableError, match=r"Split 'val' of task 'acs' is empty.*'test': 3"):
        ACS.select(cohort(), "val")


def test_labels_keep_records_without_an_outcome_and_fit_the_schema() -> None:
    table = check(ACS.labels(cohort()), LABELS).filter("is_tested")
    assert table.select("ecg_id", "label").rows() == [("b", None), ("c", 0), ("d", 1)]
    assert "sex" in table.columns


def test_the_untested_of_the_test_split_have_a_row_and_no_label_whatever_stands_in_the_table() -> (
    None
):
    table = ACS.labels(cohort()).filter(~pl.col("is_tested"))
    assert table.select("ecg_id", "label", "split").rows() == [("a", None, "test")]
    in_train = cohort(split=pl.lit("train"))
    assert ACS.labels(in_train)["is_tested"].all()


def test_a_task_of_other_people_has_no_untested() -> None:
    assert TASKS["mace"].untested(cohort(), "test").is_empty()


def test_a_holdout_has_no_labels() -> None:
    with pytest.raises(HoldoutError, match="no labels"):
        ACS.labels(cohort(split=pl.lit("holdout")))


def test_a_cohort_without_the_outcome_is_refused() -> None:
    bare = cohort()
    short = Cohort(
        frame=bare.frame.drop("stent_or_cabg_010_day"), flow=bare.flow, source="made", scheme="file"
    )
    with pytest.raises(TableError, match="stent_or_cabg_010_day"):
        ACS.select(short, "test")


def test_a_task_per_visit_needs_an_aggregate() -> None:
    with pytest.raises(ValueError, match="needs an aggregate"):
        Task(
            name="t",
            version=1,
            population="is_tested",
            outcome="o",
            horizon_days=None,
            unit="encounter",
            reference="r",
        )
