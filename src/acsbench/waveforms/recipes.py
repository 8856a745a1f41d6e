"""Recipes: named, versioned chains of signal functions, from one recording to one waveform."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal as scipy_signal

from acsbench import registry
from acsbench.errors import ConfigError, RecordingError, did_you_mean
from acsbench.recording import NOT_RECORDED, RECORDED, Recording, Waveform
from acsbench.signal.filters import (
    bandpass_sections,
    baseline,
    fill_short_gaps,
    filter_support,
    finite_runs,
)
from acsbench.signal.leads import PAGE_COLUMNS, PAGE_ROWS, STANDARD_12

__all__ = [
    "NamedRecipe",
    "get_recipe",
    "long_or_printed",
    "prepared_leads",
    "recorded_12",
    "same_support",
    "three_by_four",
]

DURATION_S = 10.0
_LONGEST_GAP_S = 0.020
_SHORTEST_RUN_S = 0.2
"""Runs shorter than this are one deflection at most; they only lose their baseline."""


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe with all of its parameters resolved; picklable, so that workers can run it.

    Attributes
    ----------
    name : str
    parameters : mapping
        Every parameter, defaults included.
    """

    name: str
    parameters: Mapping[str, Any]

    @cached_property
    def _function(self) -> Callable[..., Waveform]:
        function: Callable[..., Waveform] = registry.load("recipes", self.name)
        return function

    @property
    def version(self) -> int:
        """Grows when the recipe's meaning changes; 1 where a recipe does not say."""
        return int(getattr(self._function, "version", 1))

    def describe(self) -> dict[str, Any]:
        """Name, version and parameters, for manifests and checkpoints."""
        return {"name": self.name, "version": self.version, "parameters": dict(self.parameters)}

    def __call__(self, recording: Recording) -> Waveform:
        """Run the recipe on one recording."""
        return self._function(recording, **self.parameters)

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "parameters": dict(self.parameters)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def get_recipe(name: str, **parameters: Any) -> NamedRecipe:
    """Return a recipe by name, with all parameters resolved.

    Raises
    ------
    UnknownNameError, ConfigError
        For a name or parameter that does not exist, with the nearest one that does.
    """
    function = registry.load("recipes", name)
    known = {
        p.name: p.default
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    unknown = [key for key in parameters if key not in known]
    if unknown:
        raise ConfigError(
            f"Recipe '{name}' has no parameter '{unknown[0]}'."
            f"{did_you_mean(unknown[0], known)} Known: {', '.join(known)}."
        )
    return NamedRecipe(registry.canonical(name), {**known, **parameters})


def recorded_12(
    recording: Recording,
    *,
    low_hz: float | None = 0.5,
    high_hz: float = 100.0,
    order: int = 2,
    padding_s: float = 3.0,
    target_rate: float = 500.0,
) -> Waveform:
    """Twelve leads over 10 s as recorded, the rest masked.

    On a page recording V1, II and V5 come from their long lead where it is finite, else from the
    printed 2.5 s.

    Parameters
    ----------
    recording : Recording
        At least 10 s; longer ones are cut to their first 10 s.
    low_hz, high_hz : float
        Corners of the zero-phase band-pass. The low one stays under the guideline's 0.67 Hz, so ST
        keeps its level; ``None`` takes the baseline away and filters nothing.
    order : int
        Butterworth order; the filter runs twice.
    padding_s : float
        Even reflection at each end of a lead's support.
    target_rate : float
        Hz of the result.
    """
    leads = prepared_leads(
        recording,
        low_hz=low_hz,
        high_hz=high_hz,
        order=order,
        padding_s=padding_s,
        target_rate=target_rate,
    )
    return _waveform(long_or_printed(leads), STANDARD_12, recording, target_rate)


def three_by_four(
    recording: Recording,
    *,
    low_hz: float | None = 0.5,
    high_hz: float = 100.0,
    order: int = 2,
    padding_s: float = 3.0,
    target_rate: float = 500.0,
) -> Waveform:
    """Three rows of a printed page: four leads of 2.5 s each, end to end.

    A page lead keeps its own support, and where two overlap the later column wins; a lead of a
    full 10 s recording gives the quarter of its page column. Each lead is filtered on its own
    support before it is placed, so the joints are no edges in the filter.

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
    n_samples = round(DURATION_S * target_rate)
    quarter = n_samples // len(PAGE_COLUMNS)
    rows = np.full((len(PAGE_ROWS), n_samples), np.nan)
    for column, names in enumerate(PAGE_COLUMNS):
        for row, name in zip(rows, names, strict=True):
            lead = leads[name]
            if np.isfinite(lead).sum() > 2 * quarter:
                start = column * quarter
                row[start : start + quarter] = lead[start : start + quarter]
            else:
                np.copyto(row, lead, where=np.isfinite(lead))
    return _waveform(rows, tuple("+".join(names) for names in PAGE_ROWS), recording, target_rate)


def prepared_leads(
    recording: Recording,
    *,
    low_hz: float | None,
    high_hz: float,
    order: int,
    padding_s: float,
    target_rate: float,
) -> dict[str, NDArray[np.float64]]:
    """Cut to 10 s, fill short gaps, filter each lead on its support, resample; by lead name."""
    n_samples = round(DURATION_S * recording.sampling_rate)
    if recording.signal.shape[1] < n_samples:
        raise RecordingError(
            recording.ecg_id,
            "too_short",
            f"{recording.duration_s:g} s ({recording.signal.shape[1]} samples at "
            f"{recording.sampling_rate:g} Hz); recipes need {DURATION_S:g} s.",
        )
    missing = [name for name in STANDARD_12 if name not in recording.lead_names]
    if missing:
        raise RecordingError(
            recording.ecg_id, "missing_leads", f"no leads {', '.join(missing)} in the recording."
        )
    rate = recording.sampling_rate
    sections = None
    if low_hz is not None:
        top = min(high_hz, 0.45 * rate)
        sections = bandpass_sections(low_hz, top, order=order, sampling_rate=rate)
    rows = recording.signal[:, :n_samples].copy()
    for group in same_support(rows):
        filled = fill_short_gaps(rows[group], longest=round(_LONGEST_GAP_S * rate))
        levels = np.array([baseline(row) for row in filled])
        rows[group] = filled - levels[:, None]
        if sections is not None:
            rows[group] = filter_support(
                rows[group],
                sections,
                padding=round(padding_s * rate),
                shortest=round(_SHORTEST_RUN_S * rate),
            )
    return {
        name: _resampled(row, rate=rate, target_rate=target_rate)
        for name, row in zip(recording.lead_names, rows, strict=True)
    }


def long_or_printed(leads: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Twelve rows: a lead's long recording where it is finite, else what was printed of it."""
    rows = np.stack([leads[name] for name in STANDARD_12])
    for row, name in zip(rows, STANDARD_12, strict=True):
        long = leads.get(f"long_{name}")
        if long is not None:
            np.copyto(row, long, where=np.isfinite(long))
    return rows


def same_support(rows: NDArray[np.float64]) -> list[list[int]]:
    """Leads whose finite samples are the same: one column of a page, say."""
    groups: dict[bytes, list[int]] = {}
    for number, support in enumerate(np.packbits(np.isfinite(rows), axis=1)):
        groups.setdefault(support.tobytes(), []).append(number)
    return list(groups.values())


def _resampled(row: NDArray[np.float64], *, rate: float, target_rate: float) -> NDArray[np.float64]:
    if rate == target_rate:
        return row
    step = np.gcd(round(rate), round(target_rate))
    up, down = round(target_rate) // step, round(rate) // step
    resampled = np.full(round(row.size * up / down), np.nan)
    for run in finite_runs(row):
        piece = scipy_signal.resample_poly(row[run], up, down, padtype="line")
        start = round(run.start * up / down)
        stop = min(start + piece.size, resampled.size)
        resampled[start:stop] = piece[: stop - start]
    return resampled


def _waveform(
    rows: NDArray[np.float64], names: tuple[str, ...], recording: Recording, rate: float
) -> Waveform:
    finite = np.isfinite(rows)
    if not finite.any():
        raise RecordingError(recording.ecg_id, "all_missing", "no lead has a single sample.")
    return Waveform(
        signal=np.where(finite, rows, 0.0).astype(np.float32),
        mask=np.where(finite, RECORDED, NOT_RECORDED).astype(np.uint8),
        lead_names=names,
        sampling_rate=rate,
        units=recording.units,
    )
