from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from acsbench import registry
from acsbench.errors import InputError, PredictionsError, TableError
from acsbench.evaluation.evaluate import EvaluateConfig, evaluate
from acsbench.evaluation.metrics import auroc
from acsbench.predictions import Predictions
from acsbench.tasks import ACS

QUICK = EvaluateConfig(n_resamples=100)


GROUPS = (
    "sex=Female",
    "sex=Male",
    "rare=no",
    "rare=yes",
    "first_of_visit=no",
    "first_of_visit=yes",
)
IS_RARE_AUROC = (pl.col("subgroup") == "rare=yes") & (pl.col("metric") == "auroc")


def labels(n: int = 200, *, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "ecg_id": [f"e{i:04}" for i in range(n)],
            "patient_id": [f"p{i // 2:04}" for i in range(n)],
            "encounter_id": [f"v{i // 2:04}" for i in range(n)],
            "label": np.repeat(rng.random(n // 2) < 0.4, 2).astype(int),
            "split": ["val" if i % 10 < 2 else "test" for i in range(n)],
            "sex": ["Female" if i % 4 < 2 else "Male" for i in range(n)],
            "rare": ["yes" if i == 5 else "no" for i in range(n)],
            "finding": rng.integers(2, size=n),
            "ecg_order": [i % 2 + 1 for i in range(n)],
        }
    )


def scores(
    table: pl.DataFrame, *, seed: int = 1, model: str = "one", task: str = "acs"
) -> Predictions:
    noise = np.random.default_rng(seed).normal(size=len(table))
    probability = 1 / (1 + np.exp(-(table["label"].fill_null(0).to_numpy() + noise)))
    frame = table.select("ecg_id", task=pl.lit(task), score=pl.Series(probability))
    return Predictions(frame, model)


def test_the_first_interval_is_the_clustered_one_and_counts_stand_beside_it() -> None:
    table = labels()
    results = evaluate(scores(table), table, config=QUICK)
    test = table.filter(pl.col("split") == "test")
    row = results.overall.row(0, named=True)
    assert (row["metric"], row["method"]) == ("auroc", "clustered_delong_logit")
    assert (row["task"], row["task_version"], row["unit"]) == ("acs", ACS.version, "record")
    assert (row["n_records"], row["n_positive"]) == (len(test), test["label"].sum())
    assert row["n_patients"] == row["n_encounters"] == test["patient_id"].n_unique()
    assert results.overall["method"][1] == "patient_bootstrap"
    assert row["low"] < row["value"] < row["high"]


def test_the_order_of_rows_changes_no_figure() -> None:
    table = labels()
    one, two = scores(table), scores(table, seed=2, model="two")
    mixed = [replace(p, frame=p.frame.sample(fraction=1, shuffle=True, seed=4)) for p in (one, two)]
    first = evaluate([one, two], table, config=QUICK)
    second = evaluate(mixed, table.sample(fraction=1, shuffle=True, seed=5), config=QUICK)
    assert first.frame.equals(second.frame)
    assert first.curves.frame.equals(second.curves.frame)


def test_subgroups_are_the_text_columns_and_small_ones_say_why_they_are_empty() -> None:
    table = labels()
    frame = evaluate(scores(table), table, config=QUICK).frame.filter(pl.col("subgroup") != "")
    names = frame["subgroup"].unique(maintain_order=True).to_list()
    assert names == list(GROUPS)
    rare = frame.row(by_predicate=IS_RARE_AUROC, named=True)
    assert rare["value"] is None
    assert rare["reason"] in ("fewer than 10 positives", "fewer than 10 negatives")
    assert rare["n_records"] == 1


def test_every_pair_of_models_is_compared_once() -> None:
    table = labels()
    models = [scores(table, seed=s, model=m) for s, m in enumerate("abc")]
    results = evaluate(models, table, config=QUICK)
    rows = results.frame.filter(pl.col("method") == "paired_clustered_delong")
    assert rows.select("model", "compared_with").rows() == [("a", "b"), ("a", "c"), ("b", "c")]
    values = {m: results.value(m, "auroc") or 0.0 for m in "abc"}
    for row in rows.iter_rows(named=True):
        delta = values[row["model"]] - values[row["compared_with"]]
        assert row["value"] == pytest.approx(delta, abs=1e-12)
        assert 0 <= row["p_value"] <= 1


def test_a_flag_is_a_model_with_one_inner_roc_point() -> None:
    table = labels()
    config = EvaluateConfig(n_resamples=100, flags=("finding",))
    results = evaluate(scores(table), table, config=config)
    curve = results.curves.frame.filter(
        (pl.col("model") == "flag:finding") & (pl.col("curve") == "roc")
    )
    assert len(curve) == 3
    assert curve.select("x", "y").rows()[0] == (0.0, 0.0)
    assert curve.select("x", "y").rows()[-1] == (1.0, 1.0)


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    table = labels(2000)
    curve = evaluate(scores(table), table, config=QUICK).curves.frame
    curve = curve.filter(pl.col("curve") == "roc")
    assert len(curve) == 400
    assert curve.select("x", "y").row(0) == (0, 0)
    assert curve.select("x", "y").row(-1) == (1, 1)


def test_logits_and_their_probabilities_give_the_same_figures() -> None:
    table = labels()
    one = scores(table)
    logit = (pl.col("score") / (1 - pl.col("score"))).log()
    raw = Predictions(one.frame.with_columns(logit), "one", "logit")
    assert evaluate(raw, table, config=QUICK).value("one", "auroc") == pytest.approx(
        evaluate(one, table, config=QUICK).value("one", "auroc")
    )


def share_above_half(labels: Any, scores: Any) -> float:
    return float(np.mean((scores > 0.5) == labels))


def test_a_metric_of_a_plug_in_gets_an_interval_and_subgroups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry.BUILT_INS["metrics"], "accuracy", f"{__name__}:share_above_half")
    table = labels()
    config = EvaluateConfig(metrics=("auroc", "accuracy"), n_resamples=100)
    rows = evaluate(scores(table), table, config=config).frame.filter(
        pl.col("metric") == "accuracy"
    )
    assert rows["subgroup"].to_list() == ["", *GROUPS]
    assert rows["low"][0] < rows["value"][0] < rows["high"][0]
    assert rows["low"][1] is not None


