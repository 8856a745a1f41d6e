"""How many bits about the hidden labels the shown numbers can hold, beside the number of rows.

An upper bound: a number between 0 and 1 at three decimals tells at most log2(1000) bits. Labels
are at most one bit a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

__all__ = ["Leak", "leak", "number_bits"]

_WARN_FROM, _PAUSE_FROM = 0.25, 0.50


class Leak(NamedTuple):
    """Bits shown, of one team or of all.

    ``warn`` from a quarter of the rows on; ``pause`` from a half: then a host has to decide.
    """

    bits: float
    n_rows: int

    @property
    def share(self) -> float:
        """Bits over rows."""
        return self.bits / self.n_rows

    @property
    def state(self) -> Literal["fine", "warn", "pause"]:
        """What follows from the share."""
        if self.share >= _PAUSE_FROM:
            return "pause"
        return "warn" if self.share >= _WARN_FROM else "fine"


def number_bits(decimals: int, *, width: float = 1.0) -> float:
    """Bits of one shown number: log2 of its range over its step.

    >>> round(number_bits(3), 2)
    9.97
    """
    return math.log2(width / 10**-decimals)


def leak(bits: Iterable[float], *, n_rows: int) -> Leak:
    """Add up what was shown."""
    return Leak(math.fsum(bits), n_rows)
