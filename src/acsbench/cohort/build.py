"""build_cohort: join, derive, include, split, check."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from acsbench.cohort.criteria import (
    apply_criteria,
    branches,
    flow_table,
    inclusion_criteria,
    quality_summary,
)
from acsbench.cohort.split import (
    shared_patients,
    split_by_file,
    split_by_fold,
    split_like_the_paper,
    split_patients,
)
from acsbench.errors import ConfigError, TableError
from acsbench.provenance import StepConfig
from acsbench.tables import COHORT, QUALITY, Cohort, Split, Tables, check

__all__ = ["CohortConfig", "Folds", "Fractions", "build_cohort"]

AGE_BANDS = {50: "under 50", 65: "50 to 64", 80: "65 to 79"}
OLDEST_BAND = "80 and over"


class Fractions(StepConfig):
    """Shares of patients per split, for the scheme ``patient``."""

    train: float = Field(default=0.60, ge=0)
    val: float = Field(default=0.15, ge=0)
    test: float = Field(default=0.25, ge=0)

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the fractions add up to {total:g}; they are shares and make 1")
        return self


class Folds(StepConfig):
    """Publisher's folds per split, for the scheme ``folds``; the default is PTB-XL's."""

    train: tuple[int, ...] = tuple(range(1, 9))
    val: tuple[int, ...] = (9,)
    test: tuple[int, ...] = (10,)


class CohortConfig(StepConfig):
    """How a cohort is built.

    Attributes
    ----------
    scheme : "patient", "folds", "file" or "paper"
        How splits are made; ``paper`` reproduces the original's leak, and counts it.
    fractions, folds, split_file
        What ``patient``, ``folds`` and ``file`` need.
    test_flag : str
        The column of a visit that says whether the patient was tested.
    excluded_reasons : tuple of str
        An ECG leaves when every lead has one of these quality codes.
    """

    scheme: Literal["patient", "folds", "file", "paper"] = "patient"
    fractions: Fractions = Fractions()
    folds: Folds = Folds()
    split_file: Path | None = None
    test_flag: str = "cath_010_day"
    excluded_reasons: tuple[str, ...] = ("all_missing", "missing", "flat", "out_of_range")

    @model_validator(mode="after")
    def _file_is_named(self) -> Self:
        if (self.scheme == "file") != (self.split_file is not None):
            raise ValueError("the scheme 'file' and the key 'split_file' go together")
        return self


def build_cohort(
    tables: Tables,
    *,
    quality: pl.DataFrame | None = None,
    seed: int = 0,
    config: CohortConfig | None = None,
) -> Cohort:
    """Decide who is included, who is tested, and who is in which split.

    Parameters
    ----------
    tables : Tables
        From a source.
    quality : DataFrame, optional
        From `check_quality`; unusable and copied ECGs leave by it. Without it the flow says
        "quality not checked".
    seed : int
        Seeds the split.
    config : CohortConfig, optional

    Returns
    -------
    Cohort
        All records, the dropped ones with the name of the step that dropped them.

    Raises
    ------
    TableError
        When nobody is left, a split is empty, or a column is missing.
    """
    config = config or CohortConfig()
    if "patient_id" not in tables.ecgs.columns:
        return _holdout(tables)
    frame = _derive(_join(tables), tables, config)
    if quality is not None:
        checked = check(quality, QUALITY)
        summary = quality_summary(checked, config.excluded_reasons)
        frame = frame.join(summary, on="ecg_id", how="left")
    criteria = inclusion_criteria(
        has_encounters=tables.encounters is not None, has_quality=quality is not None
    )
    frame, flow = apply_criteria(frame.sort("ecg_id"), criteria)
    if not frame["is_included"].any():
        counts = flow.filter(pl.col("kind") == "dropped").select("step", "n_records").rows()
        raise TableError(f"Nobody is left in the cohort. Dropped at each step: {dict(counts)}.")
    frame = _split(frame, tables, config, seed)
    flow = _add_branches(flow, frame, tables, config, quality_checked=quality is not None)
    return _finish(frame, flow, tables, config, quality_checked=quality is not None)


def _join(tables: Tables) -> pl.DataFrame:
    """One row per ECG, with its patient and its visit; a left join, so that no ECG is lost."""
    frame = tables.ecgs.join(tables.patients, on="patient_id", how="left")
    if tables.encounters is None:
        missing = [name for name in ("encounter_id",) if name not in frame.columns]
        return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
    visits = tables.encounters.drop("patient_id")
    return frame.join(visits, on="encounter_id", how="left")


def _derive(frame: pl.DataFrame, tables: Tables, config: CohortConfig) -> pl.DataFrame:
    band: Any = pl.when(pl.col("age") < 0).then(None)  # polars names each link's type anew
    for limit, name in AGE_BANDS.items():
        band = band.when(pl.col("age") < limit).then(pl.lit(name))
    band = band.when(pl.col("age").is_not_null()).then(pl.lit(OLDEST_BAND))
    in_time = [name for name in ("ecg_date", "ecg_id") if name in frame.columns]
    order = pl.struct(in_time).rank("ordinal").over("encounter_id").cast(pl.Int64)
    if tables.encounters is None:
        tested, untested = pl.lit(value=False), pl.lit(value=False)
    elif config.test_flag in frame.columns:
        tested = pl.col(config.test_flag).fill_null(value=False)
        untested = (~pl.col(config.test_flag)).fill_null(value=False)
    else:
        raise TableError(f"The visits have no column '{config.test_flag}' (test_flag).")
    return frame.with_columns(
        (pl.col("sex") == "Female").alias("is_female"),
        band.alias("age_band"),
        pl.when(pl.col("encounter_id").is_not_null()).then(order).alias("ecg_order"),
        tested.alias("is_tested"),
        untested.alias("is_untested"),
    )


def _split(frame: pl.DataFrame, tables: Tables, config: CohortConfig, seed: int) -> pl.DataFrame:
    if config.scheme == "patient":
        fractions = {Split(name): share for name, share in config.fractions.model_dump().items()}
        of_patient = split_patients(frame["patient_id"].to_list(), fractions=fractions, seed=seed)
        splits = [of_patient[patient] for patient in frame["patient_id"]]
    else:
        of_record = _split_by_record(frame, tables, config, seed)
        splits = [of_record[ecg_id] for ecg_id in frame["ecg_id"]]
    frame = frame.with_columns(pl.Series("split", [str(split) for split in splits]))
    counts = dict(frame.filter("is_included").group_by("split").len().rows())
    empty = [name for name in ("train", "val", "test") if not counts.get(name)]
    if empty and config.scheme != "file":
        raise TableError(
            f"Split {' and '.join(empty)} is empty under the scheme '{config.scheme}' (included "
            f"records: {counts}). Use more patients, or other fractions or folds."
        )
    return frame


def _split_by_record(
    frame: pl.DataFrame, tables: Tables, config: CohortConfig, seed: int
) -> dict[str, Split]:
    if config.scheme == "paper":
        return split_like_the_paper(frame, seed=seed)
    if config.scheme == "file" and config.split_file is not None:
        return split_by_file(frame, config.split_file)
    if tables.fold_column is None:
        raise ConfigError(
            f"Source '{tables.source}' has no folds; the scheme 'folds' needs them. Use 'patient'."
        )
    folds = {Split(name): numbers for name, numbers in config.folds.model_dump().items()}
    return split_by_fold(frame, column=tables.fold_column, folds=folds)


def _add_branches(
    flow: pl.DataFrame,
    frame: pl.DataFrame,
    tables: Tables,
    config: CohortConfig,
    *,
    quality_checked: bool,
) -> pl.DataFrame:
    named: list[tuple[str, pl.Expr]] = []
    if tables.encounters is not None:
        named = [
            ("tested", pl.col("is_tested")),
            ("untested", pl.col("is_untested")),
            ("test flag missing", pl.col(config.test_flag).is_null()),
        ]
    named += [
        (f"{outcome} missing", pl.col(outcome).is_null())
        for outcome in tables.outcomes
        if frame.filter("is_included")[outcome].has_nulls()
    ]
    if not quality_checked:
        named.append(("quality not checked", pl.col("is_included")))
    joined = pl.concat([flow, branches(frame, named)]) if named else flow
    return flow_table(joined.drop("order").to_dicts())


def _finish(
    frame: pl.DataFrame,
    flow: pl.DataFrame,
    tables: Tables,
    config: CohortConfig,
    *,
    quality_checked: bool,
) -> Cohort:
    wanted = [c.name for c in COHORT.columns]
    wanted += [*tables.outcomes, *tables.subgroups, *tables.features, *tables.flags, "age", "race"]
    frame = frame.select([name for name in dict.fromkeys(wanted) if name in frame.columns])
    included = frame.filter("is_included")
    counts = dict(included.group_by("split").len().sort("split").rows())
    info: dict[str, Any] = {
        "shared_patients": shared_patients(frame),
        "split_counts": counts,
        "quality_checked": quality_checked,
        "scheme": config.scheme,
    }
    return Cohort(
        frame=check(frame, COHORT, where=f"source '{tables.source}'").sort("ecg_id"),
        flow=flow,
        source=tables.source,
        scheme=config.scheme,
        outcomes=tables.outcomes,
        subgroups=tables.subgroups,
        features=tables.features,
        flags=tables.flags,
        min_count=tables.min_count,
        info=info,
    )


def _holdout(tables: Tables) -> Cohort:
    """Build the cohort of a holdout: ids and tasks, without patients, visits or labels."""
    frame = tables.ecgs.sort("ecg_id").with_columns(
        pl.lit(None, pl.String).alias("patient_id"),
        pl.lit(None, pl.String).alias("encounter_id"),
        pl.lit(str(Split.HOLDOUT)).alias("split"),
        pl.lit(value=True).alias("is_included"),
        pl.lit(None, pl.String).alias("exclusion"),
        pl.lit(value=False).alias("is_tested"),
        pl.lit(value=False).alias("is_untested"),
        pl.lit(None, pl.Int64).alias("ecg_order"),
    )
    frame, flow = apply_criteria(frame.drop("exclusion", "is_included"), [])
    return Cohort(
        frame=check(frame, COHORT, where="holdout"),
        flow=flow,
        source=tables.source,
        scheme="holdout",
        info={
            "shared_patients": 0,
            "quality_checked": False,
            "split_counts": {"holdout": len(frame)},
        },
    )
