"""One ECG: as it was recorded (`Recording`), and as a recipe made it for a model (`Waveform`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import RecordingError

__all__ = ["NOT_RECORDED", "RECORDED", "SYNTHETIC", "Recipe", "Recording", "Units", "Waveform"]

Units: TypeAlias = Literal["mV", "sd"]
"""Millivolts, or standard deviations for sets that were published z-scored."""

NOT_RECORDED, RECORDED, SYNTHETIC = 0, 1, 2
"""Values of a waveform's mask."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One raw ECG.

    Attributes
    ----------
    ecg_id : str
        The key, never edited.
    signal : ndarray of float64, shape (leads, samples)
        In ``units``; NaN where nothing was recorded.
    lead_names : tuple of str
        Unique; ``I II III aVR aVL aVF V1 ... V6``, then ``long_V1 long_II long_V5``.
    sampling_rate : float
        Hz.
    units : "mV" or "sd"
        ``"sd"`` for z-scored sets: rules and features in millivolts refuse them.

    Raises
    ------
    RecordingError
        When shape, names or rate do not fit together.
    """

    ecg_id: str
    signal: NDArray[np.float64]
    lead_names: tuple[str, ...]
    sampling_rate: float
    units: Units

    def __post_init__(self) -> None:
        if self.signal.ndim != 2 or self.signal.shape[0] != len(self.lead_names):
            raise RecordingError(
                self.ecg_id,
                "wrong_shape",
                f"signal has shape {self.signal.shape}; expected ({len(self.lead_names)}, "
                f"samples), one row per lead {' '.join(self.lead_names)}.",
            )
        if len(set(self.lead_names)) != len(self.lead_names):
            raise RecordingError(
                self.ecg_id, "duplicate_leads", f"lead names {self.lead_names} are not unique."
            )
        if not self.sampling_rate > 0:
            raise RecordingError(
                self.ecg_id,
                "wrong_rate",
                f"sampling rate {self.sampling_rate} Hz must be positive.",
            )

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.signal.shape[1] / self.sampling_rate)

    def lead(self, name: str) -> NDArray[np.float64]:
        """Samples of one lead, shape (samples,)."""
        samples: NDArray[np.float64] = self.signal[self.lead_names.index(name)]
        return samples


@dataclass(frozen=True, kw_only=True)
class Waveform:
    """What a recipe makes of a recording: dense, with a mask that says what is real.

    Attributes
    ----------
    signal : ndarray of float32, shape (leads, samples)
        Zero where the mask is 0.
    mask : ndarray of uint8, same shape
        0 not recorded, 1 recorded, 2 synthetic.
    lead_names : tuple of str
        One per row.
    sampling_rate : float
        Hz.
    units : "mV" or "sd"
    """

    signal: NDArray[np.float32]
    mask: NDArray[np.uint8]
    lead_names: tuple[str, ...]
    sampling_rate: float
    units: Units

    def __post_init__(self) -> None:
        if self.signal.shape != self.mask.shape or len(self.signal) != len(self.lead_names):
            raise ValueError(
                f"signal {self.signal.shape}, mask {self.mask.shape} and {len(self.lead_names)} "
                "lead names do not fit together."
            )


Recipe: TypeAlias = Callable[[Recording], Waveform]
"""Named preprocessing: a function from one recording to one waveform."""
