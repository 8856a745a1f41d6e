"""The original benchmark's preprocessing, step by step, so that its figures can be compared.

Not for new work: what each step loses is told in docs/explanation/signal.md, and the sound recipes
(`recipes`, `dense`) are the defaults. These functions reproduce the original's rules, its known
errors included, on pages of 15 leads at 500 Hz.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal

from acsbench.errors import RecordingError
from acsbench.recording import RECORDED, SYNTHETIC, Recording, Waveform
from acsbench.signal.filters import bandpass_sections, exact_modes
from acsbench.signal.hamilton import find_r_peaks_hamilton
from acsbench.signal.hubert import decimate_flattened
from acsbench.signal.leads import LONG_LEADS, PAGE_LEADS, PAGE_ROWS, STANDARD_12

__all__ = ["Bandpass", "Form", "paper_3x4", "paper_12x10s", "paper_hubert_100hz"]

Bandpass: TypeAlias = Literal["bandpass", "butterworth"]
Form: TypeAlias = Literal["ba", "sos"]

SAMPLING_RATE = 500.0
_PAGE_SAMPLES = 5000
_HALF_BEAT = 200
"""Samples on each side of R in a pasted beat: 0.8 s in all."""
_HUBERT_SAMPLES = 2500


class _Band(NamedTuple):
    low_hz: float
    high_hz: float
    order: int


_BANDS: dict[str, _Band] = {"bandpass": _Band(0.5, 50, 5), "butterworth": _Band(0.2, 25, 4)}


def paper_3x4(
    recording: Recording, *, bandpass: Bandpass | None = None, form: Form = "sos"
) -> Waveform:
    """Three rows of a page as the original made them: leads less their mode, summed.

    Parameters
    ----------
    recording : Recording
        A page of at least 10 s at 500 Hz; cut to its first 10 s.
    bandpass : "bandpass" or "butterworth", optional
        Filter the rows across the joints of their leads: 0.5 to 50 Hz of order 5, or 0.2 to 25 Hz
        of order 4. The original did this at each load.
    form : "sos" or "ba"
        Second-order sections, or the original's transfer function, which is off by up to 1 uV.

    Raises
    ------
    RecordingError
        ``not_a_page``, ``too_short`` or ``all_missing``.
    """
    signal = _page(recording)
    if signal.shape[1] < _PAGE_SAMPLES:
        raise RecordingError(
            recording.ecg_id,
            "too_short",
            f"{signal.shape[1]} samples; the original's page needs {_PAGE_SAMPLES}.",
        )
    leads = signal[: len(STANDARD_12)]
    finite = np.isfinite(leads)
    modes = exact_modes(leads, finite=finite)
    levelled = np.zeros(leads.shape)
    np.subtract(leads, modes[:, None], out=levelled, where=finite)
    levelled = levelled[:, :_PAGE_SAMPLES]
    # (columns, printed rows, samples): supports are disjoint, so the sum lays them end to end
    page = levelled.reshape(-1, len(PAGE_ROWS), _PAGE_SAMPLES).sum(axis=0)
    recorded = np.asarray(finite[:, :_PAGE_SAMPLES].reshape(-1, *page.shape).any(axis=0))
    names = tuple("+".join(names) for names in PAGE_ROWS)
    return _waveform(recording, _filtered(page, bandpass, form), recorded, names)


def paper_12x10s(
    recording: Recording,
    *,
    bandpass: Bandpass | None = None,
    form: Form = "sos",
    duration_s: float | None = None,
) -> Waveform:
    """Twelve leads as the original rebuilt them: a median beat pasted at every R peak.

    The window eats ST and T by an amount that depends on heart rate: docs/explanation/signal.md.

    Parameters
    ----------
    recording : Recording
        A page at 500 Hz, of any length.
    bandpass, form
        As for `paper_3x4`, here row by row.
    duration_s : float, optional
        Cut to so many seconds and refuse shorter ones, so that a store's waveforms have one
        length; by default the recording's own length stays, as in the original.

    Raises
    ------
    RecordingError
        ``not_a_page``, ``too_short`` or ``all_missing``.
    """
    signal = _page(recording)
    rows, recorded = _rebuilt(signal)
    rows = _filtered(rows, bandpass, form)
    if duration_s is not None:
        n_samples = round(duration_s * SAMPLING_RATE)
        if rows.shape[1] < n_samples:
            raise RecordingError(
                recording.ecg_id,
                "too_short",
                f"{rows.shape[1]} samples; duration_s = {duration_s:g} needs {n_samples}.",
            )
        rows, recorded = rows[:, :n_samples], recorded[:, :n_samples]
    return _waveform(recording, rows, recorded, STANDARD_12)


def paper_hubert_100hz(
    recording: Recording, *, bandpass: Bandpass | None = None, form: Form = "sos"
) -> Waveform:
    """HuBERT-ECG's input as the original made it: `paper_12x10s`, its first 5 s, decimated flat.

    The twelve leads are laid end to end before the anti-alias filter, so that each lead's border
    rings into the next; the result is laid back into (12, 500), and ``signal.ravel()`` is the
    vector that the network reads. `hubert_100hz` decimates lead by lead.

    Parameters
    ----------
    recording, bandpass, form
        As for `paper_12x10s`.

    Raises
    ------
    RecordingError
        ``not_a_page``, ``too_short`` or ``all_missing``.
    """
    made = paper_12x10s(recording, bandpass=bandpass, form=form)
    if made.signal.shape[1] < _HUBERT_SAMPLES:
        raise RecordingError(
            recording.ecg_id,
            "too_short",
            f"{made.signal.shape[1]} samples; HuBERT-ECG's input needs {_HUBERT_SAMPLES}.",
        )
    vector = decimate_flattened(made.signal[:, :_HUBERT_SAMPLES])
    rows = vector.reshape(len(STANDARD_12), -1)
    recorded = made.mask[:, :_HUBERT_SAMPLES:5] == RECORDED
    return _waveform(recording, rows, recorded, STANDARD_12, sampling_rate=100.0)


def _page(recording: Recording) -> NDArray[np.float64]:
    """Fifteen rows in the page's order."""
    missing = [name for name in PAGE_LEADS if name not in recording.lead_names]
    if missing or recording.sampling_rate != SAMPLING_RATE:
        raise RecordingError(
            recording.ecg_id,
            "not_a_page",
            f"leads {' '.join(recording.lead_names)} at {recording.sampling_rate:g} Hz; the "
            f"original's recipes take a page: {' '.join(PAGE_LEADS)} at {SAMPLING_RATE:g} Hz.",
        )
    if recording.lead_names == PAGE_LEADS:
        return recording.signal
    return recording.signal[[recording.lead_names.index(name) for name in PAGE_LEADS]]


