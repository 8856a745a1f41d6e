"""check_quality: one look at every raw ECG, before the cohort. Nothing is dropped here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import RecordingError
from acsbench.parallel import map_units
from acsbench.recording import Recording
from acsbench.signal.filters import finite_runs
from acsbench.tables import QUALITY, Tables, check

__all__ = ["HasRecordings", "check_quality", "raw_sha256"]

MIN_FINITE_SHARE = 0.8
LONGEST_FLAT_S = 1.0
FLAT_RANGE_MV = 0.05
LARGEST_MV = 32.767
EXPECTED_S = 10.0
PRINTED_S = 2.5
_CHUNK = 256


class HasRecordings(Protocol):
    """What is needed of a source."""

    def tables(self) -> Tables:
        """See `acsbench.sources.base.Source`."""
        ...

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """See `acsbench.sources.base.Source`."""
        ...


def check_quality(
    source: HasRecordings, *, ids: Sequence[str] | None = None, n_jobs: int | None = None
) -> pl.DataFrame:
    """Measure every lead of every ECG and name what is wrong.

    Codes: ``all_missing``; ``missing``, under 80 % of the expected support is finite; ``flat``, a
    run of equal values over 1 s, or a range under 0.05 mV; ``too_short``, under 10 s;
    ``out_of_range``, beyond ±32.767 mV. An ECG that cannot be read has one row, lead ``*``, with
    the code of its error.

    Parameters
    ----------
    source : Source
    ids : sequence of str, optional
        By default every ECG of the source.
    n_jobs : int, optional
        Worker processes. The table does not depend on it.

    Returns
    -------
    DataFrame
        See `tables.QUALITY`; one row per ECG and lead.
    """
    ids = sorted(source.tables().ecgs["ecg_id"] if ids is None else ids)
    chunks = [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
    parts = map_units(_CheckChunk(source), chunks, n_jobs=n_jobs, label="quality")
    rows = [row for part in parts for row in part]
    schema = {c.name: pl.Float64 if c.kind == "number" else pl.String for c in QUALITY.columns}
    return check(pl.DataFrame(rows, schema=schema), QUALITY)


@dataclass(frozen=True)
class _CheckChunk:
    source: HasRecordings

    def __call__(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for found in self.source.recordings(ids):
            rows += [_unreadable(found)] if isinstance(found, RecordingError) else _check(found)
        return rows


def _unreadable(error: RecordingError) -> dict[str, Any]:
    blank = {column.name: None for column in QUALITY.columns}
    return {**blank, "ecg_id": error.ecg_id, "lead": "*", "reasons": error.reason}


def _check(recording: Recording) -> list[dict[str, Any]]:
    checksum = raw_sha256(recording)
    is_page = any(name.startswith("long_") for name in recording.lead_names)
    return [
        {
            "ecg_id": recording.ecg_id,
            "raw_sha256": checksum,
            "duration_s": recording.duration_s,
            **_check_lead(recording, name, row, is_page=is_page),
        }
        for name, row in zip(recording.lead_names, recording.signal, strict=True)
    ]


def _check_lead(
    recording: Recording, name: str, row: NDArray[np.float64], *, is_page: bool
) -> dict[str, Any]:
    printed = is_page and not name.startswith("long_")
    expected = (PRINTED_S if printed else EXPECTED_S) * recording.sampling_rate
    finite = row[np.isfinite(row)]
    share = min(finite.size / expected, 1.0)
    flat_s = _longest_flat(row) / recording.sampling_rate
    span = float(np.ptp(finite)) if finite.size else 0.0
    millivolts = recording.units == "mV"
    reasons = {
        "all_missing": not finite.size,
        "missing": 0 < share < MIN_FINITE_SHARE,
        "flat": bool(finite.size)
        and (flat_s > LONGEST_FLAT_S or (millivolts and span < FLAT_RANGE_MV)),
        "too_short": recording.duration_s < EXPECTED_S,
        "out_of_range": bool(finite.size) and float(np.abs(finite).max()) > LARGEST_MV,
    }
    return {
        "lead": name,
        "finite_share": share,
        "longest_flat_s": flat_s,
        "amplitude_range": span,
        "reasons": " ".join(code for code, is_so in reasons.items() if is_so),
    }


def _longest_flat(row: NDArray[np.float64]) -> int:
    """Samples in the longest run of equal finite values."""
    longest = 0
    for run in finite_runs(row):
        values = row[run]
        changes = np.flatnonzero(np.diff(values)) + 1
        edges = np.concatenate([[0], changes, [values.size]])
        longest = max(longest, int(np.diff(edges).max()))
    return longest


def raw_sha256(recording: Recording) -> str:
    """Hash of the raw samples, gaps included: equal for one waveform under two ids."""
    digest = hashlib.sha256(" ".join(recording.lead_names).encode())
    digest.update(np.ascontiguousarray(recording.signal, dtype="<f4").tobytes())
    return digest.hexdigest()