def test_models_of_several_tasks_get_a_macro_average() -> None:
    first, second = (
        labels(seed=s).with_columns(task=pl.lit(t)) for s, t in ((0, "acs"), (1, "mace"))
    )
    one = [scores(first, task="acs"), scores(second, seed=9, task="mace")]
    both = Predictions(pl.concat(p.frame for p in one), "one")
    results = evaluate(both, pl.concat([first, second]), config=QUICK)
    values = [results.value("one", "auroc", task=t) or 0.0 for t in ("acs", "mace")]
    assert results.value("one", "macro_auroc") == pytest.approx(np.mean(values))
    assert results.interval("one", "macro_auroc") is not None


@pytest.mark.parametrize("aggregate", ["mean_logit", "max", "first"])
def test_a_task_per_visit_joins_the_scores_of_the_visit(aggregate: Any) -> None:
    table = labels().drop("split")
    one = scores(table)
    task = replace(ACS, unit="encounter", aggregate=aggregate)
    results = evaluate(one, table, task, config=QUICK)
    values = one.frame["score"].to_numpy().reshape(-1, 2)
    logits = np.log(values / (1 - values)).mean(axis=1)
    expected = {"mean_logit": logits, "max": values.max(axis=1), "first": values[:, 0]}[aggregate]
    by_hand = auroc(table["label"].to_numpy()[::2], expected)
    assert results.value("one", "auroc") == pytest.approx(by_hand, abs=1e-12)
    row = results.overall.row(0, named=True)
    assert (row["unit"], row["n_records"], row["n_encounters"]) == ("encounter", 200, 100)


def test_ignored_and_unlabelled_rows_are_counted_in_the_remarks() -> None:
    table = labels()
    blank = pl.when(pl.col("ecg_id") == "e0009").then(None).otherwise(pl.col("label"))
    results = evaluate(scores(table), table.with_columns(label=blank), config=QUICK)
    assert any("1 records of split test have no label" in remark for remark in results.remarks)
    assert any("41 scores of task acs belong to other splits" in r for r in results.remarks)


def without(table: pl.DataFrame, ecg_id: str) -> pl.DataFrame:
    return table.filter(pl.col("ecg_id") != ecg_id)


def test_missing_and_unknown_ids_are_named() -> None:
    table = labels()
    one = scores(table)
    with pytest.raises(PredictionsError, match=r"lack 1 of 160 .*e0003"):
        evaluate(replace(one, frame=without(one.frame, "e0003")), table, config=QUICK)
    with pytest.raises(PredictionsError, match="e0003"):
        evaluate(one, without(table, "e0003"), config=QUICK)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"label": pl.lit(1)}, {}, "have the label 1"),
        ({"label": pl.lit(None, dtype=pl.Int64)}, {}, "holds no labelled row"),
        ({"label": pl.lit(2)}, {}, "none of 0, 1"),
        ({"split": pl.lit("train")}, {}, "holds no labelled row"),
        ({}, {"split": "tset"}, "Did you mean 'test'"),
        ({"task": pl.lit("mace")}, {}, "no row of task 'acs'"),
        ({}, {"config": EvaluateConfig(subgroups=("sexx",))}, "Did you mean 'sex'"),
        ({}, {"config": EvaluateConfig(flags=("ecg_order",))}, "other than 0 and 1"),
    ],
)
def test_what_cannot_be_judged_is_one_clear_error(change: Any, options: Any, message: str) -> None:
    table = labels()
    with pytest.raises(InputError, match=message):
        evaluate(scores(table), table.with_columns(**change), **options)


def test_labels_without_a_needed_column_are_refused() -> None:
    with pytest.raises(TableError, match="patient_id"):
        evaluate(scores(labels()), labels().drop("patient_id"))


def test_labels_without_splits_are_all_test() -> None:
    table = labels().drop("split")
    assert evaluate(scores(table), table, config=QUICK).overall["n_records"][0] == 200
    with pytest.raises(InputError, match="no column 'split'"):
        evaluate(scores(table), table, split="val")


def test_two_models_of_one_name_and_no_models_are_refused() -> None:
    table = labels()
    with pytest.raises(PredictionsError, match="Two predictions"):
        evaluate([scores(table), scores(table)], table)
    with pytest.raises(InputError, match="No predictions"):
        evaluate([], table)


def test_an_unknown_metric_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValidationError, match="Did you mean 'auroc'"):
        EvaluateConfig(metrics=("aurco",))


def test_judging_two_files_never_imports_torch(tmp_path: Path) -> None:
    table = labels()
    scores(table).write(tmp_path / "one--acs--test.csv")
    scores(table, seed=2).write(tmp_path / "b.csv")
    table.write_csv(tmp_path / "labels.csv")
    code = (
        "import sys\n"
        "from acsbench.evaluation.evaluate import EvaluateConfig, evaluate\n"
        "r = evaluate(['one--acs--test.csv', 'two=b.csv'], 'labels.csv',"
        " config=EvaluateConfig(n_resamples=100))\n"
        "print(r.overall['model'].unique().sort().to_list())\n"
        "print(sorted({'torch', 'lightning', 'sklearn', 'acsbench.models'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['one', 'two']", "[]"]
