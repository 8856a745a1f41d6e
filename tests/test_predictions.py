from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from acsbench.errors import PredictionsError
from acsbench.predictions import Predictions, merge, parse_name_and_file


def frame(**change: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {"ecg_id": ["a", "b"], "task": ["acs", "acs"], "score": [0.2, 0.8], **change}
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ecg_id": ["a", "a"]}, "more than one row"),
        ({"score": [0.2, None]}, "missing values"),
        ({"score": [0.2, float("inf")]}, "not finite"),
        ({"score": [0.2, 1.2]}, r"outside \[0, 1\]"),
        ({"score": ["0.2", "high"]}, "not of the type number"),
        ({"patient_id": ["p", "q"]}, "belongs to the labels"),
    ],
)
def test_what_breaks_the_contract_is_refused(change: Any, message: str) -> None:
    with pytest.raises(PredictionsError, match=message):
        Predictions(frame(**change), "m")


def test_a_misspelt_column_is_named_with_its_nearest() -> None:
    with pytest.raises(PredictionsError, match="scroe"):
        Predictions(frame().rename({"score": "scroe"}), "m")


def test_what_scores_are_is_never_guessed() -> None:
    with pytest.raises(PredictionsError, match="none of probability, logit, rank"):
        Predictions(frame(), "m", "percent")


def test_logits_become_probabilities_and_ranks_do_not() -> None:
    converted = Predictions(frame(score=[0.0, -800.0]), "m", "logit").probabilities()
    assert converted is not None
    assert converted["score"].to_list() == [0.5, 0.0]
    assert Predictions(frame(score=[3.0, 9.0]), "m", "rank").probabilities() is None


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_writing_and_reading_returns_every_digit(tmp_path: Path, suffix: str) -> None:
    one = Predictions(frame(score=[0.1 + 0.2, 1 / 3]), "m")
    path = one.write(tmp_path / f"m--acs--test{suffix}")
    back = Predictions.read(path)
    assert back.model == "m"
    assert back.frame.equals(one.frame)


def test_a_name_before_the_file_wins(tmp_path: Path) -> None:
    path = Predictions(frame(), "m").write(tmp_path / "x.csv")
    assert Predictions.read(f"mine={path}").model == "mine"
    assert parse_name_and_file("out/s4--acs--test.csv")[0] == "s4"


def test_lacking_and_unknown_ids_are_told_at_once() -> None:
    with pytest.raises(PredictionsError, match=r"(?s)lack 1 of 2.*: c\).*score 1 ids.*: b\)"):
        Predictions(frame(), "m").check_ids(["a", "c"], task="acs", known=["a", "c"])


def test_an_unscored_task_is_named_with_its_nearest() -> None:
    with pytest.raises(PredictionsError, match="Did you mean 'acs'"):
        Predictions(frame(), "m").check_ids(["a"], task="acss", known=["a"])


def test_two_models_of_one_name_do_not_merge() -> None:
    one = Predictions(frame(), "m")
    with pytest.raises(PredictionsError, match="NAME=FILE"):
        merge([one, one])
    assert merge([one, Predictions(frame(), "n")])["model"].to_list() == ["m", "m", "n", "n"]
