"""One WFDB record (https://physionet.org/physiotools/wag/header-5.htm), read by the wfdb library.

The header is read and checked first: what it names lies beside it, and what it announces fits in
memory and in its files. The library then decodes the samples.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import MissingDependencyError, RecordingError, first_few
from acsbench.sources.arrays import MAX_BYTES, require_file
from acsbench.sources.raw import RawRecording, to_millivolts

__all__ = ["import_wfdb", "read_wfdb"]

_MAX_SIGNALS = 64
_MAX_HEADER_BYTES = 2**20
_MAX_PACKED = 8
"""Samples per byte of the tightest format (FLAC), generously."""


def read_wfdb(ecg_id: str, path: Path, *, units_per_mv: float | None = None) -> RawRecording:
    """Read all signals of a record in millivolts.

    Parameters
    ----------
    ecg_id : str
    path : Path
        Without a suffix, as in PhysioNet's ``RECORDS`` files.
    units_per_mv : float, optional
        Stored integers per millivolt, for sets whose headers give wrong gains; baselines are
        then taken as zero.

    Raises
    ------
    RecordingError
        ``missing_file``, ``empty``, ``bad_header``, ``too_large``, ``truncated``, ``checksum`` or
        ``wrong_units``.
    MissingDependencyError
        Without the ``formats`` extra.
    """
    _check_announcement(ecg_id, path)
    record, signal = _decode(ecg_id, path)
    problem = _problem(record)
    if problem:
        raise RecordingError(ecg_id, "bad_header", f"{path.name}.hea cannot be used: {problem}.")
    stored = np.asarray(record.d_signal, np.float64)  # (samples, signals)
    _check_samples(ecg_id, path, record, stored)
    if units_per_mv is None:
        signal *= to_millivolts(ecg_id, record.units)
    else:
        signal = np.where(np.isnan(signal), np.nan, stored / units_per_mv)
    return RawRecording(
        ecg_id=ecg_id,
        signal=np.ascontiguousarray(signal.T),  # (signals, samples)
        names=tuple(record.sig_name),
        sampling_rate=float(record.fs),
    )


def _check_announcement(ecg_id: str, path: Path) -> None:
    """Refuse a header whose files are elsewhere, absent, or far from the size it announces.

    Reading these few fields here, and all of them in the library, costs nothing; parsing the
    whole header twice would double the time of a record.
    """
    file = path.with_name(f"{path.name}.hea")
    require_file(ecg_id, file)

    def refuse(reason: str, why: str) -> RecordingError:
        return RecordingError(ecg_id, reason, f"{file.name} cannot be used: {why}.")

    if file.stat().st_size > _MAX_HEADER_BYTES:
        raise refuse("bad_header", "it is larger than any header")
    lines = file.read_text(encoding="latin-1").splitlines()
    fields = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not fields or len(fields[0]) < 3 or "/" in fields[0][0] or not fields[0][1].isdecimal():
        raise refuse("bad_header", "its first line is not: name, number of signals, rate, samples")
    n_signals = int(fields[0][1])
    n_samples = int(fields[0][3]) if fields[0][3:] and fields[0][3].isdecimal() else 0
    if not 0 < n_signals <= _MAX_SIGNALS or len(fields) <= n_signals:
        raise refuse("bad_header", f"it announces {n_signals} signals in {len(fields) - 1} lines")
    names = dict.fromkeys(field[0] for field in fields[1 : n_signals + 1])
    for name in names:
        if Path(name).name != name:
            raise refuse("bad_header", f"it names a signal file in another folder ({name})")
        require_file(ecg_id, path.parent / name)
    on_disk = sum((path.parent / name).stat().st_size for name in names)
    in_memory = n_samples * n_signals * 8
    if max(in_memory, on_disk) > MAX_BYTES:
        raise refuse("too_large", f"{n_samples:,} samples of {n_signals} signals are no single ECG")
    if in_memory / 8 / _MAX_PACKED > on_disk:
        raise refuse(
            "truncated", f"it announces {n_samples:,} samples; {on_disk:,} bytes are there"
        )


def _decode(ecg_id: str, path: Path) -> tuple[Any, NDArray[np.float64]]:
    """Return the record, and its samples in the header's units: NaN where there is none."""
    wfdb = import_wfdb()
    try:
        with np.errstate(all="ignore"):
            record = wfdb.rdrecord(str(path), physical=False)
            return record, np.asarray(record.dac(), np.float64)
    except Exception as error:  # the library has no exception of its own for a damaged file
        raise RecordingError(
            ecg_id, "truncated", f"{path.name} cannot be read: {error or type(error).__name__}."
        ) from None


def _problem(record: Any) -> str | None:
    """Say what keeps a decoded record from being one ECG."""
    if not record.fs or not 0 < float(record.fs) < float("inf"):
        return f"its sampling rate is {record.fs}"
    if any(count not in (1, None) for count in record.samps_per_frame):
        return "its signals have different rates; resample them to one"
    if None in (*record.sig_name, *record.units) or not all(record.adc_gain):
        return "a signal lacks its name, unit or gain"
    return None


def _check_samples(ecg_id: str, path: Path, record: Any, stored: NDArray[np.float64]) -> None:
    expected = (record.sig_len, record.n_sig)
    if stored.shape != expected or not stored.size:
        raise RecordingError(
            ecg_id,
            "truncated",
            f"{path.name} holds samples of shape {stored.shape}; its header announces {expected}.",
        )
    sums = zip(record.sig_name, record.checksum, record.calc_checksum(), strict=True)
    wrong = [name for name, said, found in sums if said is not None and (said - found) % 2**16]
    if wrong:
        raise RecordingError(
            ecg_id,
            "checksum",
            f"samples of {first_few(wrong)} in {path.name} differ from the checksum in its header: "
            "the file is damaged. Copy it again.",
        )


def import_wfdb() -> Any:
    """Import wfdb, without the warnings of its own imports."""
    try:
        with warnings.catch_warnings():
            # wfdb 4.3 calls pandas with a keyword that pandas is about to retire
            warnings.simplefilter("ignore")
            import wfdb  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingDependencyError(
            "Reading WFDB files needs the library wfdb: pip install 'acsbench[formats]'."
        ) from None
    return wfdb
