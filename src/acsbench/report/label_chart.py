"""The figure of a label-efficiency study: AUROC over the number of labels, one line a method."""

from __future__ import annotations

import numpy as np
import polars as pl

from acsbench.report.charts import canvas, legend_below, looks
from acsbench.report.svg import INK

__all__ = ["label_chart"]


def label_chart(table: pl.DataFrame, *, title: str) -> str:
    """Draw a study's table, with the interval of every point.

    Parameters
    ----------
    table : DataFrame
        ``method, n_labels, share, auroc, low, high``.
    title : str

    Returns
    -------
    str
        SVG, as `svg_text` gives it.
    """
    methods = list(dict.fromkeys(table["method"]))
    look = looks(methods)
    with canvas(5.6, 3.4, title=title) as made:
        axes = made.axes
        axes.set_xscale("log")
        for number, name in enumerate(methods):
            rows = table.filter(pl.col("method") == name).sort("share")
            # side by side, so that no interval hides another
            x = rows["n_labels"].to_numpy() * 1.04 ** (number - (len(methods) - 1) / 2)
            y, low, high = (rows[column].to_numpy() for column in ("auroc", "low", "high"))
            axes.errorbar(
                x,
                y,
                yerr=np.array([y - low, high - y]),
                color=look[name].colour,
                linestyle=look[name].dash,
                marker="osD^vP"[number % 6],
                markersize=4,
                linewidth=1.4,
                elinewidth=0.9,
                label=name,
            )
        ticks = table.group_by("share").agg(pl.col("n_labels").mean()).sort("share")
        axes.set_xticks(
            ticks["n_labels"].to_list(),
            [f"{n:,.0f}\n{share:.0%}" for share, n in ticks.iter_rows()],
        )
        axes.minorticks_off()
        axes.axhline(0.5, color=INK, linewidth=0.6, alpha=0.5, linestyle=(0, (1, 2)))
        axes.set_xlabel("Labelled ECGs, and their share of all that train")
        axes.set_ylabel("AUROC")
        legend_below(made)
    return made.svg
