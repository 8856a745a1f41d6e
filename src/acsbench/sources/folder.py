"""Any folder of ECGs with a table, described by a small TOML file: one's own hospital."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from acsbench.errors import MissingPathError, RecordingError, TableError
from acsbench.provenance import StepConfig, file_sha256, json_sha256
from acsbench.recording import Recording
from acsbench.sources.arrays import open_array
from acsbench.sources.base import own_clusters, read_each
from acsbench.sources.description import Description, TablePart, read_description
from acsbench.sources.folder_files import read_record, to_recording
from acsbench.tables import ECGS, PATIENTS, Column, Schema, Tables, check, read_table

__all__ = ["FolderSource"]


class FolderSource(StepConfig):
    """ECGs in WFDB, CSV or numpy files, with a table of one row per record.

    Attributes
    ----------
    path : Path
        The folder.
    description : Path or None
        The TOML file; by default ``source.toml`` in the folder.
    """

    path: Path
    description: Path | None = None

    def tables(self) -> Tables:
        """Records and patients; labels are the outcomes.

        Raises
        ------
        MissingPathError, ConfigError, TableError
        """
        part, frame = self._about.table, self._table
        without = int(frame["patient_id"].is_null().sum())
        patient = pl.coalesce("patient_id", pl.format("record {}", "ecg_id"))
        ecgs = frame.with_columns(patient.alias("patient_id"))
        kept = [name for name in ("ecg_date", "age", part.fold) if name in ecgs.columns]
        own = dict.fromkeys([*part.labels, *part.features, *part.subgroups])
        return Tables(
            source=self._about.name,
            fingerprint=json_sha256([self._about.model_dump(mode="json"), file_sha256(self._file)]),
            ecgs=check(ecgs.select("ecg_id", "patient_id", *kept, *own), ECGS, where=self._file),
            patients=check(_patients(ecgs), PATIENTS, where=self._file),
            outcomes=part.labels,
            subgroups=(*_if(part.sex, "sex"), *_if(part.age, "age_band"), *part.subgroups),
            features=(*_if(part.age, "age"), *_if(part.sex, "is_female"), *part.features),
            fold_column=part.fold,
            min_count=self._about.min_count,
            remarks=(own_clusters(without, len(frame)),) if without else (),
        )

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """Recordings in millivolts (or standard deviations), twelve leads in standard order.

        Raises
        ------
        MissingDependencyError
            For WFDB without the ``formats`` extra.
        """
        if self._about.signals.format == "npz":
            return self._from_one_array(ids)
        rows = {row["ecg_id"]: row for row in self._table.iter_rows(named=True)}

        def read(ecg_id: str) -> Recording:
            if ecg_id not in rows:
                raise RecordingError(ecg_id, "unknown_id", f"the id is not in {self._file}.")
            return read_record(ecg_id, self.path, self._about.signals, rows[ecg_id])

        return read_each(ids, read)

    def _from_one_array(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """Stream through the archive once, in the order of its rows."""
        place = dict(self._table.select("ecg_id", "row").iter_rows())
        signals = self._about.signals
        found: dict[str, Recording | RecordingError] = {
            ecg_id: RecordingError(ecg_id, "unknown_id", f"the id is not in {self._file}.")
            for ecg_id in ids
            if ecg_id not in place
        }
        known = sorted(
            (ecg_id for ecg_id in dict.fromkeys(ids) if ecg_id in place), key=lambda i: place[i]
        )
        try:
            with open_array(signals.files, self.path / signals.files, key=signals.array) as array:
                for one in read_each(
                    known, lambda i: to_recording(i, array.row(place[i]), signals)
                ):
                    found[one.ecg_id] = one
        except RecordingError as error:  # the file itself
            found |= {i: RecordingError(i, error.reason, error.detail) for i in known}
        for ecg_id in ids:
            yield found[ecg_id]

    @cached_property
    def _about(self) -> Description:
        if not self.path.is_dir():
            raise MissingPathError(f"There is no folder {self.path} (source.path).")
        return read_description(self.description or self.path / "source.toml")

    @property
    def _file(self) -> Path:
        return self.path / self._about.table.file

    @cached_property
    def _table(self) -> pl.DataFrame:
        """Read and check the table; columns with a meaning carry our names."""
        part, signals = self._about.table, self._about.signals
        raw = read_table(
            self._file, text_columns=tuple(filter(None, (part.ecg_id, part.patient_id)))
        )
        raw = _with_age_values(raw, part)
        frame = check(raw, _schema(part, signals.columns), where=self._file)
        _refuse_unknown_sexes(frame, part, self._file)
        frame = frame.with_columns(
            pl.col(part.ecg_id).alias("ecg_id"),
            _or_nothing(part.patient_id, pl.String).alias("patient_id"),
            _sex(part).alias("sex"),
            *([pl.col(part.age).alias("age")] if part.age else []),
            *([pl.col(part.date).alias("ecg_date")] if part.date else []),
            *([pl.col(part.row).alias("row")] if part.row else []),
        )
        if signals.format == "npz":
            frame = self._with_rows(frame)
        return frame

    def _with_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Check that the one array has a row for each record."""
        part, signals = self._about.table, self._about.signals
        if part.row is None:
            frame = frame.with_columns(pl.int_range(pl.len()).alias("row"))
        try:
            with open_array(signals.files, self.path / signals.files, key=signals.array) as array:
                n_rows = array.shape[0] if len(array.shape) == 3 else -1
                shape = array.shape
        except RecordingError as error:
            raise TableError(
                f"{self.path / signals.files}: {error.reason}: {error.detail}"
            ) from None
        outside = frame.filter(~pl.col("row").is_between(0, n_rows - 1))
        if n_rows < 0 or not outside.is_empty() or (part.row is None and n_rows != len(frame)):
            raise TableError(
                f"{signals.files} holds an array of shape {shape}, {self._file.name} has "
                f"{len(frame):,} records; expected one row (leads, samples) per record. Give the "
                "place of each record in a column (table.row) if they differ."
            )
        return frame


