"""Results as they may be shown: one door, after which nothing knows an exact small count."""

from __future__ import annotations

import polars as pl

from acsbench.report.counts import guarded_text, rounded, rounded_share
from acsbench.results import Curves, Results

__all__ = ["HIDDEN", "hide_small_counts"]

HIDDEN = -1
"""Stands for a count that is hidden; no true count is negative."""

_COUNTS = ("n_records", "n_positive", "n_patients", "n_encounters")
_SHARE_OF = {"sens_": "n_positive", "spec_": "n_negative", "ppv_": "n_flagged"}
_NO_COUNTS = ("n_models", "n_groups", "n_resamples", "n_records_for_002")
"""Columns that begin with ``n_`` and count neither records nor people."""
_TABLE_COUNTS = (
    *("ess", "max_rows_per_patient"),
    *("tp", "fp", "fn", "tn", "k", "n_above", "n_tied", "flagged", "expected_tp"),
    *("numerator", "denominator", "only_model", "only_other", "tp_without_feature"),
    *("feature_tp", "model_tp", "model_tp_worst", "model_tp_best"),
)
_TABLE_SHARES = (
    *("share", "share_flagged", "flagged_share", "ruled_out_share", "missed_per_1000"),
    *("sensitivity", "specificity", "ppv", "npv", "event_rate", "lr_pos", "lr_neg", "percent"),
    *("wilson_low", "wilson_high", "ppv_worst", "ppv_best", "ppv_low", "ppv_high", "accuracy"),
    *("sensitivity_low", "sensitivity_high", "pred_pos_without_feature", "sound_value"),
    *(
        "true_pos_without_feature",
        "accuracy_low",
        "accuracy_high",
        "sound_ppv",
        "sound_low",
        "sound_high",
    ),
    *("feature_ppv", "model_ppv", "share_without_feature", "base_share_without_feature", "lift"),
    *("positives_without_feature", "base_positives_without_feature", "ppv_without_feature"),
    *("ppv_without_low", "ppv_without_high", "feature_sensitivity", "model_sensitivity"),
    *("mean", "sem", "clustered_se"),
)
_PARTS = (
    ("denominator", "numerator"),
    ("n_records", "n_positive"),
    *(("k", part) for part in ("tp", "expected_tp", "feature_tp", "model_tp")),
)
"""Totals and their parts: what is left of a total is a count as well."""
_UNCOUNTED = ("sensitivity", "ppv", "feature_sensitivity")
_NOT_SHOWN = "not shown: it would give a small count away"


def hide_small_counts(results: Results, min_count: int) -> Results:
    """Round counts, and empty what would give a small one away.

    Parameters
    ----------
    results : Results
    min_count : int
        Counts from 1 to this number become `HIDDEN` and all others are rounded, as in `counts`.
        With 0 nothing changes.

    Returns
    -------
    Results
        Estimates that rest on 1 to ``min_count`` positives or negatives are null with a reason, and
        so are the shares in a table's row that holds a hidden count, or whose parts leave one.
        Other shares, and the points of curves, are given to a hundredth: a finer share has few
        possible denominators. A table of shares without counts is left out.
    """
    if min_count <= 0:
        return results
    return Results(
        _estimates(results.frame, min_count),
        Curves(_curves(results.curves.frame, min_count)),
        tuple(guarded_text(remark, min_count) for remark in results.remarks),
        results.level,
        {
            name: _table(frame, min_count)
            for name, frame in results.tables.items()
            if _is_counted(frame)
        },
    )


def _is_small(column: str, min_count: int) -> pl.Expr:
    return pl.col(column).is_between(0, min_count, closed="right").fill_null(value=False)


def _rounded(column: str, min_count: int) -> pl.Expr:
    """Nearest step of counts, or `HIDDEN`. Expected counts are counts, too."""

    def shown(count: int) -> int:
        found = rounded(count, min_count)
        return HIDDEN if found is None else found

    whole = pl.col(column).ceil().cast(pl.Int64)
    return whole.map_elements(shown, return_dtype=pl.Int64).alias(column)


