"""One recording from a file that stands alone: our NumPy and CSV files, pages, device formats."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import RecordingError, first_few
from acsbench.recording import Recording, Units
from acsbench.signal.leads import standard_name
from acsbench.sources.arrays import MAX_BYTES, read_array, require_file
from acsbench.sources.formats import read_file
from acsbench.sources.nightingale import read_recording
from acsbench.sources.raw import refuse_microvolts, scaled

__all__ = ["read_bare"]

_OUR_KEYS = ("lead_names", "sampling_rate", "units")
_MAX_KEY_BYTES = 10_000


def read_bare(path: Path, ecg_id: str) -> Recording:
    """Read one recording of any kind.

    Parameters
    ----------
    path : Path
        ``.npz`` as `acsbench convert` writes it or of 15 rows at 500 Hz, ``.csv`` with ``time_s``
        and a column a lead in millivolts, or what `formats.read_file` reads.
    ecg_id : str

    Raises
    ------
    RecordingError
    """
    if path.suffix.lower() == ".csv":
        return _read_csv(path, ecg_id)
    if path.suffix == ".npz":
        return _read_ours(path, ecg_id) if _is_ours(path) else read_recording(path, ecg_id)
    return read_file(path, ecg_id=ecg_id)


def _is_ours(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False  # read_recording says what is wrong with it
    return all(f"{key}.npy" in names for key in _OUR_KEYS)


def _read_ours(path: Path, ecg_id: str) -> Recording:
    signal = read_array(ecg_id, path, key="signal").astype(np.float64)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [archive.getinfo(f"{key}.npy").file_size for key in _OUR_KEYS]
        if max(sizes) > _MAX_KEY_BYTES:
            raise RecordingError(ecg_id, "too_large", f"{path.name} has names of {sizes} bytes.")
        with np.load(path, allow_pickle=False) as archive:
            names, rate, units = (archive[key].tolist() for key in _OUR_KEYS)
        leads = tuple(standard_name(str(name)) or str(name) for name in names)
        sampling_rate = float(rate)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise RecordingError(ecg_id, "truncated", f"{path.name} is damaged: {error}.") from None
    if units not in ("mV", "sd"):
        raise RecordingError(ecg_id, "wrong_units", f"{path.name} is in '{units}'; mV or sd.")
    return _checked(ecg_id, path, signal, leads, sampling_rate, units)


def _read_csv(path: Path, ecg_id: str) -> Recording:
    require_file(ecg_id, path)
    if path.stat().st_size > MAX_BYTES:
        raise RecordingError(
            ecg_id,
            "too_large",
            f"{path.name} has {path.stat().st_size:,} bytes, over {MAX_BYTES:,}.",
        )
    try:
        frame = pl.read_csv(path, null_values=["", "NA", "NaN", "nan"], infer_schema_length=None)
        numbers = frame.cast(pl.Float64).fill_null(np.nan)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise RecordingError(
            ecg_id, "wrong_type", f"{path.name} is no table of numbers: {reason}."
        ) from None
    if "time_s" not in numbers.columns or len(numbers) < 2:
        raise RecordingError(
            ecg_id,
            "wrong_rate",
            f"{path.name} has no column time_s to tell its sampling rate; it has "
            f"{first_few(numbers.columns)}.",
        )
    steps = np.diff(numbers["time_s"].to_numpy())
    step = float(np.median(steps))
    if not step > 0 or not np.allclose(steps, step, rtol=0.01):
        raise RecordingError(ecg_id, "wrong_rate", f"{path.name}: time_s does not rise evenly.")
    leads = [name for name in numbers.columns if name != "time_s"]
    return _checked(
        ecg_id,
        path,
        numbers.select(leads).to_numpy().T,
        tuple(standard_name(name) or name for name in leads),
        round(1 / step, 3),
        "mV",
    )


def _checked(
    ecg_id: str,
    path: Path,
    signal: NDArray[np.float64],
    leads: tuple[str, ...],
    sampling_rate: float,
    units: Units,
) -> Recording:
    finite = scaled(ecg_id, signal, 1.0)
    if units == "mV" and finite.ndim == 2:
        refuse_microvolts(ecg_id, finite, way_out=f"{path.name} has to be in millivolts.")
    return Recording(
        ecg_id=ecg_id, signal=finite, lead_names=leads, sampling_rate=sampling_rate, units=units
    )
