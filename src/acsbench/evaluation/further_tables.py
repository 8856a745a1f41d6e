"""Columns of the further tables, after ``task, split``; what a column holds is told by its name."""

from __future__ import annotations

import polars as pl

__all__ = ["FURTHER_TABLES", "schema_of"]

FURTHER_TABLES: dict[str, str] = {
    "evaluated": "task_version unit n_rows n_records n_positive n_negative n_patients n_encounters "
    "n_unlabelled n_val_rows max_rows_per_patient prevalence level n_resamples seed",
    "models": "model scores_are has_val n_distinct_scores",
    # cuts from validation rows
    "cuts": "model cut share_flagged tp fp fn tn sensitivity specificity ppv npv",
    "operating_points": "model subgroup rule cut cut_from tp fp fn tn sensitivity specificity ppv "
    "npv lr_pos lr_neg flagged_share ruled_out_share missed_per_1000 prevalence "
    "one_minus_prevalence reason",
    "operating_intervals": "model subgroup rule metric value low high wilson_low wilson_high "
    "numerator denominator reason",
    "zones": "model zone rule_out_rule rule_out_cut rule_in_rule rule_in_cut n_records share "
    "n_positive event_rate low high reason",
    "paired_operating": "model compared_with rule metric difference low high p_value only_model "
    "only_other p_mcnemar reason",
    "recalibration": "model method a b brier log_loss cal_intercept cal_slope oe_ratio ici mcb "
    "reason",
    "budgets": "model budget share k cut n_above n_tied expected_tp ppv ppv_low ppv_high ppv_worst "
    "ppv_best sensitivity sensitivity_low sensitivity_high",
    # several entries
    "pairwise": "model compared_with delta low high se z p_value p_holm in_family separable "
    "detectable_difference n_records_for_002 reason",
    "ranks": "model auroc rank rank_low rank_high share_first rank_test_low rank_test_high "
    "separable_from_first n_models",
    # subgroups
    "subgroup_gaps": "model column subgroup n_records n_positive n_patients auroc auroc_complement "
    "gap low high se z p_value p_holm is_worst reason",
    "subgroup_interaction": "model column n_groups chi2 df p_value p_holm reason",
    "subgroup_cross": "model subgroup auroc_positives_of low_positives_of high_positives_of "
    "auroc_negatives_of low_negatives_of high_negatives_of reason",
    # classical findings
    "matched_budgets": "model feature k feature_tp model_tp model_tp_worst model_tp_best "
    "feature_ppv model_ppv difference low high reason",
    "matched_specificity": "model feature specificity feature_sensitivity model_sensitivity "
    "difference low high reason",
    "feature_yield": "model rule k expected_tp ppv sensitivity share_without_feature "
    "base_share_without_feature lift positives_without_feature base_positives_without_feature "
    "tp_without_feature ppv_without_feature ppv_without_low ppv_without_high reason",
    "feature_regions": "model rule region n_records share n_positive event_rate low high reason",
    "added_value": "model lr_chi2 df lr_p_value wald_p_value auroc_features "
    "auroc_features_and_model delta low high p_value fitted_on reason",
    # other rows, other labels
    "sensitivity": "model analysis auroc low high difference n_rows n_records n_positive "
    "n_patients reason",
    "selective_testing": "model analysis metric value low high ess max_weight truncated_at "
    "n_tested n_all rule cut reason",
    "selective_overlap": "group propensity n_records share",
    # the original's tables by its own definitions
    "original_auroc": "model value low high sound_value sound_low sound_high bootstrap_low "
    "bootstrap_high differs reason",
    "original_binary": "model k cut n_flagged tp accuracy accuracy_low accuracy_high ppv ppv_low "
    "ppv_high sensitivity sound_ppv sound_low sound_high ppv_worst ppv_best differs reason",
    "original_subgroups": "model subgroup n_records n_positive value low high sound_value "
    "sound_low sound_high differs reason",
    "original_yield": "model ppv sensitivity pred_pos_without_feature true_pos_without_feature "
    "base_share_without_feature base_positives_without_feature lift ppv_without_feature differs "
    "reason",
    "original_venn": "model region n_records percent differs",
    "original_logistic": "model auroc low high accuracy accuracy_low accuracy_high youden_cut "
    "n_train n_scored sound_value sound_low sound_high differs reason",
}
# ruff: noqa: SIM905  (three lines of names read better than forty)
_TEXTS = frozenset(
    "task split model compared_with unit scores_are subgroup column rule cut_from metric zone "
    "rule_out_rule rule_in_rule method budget feature region fitted_on analysis group differs "
    "reason".split()
)
_CLAIMS = frozenset("has_val in_family separable separable_from_first is_worst".split())
_COUNTS = frozenset(
    "task_version max_rows_per_patient seed tp fp fn tn k numerator denominator only_model "
    "only_other rank rank_low rank_high rank_test_low rank_test_high df feature_tp "
    "model_tp_worst model_tp_best".split()
)


def schema_of(table: str) -> dict[str, pl.DataType]:
    """Columns of a further table with their types, ``task`` and ``split`` first."""
    return {name: _dtype(name) for name in ["task", "split", *FURTHER_TABLES[table].split()]}


def _dtype(name: str) -> pl.DataType:
    if name in _TEXTS:
        return pl.String()
    if name in _CLAIMS:
        return pl.Boolean()
    return pl.Int64() if name in _COUNTS or name.startswith("n_") else pl.Float64()
