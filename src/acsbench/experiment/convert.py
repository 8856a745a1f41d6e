"""Files of ECG devices to WFDB, CSV or NumPy: what `read_file` understands, one file each."""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import polars as pl

from acsbench.errors import InputError, RecordingError, first_few
from acsbench.parallel import progress
from acsbench.provenance import atomic_path
from acsbench.recording import Recording
from acsbench.sources.formats import read_file
from acsbench.sources.wfdb_files import import_wfdb

__all__ = ["FileFormat", "Outcome", "convert_files"]

FileFormat: TypeAlias = Literal["wfdb", "csv", "npz"]
_STEPS_PER_MV = 1000
"""Of a WFDB file, in 16 bits: ±32.767 mV."""
_GAP = np.iinfo(np.int16).min
"""What WFDB's 16 bits say where nothing was recorded."""


class Outcome(NamedTuple):
    """One file: what was read and written, or why not.

    Attributes
    ----------
    file : str
    written : str or None
    lead_names, sampling_rate, duration_s
        Of the recording, in Hz and seconds; None where it cannot be read.
    reason : str or None
        Of a file that cannot be read or written.
    """

    file: str
    written: str | None
    lead_names: str | None = None
    sampling_rate: float | None = None
    duration_s: float | None = None
    reason: str | None = None


def convert_files(
    files: Sequence[Path],
    out: Path,
    *,
    to: FileFormat = "wfdb",
    drop_calibration: bool = False,
    overwrite: bool = False,
) -> list[Outcome]:
    """Convert recordings, in millivolts, each to a file of its own stem in ``out``.

    Parameters
    ----------
    files : sequence of Path
        See `sources.formats.read_file`.
    out : Path
        Folder.
    to : "wfdb", "csv" or "npz"
        WFDB at 1 µV a step; CSV with ``time_s`` and a column a lead; or an archive of ``signal``
        (leads, samples), ``lead_names``, ``sampling_rate`` and ``units``.
    drop_calibration : bool
        Cut a calibration pulse off the end.
    overwrite : bool
        Replace files that are already there.

    Returns
    -------
    list of Outcome
        In the order of the files; one that cannot be read does not stop the others.

    Raises
    ------
    InputError
        When two files would be written to one, or one is there already.
    """
    write, suffix = _WRITERS[to]
    targets = [out / f"{file.stem}{suffix}" for file in files]
    doubled = [t.name for t, n in Counter(targets).items() if n > 1]
    if doubled:
        raise InputError(
            f"{first_few(doubled)} would be written more than once: files of one name come from "
            "several folders. Convert each folder to a folder of its own."
        )
    there = [str(target) for target in targets if target.exists()]
    if there and not overwrite:
        raise InputError(
            f"{first_few(there, n=3)} exist already. Choose another --out, or say --overwrite."
        )
    shown = progress(list(zip(files, targets, strict=True)), label="converting", total=len(files))
    return [_convert(*pair, write, drop_calibration=drop_calibration) for pair in shown]


def _convert(
    file: Path,
    target: Path,
    write: Callable[[Recording, Path], None],
    *,
    drop_calibration: bool,
) -> Outcome:
    try:
        recording = read_file(file, drop_calibration=drop_calibration)
        write(recording, target)
    except RecordingError as error:
        return Outcome(str(file), None, reason=f"{error.reason}: {error.detail}")
    return Outcome(
        str(file),
        str(target),
        lead_names=" ".join(recording.lead_names),
        sampling_rate=recording.sampling_rate,
        duration_s=recording.duration_s,
    )


def _write_wfdb(recording: Recording, target: Path) -> None:
    """Write header and signal, 16-bit integers at 1 µV."""
    wfdb = import_wfdb()
    steps = np.rint(recording.signal.T * _STEPS_PER_MV)  # (samples, leads)
    if np.nanmax(np.abs(steps), initial=0) > np.iinfo(np.int16).max:
        raise RecordingError(
            recording.ecg_id, "out_of_range", "a sample lies beyond ±32.767 mV; write npz or csv."
        )
    n_leads = len(recording.lead_names)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".convert-") as folder:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # wfdb 4.3 lags behind pandas
                wfdb.wrsamp(
                    target.stem,
                    fs=recording.sampling_rate,
                    units=["mV"] * n_leads,
                    sig_name=list(recording.lead_names),
                    d_signal=np.where(np.isfinite(steps), steps, _GAP).astype(int),
                    fmt=["16"] * n_leads,
                    adc_gain=[float(_STEPS_PER_MV)] * n_leads,
                    baseline=[0] * n_leads,
                    write_dir=folder,
                )
        except ValueError as error:  # a record's name has letters, digits, - and _ only
            raise RecordingError(recording.ecg_id, "wrong_name", f"{error}.") from None
        # the header last: a record is there when its header is
        for file in (f"{target.stem}.dat", target.name):
            (Path(folder) / file).replace(target.parent / file)


def _write_csv(recording: Recording, target: Path) -> None:
    times = np.arange(recording.signal.shape[1]) / recording.sampling_rate
    leads = dict(zip(recording.lead_names, recording.signal, strict=True))
    with atomic_path(target) as temporary:
        pl.DataFrame({"time_s": times, **leads}).fill_nan(None).write_csv(temporary)


def _write_npz(recording: Recording, target: Path) -> None:
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            signal=recording.signal,
            lead_names=np.array(recording.lead_names),
            sampling_rate=np.array(recording.sampling_rate),
            units=np.array(recording.units),
        )


_WRITERS: dict[FileFormat, tuple[Callable[[Recording, Path], None], str]] = {
    "wfdb": (_write_wfdb, ".hea"),
    "csv": (_write_csv, ".csv"),
    "npz": (_write_npz, ".npz"),
}
