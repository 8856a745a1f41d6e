"""The TOML file that says how to read a folder of ECGs: what `folder.FolderSource` goes by."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Literal, Self

from pydantic import Field, model_validator

from acsbench.errors import ConfigError, MissingPathError, did_you_mean, first_few
from acsbench.provenance import StepConfig, parse_config
from acsbench.signal.leads import STANDARD_12, standard_name

__all__ = ["Description", "SignalsPart", "TablePart", "read_description"]

_RESERVED = (
    *("ecg_id", "patient_id", "encounter_id", "ecg_date", "age", "sex", "is_female", "age_band"),
    *("split", "is_included", "exclusion", "is_tested", "is_untested", "ecg_order", "row"),
)
Layout = Literal["wfdb", "csv", "npy", "npz"]


class SignalsPart(StepConfig):
    """Section ``[signals]``: where the samples are and what they mean.

    Attributes
    ----------
    format : "wfdb", "csv", "npy" or "npz"
        What the files are; ``npy`` also reads an ``.npz`` of one array per file. ``npz`` is one
        file that holds all records as ``array``, shape (records, leads, samples) or (records,
        samples, leads).
    files : str
        Path of a record's file below the folder, with columns of the table in braces:
        ``"data/{record}"``. For ``npz`` the one file.
    units : "mV", "uV", "V" or "sd"
        Of the values after ``scale``; WFDB states its own and takes "mV".
    sampling_rate : float or None
        Hz. Needed but for WFDB, which states it.
    leads : tuple of str
        Names in the order of the rows or columns; needed for ``npy`` and ``npz``.
    renamed : dict
        Standard name of each lead that the files call something else.
    scale : float
        Units per stored step.
    units_per_mv : float or None
        WFDB only: stored steps per millivolt where the headers' gains are wrong.
    array : str or None
        Name of the array in an ``.npz``; by default the first.
    """

    format: Layout
    files: str
    units: Literal["mV", "uV", "V", "sd"]
    sampling_rate: float | None = Field(default=None, gt=0)
    leads: tuple[str, ...] = ()
    renamed: dict[str, str] = Field(default_factory=dict)
    scale: float = Field(default=1.0, gt=0)
    units_per_mv: float | None = Field(default=None, gt=0)
    array: str | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.format == "wfdb":
            if self.units != "mV" or self.scale != 1 or self.leads:
                raise ValueError(
                    "WFDB headers state units, gains and leads: set units = 'mV' and leave out "
                    "scale and leads (renamed and units_per_mv correct a header)"
                )
        elif self.sampling_rate is None:
            raise ValueError(f"format '{self.format}' does not state its sampling_rate; give it")
        if self.format in ("npy", "npz") and not self.leads:
            raise ValueError(f"format '{self.format}' has no lead names; give leads in order")
        if self.units_per_mv is not None and self.format != "wfdb":
            raise ValueError("units_per_mv is for WFDB; elsewhere use scale")
        for theirs, ours in self.renamed.items():
            if standard_name(ours) is None:
                raise ValueError(
                    f"renamed: '{theirs}' becomes '{ours}', which is no standard lead."
                    f"{did_you_mean(ours, STANDARD_12)}"
                )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that ``files`` names in braces."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.files) if name is not None)


class TablePart(StepConfig):
    """Section ``[table]``: one row per record, and which column means what.

    Attributes
    ----------
    file : str
        CSV (plain or ``.gz``) or Parquet below the folder.
    ecg_id : str
    patient_id : str or None
        Empty cells, or no column: the record counts as a patient of its own.
    row : str or None
        ``npz`` only: the column with a record's place in the array; by default the order of rows.
    fold, age, sex, date : str or None
    age_values : dict
        Cells that stand for an age, as everybody above 89 in many sets: ``{ ">89" = 90 }``.
    sex_values : dict
        What the cells of ``sex`` mean: ``{ Male = ["M", "0"], Female = ["F", "1"] }``.
    labels : tuple of str
        Columns of 0, 1 or nothing; each is a task ``label_<column>``.
    features, subgroups : tuple of str
        Numeric columns that a model may use; columns that divide patients for reports.
    """

    file: str
    ecg_id: str = "ecg_id"
    patient_id: str | None = None
    row: str | None = None
    fold: str | None = None
    age: str | None = None
    sex: str | None = None
    date: str | None = None
    age_values: Mapping[str, float] = {}
    sex_values: Mapping[Literal["Male", "Female"], tuple[str, ...]] = {
        "Male": ("Male", "male", "M", "m"),
        "Female": ("Female", "female", "F", "f"),
    }
    labels: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    subgroups: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        taken = {*self.labels, *self.features, *self.subgroups} & {*_RESERVED}
        if taken:
            raise ValueError(
                f"labels, features and subgroups cannot name {first_few(sorted(taken))}: acsbench "
                "makes columns of that name itself; rename the column in the table"
            )
        return self


class Description(StepConfig):
    """The whole file.

    Attributes
    ----------
    name : str
        What reports call the source.
    min_count : int
        Counts from 1 up to this number are printed as "<= min_count"; 10 suits a hospital's own
        patients.
    signals, table
        See `SignalsPart`, `TablePart`.
    """

    name: str = "folder"
    min_count: int = Field(default=0, ge=0)
    signals: SignalsPart
    table: TablePart

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.signals.format == "npz" and self.signals.columns:
            raise ValueError("format 'npz' is one file; signals.files takes no column in braces")
        if self.signals.format != "npz" and not self.signals.columns:
            raise ValueError(
                "signals.files names the same file for every record; put a column in braces, as in "
                "'data/{ecg_id}'"
            )
        if self.signals.format != "npz" and self.table.row is not None:
            raise ValueError("table.row is for format 'npz'")
        return self


def read_description(path: Path) -> Description:
    """Read the TOML file.

    Raises
    ------
    MissingPathError, ConfigError
        Naming each key, the rule it breaks, and the nearest known key.
    """
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        raise MissingPathError(
            f"There is no description {path} (source.description).{did_you_mean(path.name, beside)}"
        )
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    return parse_config(Description, body, where=str(path))
