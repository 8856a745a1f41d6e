"""The study's picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.flaws.hospitals import reach_of

COLOURS = {
    "original, T in V3": "#e67e22",
    "original, ST in V3": "#c0392b",
    "ours, T in V3": "#6fa8dc",
    "ours, ST in V3": "#1f5fa8",
}


def write_lines(path: Path, shares: Mapping[int, Mapping[str, list[float]]]) -> None:
    """Draw the share of a planted ST shift that is left, by heart rate, with intervals."""
    with rc_context({"svg.hashsalt": "flaws", "svg.fonttype": "none"}):
        _draw(path, shares)


def _draw(path: Path, shares: Mapping[int, Mapping[str, list[float]]]) -> None:
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    rates = sorted(shares)
    for name, colour in COLOURS.items():
        values = [shares[rate][name] for rate in rates]
        means, reaches = [np.mean(one) for one in values], [reach_of(one) for one in values]
        axes.errorbar(rates, means, yerr=reaches, color=colour, marker="o", capsize=3, label=name)
    axes.axhline(1, color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xlabel("heart rate, beats/min")
    axes.set_ylabel("share of the planted change that is left")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
