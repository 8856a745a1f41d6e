"""The published figures of ACS-BenchWork come out of the counts behind them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.guideline_features import FEATURES
from acsbench.evaluation.operating_points import at_budget
from acsbench.evaluation.proportions import wilson
from acsbench.evaluation.reproduction import (
    binary_at_prevalence,
    cumulative_risk,
    delong_auroc,
    example_groups,
    original_logistic,
    table_one,
    venn,
)
from acsbench.predictions import Predictions

FILE = Path(__file__).parents[1] / "golden" / "evaluation" / "08_published_anchors.json"
ANCHORS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
N, N_POSITIVE = ANCHORS["n"], ANCHORS["n_pos"]
LABELS = np.r_[np.ones(N_POSITIVE, dtype=int), np.zeros(N - N_POSITIVE, dtype=int)]


def flagged(counts: dict[str, int]) -> Any:
    """Rows of the four cells: positives stand first."""
    rows = np.zeros(N, dtype=bool)
    rows[: counts["tp"]] = True
    rows[N_POSITIVE : N_POSITIVE + counts["fp"]] = True
    return rows


def written(value: float, low: float | None, high: float | None, digits: int = 3) -> str:
    return f"{value:.{digits}f} ({low:.{digits}f}, {high:.{digits}f})"


@pytest.mark.parametrize("name", ANCHORS["features"])
def test_the_findings_are_reproduced_to_the_last_printed_digit(name: str) -> None:
    one = ANCHORS["features"][name]
    scores = flagged(one["counts"]).astype(float)
    value, interval = delong_auroc(LABELS, scores)
    assert written(value, interval.low, interval.high) == one["published"]["auroc"]
    tp, n = one["counts"]["tp"], one["counts"]["flagged"]
    ppv = wilson(tp, n)
    printed = one["published"]["ppv"]
    assert printed in (written(tp / n, ppv.low, ppv.high, 4), f"{tp / n:.3f}")
    if one["published"]["accuracy"]:
        right = tp + one["counts"]["tn"]
        accuracy = wilson(right, N)
        assert written(right / N, accuracy.low, accuracy.high) == one["published"]["accuracy"]


@pytest.mark.parametrize("name", ANCHORS["models_at_budget_502"])
def test_the_models_at_the_budget_of_the_prevalence_are_reproduced(name: str) -> None:
    one = ANCHORS["models_at_budget_502"][name]
    rng = np.random.default_rng(0)
    scores = rng.random(N) / 2 + flagged(one["counts"]) / 2
    found = binary_at_prevalence(LABELS, scores)
    counts = found.counts
    assert counts._asdict() == {key: one["counts"][key] for key in ("tp", "fp", "fn", "tn")}
    assert counts.ppv == counts.sensitivity  # equal by construction: one figure, printed twice
    accuracy = wilson(counts.tp + counts.tn, N)
    expected = one["expected"]
    assert counts.accuracy == pytest.approx(expected["accuracy"], abs=1e-12)
    assert accuracy[:2] == pytest.approx(tuple(expected["accuracy_wilson95"]), abs=1e-9)
    assert written(counts.accuracy, *accuracy[:2]) == one["published"]["accuracy"]
    ppv = wilson(counts.tp, 502)
    assert ppv[:2] == pytest.approx(tuple(expected["ppv_wilson95"]), abs=1e-9)


def test_ties_at_the_budget_let_any_figure_come_out() -> None:
    scores = np.repeat([0.9, 0.5], [10, 90])
    labels = np.zeros(100, dtype=int)
    labels[[0, *range(60, 99)]] = 1
    budget = at_budget(labels, scores, k=int(labels.sum()))
    original = binary_at_prevalence(labels, scores)
    turned = binary_at_prevalence(labels[::-1], scores[::-1])
    # the lowest score is never flagged, so a block of ties at the bottom flags nobody of it
    assert original.counts.tp == turned.counts.tp == 1
    assert budget.worst_tp < budget.expected_tp < budget.best_tp


def test_the_venn_regions_are_those_of_the_counts() -> None:
    codes = {"S4 only": 4, "S4+T": 6, "S4+ST": 5, "S4+T+ST": 7, "T only": 2, "T+ST": 3}
    codes |= {"ST only": 1, "none": 0}
    known = ANCHORS["venn"]["counts"]
    rows = np.repeat(list(codes.values()), [known[name] for name in codes])
    t, st = (rows & 2) > 0, (rows & 1) > 0
    nobody = np.zeros(len(rows), dtype=bool)
    findings = {"has_twave_inver": t, "has_twave_abnormal": nobody}
    findings |= {"has_st_eleva": st, "has_depress": nobody}
    found = venn((rows & 4) > 0, findings)
    short = {"S4 only": "model", "T only": "T", "ST only": "ST"}
    names = {name: short.get(name, name.replace("S4", "model")) for name in codes}
    assert found == {names[name]: known[name] for name in codes}
    for name, printed in ANCHORS["venn"]["published_percent"].items():
        assert f"{100 * found[names[name]] / N:.1f}%" == printed


def table() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    n = 600
    label = rng.random(n) < 0.4
    columns = {name: (rng.random(n) < 0.15 + 0.1 * label).astype(int) for name in FEATURES}
    return pl.DataFrame(
        {
            "ecg_id": [f"e{i:04}" for i in range(n)],
            "patient_id": [f"p{i // 2:04}" for i in range(n)],
            "encounter_id": [f"v{i // 2:04}" for i in range(n)],
            "label": label.astype(int),
            "split": ["train" if i < 200 else "val" if i < 300 else "test" for i in range(n)],
            "sex": ["Female" if i % 4 < 2 else "Male" for i in range(n)],
            "race": ["black" if i % 10 < 3 else "white" for i in range(n)],
            "age": 40 + 40 * rng.random(n),
            "is_tested": [True] * n,
            "is_untested": [False] * n,
            "stent_or_cabg_010_day": label,
            **columns,
        }
    )


def test_table_one_counts_ids_and_gives_means_over_rows() -> None:
    cohort = table().with_columns(
        is_tested=pl.col("race") == "black", is_untested=pl.col("race") == "white"
    )
    rows = table_one(cohort).iter_rows(named=True)
    found = {(row["group"], row["measure"]): row for row in rows}
    total = found["total", "age"]
    assert (total["n_encounters"], total["n_patients"], total["n_records"]) == (300, 300, 600)
    assert found["tested", "black"]["mean"] == 1.0
    women = (cohort["sex"] == "Female").mean()
    female = found["total", "female"]
    assert female["mean"] == pytest.approx(women)
    assert female["sem"] == pytest.approx((women * (1 - women) / 600) ** 0.5)
    assert total["sem"] == pytest.approx(cohort["age"].std() / 600**0.5)
    assert "age" not in table_one(cohort.drop("age"))["measure"].to_list()


def test_cumulative_risk_ends_at_the_event_rate() -> None:
    risks = cumulative_risk([1, 1, 0, 0, 0], [0.9, 0.8, 0.7, 0.2, 0.1])
    assert len(risks) == 100
    assert (risks[0], risks[39], risks[-1]) == (1.0, 1.0, 0.4)


def test_the_logistic_regression_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    rows = table()
    train, test = (rows.filter(pl.col("split") == split) for split in ("train", "test"))
    found = original_logistic(train, test)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit(train.select(FEATURES).to_numpy(), train["label"].to_numpy())
    known = model.predict_proba(test.select(FEATURES).to_numpy())[:, 1]
    np.testing.assert_allclose(found.scores, known, atol=1e-5)
    assert found.counts.n == len(test)


def test_the_examples_are_rows_10_to_25_of_four_groups() -> None:
    found = example_groups(table())
    assert found["group"].n_unique() == 4
    for (group,), part in found.group_by("group"):
        assert part["position"].to_list() == list(range(10, 10 + len(part)))
        assert len(part) <= 16
        rows = table().join(part, on="ecg_id")
        has = rows.select(pl.any_horizontal(pl.col(*FEATURES[:3]) == 1)).to_series()
        assert has.all() if "_with_" in str(group) else not has.any()


def test_an_evaluation_shows_the_original_beside_the_sound_figure() -> None:
    rows = table()
    test = rows.filter(pl.col("split") == "test")
    rng = np.random.default_rng(3)
    score = pl.Series(1 / (1 + np.exp(-(test["label"].to_numpy() + rng.normal(size=len(test))))))
    model = Predictions(test.select("ecg_id", task=pl.lit("acs"), score=score), "m")
    results = evaluate(model, rows, config=EvaluateConfig(n_resamples=100, sections=("original",)))
    auroc = results.table("original_auroc")
    assert auroc["model"].to_list() == ["m", *(f"flag:{name}" for name in FEATURES)]
    assert (auroc["value"] == auroc["sound_value"]).all()
    assert not (auroc["low"] == auroc["sound_low"]).any()
    assert set(results.table("original_subgroups")["subgroup"]) == {
        "sex=Female",
        "sex=Male",
        "race=black",
        "race=white",
    }
    assert results.table("original_logistic")["n_train"].to_list() == [200]
    assert results.table("original_venn")["n_records"].sum() == len(test)
    curve = results.curves.frame.filter(pl.col("curve") == "original_cumulative_risk")
    assert curve["x"].to_list() == list(range(1, 101))
    assert all(
        results.table(name)["differs"].is_not_null().all()
        for name in results.tables
        if name.startswith("original")
    )
