"""Goldens of everything beyond AUROC; conventions in tests/golden/evaluation/README.md."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from acsbench.evaluation.calibration import (
    brier_parts,
    calibration_line,
    ece10,
    fit_offset,
    smooth_errors,
    spiegelhalter_z,
)
from acsbench.evaluation.comparisons import detectable_difference, holm, size_to_detect
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.evaluation.guideline_features import region_of, yield_at
from acsbench.evaluation.intervals import (
    clustered_delong,
    delong,
    normal_interval,
    paired_difference,
)
from acsbench.evaluation.metrics import (
    auprc,
    auroc,
    brier,
    log_loss,
    oe_ratio,
    pauroc_fpr10,
    pauroc_fpr10_mcclish,
    pauroc_tpr90,
    pauroc_tpr90_mcclish,
    scaled_brier,
)
from acsbench.evaluation.operating_points import at_budget, choose_threshold, count_flagged
from acsbench.evaluation.proportions import (
    clopper_pearson,
    clustered_mean_se,
    mcnemar_exact,
    wilson,
)
from acsbench.evaluation.recalibration import fit_map, platt_of_scores
from acsbench.evaluation.reproduction import cumulative_risk, table_one
from acsbench.evaluation.selective_testing import effective_size, soft_auroc, soft_shares
from acsbench.evaluation.subgroups import auroc_gap, heterogeneity
from acsbench.evaluation.utility import net_benefit, net_benefit_of_all
from acsbench.predictions import Predictions

FOLDER = Path(__file__).parents[1] / "golden" / "evaluation"
MODELS = ("score_a", "score_b", "score_c")
FLAGS = {
    "f_st_elev": "has_st_eleva",
    "f_st_depr": "has_depress",
    "f_t_inv": "has_twave_inver",
    "f_t_abn": "has_twave_abnormal",
}


def golden(case: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((FOLDER / f"{case}.json").read_text(encoding="utf-8"))
    return body


def rows(case: str, split: str | None = None) -> pl.DataFrame:
    frame = pl.read_csv(FOLDER / f"{case}.csv")
    return frame if split is None else frame.filter(pl.col("split") == split)


ACS_LIKE = golden("03_acs_like")["expected"]
TEST, VAL = rows("03_acs_like", "test"), rows("03_acs_like", "val")
LABELS, PATIENTS = TEST["label"].to_numpy(), TEST["patient_id"].to_numpy()
CODES = np.unique(PATIENTS, return_inverse=True)[1]


def exactly(expected: Any) -> Any:
    return pytest.approx(expected, abs=1e-12)


def all_budgets() -> list[tuple[str, str, str]]:
    cases = {"01_tiny_ties": ("score_a", "score_b"), "02_small_clusters": MODELS}
    cases |= {"03_acs_like": (*MODELS, "score_lr")}
    return [
        (case, score, budget)
        for case, scores in cases.items()
        for score in scores
        for budget in golden(case)["expected"][score]["budget"]
    ]


@pytest.mark.parametrize(("case", "score", "budget"), all_budgets())
def test_budgets_give_the_expectation_over_ties_and_its_bounds(
    case: str, score: str, budget: str
) -> None:
    frame = rows(case, "test" if case == "03_acs_like" else None)
    if score == "score_lr" and score not in frame.columns:
        frame = with_logistic_scores(frame)
    frame = frame.drop_nulls([score])
    labels, scores = frame["label"].to_numpy(), frame[score].to_numpy()
    expected = golden(case)["expected"][score]["budget"][budget]
    share = {"k": int(labels.sum())} if budget == "n_pos" else {"share": float(budget)}
    found = at_budget(labels, scores, **share)
    assert (found.k, found.n_above, found.n_tied) == (
        expected["k"],
        expected["n_above"],
        expected["n_tied_at_cut"],
    )
    assert found.cut == pytest.approx(expected["cut"], abs=1e-9)
    assert found.expected_tp == exactly(expected["expected_tp"])
    assert found.ppv == exactly(expected["ppv_expected"])
    assert found.sensitivity == exactly(expected["sens_expected"])
    assert found.worst_tp / found.k == exactly(expected["ppv_worst_case"])
    assert found.best_tp / found.k == exactly(expected["ppv_best_case"])
    for name, flagged in (("rule_ge", scores >= found.cut), ("rule_gt", scores > found.cut)):
        counts = count_flagged(labels, flagged)
        assert counts.tp + counts.fp == expected[name]["flagged"]
        assert (counts.tp, counts.ppv) == (expected[name]["tp"], expected[name]["ppv"])


def with_logistic_scores(frame: pl.DataFrame) -> pl.DataFrame:
    from acsbench.evaluation.logistic import expit, fit_logistic, with_intercept

    columns = [VAL[name].to_numpy() for name in FLAGS]
    fit = fit_logistic(with_intercept(*columns), VAL["label"].to_numpy())
    mine = with_intercept(*(frame[name].to_numpy() for name in FLAGS))
    # the golden's scores are printed with 12 digits, which decides nothing but their ties
    return frame.with_columns(score_lr=pl.Series(np.round(expit(mine @ fit.coefficients), 12)))


def targets() -> list[tuple[str, str]]:
    points = ACS_LIKE["operating_points_thresholds_from_val"]
    return [(model, rule) for model in points for rule in points[model]]


@pytest.mark.parametrize(("model", "rule"), targets())
def test_cuts_from_validation_rows_give_the_four_cells_of_both_splits(
    model: str, rule: str
) -> None:
    expected = ACS_LIKE["operating_points_thresholds_from_val"][model][rule]
    kind, value = (
        ("specificity", rule[4:]) if rule.startswith("spec") else ("sensitivity", rule[12:])
    )
    cut = choose_threshold(VAL["label"].to_numpy(), VAL[model].to_numpy(), **{kind: float(value)})
    assert cut == expected["threshold"]
    for name, frame in (("val", VAL), ("test", TEST)):
        counts = count_flagged(frame["label"].to_numpy(), frame[model].to_numpy() >= cut)
        assert counts._asdict() == {cell: expected[name][cell] for cell in ("tp", "fp", "fn", "tn")}
        for share in ("sensitivity", "specificity", "ppv", "npv", "accuracy"):
            one = expected[name][share]
            assert getattr(counts, share) == exactly(one["est"])
            found = wilson(one["num"], one["den"])[:2]
            assert found == pytest.approx(tuple(one["wilson95"]), abs=1e-9)
        assert counts.lr_pos == exactly(expected[name]["lr_pos"])
        assert counts.lr_neg == exactly(expected[name]["lr_neg"])
    if "test_missed_per_1000_ruled_out" in expected:
        assert counts.missed_per_1000 == exactly(expected["test_missed_per_1000_ruled_out"])
        ruled_out = (counts.fn + counts.tn) / counts.n
        assert ruled_out == exactly(expected["test_ruled_out_share"])


@pytest.mark.parametrize("flag", FLAGS)
def test_a_finding_is_its_four_cells_and_its_auroc_their_mean(flag: str) -> None:
    expected, scores = ACS_LIKE[flag], TEST[flag].to_numpy()
    counts = count_flagged(LABELS, scores == 1)
    assert (counts.tp, counts.fp) == (expected["tp"], expected["fp"])
    assert auroc(LABELS, scores) == exactly(expected["auroc"])
    assert auroc(LABELS, scores) == exactly((counts.sensitivity + counts.specificity) / 2)
    assert delong(LABELS, scores).covariance[0, 0] == pytest.approx(
        expected["delong_var"], rel=1e-9
    )
    clustered = clustered_delong(LABELS, scores, PATIENTS)
    assert clustered.covariance[0, 0] == pytest.approx(expected["clustered_var"], rel=1e-9)
    interval = normal_interval(float(clustered.auroc[0]), float(clustered.covariance[0, 0]))
    assert interval[:2] == pytest.approx(tuple(expected["clustered_ci95"]), abs=1e-9)


def calibrated() -> list[tuple[str, str, dict[str, Any]]]:
    known = golden("04_calibration")["expected_R"]
    cases = [("04_calibration", column, known[column]) for column in known]
    for column in ("score_a", "score_c"):
        expected = golden("03_acs_like")["expected_R"][f"calibration_{column}"]
        cases.append(("03_acs_like", column, expected))
    return cases


@pytest.mark.parametrize(("case", "column", "expected"), calibrated())
def test_calibration_is_that_of_r(case: str, column: str, expected: dict[str, Any]) -> None:
    frame = rows(case, "test" if case == "03_acs_like" else None)
    y, p = frame["label"].to_numpy(), frame[column].to_numpy()
    line, offset = calibration_line(y, p), fit_offset(y, p)
    six = {"abs": 1e-6}
    assert line.coefficients[1] == pytest.approx(expected["slope"], **six)
    assert line.coefficients[0] == pytest.approx(expected["intercept_joint"], **six)
    assert line.covariance[1, 1] ** 0.5 == pytest.approx(expected["slope_se"], **six)
    assert offset.coefficients[0] == pytest.approx(expected["citl_logit"], **six)
    assert offset.covariance[0, 0] ** 0.5 == pytest.approx(expected["citl_se"], **six)
    assert brier(y, p) == exactly(expected["brier"])
    assert scaled_brier(y, p) == exactly(expected["brier_scaled"])
    assert oe_ratio(y, p) == exactly(expected["oe_ratio"])
    assert log_loss(y, p) == pytest.approx(expected["logloss_clip1e_7"], abs=1e-9)
    assert spiegelhalter_z(y, p) == pytest.approx(expected["spiegelhalter_z"], abs=1e-8)
    parts = brier_parts(y, p)
    for name in ("mcb", "dsc", "unc"):
        assert getattr(parts, name) == exactly(expected["corp"][name])
    assert parts.unc - parts.dsc == exactly(expected["corp"]["brier_recalibrated"])


@pytest.mark.parametrize(("case", "column", "expected"), calibrated())
def test_smooth_calibration_is_that_of_r_by_either_definition(
    case: str, column: str, expected: dict[str, Any]
) -> None:
    frame = rows(case, "test" if case == "03_acs_like" else None)
    y, p = frame["label"].to_numpy(), frame[column].to_numpy()
    parabolas = smooth_errors(y, p, loess=True)
    for name in ("ici", "e50", "e90", "emax"):
        assert getattr(parabolas, name) == pytest.approx(expected["loess_direct"][name], abs=1e-6)
    # R's loess interpolates between the vertices of a tree, which moves the mean by less
    assert parabolas.ici == pytest.approx(expected["loess_interpolate"]["ici"], abs=0.002)
    lines, known = smooth_errors(y, p), expected["rms_val_prob"]
    # R's lowess skips positions nearer than 1 % of the range
    assert lines.ici == pytest.approx(known["Eavg"], abs=1e-5)
    assert lines.e90 == pytest.approx(known["E90"], abs=5e-5)
    assert lines.emax == pytest.approx(known["Emax"], abs=5e-5)


@pytest.mark.parametrize("column", ["p_over", "p_under", "p_ties"])
def test_net_benefit_and_binned_error_are_those_of_the_goldens(column: str) -> None:
    frame, expected = rows("04_calibration"), golden("04_calibration")["expected"][column]
    y, p = frame["label"].to_numpy(), frame[column].to_numpy()
    assert ece10(y, p) == exactly(expected["ece10"])
    check_net_benefit(y, p, expected["net_benefit"])


def check_net_benefit(y: Any, p: Any, expected: dict[str, Any]) -> None:
    share = float(y.mean())
    for text, one in expected.items():
        threshold = float(text)
        found = net_benefit(y, p, threshold)
        assert found == exactly(one["model"])
        assert found / share == exactly(one["standardized"])
        assert net_benefit_of_all(share, threshold) == exactly(one["treat_all"])


def test_net_benefit_and_binned_error_of_the_other_cases() -> None:
    check_net_benefit(LABELS, TEST["score_a"].to_numpy(), ACS_LIKE["net_benefit_score_a"])
    assert ece10(LABELS, TEST["score_a"].to_numpy()) == exactly(ACS_LIKE["ece10_score_a"])
    tiny, expected = rows("01_tiny_ties"), golden("01_tiny_ties")["expected"]
    y, p = tiny["label"].to_numpy(), tiny["score_a"].to_numpy()
    check_net_benefit(y, p, expected["net_benefit_a"])
    assert (ece10(y, p), brier(y, p)) == exactly((expected["ece10_a"], expected["brier_a"]))


@pytest.mark.parametrize("method", ["temperature", "platt", "intercept", "platt_score_b"])
def test_recalibration_is_fitted_on_validation_rows_as_r_does(method: str) -> None:
    name = "intercept_only" if method == "intercept" else method
    expected = golden("10_recalibration")["expected"][name]
    column = "score_b" if method == "platt_score_b" else "score_a"
    y, x = VAL["label"].to_numpy(), VAL[column].to_numpy()
    found = platt_of_scores(y, x) if method == "platt_score_b" else fit_map(method, y, x)
    if "T" in expected:
        assert 1 / found.b == pytest.approx(expected["T"], abs=1e-6)
    if "a" in expected:
        assert found.a == pytest.approx(expected["a"], abs=1e-6)
    p = found.apply(TEST[column].to_numpy())
    after = expected["test"]
    assert brier(LABELS, p) == pytest.approx(after["brier"], abs=1e-8)
    assert log_loss(LABELS, p) == pytest.approx(after["logloss"], abs=1e-8)
    assert calibration_line(LABELS, p).coefficients[1] == pytest.approx(after["slope"], abs=1e-5)
    assert fit_offset(LABELS, p).coefficients[0] == pytest.approx(after["citl"], abs=1e-5)
    assert p.mean() == pytest.approx(after["mean_pred"], abs=1e-8)


@pytest.mark.parametrize("case", ["01_tiny_ties", "02_small_clusters", "03_acs_like", "06_large"])
def test_partial_areas_are_those_of_r(case: str) -> None:
    expected = golden(case)["expected_R"]
    frame = large() if case == "06_large" else rows(case, "test" if case[:2] == "03" else None)
    for score, one in expected.items():
        if score not in frame.columns or "pauc_sens90_100_raw" not in one:
            continue
        part = frame.drop_nulls([score])
        y, x = part["label"].to_numpy(), part[score].to_numpy()
        pairs = {
            "pauc_spec90_100_raw": pauroc_fpr10,
            "pauc_spec90_100_mcclish": pauroc_fpr10_mcclish,
            "pauc_sens90_100_raw": pauroc_tpr90,
            "pauc_sens90_100_mcclish": pauroc_tpr90_mcclish,
        }
        for name, function in pairs.items():
            if isinstance(one[name], float):  # R gives none below the diagonal
                assert function(y, x) == exactly(one[name])


def large() -> pl.DataFrame:
    with gzip.open(FOLDER / "06_large.csv.gz") as stream:
        return pl.read_csv(stream.read())


def test_twenty_thousand_rows_with_ties_are_exact() -> None:
    frame, expected = large(), golden("06_large")["expected"]
    y, matrix = frame["label"].to_numpy(), frame.select("score_a", "score_b").to_numpy()
    patients = frame["patient_id"].to_numpy()
    plain, clustered = delong(y, matrix), clustered_delong(y, matrix, patients)
    for index, score in enumerate(("score_a", "score_b")):
        one = expected[score]
        assert plain.auroc[index] == exactly(one["auroc"])
        assert plain.covariance[index, index] == pytest.approx(one["delong_var"], rel=1e-9)
        assert clustered.covariance[index, index] == pytest.approx(one["clustered_var"], rel=1e-9)
        assert auprc(y, matrix[:, index]) == exactly(one["average_precision"])
        assert pauroc_fpr10(y, matrix[:, index]) == exactly(one["pauc_fpr_0_10_raw"])
        for budget, known in one["budget"].items():
            share = {"k": int(y.sum())} if budget == "n_pos" else {"share": float(budget)}
            found = at_budget(y, matrix[:, index], **share)
            assert (found.k, found.expected_tp) == exactly((known["k"], known["expected_tp"]))
    for name, result in (("delong", plain), ("clustered", clustered)):
        found_pair, known = paired_difference(result, 0, 1), expected["pair_a_b"][name]
        assert found_pair.z == pytest.approx(known["z"], abs=1e-8)
        assert found_pair.p_value == pytest.approx(known["p"], abs=1e-8)


def test_pairs_are_adjusted_by_holm() -> None:
    known = ACS_LIKE["pairs"]
    for method in ("delong", "clustered"):
        names = [name for name in known if "p_holm" in known[name][method]]
        adjusted = holm([known[name][method]["p"] for name in names])
        assert adjusted == pytest.approx([known[n][method]["p_holm"] for n in names], abs=1e-8)


def test_the_size_of_the_benchmark_detects_a_difference_of_five_hundredths() -> None:
    se = ACS_LIKE["pairs"]["score_a__score_b"]["clustered"]["se"]
    assert detectable_difference(se) == pytest.approx(2.8 * se, rel=0.001)
    assert detectable_difference(se) == pytest.approx(0.053, abs=0.0005)
    assert size_to_detect(1295, se) == pytest.approx(1295 * (2.8 * se / 0.02) ** 2, rel=0.002)


@pytest.mark.parametrize("model", MODELS)
def test_the_gap_between_the_sexes_is_that_of_the_goldens(model: str) -> None:
    expected = ACS_LIKE["gap_sex_F_minus_M"][model]
    women = (TEST["sex"] == "F").to_numpy()
    gap = auroc_gap(LABELS, TEST[model].to_numpy(), CODES, women)
    assert gap.gap == exactly(expected["delta"])
    assert gap.se == pytest.approx(expected["clustered"]["se"], rel=1e-9)
    assert gap.z == pytest.approx(expected["clustered"]["z"], abs=1e-8)
    assert gap.p_value == pytest.approx(expected["clustered"]["p_normal"], abs=1e-8)
    assert (gap.low, gap.high) == pytest.approx(tuple(expected["clustered"]["ci95"]), abs=1e-9)
    # two groups: the interaction test is the test of the gap
    test = heterogeneity(LABELS, TEST[model].to_numpy(), CODES, [women, ~women])
    assert test.p_value == pytest.approx(gap.p_value, abs=1e-10)


@pytest.mark.parametrize("case", golden("09_proportions")["proportions"], ids=str)
def test_intervals_of_shares_are_those_of_r(case: dict[str, Any]) -> None:
    assert wilson(case["x"], case["n"])[:2] == pytest.approx(tuple(case["wilson95"]), abs=1e-9)
    exact = clopper_pearson(case["x"], case["n"])[:2]
    assert exact == pytest.approx(tuple(case["clopper_pearson95"]), abs=1e-9)


@pytest.mark.parametrize("case", golden("09_proportions")["mcnemar_exact_two_sided"], ids=str)
def test_mcnemar_is_that_of_r(case: dict[str, Any]) -> None:
    assert mcnemar_exact(case["b"], case["c"]) == pytest.approx(case["p"], abs=1e-12)


def test_weighting_by_the_known_chance_of_testing_gives_the_goldens() -> None:
    expected = golden("05_verification")["expected"]
    tested = rows("05_verification").filter(pl.col("tested") == 1)
    y = tested["label_if_tested"].to_numpy().astype(float)
    x, weights = tested["score"].to_numpy(), 1 / tested["p_tested"].to_numpy()
    for name, counted in (("ipw_known_propensity", weights), ("naive_tested_only", None)):
        known = expected[name]
        shares = soft_shares(y, x >= expected["cut"], counted)
        assert soft_auroc(y, x, counted) == exactly(known["auroc"])
        assert shares == exactly(
            tuple(known[key] for key in ("sens", "spec", "ppv", "npv", "prevalence"))
        )
    assert effective_size(weights) == pytest.approx(expected["ess_weights"], rel=1e-12)


def test_table_one_has_both_errors_of_the_goldens() -> None:
    known = ACS_LIKE["table1"]
    cohort = as_labels(TEST).with_columns(
        sex=pl.col("sex").replace({"F": "Female", "M": "Male"}),
        encounter_id="patient_id",
        is_tested=True,
        is_untested=False,
        stent_or_cabg_010_day=pl.col("label") == 1,
    )
    tested = table_one(cohort).filter(pl.col("group") == "tested")
    found = {row["measure"]: row for row in tested.iter_rows(named=True)}
    for name, one in known.items():
        row = found[{"label": "positive_test"}.get(name, name.removeprefix("race_"))]
        assert row["mean"] == exactly(one["mean"])
        assert row["clustered_se"] == exactly(one["sem_clustered"])
        # the golden takes n - 1 for shares too
        assert row["sem"] == pytest.approx(one["sem_naive"], rel=1e-3)
    assert clustered_mean_se(TEST["age"].to_numpy(), CODES) == exactly(
        known["age"]["sem_clustered"]
    )


def test_percentiles_of_risk_are_those_of_the_goldens() -> None:
    for model in MODELS:
        risks = cumulative_risk(LABELS, TEST[model].to_numpy())
        known = ACS_LIKE["cumulative_risk"][model]
        found = {key: risks[int(key) - 1] for key in known}
        assert found == exactly(known)


def test_yield_and_regions_are_those_of_the_goldens() -> None:
    known = ACS_LIKE["yield_budget_n_pos_rule_ge"]
    flags = {name: (TEST[name] == 1).to_numpy() for name in FLAGS}
    any_finding = np.logical_or.reduce(list(flags.values()))
    for model in MODELS:
        found, one = yield_at(LABELS, TEST[model].to_numpy(), any_finding, k=502), known[model]
        assert (found.expected_tp, found.ppv) == exactly((one["tp"], one["ppv"]))
        assert found.share_without_feature == exactly(one["pred_pos_without_feature"])
        assert found.positives_without_feature == exactly(one["true_pos_without_feature"])
        base = known["base_rate"]
        assert found.base_share_without_feature == exactly(base["share_all_without_feature"])
        assert found.base_positives_without_feature == exactly(base["share_pos_without_feature"])
    cut = at_budget(LABELS, TEST["score_a"].to_numpy(), k=502).cut
    regions = region_of(
        (TEST["score_a"] >= cut).to_numpy(),
        flags["f_t_inv"] | flags["f_t_abn"],
        flags["f_st_elev"] | flags["f_st_depr"],
    )
    codes = {"model": 4, "T": 2, "ST": 1}
    counts = {
        f"{sum(codes.get(part, 0) for part in region.split('+')):03b}": int(
            (regions == region).sum()
        )
        for region in np.unique(regions)
    }
    assert counts == ACS_LIKE["venn_score_a_T_ST"]


def as_labels(frame: pl.DataFrame) -> pl.DataFrame:
    columns = frame.select("patient_id", "label", "split", "sex", "race", "age", ecg_id="row_id")
    return columns.with_columns(frame[old].alias(new) for old, new in FLAGS.items())


def as_predictions(frame: pl.DataFrame, score: str, kind: Any) -> Predictions:
    table = frame.select(ecg_id="row_id", task=pl.lit("acs"), score=score)
    return Predictions(table, score, kind)


KINDS = {"score_a": "probability", "score_b": "rank", "score_c": "probability"}


@pytest.fixture(scope="module")
def whole() -> Any:
    """The whole evaluation of the benchmark-like case."""
    return evaluate(
        [as_predictions(TEST, score, kind) for score, kind in KINDS.items()],
        as_labels(rows("03_acs_like")),
        val=[as_predictions(VAL, score, kind) for score, kind in KINDS.items()],
        config=EvaluateConfig(n_resamples=200),
    )


def test_a_whole_evaluation_holds_the_matched_budgets(whole: Any) -> None:
    table = whole.table("matched_budgets")
    for flag, known in ACS_LIKE["matched_budget_vs_feature"].items():
        for model in MODELS:
            row = table.row(
                by_predicate=(pl.col("model") == model) & (pl.col("feature") == FLAGS[flag]),
                named=True,
            )
            assert (row["k"], row["feature_tp"]) == (known["feature_flagged"], known["feature_tp"])
            assert row["model_tp"] == exactly(known[model])
            assert row["low"] < row["difference"] < row["high"]


def test_a_whole_evaluation_holds_the_pairs_and_ranks(whole: Any) -> None:
    known = {name: one["clustered"] for name, one in ACS_LIKE["pairs"].items()}
    pairs = whole.table("pairwise").filter(pl.col("in_family"))
    assert len(pairs) == 3
    for row in pairs.iter_rows(named=True):
        one = known[f"{row['model']}__{row['compared_with']}"]
        assert row["p_value"] == pytest.approx(one["p"], abs=1e-8)
        assert row["se"] == pytest.approx(one["se"], rel=1e-9)
    ranks = whole.table("ranks").sort("rank")
    assert ranks["model"].to_list() == list(MODELS)
    assert ranks["separable_from_first"].to_list() == [False, False, True]


def test_every_null_of_a_whole_evaluation_has_a_reason(whole: Any) -> None:
    assert whole.frame.filter(pl.col("value").is_null() & pl.col("reason").is_null()).is_empty()
    for name, table in whole.tables.items():
        for column in ("value", "low", "difference", "auroc", "p_value"):
            if {column, "reason"} <= set(table.columns) and name != "selective_testing":
                bare = table.filter(pl.col(column).is_null() & pl.col("reason").is_null())
                assert bare.is_empty(), (name, column)


def test_estimates_lie_in_their_intervals(whole: Any) -> None:
    # folded distances are biased upwards in resamples, so their percentile interval may miss them
    frame = whole.frame.filter(~pl.col("metric").is_in(["ici", "e50", "e90", "emax"]))
    outside = frame.filter((pl.col("low") > pl.col("value")) | (pl.col("high") < pl.col("value")))
    assert outside.is_empty(), outside.select("model", "subgroup", "metric", "value", "low", "high")
