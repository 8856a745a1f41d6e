"""Results of any number of models on made-up scores, with every table a judge may emit.

The figures are plausible, cheap and seeded; they are not a judge's. Intervals are normal ones.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve

from acsbench.results import CURVE_COLUMNS, RESULT_COLUMNS, Curves, Results

FINDINGS = {
    "flag:has_st_eleva": (0.106, 0.035),
    "flag:has_depress": (0.056, 0.037),
    "flag:has_twave_inver": (0.122, 0.108),
    "flag:has_twave_abnormal": (0.305, 0.363),
}
NAMES = (
    "s4",
    "resnet18",
    "hubert_ecg",
    "resnet6",
    "resnet50",
    "acsbench_s4",
    "ecgfounder",
    "ecg_cpc",
    "boosting",
    "logistic",
)
GROUPS = {
    "sex": {"Female": 0.38, "Male": 0.62},
    "race": {"black": 0.15, "hispanic": 0.1, "white": 0.69, "other": 0.06},
    "age_band": {"under 50": 0.2, "50 to 64": 0.35, "65 to 79": 0.35, "80 and over": 0.1},
}
RULES = ("spec_80", "spec_90", "spec_95", "sens_90", "sens_95", "sens_98")

Row = dict[str, Any]


class Sample:
    """Labels, groups and scores of a test set."""

    def __init__(self, *, n: int, models: tuple[str, ...], task: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.task, self.n = task, n
        self.labels = (rng.random(n) < 0.388).astype(int)
        self.n_patients = n * 5 // 9
        risk = self.labels + rng.normal(0, 0.6, n)
        self.scores: dict[str, NDArray[np.float64]] = {}
        for rank, model in enumerate(models):
            noise = rng.normal(0, 1.1 + 0.35 * rank, n)
            logit = 0.9 * (risk - 0.4 + noise) / (1 + 0.3 * rank) - 0.5
            self.scores[model] = 1 / (1 + np.exp(-logit))
        for name, (sensitivity, false_rate) in FINDINGS.items():
            chance = np.where(self.labels == 1, sensitivity, false_rate)
            self.scores[name] = (rng.random(n) < chance).astype(float)
        self.groups = {
            column: rng.choice(list(shares), n, p=list(shares.values()))
            for column, shares in GROUPS.items()
        }
        self.models = models

    @property
    def key(self) -> Row:
        return {"task": self.task, "split": "test"}

    def interval(self, value: float, n: int) -> tuple[float, float]:
        half = 1.96 * np.sqrt(max(value * (1 - value), 0.02) / max(n, 1)) * 1.15
        return max(value - half, 0.0), min(value + half, 1.0)

    def share(self, part: int, total: int) -> tuple[float | None, float | None, float | None]:
        if total == 0:
            return None, None, None
        return part / total, *self.interval(part / total, total)


def estimate(sample: Sample, model: str, metric: str, value: float | None, **more: Any) -> Row:
    base: Row = dict.fromkeys(RESULT_COLUMNS, None) | {
        **sample.key,
        "model": model,
        "compared_with": "",
        "subgroup": "",
        "task_version": 1,
        "unit": "record",
        "metric": metric,
        "value": value,
        "method": "patient_bootstrap",
        "n_records": sample.n,
        "n_positive": int(sample.labels.sum()),
        "n_patients": sample.n_patients,
        "n_encounters": sample.n_patients * 11 // 10,
    }
    if value is not None:
        low, high = sample.interval(min(max(value, 0), 1), int(sample.labels.sum()))
        base |= {"low": low + value - min(max(value, 0), 1), "high": high}
    return base | more


def confusion(sample: Sample, model: str, cut: float) -> tuple[int, int, int, int]:
    flagged = sample.scores[model] >= cut
    positive = sample.labels == 1
    return (
        int((flagged & positive).sum()),
        int((flagged & ~positive).sum()),
        int((~flagged & positive).sum()),
        int((~flagged & ~positive).sum()),
    )


def overall_rows(sample: Sample) -> list[Row]:
    rows = []
    for model, scores in sample.scores.items():
        auroc = float(roc_auc_score(sample.labels, scores))
        rows += [
            estimate(sample, model, "auroc", auroc, method="clustered_delong_logit"),
            estimate(sample, model, "auroc", auroc),
            estimate(sample, model, "auprc", float(average_precision_score(sample.labels, scores))),
        ]
        for percent in (1, 5, 10, 20):
            k = max(round(sample.n * percent / 100), 1)
            top = np.argsort(-scores, kind="stable")[:k]
            ppv = float(sample.labels[top].mean())
            rows.append(estimate(sample, model, f"ppv_at_budget_{percent:02}", ppv))
        for percent in (10, 20, 30):
            rows.append(estimate(sample, model, f"net_benefit_{percent}", 0.3 - percent / 200))
        if model.startswith("flag:"):
            reason = "a 0/1 finding has no probability"
            rows.append(estimate(sample, model, "brier", None, reason=reason))
            continue
        sandwich = {"method": "cluster_sandwich"}
        rows += [
            estimate(sample, model, "brier", float(brier_score_loss(sample.labels, scores))),
            estimate(sample, model, "cal_slope", 0.9, low=0.7, high=1.1, **sandwich),
            estimate(sample, model, "cal_intercept", -0.1, low=-0.25, high=0.05, **sandwich),
            estimate(sample, model, "oe_ratio", 0.97, low=0.88, high=1.06),
            estimate(sample, model, "ici", 0.031, low=0.015, high=0.06),
        ]
        for rule in RULES:
            kind, percent = rule.split("_")
            metric = f"sens_at_spec_{percent}" if kind == "spec" else f"spec_at_sens_{percent}"
            rows.append(estimate(sample, model, metric, 0.4, method="cut_from_val_clustered"))
    return rows


def pair_rows(sample: Sample) -> list[Row]:
    aurocs = {m: float(roc_auc_score(sample.labels, s)) for m, s in sample.scores.items()}
    return [
        estimate(
            sample,
            first,
            "auroc",
            aurocs[first] - aurocs[second],
            compared_with=second,
            low=aurocs[first] - aurocs[second] - 0.038,
            high=aurocs[first] - aurocs[second] + 0.038,
            method="paired_clustered_delong",
            p_value=0.04,
        )
        for first, second in itertools.combinations(sample.scores, 2)
    ]


def subgroup_rows(sample: Sample) -> list[Row]:
    rows = []
    for column, values in GROUPS.items():
        for value in values:
            inside = sample.groups[column] == value
            counts = {
                "subgroup": f"{column}={value}",
                "n_records": int(inside.sum()),
                "n_positive": int(sample.labels[inside].sum()),
                "n_patients": int(inside.sum()) * 5 // 9,
            }
            few = min(counts["n_positive"], counts["n_records"] - counts["n_positive"]) < 10
            for model in sample.models:
                if few:
                    reason = "fewer than 10 positives"
                    rows.append(
                        estimate(
                            sample,
                            model,
                            "auroc",
                            None,
                            method="clustered_delong_logit",
                            reason=reason,
                            **counts,
                        )
                    )
                    continue
                auroc = float(roc_auc_score(sample.labels[inside], sample.scores[model][inside]))
                low, high = sample.interval(auroc, counts["n_positive"])
                rows += [
                    estimate(
                        sample,
                        model,
                        "auroc",
                        auroc,
                        low=low,
                        high=high,
                        method="clustered_delong_logit",
                        **counts,
                    ),
                    estimate(sample, model, "cal_slope", 0.9, low=0.6, high=1.2, **counts),
                    estimate(sample, model, "cal_intercept", 0.1, low=-0.2, high=0.4, **counts),
                    estimate(sample, model, "sens_at_spec_90", 0.41, low=0.3, high=0.5, **counts),
                    estimate(sample, model, "spec_at_spec_90", 0.9, low=0.86, high=0.93, **counts),
                ]
    return rows


def curve(sample: Sample, model: str, kind: str, x: Any, y: Any, **more: Any) -> pl.DataFrame:
    n = len(x)
    columns = {"x": x, "y": y, "low": [None] * n, "high": [None] * n, "n": [sample.n] * n} | more
    return pl.DataFrame(
        {**{k: list(v) for k, v in columns.items()}},
        schema={k: CURVE_COLUMNS[k] for k in columns},
    ).with_columns(
        model=pl.lit(model),
        task=pl.lit(sample.task),
        split=pl.lit("test"),
        subgroup=pl.lit(""),
        curve=pl.lit(kind),
    )


def curves(sample: Sample) -> pl.DataFrame:
    parts = []
    rate = sample.labels.mean()
    thresholds = np.arange(0.01, 0.61, 0.01)
    for model, scores in sample.scores.items():
        fpr, tpr, _ = roc_curve(sample.labels, scores)
        kept = np.linspace(0, len(fpr) - 1, min(len(fpr), 400)).round().astype(int)
        parts.append(curve(sample, model, "roc", fpr[kept], tpr[kept]))
        benefit = np.array([net_benefit(sample, model, t) for t in thresholds])
        parts.append(
            curve(sample, model, "decision", thresholds, benefit, low=benefit - 0.02).with_columns(
                high=pl.col("y") + 0.02
            )
        )
        if model.startswith("flag:"):
            continue
        simple = np.maximum(rate - (1 - rate) * thresholds / (1 - thresholds), 0)
        parts.append(
            curve(
                sample,
                model,
                "decision_difference",
                thresholds,
                benefit - simple,
                low=benefit - simple - 0.02,
                high=benefit - simple + 0.02,
            )
        )
        avoided = (benefit - simple) / (thresholds / (1 - thresholds)) * 100
        parts.append(curve(sample, model, "interventions_avoided", thresholds, avoided))
        parts += risk_curves(sample, model)
    everyone = rate - (1 - rate) * thresholds / (1 - thresholds)
    parts.append(curve(sample, "treat_all", "decision", thresholds, everyone))
    parts.append(curve(sample, "treat_none", "decision", thresholds, 0 * thresholds))
    return pl.concat(parts, how="diagonal").select(list(CURVE_COLUMNS))


def net_benefit(sample: Sample, model: str, threshold: float) -> float:
    cut = 0.5 if model.startswith("flag:") else threshold
    tp, fp, _, _ = confusion(sample, model, cut)
    return float(tp / sample.n - fp / sample.n * threshold / (1 - threshold))


def risk_curves(sample: Sample, model: str) -> list[pl.DataFrame]:
    scores = sample.scores[model]
    edges = np.quantile(scores, np.linspace(0, 1, 9))
    block = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, 7)
    x = [float(scores[block == b].mean()) for b in range(8)]
    y = sorted(float(sample.labels[block == b].mean()) for b in range(8))
    n = [int((block == b).sum()) for b in range(8)]
    low, high = np.maximum(np.array(x) - 0.07, 0), np.minimum(np.array(x) + 0.07, 1)
    grid = np.linspace(scores.min(), scores.max(), 50)
    smooth = np.interp(grid, x, y)
    parts = [
        curve(sample, model, "reliability", x, y, n=n, low=low, high=high),
        curve(
            sample,
            model,
            "reliability_smooth",
            grid,
            smooth,
            low=np.maximum(smooth - 0.06, 0),
            high=np.minimum(smooth + 0.06, 1),
        ),
    ]
    for label, name in ((1, "histogram_positive"), (0, "histogram_negative")):
        counts, _ = np.histogram(scores[sample.labels == label], bins=20, range=(0, 1))
        centres = np.arange(20) / 20 + 0.025
        parts.append(curve(sample, model, name, centres, counts / counts.sum(), n=counts))
    shares = np.arange(0.02, 1.005, 0.01)
    order = sample.labels[np.argsort(-scores, kind="stable")]
    found = np.array([order[: max(int(s * sample.n), 1)].mean() for s in shares])
    half = 0.9 / np.sqrt(shares * sample.n)
    parts.append(
        curve(
            sample,
            model,
            "budget",
            shares,
            found,
            low=np.maximum(found - half, 0),
            high=np.minimum(found + half, 1),
            n=(shares * sample.n).astype(int),
        )
    )
    return parts


def operating_tables(sample: Sample) -> dict[str, list[Row]]:
    points, intervals, cuts, zones = [], [], [], []
    rate = float(sample.labels.mean())
    for model in sample.models:
        scores = sample.scores[model]
        key = {**sample.key, "model": model}
        for cut in np.linspace(0, 1, 101):
            tp, fp, fn, tn = confusion(sample, model, float(cut))
            cuts.append(key | {"cut": float(cut)} | rates(tp, fp, fn, tn))
        for rule in RULES:
            kind, percent = rule.split("_")
            target, of = int(percent) / 100, 0 if kind == "spec" else 1
            quantile = target if kind == "spec" else 1 - target
            cut = float(np.quantile(scores[sample.labels == of], quantile))
            tp, fp, fn, tn = confusion(sample, model, cut)
            found = rates(tp, fp, fn, tn)
            ruled_out = fn + tn
            points.append(
                key
                | {"subgroup": "", "rule": rule, "cut": cut, "cut_from": "val", "reason": None}
                | found
                | {
                    "lr_pos": found["sensitivity"] / max(1 - found["specificity"], 0.01),
                    "lr_neg": (1 - found["sensitivity"]) / max(found["specificity"], 0.01),
                    "flagged_share": (tp + fp) / sample.n,
                    "ruled_out_share": ruled_out / sample.n,
                    "missed_per_1000": 1000 * fn / max(ruled_out, 1),
                    "prevalence": rate,
                    "one_minus_prevalence": 1 - rate,
                }
            )
            for metric, part, total in (
                ("sensitivity", tp, tp + fn),
                ("specificity", tn, tn + fp),
                ("ppv", tp, tp + fp),
                ("npv", tn, tn + fn),
            ):
                value, low, high = sample.share(part, total)
                intervals.append(
                    key
                    | {"subgroup": "", "rule": rule, "metric": metric, "value": value}
                    | {"low": low, "high": high, "wilson_low": low, "wilson_high": high}
                    | {"numerator": part, "denominator": total, "reason": None}
                )
        low_cut, high_cut = np.quantile(scores, (0.2, 0.9))
        for zone, inside in (
            ("rule_out", scores < low_cut),
            ("grey", (scores >= low_cut) & (scores < high_cut)),
            ("rule_in", scores >= high_cut),
        ):
            n, positive = int(inside.sum()), int(sample.labels[inside].sum())
            value, low, high = sample.share(positive, n)
            zones.append(
                key
                | {"rule_out_rule": "sens_95", "rule_out_cut": float(low_cut)}
                | {"rule_in_rule": "spec_95", "rule_in_cut": float(high_cut), "zone": zone}
                | {"n_records": n, "share": n / sample.n, "n_positive": positive}
                | {"event_rate": value, "low": low, "high": high, "reason": None}
            )
    return {
        "operating_points": points,
        "operating_intervals": intervals,
        "cuts": cuts,
        "zones": zones,
    }


def rates(tp: int, fp: int, fn: int, tn: int) -> Row:
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "share_flagged": (tp + fp) / (tp + fp + fn + tn),
        "sensitivity": tp / (tp + fn),
        "specificity": tn / (tn + fp),
        "ppv": tp / (tp + fp) if tp + fp else None,
        "npv": tn / (tn + fn) if tn + fn else None,
    }


def comparison_tables(sample: Sample) -> dict[str, list[Row]]:
    aurocs = {m: float(roc_auc_score(sample.labels, s)) for m, s in sample.scores.items()}
    pairs = []
    for first, second in itertools.combinations(sample.scores, 2):
        delta = aurocs[first] - aurocs[second]
        se = 0.019
        p = float(np.exp(-((delta / se) ** 2) / 2))
        pairs.append(
            {**sample.key, "model": first, "compared_with": second, "delta": delta}
            | {"low": delta - 1.96 * se, "high": delta + 1.96 * se, "se": se, "z": delta / se}
            | {"p_value": p, "p_holm": min(10 * p, 1.0), "separable": 10 * p < 0.05}
            | {"detectable_difference": 2.8 * se, "reason": None}
            | {"n_records_for_002": round(sample.n * (2.8 * se / 0.02) ** 2)}
        )
    ordered = sorted(aurocs, key=lambda m: -aurocs[m])
    ranks = [
        {**sample.key, "model": model, "auroc": aurocs[model], "rank": rank}
        | {"rank_low": max(rank - 2, 1), "rank_high": min(rank + 2, len(ordered))}
        | {"share_first": 1 / rank / 3, "n_models": len(ordered)}
        | {"separable_from_first": aurocs[ordered[0]] - aurocs[model] > 0.09}
        for rank, model in enumerate(ordered, 1)
    ]
    models = [
        {**sample.key, "model": m, "scores_are": "probability", "has_val": True}
        | {"n_distinct_scores": sample.n, "auroc_rank": ordered.index(m) + 1}
        for m in sample.models
    ]
    recalibration = [
        {**sample.key, "model": m, "method": method, "a": 0.1, "b": 0.9, "brier": 0.21 + 0.01 * i}
        | {"log_loss": 0.6, "cal_intercept": -0.1 * i, "cal_slope": 1 - 0.1 * i}
        | {"oe_ratio": 1.0, "ici": 0.01 + 0.01 * i, "mcb": 0.004, "reason": None}
        for m in sample.models
        for i, method in enumerate(("platt", "isotonic", "temperature", "none"))
    ]
    return {"pairwise": pairs, "ranks": ranks, "models": models, "recalibration": recalibration}


def group_tables(sample: Sample) -> dict[str, list[Row]]:
    gaps, interaction, cross = [], [], []
    for model in sample.models:
        key = {**sample.key, "model": model}
        for column, values in GROUPS.items():
            interaction.append(
                key
                | {"column": column, "n_groups": len(values), "chi2": 5.1, "df": len(values) - 1}
                | {"p_value": 0.08, "p_holm": 0.2, "reason": None}
            )
            for value in values:
                inside = sample.groups[column] == value
                positive = int(sample.labels[inside].sum())
                base = key | {
                    "column": column,
                    "subgroup": f"{column}={value}",
                    "n_records": int(inside.sum()),
                    "n_positive": positive,
                    "n_patients": int(inside.sum()) * 5 // 9,
                }
                if positive < 10:
                    empty = dict.fromkeys(
                        ("auroc", "auroc_complement", "gap", "low", "high", "se", "z", "p_value"),
                        None,
                    )
                    gaps.append(
                        base
                        | empty
                        | {"p_holm": None, "is_worst": False, "reason": "fewer than 10 positives"}
                    )
                    continue
                auroc = float(roc_auc_score(sample.labels[inside], sample.scores[model][inside]))
                rest = float(roc_auc_score(sample.labels[~inside], sample.scores[model][~inside]))
                se = 0.7 / np.sqrt(positive)
                gaps.append(
                    base
                    | {"auroc": auroc, "auroc_complement": rest, "gap": auroc - rest, "se": se}
                    | {"low": auroc - rest - 1.96 * se, "high": auroc - rest + 1.96 * se}
                    | {"z": (auroc - rest) / se, "p_value": 0.3, "p_holm": 1.0}
                    | {"is_worst": value == "80 and over", "reason": None}
                )
                cross.append(
                    key
                    | {"subgroup": f"{column}={value}", "auroc_positives_of": auroc}
                    | {"low": auroc - 0.04, "high": auroc + 0.04, "auroc_negatives_of": rest}
                    | {"low_negatives": rest - 0.04, "high_negatives": rest + 0.04, "reason": None}
                )
    return {"subgroup_gaps": gaps, "subgroup_interaction": interaction, "subgroup_cross": cross}


def finding_tables(sample: Sample) -> dict[str, list[Row]]:
    matched, same_spec, produced, regions, added = [], [], [], [], []
    has_any = sum(sample.scores[name] for name in FINDINGS) > 0
    t_wave = (sample.scores["flag:has_twave_inver"] + sample.scores["flag:has_twave_abnormal"]) > 0
    st = (sample.scores["flag:has_st_eleva"] + sample.scores["flag:has_depress"]) > 0
    for model in sample.models:
        key = {**sample.key, "model": model}
        order = np.argsort(-sample.scores[model], kind="stable")
        for feature in FINDINGS:
            flagged = sample.scores[feature] == 1
            k, tp = int(flagged.sum()), int(sample.labels[flagged].sum())
            mine = int(sample.labels[order[:k]].sum())
            matched.append(
                key
                | {
                    "feature": feature.removeprefix("flag:"),
                    "k": k,
                    "feature_tp": tp,
                    "model_tp": float(mine),
                }
                | {"model_tp_worst": mine, "model_tp_best": mine, "feature_ppv": tp / k}
                | {"model_ppv": mine / k, "difference": (mine - tp) / k, "reason": None}
                | {"low": (mine - tp) / k - 0.1, "high": (mine - tp) / k + 0.1}
            )
            same_spec.append(
                key
                | {
                    "feature": feature.removeprefix("flag:"),
                    "specificity": 0.96,
                    "feature_sensitivity": 0.1,
                }
                | {"model_sensitivity": 0.2, "difference": 0.1, "low": 0.02, "high": 0.18}
                | {"reason": None}
            )
        for rule, share in (
            ("budget_05", 0.05),
            ("budget_10", 0.1),
            ("budget_20", 0.2),
            ("val_prevalence", 0.39),
        ):
            k = round(share * sample.n)
            top = order[:k]
            tp = int(sample.labels[top].sum())
            without = ~has_any[top]
            base = 1 - float(has_any.mean())
            tp_without = int(sample.labels[top][without].sum())
            produced.append(
                key
                | {"rule": rule, "k": k, "tp": tp, "ppv": tp / k}
                | {"sensitivity": tp / int(sample.labels.sum())}
                | {"share_without_feature": float(without.mean())}
                | {"base_share_without_feature": base, "lift": float(without.mean()) / base}
                | {"positives_without_feature": 0.5, "base_positives_without_feature": 0.52}
                | {"tp_without_feature": tp_without}
                | {"ppv_without_feature": tp_without / max(int(without.sum()), 1)}
                | {"ppv_without_low": 0.4, "ppv_without_high": 0.6}
            )
        flagged = np.zeros(sample.n, dtype=bool)
        flagged[order[: round(0.39 * sample.n)]] = True
        for parts in itertools.product((True, False), repeat=3):
            inside = (flagged == parts[0]) & (t_wave == parts[1]) & (st == parts[2])
            names = [w for w, on in zip(("model", "T", "ST"), parts, strict=True) if on]
            n, positive = int(inside.sum()), int(sample.labels[inside].sum())
            value, low, high = sample.share(positive, n)
            regions.append(
                key
                | {"rule": "val_prevalence", "region": "+".join(names) or "none", "n_records": n}
                | {"share": n / sample.n, "n_positive": positive, "event_rate": value}
                | {"low": low, "high": high}
            )
        added.append(
            key
            | {"lr_chi2": 60.2, "lr_df": 1, "lr_p_value": 1e-9, "wald_p_value": 1e-7}
            | {"auroc_features": 0.53, "auroc_features_and_model": 0.7, "delta": 0.17}
            | {"low": 0.12, "high": 0.22, "fitted_on": "val", "reason": None}
        )
    return {
        "matched_budgets": matched,
        "matched_specificity": same_spec,
        "feature_yield": produced,
        "feature_regions": regions,
        "added_value": added,
    }


def further_tables(sample: Sample) -> dict[str, list[Row]]:
    evaluated = [
        {**sample.key, "unit": "record", "n_records": sample.n}
        | {"n_positive": int(sample.labels.sum())}
        | {"n_negative": sample.n - int(sample.labels.sum()), "n_patients": sample.n_patients}
        | {"n_encounters": sample.n_patients * 11 // 10}
        | {"prevalence": float(sample.labels.mean())}
        | {"n_unlabelled": 4, "max_records_per_patient": 9, "seed": 0, "n_resamples": 2000}
        | {"level": 0.95, "task_version": 1}
    ]
    checks, selective, overlap = [], [], []
    for model in sample.models:
        auroc = float(roc_auc_score(sample.labels, sample.scores[model]))
        key = {**sample.key, "model": model}
        for number, analysis in enumerate(
            ("first_ecg_per_patient", "patient_max", "patient_mean", "without_near_duplicates")
        ):
            value = auroc + 0.01 * (number - 2)
            checks.append(
                key
                | {"analysis": analysis, "auroc": value, "low": value - 0.04, "high": value + 0.04}
                | {"difference": value - auroc, "n_records": sample.n_patients, "n_positive": 300}
                | {"n_patients": sample.n_patients, "reason": None}
            )
        for number, analysis in enumerate(
            (
                "tested_only",
                "ipw",
                "doubly_robust",
                "bound_negative",
                "bound_fitted",
                "bound_odds_0.5",
                "bound_odds_2",
            )
        ):
            value = auroc + 0.015 * number
            selective.append(
                key
                | {"analysis": analysis, "metric": "auroc", "value": value, "low": value - 0.05}
                | {"high": value + 0.05, "ess": 420.0, "max_weight": 31.0, "truncated_at": 0.99}
                | {"n_tested": sample.n, "n_all": 20 * sample.n, "cut": None, "reason": None}
            )
    for group, centre in (("tested", 0.12), ("untested", 0.03)):
        bins = np.arange(20) / 40 + 0.0125
        counts = 1000 * np.exp(-((bins - centre) ** 2) / 0.01)
        overlap += [
            {**sample.key, "group": group, "propensity": float(b), "n_records": int(c)}
            for b, c in zip(bins, counts, strict=True)
        ]
    original = [
        {**sample.key, "model": m, "value": 0.7, "low": 0.67, "high": 0.73, "sound_value": 0.7}
        | {"sound_low": 0.66, "sound_high": 0.74, "differs": "patients, not rows, are independent"}
        for m in sample.models
    ]
    return {
        "evaluated": evaluated,
        "sensitivity": checks,
        "selective_testing": selective,
        "selective_overlap": overlap,
        "original_auroc": original,
    }


def synthetic_results(
    *, n_models: int = 10, n: int = 1295, task: str = "acs", seed: int = 0
) -> Results:
    sample = Sample(n=n, models=NAMES[:n_models], task=task, seed=seed)
    rows = overall_rows(sample) + subgroup_rows(sample) + pair_rows(sample)
    tables = (
        operating_tables(sample)
        | comparison_tables(sample)
        | group_tables(sample)
        | finding_tables(sample)
        | further_tables(sample)
    )
    return Results(
        pl.DataFrame(rows, schema=RESULT_COLUMNS),
        Curves(curves(sample)),
        (f"Task {task}: 4 records of split test have no label and are not scored.",),
        0.95,
        {name: pl.DataFrame(found, infer_schema_length=None) for name, found in tables.items()},
    )
