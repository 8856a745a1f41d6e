"""build_cohort: join, derive, include, split, check."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self, get_args

import polars as pl
from pydantic import Field, field_validator, model_validator

from acsbench.cohort.criteria import (
    Branch,
    Copies,
    FlowRow,
    LeadReason,
    Timing,
    apply_criteria,
    count_branches,
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
from acsbench.errors import ConfigError, TableError, did_you_mean
from acsbench.provenance import StepConfig, file_sha256
from acsbench.tables import COHORT, QUALITY, Cohort, Split, Tables, check

__all__ = ["CohortConfig", "Folds", "Fractions", "Scheme", "build_cohort"]

Scheme = Literal["patient", "folds", "file", "paper"]

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
        An ECG leaves when every lead has one of these quality codes; single bad leads stay.
    excluded_any : tuple of str
        An ECG leaves when any lead has one of these codes; each is a step of the flow.
    copies : "visit", "patient" or "keep"
        Of bit-identical ECGs, keep one per visit, one per patient, or all.
    timing : tuple of "first_of_visit", "before_procedure"
        Keep the first ECG of each visit; keep ECGs of days before the catheterization or, where
        there was none, all. The order on one day is unknown, so ECGs of the day itself leave too.
    check_quality : bool
        Read every waveform first. Without, nobody leaves by a waveform and copies are not found:
        for models that read tables alone, on tables alone.
    """

    scheme: Scheme = "patient"
    fractions: Fractions = Fractions()
    folds: Folds = Folds()
    split_file: Path | None = None
    test_flag: str = "cath_010_day"
    excluded_reasons: tuple[LeadReason, ...] = ("all_missing", "missing", "flat", "out_of_range")
    excluded_any: tuple[LeadReason, ...] = ()
    copies: Copies = "visit"
    timing: tuple[Timing, ...] = ()
    check_quality: bool = True

    @field_validator("scheme", mode="before")
    @classmethod
    def _scheme_is_known(cls, name: Any) -> Any:
        known = get_args(Scheme)
        if name not in known:
            raise ValueError(
                f"no split scheme is called '{name}'.{did_you_mean(str(name), known)} "
                f"Known: {', '.join(known)}"
            )
        return name

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
        "quality not checked", also for single ECGs that it does not name.
    seed : int
        Seeds the split.
    config : CohortConfig, optional

    Returns
    -------
    Cohort
        All records, the dropped ones with the name of the step that dropped them. A holdout's
        are all included, in the split ``holdout``: each of them needs a score.

    Raises
    ------
    TableError
        When nobody is left, a split is empty, or a column is missing.
    ConfigError
        When the source has no folds and the scheme needs them.
    """
    config = config or CohortConfig()
    if "patient_id" not in tables.ecgs.columns:
        return _holdout(tables)
    frame = _derive(_join(tables), tables, config).sort("ecg_id")
    if quality is not None:
        frame = _judge_waveforms(frame, quality, config)
    if "before_procedure" in config.timing:
        frame = _days_before_procedure(frame)
    criteria = inclusion_criteria(
        has_encounters=tables.encounters is not None,
        has_quality=quality is not None,
        excluded_any=config.excluded_any,
        copies=config.copies,
        timing=config.timing,
    )
    frame, flow = apply_criteria(frame, criteria)
    _refuse_nobody(frame, flow)
    frame = _split(frame, tables, config, seed)
    _refuse_empty_splits(frame, config)
    flow += count_branches(frame, _branches(frame, tables, config))
    return _finish(frame, flow_table(flow), tables, config)


def _join(tables: Tables) -> pl.DataFrame:
    """One row per ECG, with its patient and its visit; a left join, so that no ECG is lost."""
    ecgs = _with_column(_with_column(tables.ecgs, "encounter_id", pl.String), "ecg_date", pl.Date)
    frame = ecgs.join(tables.patients, on="patient_id", how="left")
    if tables.encounters is not None:
        visits = tables.encounters.drop("patient_id")
        frame = frame.join(visits, on="encounter_id", how="left")
    return _with_column(frame, "age", pl.Float64)


def _with_column(frame: pl.DataFrame, name: str, dtype: type[pl.DataType]) -> pl.DataFrame:
    """Add a column of missing values where a source does not give an optional one."""
    if name in frame.columns:
        return frame
    return frame.with_columns(pl.lit(None, dtype).alias(name))


def _derive(frame: pl.DataFrame, tables: Tables, config: CohortConfig) -> pl.DataFrame:
    order = pl.struct("ecg_date", "ecg_id").rank("ordinal").over("encounter_id").cast(pl.Int64)
    if tables.encounters is None:
        tested, untested = pl.lit(value=False), pl.lit(value=False)
    else:
        _check_test_flag(frame, config.test_flag)
        flag = pl.col(config.test_flag)
        tested, untested = flag.fill_null(value=False), (~flag).fill_null(value=False)
    return frame.with_columns(
        (pl.col("sex") == "Female").alias("is_female"),
        _age_band(pl.col("age").fill_nan(None)).alias("age_band"),
        pl.when(pl.col("encounter_id").is_not_null()).then(order).alias("ecg_order"),
        tested.alias("is_tested"),
        untested.alias("is_untested"),
    )


def _days_before_procedure(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``has_procedure`` and ``days_before_procedure``: positive when the ECG came first."""
    needed = ("ecg_date", "start_datetime", "days_to_cath", "cath_010_day")
    missing = [name for name in needed if name not in frame.columns or frame[name].is_null().all()]
    if missing:
        raise ConfigError(
            f"cohort.timing asks for ECGs before the procedure; the source gives no "
            f"{', '.join(missing)}. Leave 'before_procedure' out."
        )
    # days are counted from the start of the visit; half a day is still that day
    day = pl.col("start_datetime").dt.date() + pl.duration(days=pl.col("days_to_cath").floor())
    return frame.with_columns(
        (pl.col("cath_010_day") | pl.col("days_to_cath").is_not_null())
        .fill_null(value=False)
        .alias("has_procedure"),
        (day - pl.col("ecg_date")).dt.total_days().alias("days_before_procedure"),
    )


