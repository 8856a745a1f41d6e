"""What a quality table says at a glance: counts of each code, and a picture of where they stand."""

from __future__ import annotations

import io

import polars as pl

from acsbench.signal.leads import PAGE_LEADS
from acsbench.tables import QUALITY, check
from acsbench.waveforms.quality import REASONS

__all__ = ["quality_svg", "summarise_quality"]

UNREADABLE = "*"


def summarise_quality(quality: pl.DataFrame) -> pl.DataFrame:
    """Count ECGs and leads by code; codes that nothing has are left out.

    Parameters
    ----------
    quality : DataFrame
        See `tables.QUALITY`.

    Returns
    -------
    DataFrame
        ``reason, meaning, n_ecgs, share_of_ecgs, n_leads``; first the ECGs with no code at all
        (``ok``), then the codes by falling count. ECGs that could not be read stand under the code
        of their error.
    """
    table = check(quality, QUALITY)
    n_ecgs = table["ecg_id"].n_unique()
    codes = _exploded(table)
    sound = n_ecgs - codes["ecg_id"].n_unique()
    counts = codes.group_by("reason").agg(
        pl.col("ecg_id").n_unique().alias("n_ecgs"), pl.len().alias("n_leads")
    )
    first = pl.DataFrame(
        {"reason": ["ok"], "n_ecgs": [sound], "n_leads": [0]}, schema=counts.schema
    )
    ordered = counts.sort(["n_ecgs", "reason"], descending=[True, False])
    meaning = {"ok": "no check failed in any lead", **REASONS}
    return pl.concat([first, ordered]).select(
        "reason",
        pl.col("reason").replace_strict(meaning, default="could not be read").alias("meaning"),
        pl.col("n_ecgs").cast(pl.Int64),
        (pl.col("n_ecgs") / max(n_ecgs, 1)).alias("share_of_ecgs"),
        pl.col("n_leads").cast(pl.Int64),
    )


def _exploded(table: pl.DataFrame) -> pl.DataFrame:
    """One row per ECG, lead and code."""
    split = table.select("ecg_id", "lead", pl.col("reasons").fill_null("").str.split(" "))
    return split.explode("reasons").rename({"reasons": "reason"}).filter(pl.col("reason") != "")


def quality_svg(quality: pl.DataFrame, *, title: str = "") -> str:
    """Draw the share of ECGs with each code, lead by lead, as an SVG picture.

    Parameters
    ----------
    quality : DataFrame
        See `tables.QUALITY`.
    title : str
        Begins the line above the picture.

    Returns
    -------
    str
        The SVG's text; equal tables give equal text.
    """
    import matplotlib as mpl  # noqa: PLC0415  costs 0.3 s; only where a picture is drawn
    from matplotlib.figure import Figure  # noqa: PLC0415  as above

    table = check(quality, QUALITY)
    codes = _exploded(table).filter(pl.col("lead") != UNREADABLE)
    found = set(codes["lead"].to_list()) | set(table["lead"].to_list())
    leads = [name for name in PAGE_LEADS if name in found]
    reasons = [code for code in REASONS if code in set(codes["reason"])]
    n_ecgs = max(table["ecg_id"].n_unique(), 1)
    rows = codes.group_by("lead", "reason").len().iter_rows()
    counts = {(lead, reason): n for lead, reason, n in rows}
    shares = [[counts.get((lead, code), 0) / n_ecgs for lead in leads] for code in reasons]
    with mpl.rc_context({"svg.hashsalt": "acsbench", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(2.2 + 0.55 * len(leads), 1.4 + 0.3 * max(len(reasons), 1)))
        axes = figure.subplots()
        if reasons:
            axes.imshow(shares, cmap="Reds", vmin=0, vmax=max(map(max, shares)), aspect="auto")
            for y, row in enumerate(shares):
                for x, share in enumerate(row):
                    if share:
                        dark = share > 0.6 * max(map(max, shares))
                        axes.text(
                            x,
                            y,
                            f"{100 * share:.1f}",
                            ha="center",
                            va="center",
                            fontsize=7,
                            color="white" if dark else "black",
                        )
        axes.set_xticks(range(len(leads)), leads, rotation=60)
        axes.set_yticks(range(len(reasons)), reasons)
        named = f"{title}: " if title else ""
        axes.set_title(f"{named}% of {n_ecgs:,} ECGs with each finding, by lead", loc="left")
        figure.tight_layout()
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
