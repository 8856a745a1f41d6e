"""Tables of the report: one row per named unit, and no small count to be read or computed."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from acsbench.report.figures import flow_figure
from acsbench.report.tables import difference_table, small, table_one, verdict_table
from acsbench.results import RESULT_COLUMNS, Results
from acsbench.tables import Cohort


def results(*rows: dict[str, Any]) -> Results:
    base = dict.fromkeys(RESULT_COLUMNS, None) | {
        "task": "acs",
        "metric": "auroc",
        "method": "clustered_delong_logit",
        "n_records": 400,
        "n_positive": 80,
        "n_patients": 300,
    }
    return Results(pl.DataFrame([base | row for row in rows], schema=RESULT_COLUMNS))


def cohort(*, n_female: int, n: int = 60, min_count: int = 10) -> Cohort:
    tested = [i < n // 2 for i in range(n)]
    frame = pl.DataFrame(
        {
            "ecg_id": [f"e{i:03}" for i in range(n)],
            "patient_id": [f"p{i:03}" for i in range(n)],
            "encounter_id": [f"v{i:03}" for i in range(n)],
            "split": ["test"] * n,
            "is_included": [True] * n,
            "is_tested": tested,
            "is_untested": [not t for t in tested],
            "age": [float(40 + i % 3) for i in range(n)],
            "sex": ["Female" if i < n_female else "Male" for i in range(n)],
            "stent_or_cabg_010_day": [i % 2 == 0 and tested[i] for i in range(n)],
        }
    )
    return Cohort(
        frame=frame,
        flow=pl.DataFrame(),
        source="s",
        scheme="patient",
        outcomes=("stent_or_cabg_010_day",),
        min_count=min_count,
    )


def cells(one: Cohort, heading: str) -> dict[str, str]:
    table = table_one(one)
    row = next(row for row in table.rows if row[0].startswith(heading))
    return dict(zip(table.header[1:], row[1:], strict=True))


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0"), (1, "<= 10"), (10, "<= 10"), (11, "11"), (1234, "1,234")]
)
def test_counts_from_one_to_the_limit_are_hidden(count: int, shown: str) -> None:
    assert small(count, 10) == shown


def test_the_best_model_stands_first_and_those_without_estimate_last() -> None:
    found = results(
        {"model": "b", "value": 0.6},
        {"model": "none", "reason": "one class only"},
        {"model": "a", "value": 0.7},
    )
    assert [row[0] for row in verdict_table(found, task="acs").rows] == ["a", "b", "none"]


@pytest.mark.parametrize("n_positive", [5, 395])
def test_prevalence_does_not_give_a_hidden_count_away(n_positive: int) -> None:
    found = results({"model": "a", "value": 0.7, "n_positive": n_positive})
    (row,) = verdict_table(found, task="acs", min_count=10).rows
    assert "[not shown]" in row[3]
    assert "[0.200]" in verdict_table(results({"model": "a", "value": 0.7}), task="acs").rows[0][3]


def test_a_difference_carries_its_sign_and_p() -> None:
    found = results(
        {
            "model": "a",
            "compared_with": "b",
            "value": -0.02,
            "low": -0.05,
            "high": 0.01,
            "p_value": 0.19,
        }
    )
    (row,) = difference_table(found, task="acs").rows
    assert row == ["a minus b", "-0.020 (-0.050 to +0.010)", "0.190"]


def test_outcomes_of_the_untested_are_not_observed_rather_than_zero() -> None:
    shown = cells(cohort(n_female=30), "Stent")
    assert shown["Untested"] == "not observed"
    assert shown["Tested"] == "15 (50.0 %)"


def test_the_outcome_of_everybody_does_not_mix_in_the_untested() -> None:
    assert cells(cohort(n_female=30), "Stent")["All"] == "not observed"


def test_a_share_does_not_give_its_small_complement_away() -> None:
    few_men = cohort(n_female=55)
    assert cells(few_men, "Sex: Male")["All"] == "<= 10"
    assert cells(few_men, "Sex: Female")["All"] == "not shown"


def test_age_is_described_over_patients_with_mean_and_quartiles() -> None:
    one = cohort(n_female=30)
    assert cells(one, "Age, mean")["All"] == "41.0 (0.8)"
    assert cells(one, "Age, median")["All"] == "41 (40-42)"


def test_the_flow_shows_all_counts_when_none_is_small() -> None:
    flow = pl.DataFrame(
        {
            "step": ["all", "no visit", "remaining", "a & b"],
            "kind": ["start", "dropped", "kept", "branch"],
            "n_encounters": [1023, 23, 1000, 500],
            "n_patients": [923, 23, 900, 450],
            "n_records": [2023, 23, 2000, 1000],
        }
    )
    svg = flow_figure(flow, min_count=10)
    assert "1,023 visits, 923 patients, 2,023 ECGs" in svg
    assert "a &amp; b" in svg
    assert "~" not in svg
