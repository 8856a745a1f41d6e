"""Columns, types and keys of every table that passes between stages, and one check for them all.

Upstream names end in `sources`; from here on a thing has one name. A check reports all findings
of a table at once, each with the column, the first rows, the values and the rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl

from acsbench.errors import MissingPathError, TableError, did_you_mean, first_few
from acsbench.provenance import atomic_path, atomic_text, json_sha256

__all__ = [
    "COHORT",
    "ECGS",
    "ENCOUNTERS",
    "FLOW",
    "LABELS",
    "PATIENTS",
    "QUALITY",
    "Cohort",
    "Column",
    "Schema",
    "Split",
    "Tables",
    "check",
    "read_labels",
    "read_table",
]


class Split(StrEnum):
    """The four names a split can have. Upstream spellings are renamed at the source."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    HOLDOUT = "holdout"


Kind = Literal["text", "flag", "integer", "number", "date", "datetime"]
_DTYPES: dict[Kind, pl.DataType] = {
    "text": pl.String(),
    "flag": pl.Boolean(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
    kind : str
        ``text``, ``flag`` (true, false, missing), ``integer``, ``number``, ``date``, ``datetime``.
    required : bool
        The column must exist.
    nullable : bool
        Cells may be missing.
    values : tuple, optional
        The closed set of values allowed.
    pattern : str, optional
        Regular expression that every text must match from start to end.
    low, high : float, optional
        Smallest and largest number allowed.
    """

    name: str
    kind: Kind
    required: bool = True
    nullable: bool = True
    values: tuple[Any, ...] | None = None
    pattern: str | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Schema:
    """The columns that mean something in a table; further columns are kept as they are."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        """Return the column of that name, or None."""
        return next((c for c in self.columns if c.name == name), None)


def _key(name: str) -> Column:
    return Column(name, "text", nullable=False)


SEXES = ("Female", "Male")
RACES = ("black", "hispanic", "white", "other")
SPLITS = tuple(str(s) for s in Split)

PATIENTS = Schema(
    "patients",
    ("patient_id",),
    (
        _key("patient_id"),
        Column("sex", "text", values=SEXES),
        Column("race", "text", required=False, values=RACES),
    ),
)
ENCOUNTERS = Schema(
    "encounters",
    ("encounter_id",),
    (
        _key("encounter_id"),
        _key("patient_id"),
        Column("start_datetime", "datetime", required=False),
        Column("end_datetime", "datetime", required=False),
        Column("age", "number", low=0, high=130),
        Column("exclude_modeling", "flag"),
        Column("cath_010_day", "flag"),
        Column("test_010_day", "flag", required=False),
        Column("days_to_cath", "number", required=False),
        Column("stent_or_cabg_010_day", "flag", required=False),
        Column("macetrop_pos_or_death_030", "flag", required=False),
    ),
)
ECGS = Schema(
    "ecgs",
    ("ecg_id",),
    (
        _key("ecg_id"),
        _key("patient_id"),
        Column("encounter_id", "text", required=False),
        Column("ecg_date", "date", required=False),
        Column("age", "number", required=False, low=0, high=130),
    ),
)
QUALITY = Schema(
    "quality",
    ("ecg_id", "lead"),
    (
        _key("ecg_id"),
        _key("lead"),
        Column("finite_share", "number", low=0, high=1),
        Column("longest_flat_s", "number", low=0),
        Column("amplitude_range", "number", low=0),
        *(
            Column(name, "number", required=False)
            for name in (
                "clipped_share",
                "noise_share",
                "hum_share",
                "baseline_range",
                "overlap_s",
                "einthoven_residual",
                "einthoven_share",
                "augmented_residual",
                "heart_rate",
                "detector_agreement",
                "net_qrs_i",
                "i_v6_correlation",
            )
        ),
        Column("duration_s", "number", low=0),
        Column("reasons", "text"),
        Column("raw_sha256", "text"),
        Column("duplicate_of", "text", required=False),
    ),
)
"""One row per ECG and lead; an ECG that cannot be read has one row whose lead is ``*``.

``reasons`` holds the codes of the checks that failed, joined by spaces, empty when none did.
Ranges and residuals are in the recording's units; what belongs to the whole ECG (from
``einthoven_residual`` to ``i_v6_correlation``, ``duration_s``, the hash, and ``duplicate_of``, the
smallest id among bit-identical ECGs) stands in each of its rows.
"""
COHORT = Schema(
    "cohort",
    ("ecg_id",),
    (
        _key("ecg_id"),
        Column("patient_id", "text"),
        Column("encounter_id", "text"),
        Column("split", "text", nullable=False, values=SPLITS),
        Column("is_included", "flag", nullable=False),
        Column("exclusion", "text"),
        Column("is_tested", "flag", nullable=False),
        Column("is_untested", "flag", nullable=False),
        Column("ecg_order", "integer"),
    ),
)
"""``exclusion`` names the step that dropped a record; ``ecg_order`` counts a visit's ECGs."""
FLOW = Schema(
    "flow",
    ("order",),
    (
        Column("order", "integer", nullable=False),
        Column("step", "text", nullable=False),
        Column("kind", "text", nullable=False, values=("start", "dropped", "kept", "branch")),
        Column("n_encounters", "integer", nullable=False, low=0),
        Column("n_patients", "integer", nullable=False, low=0),
        Column("n_records", "integer", nullable=False, low=0),
    ),
)
"""The flow diagram: ``start``, then a ``dropped`` and a ``kept`` row per step, then branches."""
LABELS = Schema(
    "labels",
    ("ecg_id",),
    (
        _key("ecg_id"),
        _key("patient_id"),
        Column("label", "integer", values=(0, 1)),
        Column("task", "text", required=False, nullable=False),
        Column("encounter_id", "text", required=False),
        Column("split", "text", required=False, nullable=False, values=SPLITS),
        Column("is_tested", "flag", required=False),
        Column("ecg_order", "integer", required=False),
    ),
)
"""``label`` is 0, 1 or empty; with a ``task`` column the key is ``ecg_id`` and ``task``."""


def check(frame: pl.DataFrame, schema: Schema, *, where: str | Path | None = None) -> pl.DataFrame:
    """Cast a table to its schema, or raise one error with everything that is wrong in it.

    Parameters
    ----------
    frame : DataFrame
        The table as read.
    schema : Schema
        What it has to be.
    where : str or Path, optional
        The file, for the message.

    Returns
    -------
    DataFrame
        The same rows, schema columns cast to their types, other columns untouched.

    Raises
    ------
    TableError
        Listing missing columns (with the nearest name found), values of the wrong type or
        outside the allowed set, missing cells, and duplicated keys.
    """
    findings: list[str] = []
    for column in schema.columns:
        if column.name not in frame.columns:
            if column.required:
                hint = did_you_mean(column.name, frame.columns)
                findings.append(f"column '{column.name}' is missing.{hint}")
            continue
        cast = _cast(frame[column.name], column.kind)
        findings.extend(_cell_findings(frame[column.name], cast, column))
        frame = frame.with_columns(cast)
    key = [*schema.key, "task"] if schema is LABELS and "task" in frame.columns else [*schema.key]
    if set(key) <= set(frame.columns):
        findings.extend(_key_findings(frame, key))
    if findings:
        place = f" ({where})" if where is not None else ""
        raise TableError(
            "\n".join(
                [f"Table '{schema.name}'{place} cannot be used:", *(f"  {f}" for f in findings)]
            )
        )
    return frame


_TRUE = ("true", "t", "yes", "1", "1.0")
_FALSE = ("false", "f", "no", "0", "0.0")


def _cast(values: pl.Series, kind: Kind) -> pl.Series:
    """Cast without raising; what does not fit becomes null, and is found by comparison."""
    column = pl.col(values.name)
    text = values.dtype == pl.String
    if values.dtype == _DTYPES[kind]:
        expression = column
    elif kind == "flag" and text:
        word = column.str.strip_chars().str.to_lowercase()
        expression = pl.when(word.is_in(_TRUE)).then(True).when(word.is_in(_FALSE)).then(False)
    elif kind == "flag" and values.dtype.is_numeric():
        expression = pl.when(column == 1).then(True).when(column == 0).then(False)
    elif kind == "integer":
        number = column.cast(pl.Float64, strict=False)
        whole = number.is_finite() & (number == number.round())
        expression = pl.when(whole).then(number).cast(pl.Int64)
    elif kind == "date" and text:
        expression = column.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    elif kind == "datetime" and text:
        expression = column.str.to_datetime(time_unit="us", strict=False)
    else:
        expression = column.cast(_DTYPES[kind], strict=False)
    return values.to_frame().select(expression.alias(values.name)).to_series()


def _cell_findings(raw: pl.Series, cast: pl.Series, column: Column) -> Iterator[str]:
    blank = raw.is_null()
    if raw.dtype == pl.String:
        blank = blank | (raw.str.strip_chars() == "").fill_null(value=False)
    if raw.dtype.is_float():
        blank = blank | raw.is_nan().fill_null(value=False)

    def finding(bad: pl.Series, rule: str) -> Iterator[str]:
        rows = bad.fill_null(value=False).arg_true()
        if len(rows):
            shown = [f"row {row + 1}: {raw[row]!r}" for row in rows[:3]]
            yield f"column '{column.name}': {len(rows):,} {rule} ({first_few(shown)})."

    if not column.nullable:
        yield from finding(blank, "missing values; every row needs one")
    yield from finding(cast.is_null() & ~blank, f"values are not of the type {column.kind}")
    if column.values is not None:
        allowed = ", ".join(str(v) for v in column.values)
        yield from finding(~cast.is_in(list(column.values)), f"values are none of {allowed}")
    if column.pattern is not None:
        yield from finding(
            ~cast.str.contains(f"^(?:{column.pattern})$"),
            f"values break the pattern {column.pattern}",
        )
    if column.low is not None:
        yield from finding(cast < column.low, f"values are below {column.low}")
    if column.high is not None:
        yield from finding(cast > column.high, f"values are above {column.high}")


def _key_findings(frame: pl.DataFrame, key: list[str]) -> Iterator[str]:
    doubled = frame.select(key).is_duplicated() & frame[key[0]].is_not_null()
    if doubled.any():
        examples = frame.filter(doubled).select(key).unique(maintain_order=True)
        shown = [" / ".join(str(v) for v in row) for row in examples.head(3).iter_rows()]
        yield (
            f"key {' + '.join(key)}: {len(examples):,} values stand in more than one row "
            f"({first_few(shown)}); keys are unique."
        )


def read_table(path: Path, *, text_columns: tuple[str, ...] = ()) -> pl.DataFrame:
    """Read a CSV (plain or ``.gz``) or Parquet file; CSV cells stay text until a schema casts them.

    Raises
    ------
    MissingPathError, TableError
        When the file is not there, or cannot be read as a table.
    """
    if not path.is_file():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise MissingPathError(f"There is no file {path}.{did_you_mean(path.name, beside)}")
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            return frame.with_columns(pl.col(c).cast(pl.String) for c in text_columns if c in frame)
        return pl.read_csv(path, infer_schema=False, null_values=["", "NA", "NaN", "nan"])
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as a table: {error}") from None


def read_labels(path: Path) -> pl.DataFrame:
    """Read and check a labels file (CSV or Parquet); see `LABELS`."""
    frame = check(read_table(path, text_columns=("ecg_id", "patient_id")), LABELS, where=path)
    return with_natural_types(frame)


def with_natural_types(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn text columns of numbers, or of true and false, into such; ids, as `*_id`, stay text."""
    casts = []
    for name, dtype in frame.schema.items():
        if dtype != pl.String or name.endswith("_id"):
            continue
        n_missing = frame[name].null_count()
        numbers = frame[name].cast(pl.Float64, strict=False)
        is_flag = frame[name].str.to_lowercase().is_in(("true", "false")).sum() > 0
        typed = _cast(frame[name], "flag") if is_flag else numbers
        if typed.null_count() == n_missing:
            casts.append(typed)
    return frame.with_columns(casts)


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What a source gives besides waveforms, in our names.

    Attributes
    ----------
    source : str
        Name of the source.
    fingerprint : str
        Changes when the tables change.
    ecgs, patients : DataFrame
        See `ECGS`, `PATIENTS`.
    encounters : DataFrame or None
        See `ENCOUNTERS`; None where a source knows no visits.
    outcomes, subgroups, features : tuple of str
        Columns (of any of the three tables, or derived: ``is_female``, ``age_band``) that hold
        labels, that divide patients for reports, and that a model may use.
    flags : tuple of str
        The features that are classical 0/1 findings, drawn as points in a ROC figure.
    fold_column : str or None
        A column of ``ecgs`` that a publisher's split is made from.
    min_count : int
        Counts from 1 up to this number are printed as "<= min_count".
    remarks : tuple of str
        What a reader of the results has to know of the data.
    """

    source: str
    fingerprint: str
    ecgs: pl.DataFrame
    patients: pl.DataFrame
    encounters: pl.DataFrame | None = None
    outcomes: tuple[str, ...] = ()
    subgroups: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    fold_column: str | None = None
    min_count: int = 0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Everyone the source holds, with who is included, in which split, and what happened.

    Attributes
    ----------
    frame : DataFrame
        One row per ECG, sorted by ``ecg_id``; see `COHORT`, then outcomes, subgroups, features.
    flow : DataFrame
        See `FLOW`.
    source, outcomes, subgroups, features, flags, min_count
        As in `Tables`.
    scheme : str
        The split scheme.
    info : dict
        Remarks for people: shares, overlaps found, whether quality was checked.
    """

    frame: pl.DataFrame
    flow: pl.DataFrame
    source: str
    scheme: str
    outcomes: tuple[str, ...] = ()
    subgroups: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    min_count: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def split_fingerprint(self) -> str:
        """SHA-256 over who is in which split: the same for any order of rows."""
        who = self.frame.select(pl.coalesce("patient_id", "ecg_id").alias("who"), "split")
        return json_sha256(sorted(who.unique().rows()))

    def __len__(self) -> int:
        return len(self.frame)

    def save(self, folder: Path) -> list[str]:
        """Write ``cohort.parquet``, ``flow.csv`` and ``cohort.json``; return their names."""
        with atomic_path(folder / "cohort.parquet") as temporary:
            self.frame.write_parquet(temporary)
        with atomic_path(folder / "flow.csv") as temporary:
            self.flow.write_csv(temporary)
        body = {k: v for k, v in asdict(self).items() if k not in ("frame", "flow")}
        body["split_fingerprint"] = self.split_fingerprint
        atomic_text(folder / "cohort.json", json.dumps(body, indent=1, default=str) + "\n")
        return ["cohort.json", "cohort.parquet", "flow.csv"]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        MissingPathError, TableError
        """
        frame = check(read_table(folder / "cohort.parquet"), COHORT, where=folder)
        flow = check(read_table(folder / "flow.csv"), FLOW, where=folder / "flow.csv")
        body = json.loads((folder / "cohort.json").read_text(encoding="utf-8"))
        body.pop("split_fingerprint", None)
        for name in ("outcomes", "subgroups", "features", "flags"):
            body[name] = tuple(body[name])
        return cls(frame=frame, flow=flow, **body)
