"""Recipes for networks that need twelve leads over 10 s: what was not recorded is marked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acsbench.errors import RecordingError
from acsbench.recording import NOT_RECORDED, RECORDED, SYNTHETIC, Recording, Waveform
from acsbench.signal.beat_filling import fill_with_own_beats
from acsbench.signal.beats import common_r_peaks
from acsbench.signal.hubert import decimate_leads
from acsbench.signal.leads import LONG_LEADS, STANDARD_12
from acsbench.waveforms.recipes import long_or_printed, prepared_leads, same_support

__all__ = ["hubert_100hz", "twelve_lead_10s"]


def twelve_lead_10s(
    recording: Recording,
    *,
    low_hz: float | None = 0.5,
    high_hz: float = 100.0,
    order: int = 2,
    padding_s: float = 3.0,
    target_rate: float = 500.0,
) -> Waveform:
    """Twelve leads over 10 s without a gap; samples built from a lead's own beats are marked.

    A lead of a page keeps its recorded 2.5 s; the rest is its median beat at every R peak of the
    recording, of which only the part between T and P is stretched, so that ST and T keep their
    size at any heart rate. V1, II and V5 come from their long leads. A lead without a whole beat
    keeps what was recorded and is masked elsewhere.

    Parameters
    ----------
    recording, low_hz, high_hz, order, padding_s, target_rate
        As for `recorded_12`.
    """
    leads = prepared_leads(
        recording,
        low_hz=low_hz,
        high_hz=high_hz,
        order=order,
        padding_s=padding_s,
        target_rate=target_rate,
    )
    peaks = common_r_peaks(
        {name: row for name, row in leads.items() if _is_whole(row, name)},
        sampling_rate=target_rate,
    )
    rows = long_or_printed(leads)
    recorded = np.isfinite(rows)
    for group in same_support(rows):
        rows[group] = fill_with_own_beats(rows[group], peaks, sampling_rate=target_rate)
    return _dense(recording, rows, recorded, target_rate)


def _is_whole(row: NDArray[np.float64], name: str) -> bool:
    """Whether R peaks of the whole recording can be found on a lead."""
    return name in LONG_LEADS or np.isfinite(row).mean() > 0.8


def hubert_100hz(
    recording: Recording,
    *,
    low_hz: float | None = 0.5,
    high_hz: float = 100.0,
    order: int = 2,
    padding_s: float = 3.0,
) -> Waveform:
    """`twelve_lead_10s`, each lead decimated to 100 Hz by itself with HuBERT-ECG's filter.

    Parameters
    ----------
    recording, low_hz, high_hz, order, padding_s
        As for `recorded_12`.

    Returns
    -------
    Waveform
        Shape (12, 1000). The network reads 5 s of it, lead after lead: ``signal[:, :500].ravel()``.
    """
    dense = twelve_lead_10s(
        recording, low_hz=low_hz, high_hz=high_hz, order=order, padding_s=padding_s
    )
    return Waveform(
        signal=decimate_leads(dense.signal.astype(np.float64)).astype(np.float32)
        * (dense.mask[:, ::5] != NOT_RECORDED),
        mask=dense.mask[:, ::5],
        lead_names=dense.lead_names,
        sampling_rate=100.0,
        units=dense.units,
    )


def _dense(
    recording: Recording,
    rows: NDArray[np.float64],
    recorded: NDArray[np.bool_],
    sampling_rate: float,
) -> Waveform:
    if not recorded.any():
        raise RecordingError(recording.ecg_id, "all_missing", "no lead has a single sample.")
    known = np.isfinite(rows)
    made = np.where(known, SYNTHETIC, NOT_RECORDED)
    return Waveform(
        signal=np.where(known, rows, 0.0).astype(np.float32),
        mask=np.where(recorded, RECORDED, made).astype(np.uint8),
        lead_names=STANDARD_12,
        sampling_rate=sampling_rate,
        units=recording.units,
    )
