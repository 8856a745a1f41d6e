"""Table 1 and flow: one row per named unit, spread, differences, and what is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from synthetic_cohort import make_cohort

from acsbench.report.flow import flow_figure
from acsbench.report.table_one import Unit, table_one, units_of
from acsbench.tables import Cohort


def cells(one: Cohort, heading: str, *, unit: Unit = "patient") -> dict[str, str]:
    table = table_one(one, unit=unit)
    row = next(row for row in table.rows if row[0].startswith(heading))
    return dict(zip(table.header[1:], row[1:], strict=True))


def test_each_unit_is_counted_once() -> None:
    one = make_cohort(n=400, min_count=0)
    assert cells(one, "Patients")["All"] == "200"
    assert cells(one, "Visits", unit="visit")["All"] == "200"
    assert cells(one, "ECGs", unit="ECG")["All"] == "400"
    assert cells(one, "ECGs", unit="ECG")["train"] == "200"


def test_age_is_that_of_the_first_ecg_with_spread_rather_than_an_error_of_the_mean() -> None:
    one = make_cohort(n=40, min_count=0)
    ages = np.arange(40.0, 80.0, 2)
    assert cells(one, "Age, mean")["All"] == f"{ages.mean():.1f} ({ages.std(ddof=1):.1f})"
    assert cells(one, "Age, median")["All"] == "59 (50-68)"


def test_outcomes_of_the_untested_are_not_observed_rather_than_zero() -> None:
    shown = cells(make_cohort(n=400, min_count=0), "Stent")
    assert shown["Untested"] == "not observed"
    assert shown["All"] == "not observed"
    assert shown["Tested"] == "50 (50.0 %)"


def test_a_patient_has_an_outcome_when_any_ecg_has_it() -> None:
    one = make_cohort(n=8, min_count=0, died=[True, False, None, None, False, None, None, True])
    assert cells(replace(one, outcomes=("died",)), "Died")["All"] == "2 (66.7 %)"
    assert cells(replace(one, outcomes=("died",)), "Died: missing")["All"] == "1"


def test_missing_values_are_counted() -> None:
    ages = [None if i < 6 else 50.0 for i in range(40)]
    one = make_cohort(n=40, min_count=0, age=ages)
    assert cells(one, "Age: missing")["All"] == "3"
    assert cells(one, "Sex: missing")["All"] == "0"


def test_the_standardised_difference_of_a_mean_and_of_a_share() -> None:
    sexes = ["Female" if i % 24 in (0, 1, 4, 5, 6, 7) else "Male" for i in range(400)]
    one = make_cohort(n=400, min_count=0, sex=sexes)
    people = one.frame.unique("patient_id", keep="first", maintain_order=True)
    first, second = (
        people.filter(f"is_{name}")["age"].to_numpy() for name in ("tested", "untested")
    )
    pooled = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    key = "Std. difference, tested v untested"
    assert cells(one, "Age, mean")[key] == f"{(first.mean() - second.mean()) / pooled:+.2f}"
    shares = [
        float((people.filter(f"is_{n}")["sex"] == "Female").mean() or 0)
        for n in ("tested", "untested")
    ]
    spread = np.sqrt(sum(p * (1 - p) for p in shares) / 2)
    assert cells(one, "Sex: Female")[key] == f"{(shares[0] - shares[1]) / spread:+.2f}"


def test_without_tests_training_is_set_beside_test() -> None:
    n = 40
    one = make_cohort(n=n, min_count=0, is_tested=[False] * n, is_untested=[False] * n)
    assert table_one(one).header[-1] == "Std. difference, train v test"


def test_no_difference_is_given_beside_a_hidden_count() -> None:
    sexes = ["Male" if i < 8 else "Female" for i in range(600)]
    one = make_cohort(n=600, sex=sexes)
    assert cells(one, "Sex: Male")["Tested"] == "<= 10"
    assert cells(one, "Sex: Male")["Std. difference, tested v untested"] == "–"


def test_a_share_does_not_give_its_small_complement_away() -> None:
    sexes = ["Male" if i < 8 else "Female" for i in range(400)]
    one = make_cohort(n=400, sex=sexes)
    assert cells(one, "Sex: Male")["All"] == "<= 10"
    assert cells(one, "Sex: Female")["All"] == "200 (100 %)"
    assert cells(one, "Patients")["All"] == "200"


def test_sources_without_visits_have_no_table_of_visits() -> None:
    one = make_cohort(n=40, min_count=0)
    without = replace(one, frame=one.frame.with_columns(encounter_id=pl.lit(None, pl.String)))
    assert units_of(one) == ("visit", "patient", "ECG")
    assert units_of(without) == ("patient", "ECG")


def flow(**columns: list[Any]) -> pl.DataFrame:
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


def test_the_flow_of_a_source_without_visits_counts_none() -> None:
    assert "visits" not in flow_figure(flow(n_encounters=[0] * 5))


@pytest.mark.parametrize("unit", ["visit", "patient", "ECG"])
def test_every_row_has_a_cell_for_every_column(unit: Unit) -> None:
    table = table_one(make_cohort(), unit=unit)
    assert {len(row) for row in table.rows} == {len(table.header)}