def _rebuilt(signal: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rows of the twelve leads, and which of their samples were recorded."""
    n_samples = signal.shape[1]
    long_two = np.nan_to_num(signal[PAGE_LEADS.index("long_II")], nan=0.0)
    peaks = find_r_peaks_hamilton(long_two, sampling_rate=SAMPLING_RATE)
    rows = np.zeros((len(STANDARD_12), n_samples))
    recorded = np.zeros(rows.shape, bool)
    long_leads = {name.removeprefix("long_"): name for name in LONG_LEADS}
    for number, name in enumerate(STANDARD_12):
        if name in long_leads:
            lead = signal[PAGE_LEADS.index(long_leads[name])]
            recorded[number] = np.isfinite(lead)
            rows[number] = np.where(recorded[number], lead, 0.0)
        else:
            beat = _windowed_beat(signal[number], peaks)
            if beat is not None:
                rows[number] = _pasted(beat, peaks, n_samples)
    return rows, recorded


def _windowed_beat(
    lead: NDArray[np.float64], peaks: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Median beat under a Hann window, from the lead's finite samples packed together."""
    where = np.flatnonzero(np.isfinite(lead))
    if not where.size:
        return None
    packed = lead[where]
    inside = peaks[(peaks >= where[0]) & (peaks <= where[-1])] - where[0]
    whole = inside[(inside >= _HALF_BEAT) & (inside + _HALF_BEAT <= packed.size)]
    if not whole.size:
        return None
    beats = [packed[peak - _HALF_BEAT : peak + _HALF_BEAT] for peak in whole]
    windowed: NDArray[np.float64] = np.median(beats, axis=0) * np.hanning(2 * _HALF_BEAT)
    return windowed


def _pasted(
    beat: NDArray[np.float64], peaks: NDArray[np.int64], n_samples: int
) -> NDArray[np.float64]:
    """Overlap-add of a beat at every peak, cut at the ends."""
    padded = np.zeros(n_samples + 2 * _HALF_BEAT)
    for peak in peaks:
        padded[peak : peak + 2 * _HALF_BEAT] += beat
    return padded[_HALF_BEAT : _HALF_BEAT + n_samples]


def _filtered(
    rows: NDArray[np.float64], bandpass: Bandpass | None, form: Form
) -> NDArray[np.float64]:
    if bandpass is None:
        return rows
    band = _BANDS[bandpass]
    corners = (band.low_hz, band.high_hz)
    if form == "ba":
        b, a = scipy_signal.butter(band.order, corners, "bandpass", fs=SAMPLING_RATE)
        return np.asarray(scipy_signal.filtfilt(b, a, rows, axis=-1))
    sections = bandpass_sections(*corners, order=band.order, sampling_rate=SAMPLING_RATE)
    return np.asarray(scipy_signal.sosfiltfilt(sections, rows, axis=-1))


def _waveform(
    recording: Recording,
    rows: NDArray[np.floating],
    recorded: NDArray[np.bool_],
    names: tuple[str, ...],
    *,
    sampling_rate: float = SAMPLING_RATE,
) -> Waveform:
    """Pasted beats, and what a filter rings into a gap, are marked as synthetic."""
    if not recorded.any() and not rows.any():
        raise RecordingError(recording.ecg_id, "all_missing", "no lead has a single sample.")
    mask = recorded.astype(np.uint8) * np.uint8(RECORDED)
    if not recorded.all():
        mask[~recorded & (rows != 0)] = SYNTHETIC
    return Waveform(
        signal=rows.astype(np.float32),
        mask=mask,
        lead_names=names,
        sampling_rate=sampling_rate,
        units=recording.units,
    )
