"""Does it work for everybody? Figures in subgroups, their gaps, and tests that count the tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import InputError, did_you_mean
from acsbench.evaluation.comparisons import holm
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.findings import Findings
from acsbench.evaluation.intervals import (
    chi2_tail,
    clustered_delong,
    logit_interval,
    patient_influence,
    quantile,
    two_sided_p,
)
from acsbench.evaluation.judged import Judged
from acsbench.tables import LABELS

__all__ = [
    "Gap",
    "Group",
    "auroc_gap",
    "gap_entries",
    "heterogeneity",
    "subgroup_columns",
    "subgroups",
    "too_few",
]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

_MAX_VALUES = 10
_DIVIDING = ("sex", "race", "site", "year")


class Group(NamedTuple):
    """Rows with one value of one column, as ``column=value``, and why they are not estimated."""

    column: str
    name: str
    members: Flags
    reason: str | None


def subgroups(judged: Judged, config: EvaluateConfig) -> list[Group]:
    """Every value of every subgroup column; rows without a value belong to none.

    Raises
    ------
    InputError
        When a column that was asked for is not there.
    """
    columns = config.subgroups
    if columns is None:
        columns = subgroup_columns(judged.rows)
    groups = []
    for column in columns:
        if column not in judged.rows.columns:
            raise InputError(
                f"subgroups names '{column}', and the labels have no such column."
                f"{did_you_mean(column, judged.rows.columns)}"
            )
        values = as_texts(judged.rows[column])
        for value in values.drop_nulls().unique().sort():
            members = (values == value).fill_null(value=False).to_numpy()
            reason = too_few(judged, members, config)
            groups.append(Group(column, f"{column}={value}", members, reason))
    return groups


def subgroup_columns(rows: pl.DataFrame) -> tuple[str, ...]:
    """What divides patients when nobody says: further text columns, and site, year, sex and race.

    Only those with few values.
    """
    own = [column.name for column in LABELS.columns]
    return tuple(
        name
        for name, dtype in rows.schema.items()
        if (dtype == pl.String or name in _DIVIDING)
        and name not in own
        and 1 <= rows[name].drop_nulls().n_unique() <= _MAX_VALUES
    )


def as_texts(values: pl.Series) -> pl.Series:
    """Values as they stand in a subgroup's name: a year is 2019, not 2019.0."""
    if values.dtype.is_float() and (values.drop_nulls() % 1 == 0).all():
        values = values.cast(pl.Int64)
    return values.cast(pl.String)


def too_few(judged: Judged, members: Flags, config: EvaluateConfig) -> str | None:
    """Why a group is not shown: too few of a class or patients, in it or (if asked) beside it."""
    reason = _few(judged, members, config)
    if reason is None and config.min_complement:
        rest = _few(judged, ~members, config)
        reason = None if rest is None else f"outside the group: {rest}"
    return reason


def _few(judged: Judged, members: Flags, config: EvaluateConfig) -> str | None:
    n_positive = int(judged.labels[members].sum())
    if n_positive < config.min_class:
        return f"fewer than {config.min_class} positives"
    if int(members.sum()) - n_positive < config.min_class:
        return f"fewer than {config.min_class} negatives"
    if len(np.unique(judged.patients[members])) < config.min_patients:
        return f"fewer than {config.min_patients} patients"
    return None


class Gap(NamedTuple):
    """AUROC of some rows less that of others, of one model."""

    inside: float
    outside: float
    gap: float
    se: float | None
    low: float | None
    high: float | None
    z: float | None
    p_value: float | None
    reason: str | None = None


def auroc_gap(
    labels: NDArray[np.int64],
    scores: Floats,
    patients: NDArray[np.intp],
    members: Flags,
    *,
    level: float = 0.95,
) -> Gap:
    """Gap between a group and everybody else; patients with rows in both are counted once.

    Parameters
    ----------
    labels, scores, patients : arrays of shape (n,)
        Patients as numbers from 0.
    members : array of bool, (n,)

    Raises
    ------
    NotEstimable
        When the group or the rest is of one class.
    """
    n = int(patients.max()) + 1
    found, influences = [], []
    for rows in (members, ~members):
        mine = labels[rows], scores[rows], patients[rows]
        found.append(clustered_delong(*mine))
        influences.append(patient_influence(*mine, n=n)[:, 0])
    inside, outside = (float(one.auroc[0]) for one in found)
    reason = found[0].reason or found[1].reason
    shared = n / max(1, n - 1) * float(influences[0] @ influences[1])
    variance = float(sum(one.covariance[0, 0] for one in found)) - 2 * shared
    if reason or not variance > 1e-18:
        return no_gap(reason or "zero variance", inside=inside, outside=outside)
    se = math.sqrt(variance)
    delta, reach = inside - outside, quantile(level) * se
    low, high = delta - reach, delta + reach
    return Gap(inside, outside, delta, se, low, high, delta / se, two_sided_p(delta / se))


def no_gap(reason: str, *, inside: float = math.nan, outside: float = math.nan) -> Gap:
    """Say why a gap has no interval; without values, why it is not shown at all."""
    return Gap(inside, outside, inside - outside, None, None, None, None, None, reason)


class Heterogeneity(NamedTuple):
    """Wald test that all groups of a column have one AUROC."""

    n_groups: int
    chi2: float | None
    df: int
    p_value: float | None
    reason: str | None = None


