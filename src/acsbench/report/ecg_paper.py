"""One ECG on paper grid: 25 mm/s, 10 mm/mV, the page layout that clinicians read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from acsbench.errors import InputError
from acsbench.provenance import atomic_path
from acsbench.recording import Recording
from acsbench.report.svg import drawing, svg_text
from acsbench.signal.leads import PAGE_COLUMNS, STANDARD_12

__all__ = ["draw_ecg", "page_rows", "save_ecg"]

_PAPER, _MINOR, _MAJOR, _TRACE = "#fff8f6", "#f6d5cf", "#eba99f", "#161616"
_ROW_MV = 2.5
_PAGE_S = 10.0
Trace = tuple[str, float, NDArray[np.float64], NDArray[np.float64]]
"""Name, start in seconds, times, values."""
_DRAWN_RATE = 250.0
"""Hz; a line of a page has no more detail."""


def draw_ecg(recording: Recording, *, title: str = "") -> str:
    """SVG of one ECG: three rows of four leads, then three rhythm strips of 10 s.

    A lead without samples is named and left empty.

    Parameters
    ----------
    recording : Recording
        In millivolts, or in standard deviations (drawn at 1 sd per 10 mm, and said so).
    title : str
        Text alternative of the picture.
    """
    with drawing():
        return svg_text(_figure(recording), title=title or "ECG on paper grid")


def save_ecg(recording: Recording, *, path: Path) -> Path:
    """Write the ECG as PNG or SVG, by the file's suffix.

    Raises
    ------
    InputError
        For another suffix.
    """
    if path.suffix not in (".png", ".svg"):
        raise InputError(f"{path.name}: an ECG is drawn as .png or .svg.")
    with atomic_path(path) as temporary:
        if path.suffix == ".svg":
            temporary.write_text(draw_ecg(recording), encoding="utf-8")
        else:
            with drawing():
                figure = _figure(recording)
                FigureCanvasAgg(figure)
                figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
    return path


def _figure(recording: Recording) -> Figure:
    rows = page_rows(recording)
    height_mv = _ROW_MV * len(rows)
    # 25 mm/s and 10 mm/mV, at 60 % of their size so that a page fits a screen
    left, right = -0.3, _PAGE_S + 0.05
    bottom = -height_mv + 0.5 * _ROW_MV
    top = max(0.5 * _ROW_MV, *(_highest(trace) + 0.1 for trace in rows[0]))
    figure = Figure(figsize=(0.6 * 25 * (right - left) / 25.4, 0.6 * 10 * (top - bottom) / 25.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_facecolor(_PAPER)
    figure.set_facecolor(_PAPER)
    _grid(axes, bottom=bottom, top=top)
    for number, traces in enumerate(rows):
        _draw_row(axes, traces, -number * _ROW_MV, recording.units)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _highest(trace: Trace) -> float:
    """Highest value of a trace that has any; tall beats of the first row need the room."""
    _, _, _, values = trace
    return float(np.nanmax(values)) if np.isfinite(values).any() else 0.0


def _grid(axes: Any, *, bottom: float, top: float) -> None:
    for step_s, step_mv, colour, width in ((0.04, 0.1, _MINOR, 0.3), (0.2, 0.5, _MAJOR, 0.5)):
        times = np.arange(-0.4, _PAGE_S + 0.2, step_s)
        levels = np.arange(np.floor(bottom / step_mv) * step_mv, top + step_mv, step_mv)
        for x, y in (
            (_broken(times, times), _broken(bottom, top, n=times.size)),
            (_broken(-0.4, _PAGE_S + 0.2, n=levels.size), _broken(levels, levels)),
        ):
            axes.plot(x, y, colour, linewidth=width)


def _broken(
    first: float | NDArray[np.float64], last: float | NDArray[np.float64], *, n: int = 0
) -> NDArray[np.float64]:
    """Coordinates of separate lines from first to last as one path: lines end at a NaN."""
    n = n or np.size(first)
    return np.column_stack([np.broadcast_to(v, n) for v in (first, last, np.nan)]).ravel()


def page_rows(recording: Recording) -> list[list[Trace]]:
    """Traces of each drawn line: name, start in seconds, times, values."""
    quarter = _PAGE_S / len(PAGE_COLUMNS)
    lines: list[list[Trace]] = []
    for row in range(3):
        names = [(column, leads[row]) for column, leads in enumerate(PAGE_COLUMNS)]
        lines.append([_trace(recording, name, c * quarter, quarter) for c, name in names])
    rhythm = [name for name in recording.lead_names if name.startswith("long_")]
    strips = rhythm or [name for name in ("II",) if name in recording.lead_names]
    return lines + [[_trace(recording, name, 0.0, _PAGE_S)] for name in strips]


def _trace(recording: Recording, name: str, start_s: float, length_s: float) -> Trace:
    shown = name.removeprefix("long_")
    if name not in recording.lead_names:
        return shown, start_s, np.zeros(0), np.zeros(0)
    samples = recording.lead(name)
    times = np.arange(samples.size) / recording.sampling_rate
    inside = (times >= start_s) & (times < start_s + length_s)
    elsewhere = np.isfinite(samples[~inside])
    if name in STANDARD_12 and elsewhere.size and elsewhere.mean() < 0.5:
        # a printed lead: its own support, wherever the page put the border
        inside = np.isfinite(samples) & (times < _PAGE_S)
    step = max(round(recording.sampling_rate / _DRAWN_RATE), 1)
    values = samples[inside][::step]
    finite = values[np.isfinite(values)]
    level = float(np.median(finite)) if finite.size else 0.0
    return shown, start_s, times[inside][::step], values - level


def _draw_row(axes: Any, traces: list[Trace], level: float, units: str) -> None:
    height = 1.0
    pulse_x = [-0.28, -0.24, -0.24, -0.08, -0.08, -0.04]
    axes.plot(pulse_x, [level + y * height for y in (0, 0, 1, 1, 0, 0)], _TRACE, linewidth=0.7)
    if units != "mV":
        axes.text(-0.28, level - 0.4, f"1 {units}", fontsize=5, color=_TRACE)
    for name, start_s, times, values in traces:
        axes.plot(times, values + level, _TRACE, linewidth=0.6)
        missing = "" if np.isfinite(values).any() else " (not recorded)"
        axes.text(
            start_s + 0.06,
            level + 0.8,
            name + missing,
            fontsize=7,
            color=_TRACE,
            weight="bold",
            bbox={"facecolor": _PAPER, "alpha": 0.75, "linewidth": 0, "pad": 0.8},
        )
        if start_s:
            axes.vlines(start_s, level - 0.2, level + 0.2, _TRACE, linewidth=0.9)
