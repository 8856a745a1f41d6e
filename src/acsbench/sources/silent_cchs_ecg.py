"""The Nightingale data set ``silent-cchs-ecg`` v1: 12 leads in microvolts, zeros where short.

What is public of its layout (docs.ngsci.org): one ``.npz`` per ECG, the array ``waveform`` of shape
(12, 5500) at 500 Hz in microvolts, and the columns of ``ecg-metadata.csv``. How its hospital tables
are to be turned into outcomes is up to a study, so labels come from a table of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from acsbench.errors import MissingPathError, RecordingError
from acsbench.provenance import StepConfig, file_sha256, json_sha256
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12
from acsbench.sources.arrays import read_array
from acsbench.sources.base import read_each
from acsbench.sources.csv_files import TableFile, read_all
from acsbench.sources.own_labels import read_own_labels
from acsbench.sources.raw import scaled
from acsbench.tables import ECGS, PATIENTS, Column, Schema, Tables, check

__all__ = ["SilentCchsEcgSource"]

SAMPLING_RATE = 500.0
_SMALLEST_UV = 20.0
"""A median range below this is a recording in millivolts."""

_METADATA = Schema(
    "ecg-tables/ecg-metadata.csv",
    ("ecg_id",),
    (
        Column("patient_ngsci_id", "text", nullable=False),
        Column("ecg_id", "text", nullable=False, pattern=r"[0-9A-Za-z][0-9A-Za-z_-]+"),
        Column("acquired_datetime", "datetime"),
    ),
)


class SilentCchsEcgSource(StepConfig):
    """ECGs with a hospital record beside them; outcomes from a table of one's own.

    Attributes
    ----------
    path : Path
        The folder ``silent-cchs-ecg/v1``, or one above it.
    labels : Path or None
        CSV or Parquet with ``ecg_id`` and one 0/1 column per label; each is a task
        ``label_<column>``.
    """

    path: Path
    labels: Path | None = None

    @property
    def _root(self) -> Path:
        for folder in (self.path, self.path / "v1", self.path / "silent-cchs-ecg" / "v1"):
            if (folder / _METADATA.name).is_file():
                return folder
        raise MissingPathError(
            f"There is no silent-cchs-ecg in {self.path}: {_METADATA.name} is neither there nor in "
            "v1/ nor in silent-cchs-ecg/v1/. Give the folder that holds it (source.path)."
        )

    def tables(self) -> Tables:
        """ECGs and patients, with the labels of ``labels``.

        Raises
        ------
        MissingPathError, TableError
        """
        (metadata,) = read_all(self._root, [TableFile(_METADATA)])
        ecgs = metadata.select(
            "ecg_id",
            pl.col("patient_ngsci_id").alias("patient_id"),
            pl.col("acquired_datetime").dt.date().alias("ecg_date"),
        )
        outcomes: tuple[str, ...] = ()
        fingerprint = [file_sha256(self._root / _METADATA.name)]
        if self.labels is not None:
            ecgs, outcomes = read_own_labels(ecgs, self.labels)
            fingerprint.append(file_sha256(self.labels))
        patients = ecgs.select("patient_id").unique(maintain_order=True)
        return Tables(
            source="silent_cchs_ecg",
            fingerprint=json_sha256(fingerprint),
            ecgs=check(ecgs, ECGS, where=self._root),
            patients=check(patients.with_columns(pl.lit(None, pl.String).alias("sex")), PATIENTS),
            outcomes=outcomes,
            min_count=10,
        )

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """Twelve leads in millivolts; the zeros that fill a short recording are NaN."""
        folder = self._root / "ecg-waveforms"
        return read_each(ids, lambda ecg_id: _read(ecg_id, folder / ecg_id[:2] / f"{ecg_id}.npz"))


def _read(ecg_id: str, path: Path) -> Recording:
    stored = read_array(ecg_id, path, key="waveform")
    if stored.ndim != 2 or stored.shape[0] != len(STANDARD_12) or stored.shape[1] == 0:
        raise RecordingError(
            ecg_id,
            "wrong_shape",
            f"{path.name} holds an array of shape {stored.shape}; expected "
            f"({len(STANDARD_12)}, samples).",
        )
    microvolts = scaled(ecg_id, stored, 1.0)
    recorded = np.flatnonzero((microvolts != 0).any(axis=0))
    length = int(recorded[-1]) + 1 if recorded.size else 0
    microvolts[:, length:] = np.nan
    with np.errstate(over="ignore"):
        span = float(np.median(np.ptp(microvolts[:, :length], axis=1))) if length else 0.0
    if 0 < span < _SMALLEST_UV:
        raise RecordingError(
            ecg_id,
            "wrong_units",
            f"leads span {span:.3g} 'uV' at the median; below {_SMALLEST_UV:g} they are "
            "millivolts. Multiply by 1000.",
        )
    return Recording(
        ecg_id=ecg_id,
        signal=microvolts / 1000,
        lead_names=STANDARD_12,
        sampling_rate=SAMPLING_RATE,
        units="mV",
    )