def _check_test_flag(frame: pl.DataFrame, name: str) -> None:
    flags = [column for column, dtype in frame.schema.items() if dtype == pl.Boolean]
    if name not in frame.columns:
        raise TableError(
            f"The visits have no column '{name}' (cohort.test_flag).{did_you_mean(name, flags)}"
        )
    if name not in flags:
        raise TableError(
            f"Column '{name}' (cohort.test_flag) holds {frame[name].dtype}; it must be true, "
            "false or missing."
        )


def _age_band(age: pl.Expr) -> pl.Expr:
    band: Any = pl.when(age.is_null()).then(None)  # polars names each link's type anew
    for limit, name in AGE_BANDS.items():
        band = band.when(age < limit).then(pl.lit(name))
    labelled: pl.Expr = band.otherwise(pl.lit(OLDEST_BAND))
    return labelled


def _judge_waveforms(
    frame: pl.DataFrame, quality: pl.DataFrame, config: CohortConfig
) -> pl.DataFrame:
    """Add ``is_unusable``, ``raw_sha256``, and whether two patients share the waveform."""
    summary = quality_summary(check(quality, QUALITY), config.excluded_reasons, config.excluded_any)
    frame = frame.join(summary, on="ecg_id", how="left", maintain_order="left")
    # over everybody: the alarm does not fall silent because one of the two was dropped
    n_patients = pl.col("patient_id").n_unique().over("raw_sha256")
    is_shared = pl.col("raw_sha256").is_not_null() & (n_patients > 1)
    return frame.with_columns(is_shared.alias("is_shared_waveform"))


def _refuse_nobody(frame: pl.DataFrame, flow: list[FlowRow]) -> None:
    if not frame["is_included"].any():
        dropped = {row["step"]: row["n_records"] for row in flow if row["kind"] == "dropped"}
        raise TableError(
            f"Nobody is left in the cohort of {len(frame):,} records. Dropped at each step: "
            f"{dropped or 'none'}."
        )


def _split(frame: pl.DataFrame, tables: Tables, config: CohortConfig, seed: int) -> pl.DataFrame:
    if config.scheme == "patient":
        fractions = {Split(name): share for name, share in config.fractions.model_dump().items()}
        of_patient = split_patients(frame["patient_id"].to_list(), fractions=fractions, seed=seed)
        splits = [of_patient[patient] for patient in frame["patient_id"]]
    else:
        of_record = _split_by_record(frame, tables, config, seed)
        splits = [of_record[ecg_id] for ecg_id in frame["ecg_id"]]
    return frame.with_columns(pl.Series("split", [str(split) for split in splits]))


def _split_by_record(
    frame: pl.DataFrame, tables: Tables, config: CohortConfig, seed: int
) -> dict[str, Split]:
    if config.scheme == "paper":
        return split_like_the_paper(frame, seed=seed)
    if config.split_file is not None:
        return split_by_file(frame, config.split_file)
    if tables.fold_column is None:
        raise ConfigError(
            f"Source '{tables.source}' has no folds; the scheme 'folds' needs them. Use 'patient'."
        )
    folds = {Split(name): numbers for name, numbers in config.folds.model_dump().items()}
    return split_by_fold(frame, column=tables.fold_column, folds=folds)


