"""A matplotlib figure as SVG text that can stand in a page beside others."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["INK", "drawing", "svg_text"]

INK = "#010203"
"""A colour nothing else has; `svg_text` replaces it by the page's own ink."""


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
        Equal for equal figures. Its ids are its own, its style stays inside, `INK` has become
        ``currentColor``.
    """
    stream = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(stream, format="svg", metadata=nothing)
    text = stream.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' d="([^"]*)"', lambda found: f' d="{_short_path(found[1])}"', text)
    text = _own_ids(text, title)
    label = escape(title, quote=True)
    attributes = f'role="img" aria-label="{label}" stroke-linejoin="round" '
    head, rest = text.replace("<svg ", f"<svg {attributes}", 1).split(">", 1)
    return f"{head}><title>{escape(title)}</title>{rest}"


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


def _own_ids(text: str, title: str) -> str:
    """Ids that are referred to get the picture's own prefix; the others go."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    prefix = "p" + hashlib.sha256((title + text).encode()).hexdigest()[:10]

    def renamed(found: re.Match[str]) -> str:
        return f' id="{prefix}{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]+)"', renamed, text)
    return re.sub(r'(url\(|href=")#', rf"\1#{prefix}", text)
