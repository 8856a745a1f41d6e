"""Lead names, the geometry of a printed page, and Einthoven's law."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LIMB_LEADS",
    "LONG_LEADS",
    "PAGE_COLUMNS",
    "PAGE_LEADS",
    "PAGE_ROWS",
    "STANDARD_12",
    "limb_residual",
    "standard_name",
]

LIMB_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF")
STANDARD_12 = (*LIMB_LEADS, "V1", "V2", "V3", "V4", "V5", "V6")
LONG_LEADS = ("long_V1", "long_II", "long_V5")
PAGE_LEADS = (*STANDARD_12, *LONG_LEADS)
"""The 15 rows of a page recording: each standard lead for 2.5 s, then three leads for 10 s."""

PAGE_COLUMNS = (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))
"""Leads that share a quarter of the page's time, in the order of the quarters."""

PAGE_ROWS = tuple(zip(*PAGE_COLUMNS, strict=True))
"""Leads that share a printed line: (I, aVR, V1, V4), (II, aVL, V2, V5), (III, aVF, V3, V6)."""

_BY_LOWER = {name.lower(): name for name in PAGE_LEADS}


def standard_name(name: str) -> str | None:
    """Return the standard spelling of a lead name, or None if it names no standard lead.

    >>> standard_name("AVR"), standard_name("v1 "), standard_name("MCL1")
    ('aVR', 'V1', None)
    """
    return _BY_LOWER.get(name.strip().lower().removeprefix("lead ").replace(" ", "_"))


def limb_residual(
    one: NDArray[np.float64], two: NDArray[np.float64], three: NDArray[np.float64]
) -> float:
    """Root mean square of II - I - III over samples where all three are finite; NaN if none.

    Zero by Einthoven's law for simultaneous limb leads with right gains.

    Parameters
    ----------
    one, two, three : ndarray, shape (samples,)
        Leads I, II, III in the same unit.
    """
    residual = two - one - three
    residual = residual[np.isfinite(residual)]
    return float(np.sqrt(np.mean(residual**2))) if residual.size else float("nan")
