"""A recording as its file holds it, and the way from there to our lead names and millivolts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import RecordingError, first_few
from acsbench.recording import Recording, Units
from acsbench.signal.leads import STANDARD_12, standard_name

__all__ = ["RawRecording", "refuse_microvolts", "scaled", "to_millivolts"]

_LARGEST_MV = 50.0
"""A median range above this is a recording in microvolts."""

_TO_MV = {"mv": 1.0, "uv": 0.001, "µv": 0.001, "μv": 0.001, "v": 1000.0, "nv": 1e-6}


@dataclass(frozen=True, kw_only=True)
class RawRecording:
    """Signals under the names of their file, already in one unit.

    Attributes
    ----------
    ecg_id : str
    signal : ndarray of float64, shape (signals, samples)
    names : tuple of str
        As in the file, in any spelling and order.
    sampling_rate : float
        Hz.
    units : "mV" or "sd"
    """

    ecg_id: str
    signal: NDArray[np.float64]
    names: tuple[str, ...]
    sampling_rate: float
    units: Units = "mV"

    def standard(
        self, *, renamed: Mapping[str, str] | None = None, may_lack: bool = False
    ) -> Recording:
        """Return the twelve standard leads in standard order: by name, never by position.

        Parameters
        ----------
        renamed : mapping, optional
            Standard names of leads that the file calls something else.
        may_lack : bool
            A lead the file does not have becomes NaN. Without it, and whenever the file has names
            that mean nothing (one of them may be the lead), it is an error.

        Raises
        ------
        RecordingError
            ``missing_leads``, ``duplicate_leads``.
        """
        names = [standard_name((renamed or {}).get(name, name)) for name in self.names]
        known = [name for name in names if name is not None]
        twice = sorted({name for name in known if known.count(name) > 1})
        if twice:
            raise RecordingError(
                self.ecg_id, "duplicate_leads", f"lead {first_few(twice)} is there more than once."
            )
        missing = [name for name in STANDARD_12 if name not in known]
        if missing and (not may_lack or None in names):
            raise RecordingError(
                self.ecg_id,
                "missing_leads",
                f"no lead {first_few(missing)} among {' '.join(self.names)}.",
            )
        row_of = {name: row for name, row in zip(names, self.signal, strict=True) if name}
        nothing = np.full(self.signal.shape[1], np.nan)
        return Recording(
            ecg_id=self.ecg_id,
            signal=np.stack([row_of.get(name, nothing) for name in STANDARD_12]),
            lead_names=STANDARD_12,
            sampling_rate=self.sampling_rate,
            units=self.units,
        )


def to_millivolts(ecg_id: str, units: Sequence[str]) -> NDArray[np.float64]:
    """Millivolts per unit of each signal of a file, shape (signals,).

    Raises
    ------
    RecordingError
        ``wrong_units``.
    """
    strange = [unit for unit in units if unit.strip().lower() not in _TO_MV]
    if strange:
        raise RecordingError(
            ecg_id, "wrong_units", f"unit {strange[0]!r} is none of mV, uV, nV and V."
        )
    return np.array([_TO_MV[unit.strip().lower()] for unit in units])


def scaled(ecg_id: str, stored: NDArray[Any], factor: float) -> NDArray[np.float64]:
    """Return stored values times a factor; NaN stays.

    Raises
    ------
    RecordingError
        ``infinite``: a value that is no measurement, as damage leaves behind.
    """
    with np.errstate(all="ignore"):
        signal = np.asarray(stored).astype(np.float64) * factor
    if np.isinf(signal).any():
        raise RecordingError(
            ecg_id, "infinite", "it holds infinite values; a sample not recorded is NaN."
        )
    return signal


def refuse_microvolts(ecg_id: str, millivolts: NDArray[np.float64], *, way_out: str) -> None:
    """Refuse leads so large that they must be in another unit; gaps do not count.

    Raises
    ------
    RecordingError
        ``wrong_units``.
    """
    finite = np.isfinite(millivolts)
    with np.errstate(over="ignore"):
        spans = [np.ptp(x[ok]) for x, ok in zip(millivolts, finite, strict=True) if ok.any()]
    if spans and float(np.median(spans)) > _LARGEST_MV:
        raise RecordingError(
            ecg_id,
            "wrong_units",
            f"leads span {np.median(spans):.4g} 'mV' at the median; above {_LARGEST_MV:g} they are "
            f"in another unit, microvolts most likely. {way_out}",
        )