def heterogeneity(
    labels: NDArray[np.int64],
    scores: Floats,
    patients: NDArray[np.intp],
    groups: list[Flags],
) -> Heterogeneity:
    """Do groups differ more than chance? The interaction of a model's AUROC with a column."""
    k, n = len(groups), int(patients.max()) + 1
    if k < 2:
        return Heterogeneity(k, None, max(0, k - 1), None, "fewer than 2 groups to compare")
    values, influences, variances = np.empty(k), np.empty((n, k)), np.empty(k)
    for index, rows in enumerate(groups):
        found = clustered_delong(labels[rows], scores[rows], patients[rows])
        values[index], variances[index] = found.auroc[0], found.covariance[0, 0]
        influence = patient_influence(labels[rows], scores[rows], patients[rows], n=n)
        influences[:, index] = influence[:, 0]
    covariance = n / max(1, n - 1) * (influences.T @ influences)
    np.fill_diagonal(covariance, variances)
    contrast = np.eye(k)[1:] - np.eye(k)[0]
    spread = contrast @ covariance @ contrast.T
    if not np.isfinite(spread).all() or np.linalg.cond(spread) > 1e12:
        return Heterogeneity(k, None, k - 1, None, "variance not estimable")
    differences = contrast @ values
    chi2 = float(differences @ np.linalg.solve(spread, differences))
    return Heterogeneity(k, chi2, k - 1, chi2_tail(chi2, k - 1))


def gap_entries(
    judged: Judged, groups: list[Group], config: EvaluateConfig, findings: Findings
) -> None:
    """Write gaps, interactions and cross-group AUROCs; Holm over each model's family of tests."""
    for model in judged.entries:
        gaps = {group.name: _gap_of(judged, model, group, config) for group in groups}
        adjusted = _adjust(groups, gaps)
        shown = [gap.inside for gap in gaps.values() if gap.reason is None]
        worst = min(shown, default=None)
        for group in groups:
            gap = gaps[group.name]
            inside = judged.subset(group.members).counts
            findings.entry(
                "subgroup_gaps",
                judged,
                model,
                column=group.column,
                subgroup=group.name,
                **{key: inside[key] for key in ("n_records", "n_positive", "n_patients")},
                auroc=_known(gap.inside),
                auroc_complement=_known(gap.outside),
                gap=_known(gap.gap),
                low=gap.low,
                high=gap.high,
                se=gap.se,
                z=gap.z,
                p_value=gap.p_value,
                p_holm=adjusted[group.name],
                is_worst=gap.reason is None and gap.inside == worst,
                reason=gap.reason,
            )
            _cross_entry(judged, model, group, config, findings)
        _interaction_entries(judged, model, groups, findings)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _gap_of(judged: Judged, model: str, group: Group, config: EvaluateConfig) -> Gap:
    reason = group.reason
    if reason is None:
        rest = _few(judged, ~group.members, config)
        reason = None if rest is None else f"outside the group: {rest}"
    if reason is not None:
        return no_gap(reason)
    return auroc_gap(
        judged.labels, judged.scores[model], judged.patients, group.members, level=config.level
    )


def _adjust(groups: list[Group], gaps: dict[str, Gap]) -> dict[str, float | None]:
    """Holm over the tests; the two groups of a column that has two are one test."""
    sizes = {
        column: len(list(members))
        for column, members in itertools.groupby(groups, key=lambda group: group.column)
    }
    tests: dict[str, float | None] = {}
    test_of = {}
    for group in groups:
        test_of[group.name] = group.column if sizes[group.column] == 2 else group.name
        tests.setdefault(test_of[group.name], gaps[group.name].p_value)
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    return {
        name: None if gaps[name].p_value is None else adjusted[test]
        for name, test in test_of.items()
    }


def _cross_entry(
    judged: Judged, model: str, group: Group, config: EvaluateConfig, findings: Findings
) -> None:
    """Positives of the group among the negatives of the rest, and the other way round.

    A score that is shifted in a group leaves the AUROC inside it as it was, and shows here.
    """
    positives = judged.labels == 1
    columns: dict[str, float | None] = {}
    reason = group.reason or (_gap_of(judged, model, group, config).reason)
    for name, rows in _crossings(positives, group.members):
        value = low = high = None
        if reason is None:
            found = clustered_delong(
                judged.labels[rows], judged.scores[model][rows], judged.patients[rows]
            )
            value = float(found.auroc[0])
            low, high, _ = logit_interval(value, found.covariance[0, 0], level=config.level)
        columns |= {f"auroc_{name}": value, f"low_{name}": low, f"high_{name}": high}
    findings.entry("subgroup_cross", judged, model, subgroup=group.name, **columns, reason=reason)


def _crossings(positives: Flags, members: Flags) -> Iterator[tuple[str, Flags]]:
    yield "positives_of", (positives & members) | (~positives & ~members)
    yield "negatives_of", (positives & ~members) | (~positives & members)


def _interaction_entries(
    judged: Judged, model: str, groups: list[Group], findings: Findings
) -> None:
    columns = dict.fromkeys(group.column for group in groups)
    tests = {
        column: heterogeneity(
            judged.labels,
            judged.scores[model],
            judged.patients,
            [g.members for g in groups if g.column == column and g.reason is None],
        )
        for column in columns
    }
    adjusted = holm([test.p_value for test in tests.values()])
    for (column, test), p_holm in zip(tests.items(), adjusted, strict=True):
        findings.entry(
            "subgroup_interaction",
            judged,
            model,
            column=column,
            n_groups=test.n_groups,
            chi2=test.chi2,
            df=test.df,
            p_value=test.p_value,
            p_holm=p_holm,
            reason=test.reason,
        )