def _refuse_empty_splits(frame: pl.DataFrame, config: CohortConfig) -> None:
    counts = _included_per_split(frame)
    empty = [name for name in ("train", "val", "test") if not counts.get(name)]
    # a file may hold one split only: somebody else's test set, say
    if empty and config.scheme != "file":
        raise TableError(
            f"Split {' and '.join(empty)} is empty under the scheme '{config.scheme}' (included "
            f"records: {counts}). Use more patients, or other fractions or folds."
        )


def _included_per_split(frame: pl.DataFrame) -> dict[str, int]:
    return dict(frame.filter("is_included").group_by("split").len().sort("split").rows())


def _branches(frame: pl.DataFrame, tables: Tables, config: CohortConfig) -> list[Branch]:
    branches: list[Branch] = []
    if tables.encounters is not None:
        branches += [
            Branch("tested", pl.col("is_tested")),
            Branch("untested", pl.col("is_untested")),
            Branch("test flag missing", pl.col(config.test_flag).is_null()),
        ]
    included = frame.filter("is_included")
    branches += [
        Branch(f"{outcome} missing", pl.col(outcome).is_null())
        for outcome in tables.outcomes
        if included[outcome].has_nulls()
    ]
    if "is_unusable" not in frame.columns:
        branches.append(Branch("quality not checked", pl.lit(value=True)))
    elif included["is_unusable"].has_nulls():
        branches.append(Branch("quality not checked", pl.col("is_unusable").is_null()))
    return branches


def _finish(
    frame: pl.DataFrame, flow: pl.DataFrame, tables: Tables, config: CohortConfig
) -> Cohort:
    wanted = [c.name for c in COHORT.columns]
    wanted += [*tables.outcomes, *tables.subgroups, *tables.features, *tables.flags, "age", "race"]
    columns = [name for name in dict.fromkeys(wanted) if name in frame.columns]
    return Cohort(
        frame=check(frame.select(columns), COHORT, where=f"source '{tables.source}'"),
        flow=flow,
        source=tables.source,
        scheme=config.scheme,
        outcomes=tables.outcomes,
        subgroups=tables.subgroups,
        features=tables.features,
        flags=tables.flags,
        min_count=tables.min_count,
        info=_info(frame, tables, config),
    )


def _info(frame: pl.DataFrame, tables: Tables, config: CohortConfig) -> dict[str, Any]:
    """Remarks for people: what a reader of the results has to know of the cohort."""
    info: dict[str, Any] = {
        "scheme": config.scheme,
        "remarks": list(tables.remarks),
        "shared_patients": shared_patients(frame),
        "split_counts": _included_per_split(frame),
        "quality_checked": "is_unusable" in frame.columns,
    }
    if info["quality_checked"]:
        shared = frame.filter("is_shared_waveform")
        info["waveforms_of_two_patients"] = shared["raw_sha256"].n_unique()
        info["waveforms_in_two_visits"] = _waveforms_in_two_visits(frame)
    if config.split_file is not None:
        info["split_file_sha256"] = file_sha256(config.split_file)
    return info


def _waveforms_in_two_visits(frame: pl.DataFrame) -> int:
    """Copies that stay: each visit keeps its ECG, and its own outcome."""
    known = frame.filter(pl.col("is_included") & pl.col("raw_sha256").is_not_null())
    visits = known.group_by("raw_sha256").agg(pl.col("encounter_id").drop_nulls().n_unique())
    return visits.filter(pl.col("encounter_id") > 1).height


def _holdout(tables: Tables) -> Cohort:
    """Build the cohort of a holdout: ids and tasks, without patients, visits or labels."""
    frame = tables.ecgs.sort("ecg_id").with_columns(
        pl.lit(None, pl.String).alias("patient_id"),
        pl.lit(None, pl.String).alias("encounter_id"),
        pl.lit(str(Split.HOLDOUT)).alias("split"),
        pl.lit(value=False).alias("is_tested"),
        pl.lit(value=False).alias("is_untested"),
        pl.lit(None, pl.Int64).alias("ecg_order"),
    )
    frame, flow = apply_criteria(frame, [])
    flow += count_branches(frame, [Branch("quality not checked", pl.lit(value=True))])
    return Cohort(
        frame=check(frame, COHORT, where="holdout"),
        flow=flow_table(flow),
        source=tables.source,
        scheme="holdout",
        info={
            "scheme": "holdout",
            "shared_patients": 0,
            "split_counts": _included_per_split(frame),
            "quality_checked": False,
        },
    )
