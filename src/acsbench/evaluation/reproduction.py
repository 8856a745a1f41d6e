"""Tables and figures of ACS-BenchWork by its own definitions, E1 to E10.

Every function here computes what the original printed, its flaws included, so that a published
figure can be found again; none of it is the figure to believe. What is, and what differs, stands
beside each in the results (`original_figures`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from acsbench.evaluation.guideline_features import FEATURES
from acsbench.evaluation.intervals import Interval, delong, normal_interval
from acsbench.evaluation.logistic import expit, fit_logistic, with_intercept
from acsbench.evaluation.operating_points import Counts, count_flagged, youden_cut
from acsbench.evaluation.proportions import clustered_mean_se

__all__ = [
    "ORIGINAL_FINDINGS",
    "BinaryAtPrevalence",
    "OriginalLogistic",
    "binary_at_prevalence",
    "cumulative_risk",
    "delong_auroc",
    "example_groups",
    "original_logistic",
    "table_one",
    "venn",
]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

ORIGINAL_FINDINGS = ("has_st_eleva", "has_depress", "has_twave_inver")
"""The findings that make E10's group "with features"; the T abnormality is left out there."""
_EXAMPLES = slice(10, 26)


def table_one(cohort: pl.DataFrame) -> pl.DataFrame:
    """E1: means over ECG rows with SEM = SD / sqrt(rows), of all, the tested and the untested.

    Parameters
    ----------
    cohort : DataFrame
        Rows that are included, with ``patient_id, encounter_id, is_tested, is_untested`` and, as
        far as it has them, ``age, sex, race, stent_or_cabg_010_day``.

    Returns
    -------
    DataFrame
        One row per ``group`` (``total``, ``tested``, ``untested``) and ``measure``: its ``mean``,
        the ``sem`` as printed, beside it the ``clustered_se``, and the group's ``n_encounters``,
        ``n_patients``, ``n_records``.

    Notes
    -----
    ECGs of one patient are no independent rows, and an SEM does not describe a spread; the
    untested count as negative, though nobody looked. `report` has the table that says so.
    """
    groups = {
        "total": cohort,
        "tested": cohort.filter(pl.col("is_tested")),
        "untested": cohort.filter(pl.col("is_untested")),
    }
    made: list[dict[str, str | float | None]] = []
    for group, part in groups.items():
        counts = {
            "n_encounters": part["encounter_id"].n_unique(),
            "n_patients": part["patient_id"].n_unique(),
            "n_records": len(part),
        }
        for measure, value in _table_one_means(cohort).items():
            mean, sem, clustered = _mean_and_errors(part.select("patient_id", value=value))
            made.append(
                {
                    "group": group,
                    "measure": measure,
                    "mean": mean,
                    "sem": sem,
                    "clustered_se": clustered,
                    **counts,
                }
            )
    return pl.DataFrame(made, infer_schema_length=None)


def _table_one_means(cohort: pl.DataFrame) -> dict[str, pl.Expr]:
    means: dict[str, pl.Expr] = {"age": pl.col("age"), "female": pl.col("sex") == "Female"}
    for race in ("black", "hispanic", "white", "other"):
        means[race] = pl.col("race") == race
    means["positive_test"] = pl.col("stent_or_cabg_010_day").fill_null(value=False)
    return {
        name: value
        for name, value in means.items()
        if set(value.meta.root_names()) <= set(cohort.columns)
    }


def _mean_and_errors(rows: pl.DataFrame) -> tuple[float | None, float | None, float | None]:
    """Mean, SD / sqrt(rows), and the error that knows that a patient has several rows."""
    is_share = rows["value"].dtype == pl.Boolean
    known = rows.with_columns(pl.col("value").cast(pl.Float64).fill_nan(None)).drop_nulls()
    if known.is_empty():
        return None, None, None
    numbers = known["value"].to_numpy()
    # the SD of a share is sqrt(p (1 - p))
    spread = float(numbers.std(ddof=0 if is_share or len(numbers) == 1 else 1))
    clustered = clustered_mean_se(numbers, known["patient_id"].rank("dense").to_numpy())
    error = None if np.isnan(clustered) else clustered
    return float(numbers.mean()), spread / len(numbers) ** 0.5, error


def delong_auroc(
    labels: ArrayLike, scores: ArrayLike, *, level: float = 0.95
) -> tuple[float, Interval]:
    """E2 and E6: AUROC with DeLong's interval on the normal scale, rows independent."""
    found = delong(labels, scores)
    value = float(found.auroc[0])
    interval = normal_interval(value, float(found.covariance[0, 0]), level=level)
    return value, interval._replace(reason=found.reason or interval.reason)


