"""One axis that all intervals of a board share, in per cent of its width."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Axis", "Tick", "axis_of", "minus"]

_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_TICKS = 6
_MARGIN = 4.0
"""Per cent left free on either side, so that marks and labels at the ends are whole."""


@dataclass(frozen=True)
class Tick:
    """A label and its place."""

    label: str
    x: str


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, in the metric's own unit."""

    low: float
    high: float
    ticks: tuple[Tick, ...]

    def x(self, value: str | None) -> str | None:
        """Place of a decimal string, as an SVG length: ``37.25%``."""
        return None if value is None else _place(float(value), self.low, self.high)


def axis_of(values: Iterable[str | None]) -> Axis:
    """An axis that holds all of these decimal strings, with round ticks.

    Examples
    --------
    >>> [tick.label for tick in axis_of(["0.71", "0.83"]).ticks]
    ['0.70', '0.75', '0.80', '0.85']
    """
    known = [float(value) for value in values if value is not None] or [0.0, 1.0]
    low, high = min(known), max(known)
    step = next((s for s in _STEPS if (high - low) / s < _MOST_TICKS - 1), 0.25)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    decimals = max(0, -Decimal(str(step)).normalize().as_tuple().exponent)  # type: ignore[operator]  # finite: a number
    ends = (first * step, last * step)
    ticks = tuple(
        Tick(minus(f"{n * step:.{decimals}f}"), _place(n * step, *ends))
        for n in range(first, last + 1)
    )
    return Axis(*ends, ticks)


def minus(number: str) -> str:
    """A decimal string with a minus sign instead of a hyphen; zero has none."""
    if not number.strip("-0."):
        return number.removeprefix("-")
    return number.replace("-", "−")


def _place(value: float, low: float, high: float) -> str:
    share = (value - low) / (high - low)
    return f"{_MARGIN + share * (100 - 2 * _MARGIN):.2f}%"
