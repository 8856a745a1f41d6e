"""Tables of the report: one row per named unit, and no small count to be read or computed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from acsbench.report.flow import flow_figure
from acsbench.report.tables import difference_table, table_one, verdict_table
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


def test_the_best_model_stands_first_and_those_without_estimate_last() -> None:
    found = results(
        {"model": "b", "value": 0.6},
        {"model": "none", "reason": "one class only"},
        {"model": "a", "value": 0.7},
    )
    assert [row[0] for row in verdict_table(found, task="acs").rows] == ["a", "b", "none"]


def test_prevalence_is_that_of_the_printed_counts() -> None:
    def shown(n_positive: int, min_count: int) -> str:
        found = results({"model": "a", "value": 0.7, "n_positive": n_positive})
        return verdict_table(found, task="acs", min_count=min_count).rows[0][3]

    assert "[0.200]" in shown(80, 0)
    assert "[0.20]" in shown(80, 10)
    assert "[not shown]" in shown(5, 10)


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
    shown = cells(cohort(n_female=30, min_count=0), "Stent")
    assert shown["Untested"] == "not observed"
    assert shown["Tested"] == "15 (50.0 %)"


def test_the_outcome_of_everybody_does_not_mix_in_the_untested() -> None:
    assert cells(cohort(n_female=30), "Stent")["All"] == "not observed"


def test_a_share_does_not_give_its_small_complement_away() -> None:
    few_men = cohort(n_female=55)
    assert cells(few_men, "Sex: Male")["All"] == "<= 10"
    assert cells(few_men, "Sex: Female")["All"] == "60"


def test_age_is_described_over_patients_with_mean_and_quartiles() -> None:
    one = cohort(n_female=30)
    assert cells(one, "Age, mean")["All"] == "41.0 (0.8)"
    assert cells(one, "Age, median")["All"] == "41 (40-42)"


def flow(**columns: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "step": ["all", "no visit", "remaining", "stent_or_cabg_010_day missing", "a & b"],
            "kind": ["start", "dropped", "kept", "branch", "branch"],
            "n_encounters": [1023, 3, 1020, 0, 500],
            "n_patients": [923, 23, 900, 11, 450],
            "n_records": [2023, 23, 2000, 12, 1000],
        }
        | columns
    )


def test_the_flow_shows_exact_counts_where_nothing_is_hidden() -> None:
    svg = flow_figure(flow())
    assert "1,023 visits, 923 patients, 2,023 ECGs" in svg
    assert "3 visits, 23 patients" in svg


def test_the_flow_hides_who_left_and_rounds_the_rest() -> None:
    svg = flow_figure(flow(), min_count=10)
    assert "1,020 visits, 920 patients, 2,020 ECGs" in svg
    assert "&lt;= 10 visits, 20 patients" in svg


def test_the_flow_names_outcomes_in_words_and_breaks_long_lines() -> None:
    svg = flow_figure(flow())
    assert "a &amp; b" in svg.lower()
    assert "stent_or" not in svg
    lines = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert all(len(line) <= 44 for line in lines)
    assert "Stent or bypass within 10 days:" in lines


def test_sources_without_visits_count_none() -> None:
    assert "visits" not in flow_figure(flow(n_encounters=[0] * 5))
    one = cohort(n_female=30)
    without = replace(one, frame=one.frame.with_columns(encounter_id=pl.lit(None, pl.String)))
    assert "Visits" not in [row[0] for row in table_one(without).rows]
    assert "Visits" in [row[0] for row in table_one(one).rows]


@pytest.mark.parametrize("level", [0.95, 0.9])
def test_headers_say_the_level_of_the_intervals(level: float) -> None:
    found = results({"model": "a", "value": 0.7}, {"model": "a", "compared_with": "b"})
    for table in (verdict_table, difference_table):
        assert f"({100 * level:.0f} % interval)" in table(found, task="acs", level=level).header[1]
