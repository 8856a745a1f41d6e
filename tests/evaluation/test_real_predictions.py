"""Real predictions: published figures come out of real scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.metrics import auprc, auroc
from acsbench.evaluation.operating_points import count_flagged
from acsbench.evaluation.weighted import rank_statistic
from acsbench.predictions import Predictions

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def ptbxl(shared: Path) -> tuple[Any, Any, Any, dict[str, Any], list[str]]:
    folder = shared / "data" / "predictions_ptbxl_all71"
    file = np.load(folder / "test_fold10.npz", allow_pickle=False)
    expected = json.loads((folder / "expected_test.json").read_text(encoding="utf-8"))
    return (
        file["y_true"],
        file["y_score_xresnet1d101"].astype(np.float64),
        file["bootstrap_rows"],
        expected,
        [str(name) for name in file["classes"]],
    )


def test_ptbxl_macro_auroc_and_its_stored_resamples_are_the_published_ones(ptbxl: Any) -> None:
    labels, scores, resamples, expected, classes = ptbxl
    values = [auroc(labels[:, i], scores[:, i]) for i in range(71)]
    known = [expected["per_class_auc"][name] for name in classes]
    assert values == pytest.approx(known, abs=1e-12)
    published = expected["published"]["macro_auc"]
    assert np.mean(values) == pytest.approx(published["point"], abs=1e-12)
    n = len(labels)
    # how often each row was drawn, (rows, resamples): one row a patient here
    drawn = np.stack([np.bincount(rows, minlength=n) for rows in resamples], axis=1).astype(float)
    rows = np.arange(n)
    macro = np.mean(
        [rank_statistic(labels[:, i] == 1, scores[:, i], rows)(drawn)[:, 0] for i in range(71)],
        axis=0,
    )
    assert macro.mean() == pytest.approx(published["mean"], abs=1e-12)
    found = np.quantile(macro, [0.05, 0.95])
    assert found == pytest.approx((published["lower"], published["upper"]), abs=1e-12)


def test_evaluating_some_ptbxl_statements_gives_their_macro_average(ptbxl: Any) -> None:
    labels, scores, _, expected, classes = ptbxl
    chosen = range(0, 71, 10)
    ids = [f"{i:05}" for i in range(len(labels))]

    def long(matrix: Any, name: str) -> pl.DataFrame:
        parts = [
            pl.DataFrame({"ecg_id": ids, "task": classes[i], name: matrix[:, i]}) for i in chosen
        ]
        return pl.concat(parts)

    table = long(labels.astype(np.int64), "label").with_columns(patient_id="ecg_id")
    config = EvaluateConfig(n_resamples=100, sections=())
    results = evaluate(Predictions(long(scores, "score"), "xresnet1d101"), table, config=config)
    known = np.mean([expected["per_class_auc"][classes[i]] for i in chosen])
    assert results.value("xresnet1d101", "macro_auroc") == pytest.approx(known, abs=1e-12)
    low, high = results.interval("xresnet1d101", "macro_auroc")
    assert low < known < high


@pytest.fixture(scope="module")
def code_test(shared: Path) -> tuple[Path, pl.DataFrame, dict[str, Any]]:
    folder = shared / "data" / "predictions_code_test"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return folder, pl.read_csv(folder / "gold_standard.csv"), expected


@pytest.mark.parametrize("reader", ["dnn", "cardiology_residents"])
def test_code_test_reproduces_the_published_table(code_test: Any, reader: str) -> None:
    folder, gold, expected = code_test
    decisions = pl.read_csv(folder / f"{reader}.csv")
    known = expected["published_scores"][reader]
    for name in gold.columns:
        counts = count_flagged(gold[name].to_numpy(), decisions[name].to_numpy())
        f1 = 2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn)
        found = {
            "Precision": counts.ppv,
            "Recall": counts.sensitivity,
            "Specificity": counts.specificity,
            "F1 score": f1,
        }
        for measure, value in found.items():
            assert value == pytest.approx(known[measure][name], abs=0.0006), (name, measure)


def test_code_test_scores_give_the_known_areas(code_test: Any) -> None:
    folder, gold, expected = code_test
    scores = np.load(folder / "scores.npz", allow_pickle=False)
    for model, areas in expected["auroc"].items():
        for index, name in enumerate(gold.columns):
            y, x = gold[name].to_numpy(), scores[model][:, index]
            assert auroc(y, x) == pytest.approx(areas[name], abs=1e-12)
            assert auprc(y, x) == pytest.approx(expected["auprc"][model][name], abs=1e-12)
