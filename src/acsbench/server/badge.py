"""A badge: where an entry stands, as a small picture that runs nothing."""

from __future__ import annotations

from html import escape

from acsbench.server.standings import EntryRow

__all__ = ["badge_svg"]

_CHARACTER_PX = 6.6
_PAD_PX = 10


def badge_svg(entry: EntryRow, *, task: str, primary: str, n_entries: int) -> str:
    """Draw rank interval and value of an entry as SVG.

    A rank is never shown without what the tests leave open: ``rank 1-3 of 6``.
    """
    label, value = f"acsbench {task}", _standing(entry, primary, n_entries)
    left, right = (round(len(text) * _CHARACTER_PX) + 2 * _PAD_PX for text in (label, value))
    title = escape(f"{entry.team.name}, {entry.model}, on the board {task}: {value}")
    width = left + right
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="22" role="img" \
aria-labelledby="t"><title id="t">{title}</title>\
<rect width="{width}" height="22" rx="4" fill="#1f2933"/>\
<path fill="#0b5c7a" d="M{left} 0h{right - 4}a4 4 0 0 1 4 4v14a4 4 0 0 1-4 4h-{right - 4}z"/>\
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" aria-hidden="true">\
<text x="{_PAD_PX}" y="15" textLength="{left - 2 * _PAD_PX}">{escape(label)}</text>\
<text x="{left + _PAD_PX}" y="15" textLength="{right - 2 * _PAD_PX}">{escape(value)}</text>\
</g></svg>
"""


def _standing(entry: EntryRow, primary: str, n_entries: int) -> str:
    shown = next((one for one in entry.panel if one["metric"] == primary), None)
    if entry.rank_low is None or shown is None or shown["value"] is None:
        return "without a value"
    ranks = f"{entry.rank_low}-{entry.rank_high}"
    if entry.rank_low == entry.rank_high:
        ranks = str(entry.rank_low)
    interval = f"{shown['value']} ({shown['low']}-{shown['high']})"
    return f"rank {ranks} of {n_entries}, {primary} {interval}"