def _schema(part: TablePart, file_columns: Sequence[str]) -> Schema:
    optional: dict[str | None, Column] = {
        part.patient_id: Column(part.patient_id or "", "text"),
        part.age: Column(part.age or "", "number", low=0, high=130),
        part.sex: Column(part.sex or "", "text"),
        part.date: Column(part.date or "", "date"),
        part.fold: Column(part.fold or "", "integer"),
        part.row: Column(part.row or "", "integer", nullable=False, low=0),
    }
    columns = {name: column for name, column in optional.items() if name is not None}
    columns |= {name: Column(name, "flag") for name in part.labels}
    columns |= {name: Column(name, "number") for name in part.features if name not in columns}
    columns |= {name: Column(name, "text") for name in part.subgroups if name not in columns}
    columns |= {name: Column(name, "text", nullable=False) for name in file_columns}
    columns[part.ecg_id] = Column(part.ecg_id, "text", nullable=False)
    return Schema(part.file, (part.ecg_id,), tuple(columns.values()))


def _with_age_values(raw: pl.DataFrame, part: TablePart) -> pl.DataFrame:
    """Replace cells that stand for an age; a number matches however it is written."""
    if part.age is None or part.age not in raw.columns or not part.age_values:
        return raw
    cells = raw[part.age].cast(pl.String).to_list()
    meaning = {_as_written(name): age for name, age in part.age_values.items()}
    found = [None if cell is None else str(meaning.get(_as_written(cell), cell)) for cell in cells]
    return raw.with_columns(pl.Series(part.age, found, dtype=pl.String))


def _as_written(cell: str) -> str | float:
    try:
        return float(cell)
    except ValueError:
        return cell.strip()


def _refuse_unknown_sexes(frame: pl.DataFrame, part: TablePart, file: Path) -> None:
    """A value that nobody explained is a mistake in the description; nothing is unknown."""
    if part.sex is None:
        return
    known = [value for values in part.sex_values.values() for value in values]
    strange = frame.filter(pl.col(part.sex).is_in(known).not_())[part.sex].unique().to_list()
    if strange:
        raise TableError(
            f"{file}, column {part.sex}: {sorted(strange)} mean no sex. Say what they mean: "
            'table.sex_values = { Male = ["M"], Female = ["F"] }, or leave the cells empty.'
        )


def _sex(part: TablePart) -> pl.Expr:
    if part.sex is None:
        return pl.lit(None, pl.String)
    meaning = {value: sex for sex, values in part.sex_values.items() for value in values}
    return pl.col(part.sex).replace_strict(meaning, default=None, return_dtype=pl.String)


def _or_nothing(name: str | None, dtype: Any) -> pl.Expr:
    return pl.lit(None, dtype) if name is None else pl.col(name)


def _if(column: str | None, name: str) -> tuple[str, ...]:
    return () if column is None else (name,)


def _patients(ecgs: pl.DataFrame) -> pl.DataFrame:
    return ecgs.group_by("patient_id", maintain_order=True).agg(pl.col("sex").drop_nulls().first())
