"""One recording from a file of a device or archive: SCP-ECG, DICOM, HL7 aECG, Philips, GE and WFDB.

The library is ecgdatakit (Apache-2.0; pure Python; released several times a year): the one package
on the index that reads all of these formats by their content, returns volts with the scale the file
states, keeps median beats apart from the rhythm, and runs on every Python that acsbench supports.
ecgprocess is GPL-3 and has no SCP-ECG; the single-format packages would be five dependencies.
WFDB goes through the wfdb library as everywhere here, and CardioSoft XML, which no library on the
index reads, through forty lines below.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import MissingDependencyError, RecordingError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12, standard_name
from acsbench.sources.arrays import MAX_BYTES, require_file
from acsbench.sources.raw import RawRecording, scaled, to_millivolts
from acsbench.sources.wfdb_files import read_wfdb

__all__ = ["FORMATS", "read_file"]

FORMATS = (
    "SCP-ECG",
    "DICOM Waveform",
    "HL7 aECG",
    "Philips Sierra XML",
    "GE MUSE XML",
    "Mortara ELI (EL250/ELI280)",
    "GE CardioSoft XML",
    "WFDB",
)
"""What `read_file` reads; the kind is told by a file's content."""
_DERIVED = ("III", "aVR", "aVL", "aVF")
_SHORTEST_PULSE_S = 0.1


def read_file(
    path: Path | str, *, ecg_id: str | None = None, drop_calibration: bool = False
) -> Recording:
    """Read one recording in millivolts.

    Standard leads come first, in standard order; further leads (Frank's, right-sided ones) follow
    under the file's own names. Median or representative beats are left out. A file that stores
    I and II but none of III, aVR, aVL and aVF, as GE's do, gets these four from Einthoven's and
    Goldberger's laws: that is how such a device prints them.

    Parameters
    ----------
    path : Path
        Of a WFDB record, the header or the name without a suffix.
    ecg_id : str, optional
        By default the file's stem.
    drop_calibration : bool
        Cut a calibration pulse, equal in all leads, off the end. It stays by default: the result
        is then what the file holds, and recipes use the first 10 s, which end before it.

    Raises
    ------
    RecordingError
        ``missing_file``, ``empty``, ``too_large``, ``unknown_format``, ``truncated``,
        ``checksum``, ``wrong_units``, ``wrong_rate``, ``wrong_shape`` or ``duplicate_leads``.
    MissingDependencyError
        Without the ``formats`` extra.
    """
    path = Path(path)
    ecg_id = ecg_id or path.stem
    raw = _read(ecg_id, path)
    raw = _with_derived_leads(raw)
    if drop_calibration:
        raw = _without_calibration(raw)
    return _standard_first(raw)


def _read(ecg_id: str, path: Path) -> RawRecording:
    if path.suffix == ".hea" or (
        not path.is_file() and path.with_name(f"{path.name}.hea").exists()
    ):
        return read_wfdb(ecg_id, path.with_suffix("") if path.suffix == ".hea" else path)
    require_file(ecg_id, path)
    if path.stat().st_size > MAX_BYTES:
        raise RecordingError(
            ecg_id,
            "too_large",
            f"{path.name} has {path.stat().st_size:,} bytes; a single ECG has at most "
            f"{MAX_BYTES:,}.",
        )
    with path.open("rb") as stream:
        start = stream.read(4096)
    if b"<CardiologyXML" in start.replace(b"\0", b""):
        return _cardiosoft(ecg_id, path)
    return _by_library(ecg_id, path)


def _by_library(ecg_id: str, path: Path) -> RawRecording:
    ecgdatakit = _import_ecgdatakit()
    record: Any = None
    try:
        with warnings.catch_warnings(record=True) as remarks, np.errstate(all="ignore"):
            warnings.simplefilter("always")
            kind = ecgdatakit.FileParser.detect_format(path)
            if kind is not None and kind["name"] in FORMATS:
                record = ecgdatakit.FileParser.parse(path, units="mV")
    except ImportError as error:
        raise MissingDependencyError(
            f"Reading {path.name} needs another library ({error}): pip install 'acsbench[formats]'."
        ) from None
    except Exception as error:  # a damaged file surfaces as any of the library's and Python's own
        raise RecordingError(
            ecg_id, "truncated", f"{path.name} cannot be read: {error or type(error).__name__}."
        ) from None
    if record is None:
        raise RecordingError(
            ecg_id,
            "unknown_format",
            f"{path.name} is none of {', '.join(FORMATS)}. Convert it to one of them.",
        )
    for remark in remarks:
        if issubclass(remark.category, ecgdatakit.ChecksumWarning):
            raise RecordingError(ecg_id, "checksum", f"{path.name} is damaged: {remark.message}.")
    return _from_leads(ecg_id, path, record.leads)


