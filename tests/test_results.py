from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from acsbench.errors import InputError, MissingPathError, TableError
from acsbench.results import RESULT_COLUMNS, Curves, Results, format_estimate


def results(**change: Any) -> Results:
    row: dict[str, Any] = dict.fromkeys(RESULT_COLUMNS)
    row |= {"model": "m", "task": "acs", "metric": "auroc", "value": 1 / 3, "method": "x"}
    row |= {"n_records": 10, "n_positive": 4, "n_patients": 8, **change}
    return Results(pl.DataFrame([row], schema=RESULT_COLUMNS))


def test_an_estimate_is_written_with_its_interval() -> None:
    assert format_estimate(0.7031, 0.6714, 0.7329) == "0.703 (0.671-0.733)"
    assert format_estimate(0.7031, None, None) == "0.703"
    assert format_estimate(None, None, None) == "not estimable"


def test_names_are_never_null() -> None:
    row = results().frame.row(0, named=True)
    assert (row["subgroup"], row["compared_with"]) == ("", "")


def test_writing_and_reading_returns_every_digit(tmp_path: Path) -> None:
    one = results()
    assert Results.read_csv(one.to_csv(tmp_path / "results.csv")).frame.equals(one.frame)


def test_one_estimate_is_found_by_its_names() -> None:
    one = results(low=0.1, high=0.5)
    assert one.value("m", "auroc") == 1 / 3
    assert one.interval("m", "auroc", task="acs") == (0.1, 0.5)
    assert results().interval("m", "auroc") is None
    with pytest.raises(KeyError, match="auprc"):
        one.value("m", "auprc")


def test_the_text_gives_the_reason_of_an_empty_figure() -> None:
    text = str(results(value=None, reason="one class"))
    assert "not estimable" in text
    assert "one class" in text


def test_missing_columns_are_named() -> None:
    with pytest.raises(TableError, match="lack the columns p_value"):
        Results(results().frame.drop("p_value"))
    assert Curves.empty().frame.is_empty()


def test_saving_and_loading_returns_everything(tmp_path: Path) -> None:
    one = replace(
        results(), level=0.9, remarks=("a",), tables={"pairwise": pl.DataFrame({"p": [0.1, None]})}
    )
    names = one.save(tmp_path)
    assert "tables/pairwise.csv" in names
    assert all((tmp_path / name).is_file() for name in names)
    again = Results.load(tmp_path)
    assert again.frame.equals(one.frame)
    assert again.table("pairwise").equals(one.table("pairwise"))
    assert (again.level, again.remarks) == (0.9, ("a",))
    assert again.table("unknown").is_empty()


def test_a_folder_without_results_or_of_a_later_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match="holds no results"):
        Results.load(tmp_path)
    results().save(tmp_path)
    file = tmp_path / "results.json"
    file.write_text(file.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(TableError, match="schema version 99"):
        Results.load(tmp_path)


def test_several_evaluations_become_one_when_their_levels_agree() -> None:
    first = replace(results(), remarks=("a", "b"), tables={"t": pl.DataFrame({"x": [1]})})
    second = replace(results(), remarks=("b",), tables={"t": pl.DataFrame({"x": [2], "y": [3]})})
    joined = Results.concat([first, second])
    assert (len(joined.frame), joined.remarks) == (2, ("a", "b"))
    assert joined.table("t").rows() == [(1, None), (2, 3)]
    with pytest.raises(InputError, match=r"\[0.9, 0.95\]"):
        Results.concat([first, replace(second, level=0.9)])


def test_text_shows_the_headlines_of_each_model_and_dashes_for_what_is_not_known() -> None:
    blank = dict.fromkeys(RESULT_COLUMNS)
    row = {**blank, "model": "m", "task": "acs", "split": "test", "n_records": 1200}
    row |= {"n_positive": 20, "n_patients": 900}
    auroc = {**row, "metric": "auroc", "value": 0.7, "low": 0.6, "high": 0.8}
    slope = {**row, "metric": "cal_slope", "value": 0.1, "low": -0.2, "high": 0.4}
    second = {**auroc, "method": "another", "value": 0.71}
    text = str(Results(pl.DataFrame([auroc, second, slope], infer_schema_length=None)))
    assert "Task acs, test: 20 of 1,200 records positive, 900 patients" in text
    assert text.splitlines()[2].split("  ")[0] == "m"
    assert "0.700 (0.600-0.800)" in text
    assert "0.100 (-0.200 to 0.400)" in text
    assert text.splitlines()[2].count("  - ") == 2