def _estimates(frame: pl.DataFrame, min_count: int) -> pl.DataFrame:
    budget = pl.col("metric").str.extract(r"_(\d+)$").cast(pl.Float64) / 100
    frame = frame.with_columns(
        (pl.col("n_records") - pl.col("n_positive")).alias("n_negative"),
        (pl.col("n_records") * budget).round().alias("n_flagged"),
    )
    hides = _is_small("n_positive", min_count) | _is_small("n_negative", min_count)
    for prefix, total in _SHARE_OF.items():
        part = pl.col("value") * pl.col(total)
        near = min_count + 0.5
        small = part.is_between(0.5, near) | (pl.col(total) - part).is_between(0.5, near)
        hides = hides | (pl.col("metric").str.starts_with(prefix) & small.fill_null(value=False))
    hides = hides & pl.col("value").is_not_null()
    is_share = pl.any_horizontal(pl.col("metric").str.starts_with(p) for p in _SHARE_OF)
    values = [
        pl.when(hides).then(None).when(is_share).then(pl.col(c).round(2)).otherwise(c).alias(c)
        for c in ("value", "low", "high")
    ]
    reason = (
        pl.when(hides)
        .then(pl.lit(_NOT_SHOWN))
        .otherwise(
            pl.col("reason").map_elements(
                lambda text: guarded_text(text, min_count), return_dtype=pl.String
            )
        )
    )
    shown = frame.with_columns(*values, reason.alias("reason"))
    return shown.with_columns(_rounded(c, min_count) for c in _COUNTS).drop(
        "n_negative", "n_flagged"
    )


def _curves(frame: pl.DataFrame, min_count: int) -> pl.DataFrame:
    small = _is_small("n", min_count)
    coarse = pl.col("curve").is_in(
        ["roc", "pr", "budget", "reliability", "original_cumulative_risk"]
    )
    is_bar = pl.col("curve").str.starts_with("histogram")
    return frame.with_columns(
        pl.when(coarse).then(pl.col("x").round(2)).otherwise("x").alias("x"),
        *(
            pl.when(small)
            .then(None)
            .when(coarse | is_bar)
            .then(pl.col(c).round(2))
            .otherwise(c)
            .alias(c)
            for c in ("y", "low", "high")
        ),
        _rounded("n", min_count),
    ).filter(~small | is_bar)


def _is_counted(frame: pl.DataFrame) -> bool:
    """Whether a table that holds shares holds the counts by which they can be judged."""
    has_counts = bool({*_TABLE_COUNTS, *_COUNTS} & set(frame.columns))
    return has_counts or not set(_UNCOUNTED) & set(frame.columns)


def _table(frame: pl.DataFrame, min_count: int) -> pl.DataFrame:
    numeric = {name for name, dtype in frame.schema.items() if dtype.is_numeric()}
    counts = [
        name
        for name in frame.columns
        if name in numeric
        and (name in _TABLE_COUNTS or (name.startswith("n_") and name not in _NO_COUNTS))
    ]
    shares = [name for name in _TABLE_SHARES if name in numeric]
    if counts and shares:
        left = [
            (pl.col(total) - pl.col(part)).alias(f"{total} - {part}")
            for total, part in _PARTS
            if total in numeric and part in numeric
        ]
        hides = pl.any_horizontal(
            *(_is_small(name, min_count) for name in counts),
            *(one.is_between(0, min_count, closed="right").fill_null(value=False) for one in left),
        )
        # the interval of a share beside a hidden count gives the count away as the share does
        also = [n for n in ("value", "low", "high", "difference") if n in numeric]
        frame = frame.with_columns(
            pl.when(hides).then(None).otherwise(pl.col(name).round(2)).alias(name)
            for name in (*shares, *also)
        )
    if "prevalence" in numeric and {"n_records", "n_positive"} <= numeric:
        frame = frame.with_columns(
            pl.struct("n_positive", "n_records")
            .map_elements(
                lambda row: rounded_share(row["n_positive"], row["n_records"], min_count),
                return_dtype=pl.Float64,
            )
            .alias("prevalence")
        )
    if frame.schema.get("reason") == pl.String:
        frame = frame.with_columns(
            pl.col("reason").map_elements(
                lambda text: guarded_text(text, min_count), return_dtype=pl.String
            )
        )
    if "n_records_for_002" in numeric:
        # a multiple of the number of records
        frame = frame.with_columns(pl.col("n_records_for_002").round_sig_figs(2))
    return frame.with_columns(_rounded(name, min_count) for name in counts)
