"""A matplotlib figure as SVG text that can stand in a page beside others."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["COLOURS", "INK", "drawing", "page_svg", "standalone_svg", "svg_text"]

INK = "#010203"
"""A colour nothing else has: the page's own ink, light or dark."""
COLOURS = ("#0072b2", "#d55e00", "#00805d", "#aa4499", "#8a6d00", "#5b6470")
"""Hues that stay apart for the colour-blind, at 3:1 or more on white; dark pages have lighter ones.

After Okabe and Ito, and Tol; no figure tells models apart by colour alone.
"""
_PREFIX = "own-"
_INK_ON_WHITE = "#1b1f24"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@contextmanager
def drawing() -> Iterator[None]:
    """Settings of every picture, whatever a user's matplotlibrc says.

    Names of models are text, never mathematics: ``a$b$`` is drawn as it is.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["svg.hashsalt"] = "acsbench"
        mpl.rcParams["path.simplify_threshold"] = 0.3
        mpl.rcParams["text.parse_math"] = False
        yield


def svg_text(figure: Figure, *, title: str) -> str:
    """Write a figure as one ``<svg>`` element.

    Parameters
    ----------
    figure : Figure
        Made and written within `drawing`.
    title : str
        Text alternative.

    Returns
    -------
    str
        Equal for equal figures. Its style stays inside.
    """
    stream = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(stream, format="svg", metadata=nothing)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' d="([^"]*)"', lambda found: f' d="{_short_path(found[1])}"', text)
    text = re.sub(r"(font: (?:\w+ )?[\d.]+px) [^;\"]*", rf"\1 {_FONT}", text)
    text = _own_ids(text)
    label = escape(title, quote=True)
    attributes = f'role="img" aria-label="{label}" stroke-linejoin="round" '
    head, rest = text.replace("<svg ", f"<svg {attributes}", 1).split(">", 1)
    return f"{head}><title>{escape(title)}</title>{rest}"


def page_svg(text: str, *, key: str) -> str:
    """Give a picture the colours of the page, which change with light and dark.

    Parameters
    ----------
    text : str
        As `svg_text` gives it.
    key : str
        Begins the picture's ids; no other picture of the page may have it.
    """
    text = re.sub(f'(id="|#){_PREFIX}', rf"\g<1>{key}-", text)
    for number, colour in enumerate(COLOURS, 1):
        text = text.replace(colour, f"var(--s{number})")
    # a little above its own size on a wide screen, so that all charts have letters of one size
    text = re.sub(r'width="([\d.]+)pt"', _at_most, text, count=1)
    return text.replace(INK, "currentColor")


def _at_most(found: re.Match[str]) -> str:
    width = float(found[1])
    return f'width="{width:g}pt" style="max-width:{1.15 * width:.0f}pt"'


def standalone_svg(text: str) -> str:
    """Give a picture the colours of white paper, as a file of its own."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text.replace(INK, _INK_ON_WHITE)}\n'


def _short_path(path: str) -> str:
    """Round to a tenth of a point (6 microvolts on paper), and write lines as steps."""
    tight = re.sub(r"\s*([A-Za-z])\s*", r"\1", path.strip())
    line = r"M[^A-Za-z]+(?:L[^A-Za-z]+)+"
    return re.sub(line, lambda found: _steps(found[0]), tight)


def _steps(line: str) -> str:
    """Turn ``M1 1L2 3L3 3`` into ``M1 1l1 2 1 0``; rounded before, so no error adds up."""
    points = [
        tuple(round(10 * float(number)) for number in point.split())
        for point in re.split("[ML]", line)[1:]
    ]
    steps = [
        f"{_tenths(x - before_x)} {_tenths(y - before_y)}"
        for (before_x, before_y), (x, y) in itertools.pairwise(points)
    ]
    x, y = points[0]
    return f"M{_tenths(x)} {_tenths(y)}l{' '.join(steps)}"


def _tenths(value: int) -> str:
    return f"{value / 10:g}".replace("0.", ".", 1) if abs(value) < 10 else f"{value / 10:g}"


def _own_ids(text: str) -> str:
    """Ids that are referred to get a prefix that `page_svg` makes unique; the others go."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))

    def renamed(found: re.Match[str]) -> str:
        return f' id="{_PREFIX}{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]+)"', renamed, text)
    return re.sub(r'(url\(|href=")#', rf"\1#{_PREFIX}", text)
