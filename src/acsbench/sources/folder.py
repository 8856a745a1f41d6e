"""Any folder of ECGs with a table, described by a small TOML file: one's own hospital."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import polars as pl

from acsbench.errors import MissingPathError, RecordingError
from acsbench.provenance import StepConfig, file_sha256, json_sha256
from acsbench.recording import Recording
from acsbench.sources.arrays import open_array
from acsbench.sources.base import own_clusters, read_each
from acsbench.sources.description import Description, read_description
from acsbench.sources.folder_files import read_record, to_recording
from acsbench.sources.folder_table import read_records
from acsbench.tables import ECGS, PATIENTS, Tables, check

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
        wanted = self._table.filter(pl.col("ecg_id").is_in(list(ids)))
        rows = {row["ecg_id"]: row for row in wanted.iter_rows(named=True)}

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
        return read_description(self._description)

    @property
    def _description(self) -> Path:
        return self.description or self.path / "source.toml"

    @property
    def _file(self) -> Path:
        return self.path / self._about.table.file

    @property
    def _table(self) -> pl.DataFrame:
        signals = self._about.signals
        array = self.path / signals.files if signals.format == "npz" else None
        return read_records(self._file, self._description, array)


def _if(column: str | None, name: str) -> tuple[str, ...]:
    return () if column is None else (name,)


def _patients(ecgs: pl.DataFrame) -> pl.DataFrame:
    return ecgs.group_by("patient_id", maintain_order=True).agg(pl.col("sex").drop_nulls().first())
