"""One record of a described folder: from its WFDB, CSV or numpy file to a `Recording`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import RecordingError
from acsbench.recording import Recording
from acsbench.sources.arrays import MAX_BYTES, read_array, require_file
from acsbench.sources.description import SignalsPart
from acsbench.sources.raw import RawRecording, refuse_microvolts, scaled, to_millivolts
from acsbench.sources.wfdb_files import read_wfdb

__all__ = ["read_record", "to_recording"]


def read_record(
    ecg_id: str, folder: Path, signals: SignalsPart, row: Mapping[str, Any]
) -> Recording:
    """Read the file that a row of the table names.

    Raises
    ------
    RecordingError
    """
    name = signals.files.format(**{column: row[column] for column in signals.columns})
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise RecordingError(ecg_id, "missing_file", f"{name} is outside {folder}.")
    if signals.format == "wfdb":
        raw = read_wfdb(ecg_id, path, units_per_mv=signals.units_per_mv)
        _check_rate(raw, signals)
        return _checked(raw, signals)
    if signals.format == "csv":
        values, names = _read_csv(ecg_id, path)
        return to_recording(ecg_id, values, signals, names=names)
    return to_recording(ecg_id, read_array(ecg_id, path, key=signals.array), signals)


def to_recording(
    ecg_id: str,
    stored: NDArray[Any],
    signals: SignalsPart,
    *,
    names: tuple[str, ...] | None = None,
) -> Recording:
    """Scale stored values, name the leads, and lay them out as (leads, samples).

    Parameters
    ----------
    ecg_id : str
    stored : ndarray, shape (leads, samples) or (samples, leads)
        Which of the two is told by the number of leads.
    signals : SignalsPart
    names : tuple of str, optional
        Lead names of the file itself, instead of those of the description.
    """
    names = names or signals.leads
    if stored.ndim != 2 or len(names) not in stored.shape or not stored.size:
        raise RecordingError(
            ecg_id,
            "wrong_shape",
            f"the record has shape {stored.shape}; expected {len(names)} leads by samples.",
        )
    rows = stored if stored.shape[0] == len(names) else stored.T  # (leads, samples)
    units = signals.units
    factor = 1.0 if units == "sd" else float(to_millivolts(ecg_id, [units])[0])
    return _checked(
        RawRecording(
            ecg_id=ecg_id,
            signal=scaled(ecg_id, rows, signals.scale * factor),
            names=names,
            sampling_rate=float(signals.sampling_rate or 0),
            units="sd" if units == "sd" else "mV",
        ),
        signals,
    )


def _checked(raw: RawRecording, signals: SignalsPart) -> Recording:
    if raw.units == "mV":
        way_out = "Look at signals.units and signals.scale."
        refuse_microvolts(raw.ecg_id, raw.signal, way_out=way_out)
    return raw.standard(renamed=signals.renamed, may_lack=True)


def _check_rate(raw: RawRecording, signals: SignalsPart) -> None:
    expected = signals.sampling_rate
    if expected is not None and raw.sampling_rate != expected:
        raise RecordingError(
            raw.ecg_id,
            "wrong_rate",
            f"the header says {raw.sampling_rate:g} Hz; the description {expected:g} Hz.",
        )


def _read_csv(ecg_id: str, path: Path) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Samples by leads, and the lead names of the first line."""
    require_file(ecg_id, path)
    if path.stat().st_size > MAX_BYTES:
        raise RecordingError(
            ecg_id,
            "too_large",
            f"{path.name} has {path.stat().st_size:,} bytes; the limit is {MAX_BYTES:,}.",
        )
    try:
        frame = pl.read_csv(path, infer_schema=False, null_values=["", "NA", "NaN", "nan"])
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise RecordingError(ecg_id, "truncated", f"{path.name} is no CSV: {error}.") from None
    numbers = frame.select(pl.all().str.strip_chars().cast(pl.Float64, strict=False))
    for name in frame.columns:
        broken = (numbers[name].is_null() & frame[name].is_not_null()).arg_true()
        if len(broken):
            raise RecordingError(
                ecg_id,
                "wrong_type",
                f"{path.name}, column {name}, row {broken[0] + 1}: {frame[name][broken[0]]!r} is "
                "no number. The first line holds lead names, all others samples.",
            )
    return numbers.fill_null(np.nan).to_numpy(), tuple(frame.columns)
