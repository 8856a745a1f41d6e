"""Many ECGs on one sheet, as the original benchmark drew its examples (E10)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from acsbench.errors import InputError
from acsbench.provenance import atomic_path
from acsbench.recording import Recording
from acsbench.report.ecg_paper import page_rows
from acsbench.report.svg import drawing

__all__ = ["save_sheet"]

_PER_LINE = 4
_HEIGHT = 1.6
"""Half the height of a row, in millivolts: what lies beyond is cut, as in the original."""
_LEVELS_MV = 0.02
"""Width of the bins in which the level of a lead is looked for."""


def save_sheet(recordings: Sequence[Recording], *, path: Path, title: str) -> Path:
    """Write a PNG of ECGs side by side: three rows of four leads of 2.5 s, on paper grid.

    Each lead is shifted by its most frequent value, the original's baseline. No id is printed.

    Parameters
    ----------
    recordings : sequence of Recording
    path : Path
        Ends in ``.png``.
    title : str

    Raises
    ------
    InputError
        When there is nothing to draw, or the file is no PNG.
    """
    if path.suffix != ".png":
        raise InputError(f"{path.name}: a sheet of ECGs is drawn as .png.")
    if not recordings:
        raise InputError(f"{path.name}: there is no ECG to draw.")
    n_lines = -(-len(recordings) // _PER_LINE)
    with drawing(), atomic_path(path) as temporary:
        figure = Figure(figsize=(5.2 * _PER_LINE, 2.6 * n_lines + 0.5), layout="constrained")
        figure.suptitle(title, fontsize=16)
        panels = figure.subplots(n_lines, _PER_LINE, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, recording in zip(panels, recordings, strict=False):
            _draw(axes, recording)
        FigureCanvasAgg(figure)
        figure.savefig(temporary, format="png", dpi=90, metadata={"Software": None})
    return path


def _draw(axes: Any, recording: Recording) -> None:
    rows = page_rows(recording)[:3]
    for number, traces in enumerate(rows):
        level = -2 * _HEIGHT * number
        for name, start_s, times, values in traces:
            shifted = np.clip(values - _mode(values), -_HEIGHT, _HEIGHT)
            axes.plot(times, shifted + level, "#161616", linewidth=0.6)
            axes.text(start_s + 0.05, level + 1.0, name, fontsize=7, weight="bold")
            axes.vlines(start_s, level - 0.4, level + 0.4, "#161616", linewidth=0.9)
    low, high = _HEIGHT - 2 * _HEIGHT * len(rows), _HEIGHT
    for step_s, step_mv, width in ((0.04, 0.1, 0.15), (0.2, 0.5, 0.4)):
        axes.vlines(np.arange(0, 10.01, step_s), low, high, "#eba99f", linewidth=width, zorder=0)
        levels = np.arange(low, high + 0.01, step_mv)
        axes.hlines(levels, 0, 10, "#eba99f", linewidth=width, zorder=0)
    axes.set_xlim(0, 10)
    axes.set_ylim(low, high)


def _mode(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0
    bins = np.round(finite / _LEVELS_MV).astype(np.int64)
    found, counts = np.unique(bins, return_counts=True)
    return float(found[counts.argmax()] * _LEVELS_MV)