def cumulative_risk(labels: ArrayLike, scores: ArrayLike) -> Floats:
    """E4: event rate among rows at or above percentile 1 to 100, (100,), top percent first.

    Rows in the order of the scores, cut into 100 groups as equal as can be; ties in the order of
    the rows, where the original's sort left them to chance.
    """
    positives = np.asarray(labels) == 1
    ordered = positives[np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")]
    ends = np.ceil(np.round(np.arange(1, 101) / 100 * len(ordered), 9)).astype(np.intp)
    risks: Floats = np.cumsum(ordered)[ends - 1] / ends
    return risks


class BinaryAtPrevalence(NamedTuple):
    """E5: who is flagged when as many are as the test rows have positives."""

    k: int
    cut: float
    flagged: Flags
    counts: Counts


def binary_at_prevalence(labels: ArrayLike, scores: ArrayLike) -> BinaryAtPrevalence:
    """E5: the k highest scores, k the number of positives of the *test* rows.

    Only scores above the lowest of all are flagged, and ties at the cut fall as the rows lie. PPV
    and sensitivity are equal by construction.
    """
    numbers = np.asarray(scores, dtype=np.float64)
    k = int((np.asarray(labels) == 1).sum())
    order = np.argsort(-numbers, kind="stable")
    flagged = np.zeros(len(numbers), dtype=np.bool_)
    flagged[order[:k]] = True
    flagged &= numbers > numbers.min()
    return BinaryAtPrevalence(
        k, float(numbers[order[k - 1]]), flagged, count_flagged(labels, flagged)
    )


def venn(flagged: Flags, findings: dict[str, Flags]) -> dict[str, int]:
    """E8: rows in each region of flagged, any T-wave finding and any ST finding.

    The original labels the T set "depression"; it holds T-wave abnormality.
    """
    t = findings["has_twave_inver"] | findings["has_twave_abnormal"]
    st = findings["has_st_eleva"] | findings["has_depress"]
    regions = {
        "model": flagged & ~t & ~st,
        "model+T": flagged & t & ~st,
        "model+ST": flagged & ~t & st,
        "model+T+ST": flagged & t & st,
        "T": ~flagged & t & ~st,
        "T+ST": ~flagged & t & st,
        "ST": ~flagged & ~t & st,
        "none": ~flagged & ~t & ~st,
    }
    return {name: int(members.sum()) for name, members in regions.items()}


class OriginalLogistic(NamedTuple):
    """E9: logistic regression of the outcome on the four findings."""

    scores: Floats
    youden_cut: float
    counts: Counts
    auroc: float
    interval: Interval


def original_logistic(train: pl.DataFrame, scored: pl.DataFrame) -> OriginalLogistic:
    """E9: unpenalised, fitted on train rows, cut by Youden's index of the scored rows themselves.

    Parameters
    ----------
    train, scored : DataFrame
        With ``label`` and the four findings, none missing.

    Raises
    ------
    NotEstimable
        When a finding separates the classes or never varies.
    """
    columns = [train[name].cast(pl.Float64).to_numpy() for name in FEATURES]
    fit = fit_logistic(with_intercept(*columns), train["label"].to_numpy())
    mine = with_intercept(*(scored[name].cast(pl.Float64).to_numpy() for name in FEATURES))
    scores, labels = expit(mine @ fit.coefficients), scored["label"].to_numpy()
    cut = youden_cut(labels, scores)
    value, interval = delong_auroc(labels, scores)
    return OriginalLogistic(scores, cut, count_flagged(labels, scores >= cut), value, interval)


def example_groups(labels: pl.DataFrame) -> pl.DataFrame:
    """E10: the ECGs that the original draws, rows 10 to 25 of each of four groups.

    Parameters
    ----------
    labels : DataFrame
        ``ecg_id, label`` and the four findings.

    Returns
    -------
    DataFrame
        ``group`` (``event`` or ``no_event``, with or without a feature), ``position`` within it
        and ``ecg_id``. The ids are for whoever holds the data; a public report shows none.
    """
    with_feature = pl.any_horizontal(pl.col(name) == 1 for name in ORIGINAL_FINDINGS)
    without = ~with_feature & (pl.col("has_twave_abnormal") == 0)
    groups = []
    for event in (1, 0):
        for name, members in (("with", with_feature), ("without", without)):
            rows = labels.filter((pl.col("label") == event) & members).sort("ecg_id")
            chosen = rows[_EXAMPLES].select("ecg_id")
            group = f"{'event' if event else 'no_event'}_{name}_features"
            positions = pl.int_range(_EXAMPLES.start, _EXAMPLES.start + len(chosen), eager=True)
            groups.append(
                chosen.select(pl.lit(group).alias("group"), positions.alias("position"), "ecg_id")
            )
    return pl.concat(groups)
