"""Other ways of counting the same rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.metrics import auroc

LABELS = pl.DataFrame(
    {
        "ecg_id": [f"e{i}" for i in range(8)],
        "patient_id": ["a", "a", "b", "b", "c", "d", "d", "e"],
        "label": [1, 1, 0, 0, 1, 0, 1, 0],
        "ecg_order": [2, 1, 1, 2, 1, 1, 2, 1],
        "duplicate_group": ["x", "y", "x", None, None, "z", "w", None],
        "ward": ["n", None, "s", "s", "n", "s", "n", "n"],
    }
)
SCORES = np.array([0.9, 0.2, 0.3, 0.6, 0.7, 0.1, 0.85, 0.65])


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, object]]:
    scores = LABELS.select("ecg_id", task=pl.lit("acs"), score=pl.Series(SCORES))
    results = evaluate(
        scores, LABELS, config=EvaluateConfig(n_resamples=100, sections=("sensitivity",))
    )
    return {row["analysis"]: row for row in results.table("sensitivity").iter_rows(named=True)}


@pytest.mark.parametrize(
    ("analysis", "labels", "scores"),
    [
        ("first_ecg_per_patient", [1, 0, 1, 0, 0], [0.2, 0.3, 0.7, 0.1, 0.65]),
        ("patient_max", [1, 0, 1, 1, 0], [0.9, 0.6, 0.7, 0.85, 0.65]),
        ("patient_mean", [1, 0, 1, 1, 0], [0.55, 0.45, 0.7, 0.475, 0.65]),
        ("without_near_duplicates", [1, 0, 1, 0, 1, 0], [0.2, 0.6, 0.7, 0.1, 0.85, 0.65]),
    ],
)
def test_each_analysis_is_that_by_hand(
    found: dict[str, dict[str, object]], analysis: str, labels: list[int], scores: list[float]
) -> None:
    row = found[analysis]
    assert row["auroc"] == pytest.approx(auroc(labels, scores))
    assert row["n_rows"] == len(labels)
    main = auroc(LABELS["label"].to_numpy(), SCORES)
    assert row["difference"] == pytest.approx(auroc(labels, scores) - main)


def test_complete_cases_leave_out_rows_with_any_missing_cell(
    found: dict[str, dict[str, object]],
) -> None:
    kept = LABELS["ward"].is_not_null().to_numpy()
    row = found["complete_case"]
    assert row["n_rows"] == kept.sum()
    assert row["auroc"] == pytest.approx(auroc(LABELS["label"].to_numpy()[kept], SCORES[kept]))
