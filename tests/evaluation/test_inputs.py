"""Which validation predictions belong to which model, and what a file may leave out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from acsbench.errors import InputError, PredictionsError
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.inputs import match_val, read_inputs
from acsbench.predictions import Predictions

QUICK = EvaluateConfig(n_resamples=100, sections=("operating_points",))


def one(model: str, *, kind: Any = "probability", high: float = 0.9) -> Predictions:
    frame = pl.DataFrame({"ecg_id": ["a", "b"], "task": "acs", "score": [0.1, high]})
    return Predictions(frame, model, kind)


def table() -> pl.DataFrame:
    n = 60
    return pl.DataFrame(
        {
            "ecg_id": [f"e{i:02}" for i in range(n)],
            "patient_id": [f"p{i // 2}" for i in range(n)],
            "label": [int(i % 3 == 0) for i in range(n)],
            "split": ["val" if i < 30 else "test" for i in range(n)],
        }
    )


def scored(model: str, split: str) -> Predictions:
    rows = table().filter(pl.col("split") == split)
    score = (pl.col("label") * 0.4 + pl.int_range(pl.len()) % 7 / 7) / 2
    return Predictions(rows.select("ecg_id", task=pl.lit("acs"), score=score), model)


def test_validation_predictions_are_matched_by_name_whatever_their_order() -> None:
    found = match_val([one("a"), one("b")], [one("b"), one("a")])
    assert [p.model for p in found] == ["a", "b"]


def test_validation_predictions_of_other_names_are_matched_by_order() -> None:
    first, second = one("x"), one("y", high=0.8)
    found = match_val([one("a"), one("b")], [first, second])
    assert [p.model for p in found] == ["a", "b"]
    assert found[0].frame.equals(first.frame)
    mixed = match_val([one("a"), one("b"), one("c")], [one("x"), one("b"), one("y")])
    assert [p.model for p in mixed] == ["a", "b", "c"]


def test_a_model_may_have_no_validation_predictions() -> None:
    assert [p.model for p in match_val([one("a"), one("b")], [one("b")])] == ["b"]


@pytest.mark.parametrize(
    ("val", "message"),
    [
        (["x"], "name of no model"),
        (["a", "b", "x"], "name of no model"),
        (["a", "a"], "one name"),
    ],
)
def test_what_names_and_order_do_not_decide_is_refused(val: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        match_val([one("a"), one("b")], [one(name) for name in val])


def test_cuts_do_not_carry_over_between_kinds_of_scores() -> None:
    with pytest.raises(InputError, match="'rank' and those of its validation"):
        match_val([one("a", kind="rank")], [one("a")])


def test_cuts_come_from_the_validation_rows_and_are_applied_to_the_test_rows() -> None:
    results = evaluate(scored("m", "test"), table(), val=scored("m", "val"), config=QUICK)
    point = results.table("operating_points").row(
        by_predicate=pl.col("rule") == "spec_80", named=True
    )
    val, test = scored("m", "val").frame, scored("m", "test").frame
    rows = table()
    negatives = val.join(rows.filter(pl.col("label") == 0), on="ecg_id")["score"]
    assert (negatives < point["cut"]).mean() >= 0.8
    positives = test.join(rows.filter(pl.col("label") == 1), on="ecg_id")["score"]
    assert point["sensitivity"] == (positives >= point["cut"]).mean()
    assert results.value("m", "sens_at_spec_80") == point["sensitivity"]
    assert results.overall.filter(pl.col("metric") == "sens_at_spec_80")["method"].to_list() == [
        "cut_from_val_clustered",
        "cut_from_val_wilson",
    ]


def test_without_validation_predictions_a_cut_is_null_with_its_reason() -> None:
    results = evaluate(scored("m", "test"), table(), config=QUICK)
    row = results.overall.row(by_predicate=pl.col("metric") == "sens_at_spec_90", named=True)
    assert row["value"] is None
    assert "no validation predictions" in row["reason"]


def test_validation_predictions_need_a_split_and_a_score_for_every_row_of_it() -> None:
    with pytest.raises(InputError, match="no column 'split'"):
        evaluate(
            scored("m", "test"),
            table().filter(pl.col("split") == "test").drop("split"),
            val=scored("m", "test"),
            config=QUICK,
        )
    val = scored("m", "val")
    with pytest.raises(PredictionsError, match="lack 1 of 30"):
        evaluate(scored("m", "test"), table(), val=replace(val, frame=val.frame[1:]), config=QUICK)


def test_a_file_without_a_task_is_of_the_only_task_of_the_labels(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    scored("m", "test").frame.drop("task").write_csv(file)
    labels = table().with_columns(task=pl.lit("acs"))
    assert read_inputs(file, labels, val=None, task=None).models[0].tasks == ["acs"]
    assert read_inputs(file, table(), val=None, task=None).models[0].tasks == ["task"]
    assert read_inputs(file, table(), val=None, task="mace").models[0].tasks == ["mace"]


def test_a_metric_that_is_passed_gets_an_interval_and_subgroups() -> None:
    def share_right(labels: Any, scores: Any) -> float:
        return float(((scores > 0.5) == labels).mean())

    results = evaluate(
        scored("m", "test"),
        table().with_columns(sex=pl.Series(["F", "M"] * 30)),
        config=EvaluateConfig(n_resamples=100, sections=("subgroups",), min_class=2),
        metrics={"share_right": share_right},
    )
    rows = results.frame.filter(pl.col("metric") == "share_right")
    assert rows["subgroup"].to_list() == ["", "sex=F", "sex=M"]
    assert (rows["low"] <= rows["value"]).all()


def test_a_metric_that_fails_is_named_with_its_error() -> None:
    def broken(labels: Any, scores: Any) -> float:
        raise ZeroDivisionError("no way")

    with pytest.raises(InputError, match="metric 'broken' failed on 30 rows: ZeroDivisionError"):
        evaluate(scored("m", "test"), table(), config=QUICK, metrics={"broken": broken})


def test_a_metric_without_an_answer_is_null_with_its_reason() -> None:
    def unknown(labels: Any, scores: Any) -> float:
        return float("nan")

    results = evaluate(scored("m", "test"), table(), config=QUICK, metrics={"unknown": unknown})
    row = results.overall.row(by_predicate=pl.col("metric") == "unknown", named=True)
    assert (row["value"], row["reason"]) == (None, "the metric gave nan")


def test_ranks_and_flags_have_no_calibration_and_say_why() -> None:
    labels = table().with_columns(has_depress=pl.Series([0, 1, 0] * 20))
    ranks = replace(scored("r", "test"), scores_are="rank")
    config = EvaluateConfig(n_resamples=100, sections=("calibration", "utility"))
    results = evaluate(ranks, labels, config=config)
    for metric in ("brier", "cal_slope", "ici", "net_benefit_10"):
        row = results.overall.row(
            by_predicate=(pl.col("metric") == metric) & (pl.col("model") == "r"), named=True
        )
        assert row["value"] is None
        assert row["reason"] == "scores are ranks, not probabilities"
    assert results.value("r", "auroc") is not None
    assert results.value("flag:has_depress", "net_benefit_10") is not None


def test_another_level_is_seen_in_the_results() -> None:
    config = EvaluateConfig(n_resamples=100, sections=(), level=0.9)
    narrow = evaluate(scored("m", "test"), table(), config=config)
    wide = evaluate(
        scored("m", "test"), table(), config=EvaluateConfig(n_resamples=100, sections=())
    )
    assert (narrow.level, wide.level) == (0.9, 0.95)
    assert narrow.table("evaluated")["level"].to_list() == [0.9]
    (low, high), (lower, higher) = narrow.interval("m", "auroc"), wide.interval("m", "auroc")
    assert lower < low < high < higher


def test_a_finding_given_as_predictions_is_the_same_as_one_in_the_labels() -> None:
    finding = pl.Series([0, 1, 0] * 20)
    rows = table().filter(pl.col("split") == "test")
    values = finding.to_numpy()[30:].astype(float)
    given = Predictions(
        rows.select("ecg_id", task=pl.lit("acs"), score=pl.Series(values)), "flag:has_depress"
    )
    config = EvaluateConfig(n_resamples=100, sections=("calibration", "utility"))
    by_hand = evaluate([scored("m", "test"), given], table(), config=config)
    in_labels = evaluate(
        scored("m", "test"), table().with_columns(has_depress=finding), config=config
    )
    both = [r.frame.filter(pl.col("model") == "flag:has_depress") for r in (by_hand, in_labels)]
    assert both[0].equals(both[1])
