"""Numbers as text: the same everywhere on the page."""

from __future__ import annotations

from typing import Any

from acsbench.results import format_estimate

__all__ = ["MISSING", "count", "estimate", "fixed", "interval_title", "p_text", "percent", "signed"]

MISSING = "–"
"""Stands where there is nothing to write; why stands beside it."""


def interval_title(level: float) -> str:
    """Name the intervals by their level.

    >>> interval_title(0.95), interval_title(0.999)
    ('95 % interval', '99.9 % interval')
    """
    return f"{100 * level:.4g} % interval"


def count(value: float | None, *, min_count: int = 0) -> str:
    """Write a count that `guard` has passed: a negative one is hidden.

    >>> count(1234), count(-1, min_count=10), count(None)
    ('1,234', '<= 10', '–')
    """
    if value is None:
        return MISSING
    return f"<= {min_count}" if value < 0 else f"{value:,.0f}"


def fixed(value: float | None, digits: int = 3) -> str:
    """Write a number with so many decimals.

    >>> fixed(0.5), fixed(-0.0001, 2), fixed(None)
    ('0.500', '0.00', '–')
    """
    if value is None:
        return MISSING
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def percent(share: float | None) -> str:
    """Write a share.

    >>> percent(0.387), percent(None)
    ('38.7 %', '–')
    """
    return MISSING if share is None else f"{100 * share:.1f} %"


def estimate(
    row: dict[str, Any], value: str = "value", low: str = "low", high: str = "high"
) -> str:
    """Write a value with its interval, or why there is none.

    >>> estimate({"value": 0.7031, "low": 0.671, "high": 0.733})
    '0.703 (0.671-0.733)'
    >>> estimate({"value": None, "low": None, "high": None, "reason": "one class only"})
    'not estimable: one class only'
    """
    if row[value] is None:
        reason = row.get("reason")
        if reason and reason.startswith("not shown"):
            return "not shown"  # why stands below every table of such a report
        return f"not estimable: {reason}" if reason else MISSING
    if row[low] is not None and row[low] < 0:
        return f"{fixed(row[value])} ({fixed(row[low])} to {fixed(row[high])})"
    return format_estimate(row[value], row[low], row[high])


def signed(row: dict[str, Any], value: str = "value", low: str = "low", high: str = "high") -> str:
    """Write a difference with its interval, or why there is none.

    >>> signed({"value": 0.026, "low": -0.012, "high": 0.064})
    '+0.026 (-0.012 to +0.064)'
    """
    if row[value] is None:
        return estimate(row, value, low, high)
    if row[low] is None or row[high] is None:
        return f"{row[value]:+.3f}"
    return f"{row[value]:+.3f} ({row[low]:+.3f} to {row[high]:+.3f})"


def p_text(p: float | None) -> str:
    """Write a p value.

    >>> p_text(0.0004), p_text(0.0312), p_text(1.0), p_text(None)
    ('< 0.001', '0.031', '1.000', '–')
    """
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