def _from_leads(ecg_id: str, path: Path, leads: Sequence[Any]) -> RawRecording:
    if not leads:
        raise RecordingError(ecg_id, "empty", f"{path.name} holds no rhythm leads.")
    rates = sorted({float(lead.sampling_rate) for lead in leads})
    if len(rates) > 1 or not 0 < rates[0] < float("inf"):
        raise RecordingError(
            ecg_id, "wrong_rate", f"leads of {path.name} have {rates} Hz; expected one rate."
        )
    lengths = sorted({len(lead.samples) for lead in leads})
    if len(lengths) > 1 or not lengths[0]:
        raise RecordingError(
            ecg_id, "wrong_shape", f"leads of {path.name} have {lengths} samples; expected one."
        )
    if any(lead.is_raw or lead.units != "mV" for lead in leads):
        raise RecordingError(
            ecg_id,
            "wrong_units",
            f"{path.name} does not state the voltage of a step, so its amplitudes mean nothing.",
        )
    return RawRecording(
        ecg_id=ecg_id,
        signal=scaled(ecg_id, np.stack([lead.samples for lead in leads]), 1.0),
        names=tuple(lead.label for lead in leads),
        sampling_rate=rates[0],
    )


def _cardiosoft(ecg_id: str, path: Path) -> RawRecording:
    """GE CardioSoft: ``StripData`` holds the rhythm, comma-separated integers per lead."""
    _import_ecgdatakit()  # brings defusedxml
    from defusedxml import DefusedXmlException, ElementTree  # noqa: PLC0415  an extra

    try:
        strip = ElementTree.parse(path).getroot().find(".//StripData")
        rate, resolution = strip.find("SampleRate"), strip.find("Resolution")
        units = resolution.get("units", "")
        step = float(resolution.text) * to_millivolts(ecg_id, [units.removesuffix("perLsb")])[0]
        waves = strip.findall("WaveformData")
        signal = np.array([[float(v) for v in wave.text.split(",") if v.strip()] for wave in waves])
        names = tuple(wave.get("lead", "") for wave in waves)
        sampling_rate = float(rate.text)
    except RecordingError:
        raise
    except (DefusedXmlException, SyntaxError, ValueError, AttributeError, TypeError) as error:
        raise RecordingError(
            ecg_id, "truncated", f"{path.name} is no whole CardioSoft file: {error}."
        ) from None
    if signal.ndim != 2 or not signal.size or not sampling_rate > 0:
        raise RecordingError(ecg_id, "empty", f"{path.name} holds no samples or no rate.")
    return RawRecording(
        ecg_id=ecg_id, signal=scaled(ecg_id, signal, step), names=names, sampling_rate=sampling_rate
    )


def _with_derived_leads(raw: RawRecording) -> RawRecording:
    names = [standard_name(name) for name in raw.names]
    if not {"I", "II"} <= set(names) or set(_DERIVED) & set(names):
        return raw
    one, two = raw.signal[names.index("I")], raw.signal[names.index("II")]
    derived = np.stack([two - one, -(one + two) / 2, one - two / 2, two - one / 2])
    return RawRecording(
        ecg_id=raw.ecg_id,
        signal=np.concatenate([raw.signal, derived]),
        names=(*raw.names, *_DERIVED),
        sampling_rate=raw.sampling_rate,
    )


def _without_calibration(raw: RawRecording) -> RawRecording:
    """Cut the end off where all leads carry the same pulse of 1 mV."""
    end = _pulse_start(raw.signal, raw.sampling_rate)
    return RawRecording(
        ecg_id=raw.ecg_id,
        signal=raw.signal[:, :end],
        names=raw.names,
        sampling_rate=raw.sampling_rate,
    )


def _pulse_start(signal: NDArray[np.float64], sampling_rate: float) -> int:
    n_samples = signal.shape[1]
    differing = np.flatnonzero(np.ptp(signal, axis=0) > 1e-9)
    start = int(differing[-1]) + 1 if differing.size else 0
    tail = signal[0, start:]
    is_pulse = tail.size >= _SHORTEST_PULSE_S * sampling_rate and abs(tail.max() - 1) < 0.1
    return start if is_pulse and start > 0 else n_samples


def _standard_first(raw: RawRecording) -> Recording:
    names = [standard_name(name) or name for name in raw.names]
    rank = {name: place for place, name in enumerate(STANDARD_12)}
    order = sorted(range(len(names)), key=lambda i: rank.get(names[i], len(rank)))
    return Recording(
        ecg_id=raw.ecg_id,
        signal=raw.signal[order],
        lead_names=tuple(names[i] for i in order),
        sampling_rate=raw.sampling_rate,
        units="mV",
    )


def _import_ecgdatakit() -> Any:
    try:
        import ecgdatakit  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingDependencyError(
            "Reading files of ECG devices needs the library ecgdatakit: "
            "pip install 'acsbench[formats]'."
        ) from None
    return ecgdatakit
