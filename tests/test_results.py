from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from acsbench.errors import TableError
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
    assert "[one class]" in text


def test_missing_columns_are_named() -> None:
    with pytest.raises(TableError, match="lack the columns p_value"):
        Results(results().frame.drop("p_value"))
    assert Curves.empty().frame.is_empty()
