from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from acsbench.cohort.criteria import (
    Branch,
    Criterion,
    apply_criteria,
    count_branches,
    flow_table,
    inclusion_criteria,
    quality_summary,
)
from acsbench.tables import FLOW, check


def people(n: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ecg_id": [f"e{i}" for i in range(n)],
            "patient_id": [f"p{i // 2}" for i in range(n)],
            "encounter_id": [f"v{i}" if i % 3 else None for i in range(n)],
            "value": list(range(n)),
        }
    )


@given(st.lists(st.lists(st.booleans() | st.none(), min_size=12, max_size=12), max_size=4))
def test_every_record_leaves_at_the_first_step_that_drops_it(
    drops: list[list[bool | None]],
) -> None:
    frame = people(12).with_columns(
        pl.Series(f"d{n}", column, dtype=pl.Boolean) for n, column in enumerate(drops)
    )
    criteria = [Criterion(f"step {n}", "", pl.col(f"d{n}")) for n in range(len(drops))]
    marked, flow = apply_criteria(frame, criteria)
    for row in range(12):
        first = next((f"step {n}" for n, column in enumerate(drops) if column[row]), None)
        assert marked["exclusion"][row] == first
    table = check(flow_table(flow), FLOW)
    assert table["order"].to_list() == list(range(2 * len(drops) + 1))
    dropped = table.filter(pl.col("kind") == "dropped")["n_records"].sum()
    assert 12 - dropped == marked["is_included"].sum()


def test_missing_is_no_reason_to_drop() -> None:
    step = Criterion("big", "", pl.col("value") > 5)
    frame = people(3).with_columns(value=pl.Series([None, 9, 1]))
    assert apply_criteria(frame, [step])[0]["is_included"].to_list() == [True, False, True]


def test_a_flow_counts_visits_patients_and_records_apart() -> None:
    _, flow = apply_criteria(people(4), [])
    assert flow[0] == {
        "step": "all",
        "kind": "start",
        "n_encounters": 2,
        "n_patients": 2,
        "n_records": 4,
    }


def test_branches_count_the_included_and_may_overlap() -> None:
    marked, _ = apply_criteria(people(6), [Criterion("small", "", pl.col("value") < 2)])
    branches = [Branch("all", pl.lit(value=True)), Branch("big", pl.col("value") > 3)]
    assert [row["n_records"] for row in count_branches(marked, branches)] == [4, 2]


def test_steps_that_need_a_table_are_left_out_without_it() -> None:
    assert inclusion_criteria(has_encounters=False, has_quality=False) == []
    names = [one.name for one in inclusion_criteria(has_encounters=True, has_quality=True)]
    assert names.index("ECG without a visit") < names.index("ECG unreadable or blank")
    assert len(set(names)) == len(names)


def test_an_ecg_is_unusable_when_every_lead_has_a_reason() -> None:
    table = pl.DataFrame(
        [
            ("whole", "I", ""),
            ("whole", "II", "flat"),
            ("gone", "I", "too_short flat"),
            ("gone", "II", "missing"),
            ("short", "I", "too_short"),
            ("broken", "*", "truncated"),
        ],
        schema=["ecg_id", "lead", "reasons"],
        orient="row",
    ).with_columns(raw_sha256=pl.lit("h"))
    summary = quality_summary(table, ("flat", "missing"))
    unusable = dict(summary.select("ecg_id", "is_unusable").iter_rows())
    assert unusable == {"whole": False, "gone": True, "short": False, "broken": True}
    hashes = dict(summary.select("ecg_id", "raw_sha256").iter_rows())
    assert hashes["gone"] is None
    assert hashes["short"] == "h"
