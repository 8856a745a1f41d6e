"""What is shown of a scored submission, to whom, and how rounded.

Each number shown is information about hidden labels. The ladder (Blum and Hardt, ICML 2015)
answers with a number only when a team has measurably improved, so that repeated uploads learn
next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from acsbench.leaderboard.definition import TaskVersion
from acsbench.leaderboard.leak_budget import number_bits
from acsbench.leaderboard.metric_names import metric_title
from acsbench.leaderboard.scoring import Scored, Truth, paired_se, panel

__all__ = [
    "Feedback",
    "decimal_string",
    "entry_bits",
    "feedback",
    "pair_bits",
    "released",
    "released_decimal",
]

_YES_OR_NO_BITS = 1.0


@dataclass(frozen=True)
class Feedback:
    """What a team learns at once of a submission.

    Attributes
    ----------
    shown : str or None
        The primary metric as a decimal string; None where the ladder keeps it.
    improved : bool
        Whether this is the team's best from now on.
    text : str
    bits : float
        What it costs of the leak budget.
    """

    shown: str | None
    improved: bool
    text: str
    bits: float


def decimal_string(value: float, decimals: int) -> str:
    """Round half to even in binary, as a text that sorts and compares exactly.

    >>> decimal_string(0.70345, 3), decimal_string(-0.0001, 3)
    ('0.703', '0.000')
    """
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def released_decimal(value: float | None, version: TaskVersion) -> str | None:
    """A figure of an entry as it is shown."""
    return None if value is None else decimal_string(value, version.task.release.decimals)


def feedback(scored: Scored, best: Scored | None, truth: Truth, version: TaskVersion) -> Feedback:
    """Answer to a team by the task's release policy.

    Parameters
    ----------
    scored : Scored
    best : Scored or None
        The team's last submission whose feedback was ``improved``; None for its first.
    truth : Truth
    version : TaskVersion
    """
    metric, release = version.task.primary, version.task.release
    title, value = metric_title(metric), scored.values[metric]
    if value is None:
        text = f"{title} cannot be computed: {scored.reasons[metric]}."
        return Feedback(None, improved=False, text=text, bits=_YES_OR_NO_BITS)
    known = None if best is None else best.values[metric]
    improved = best is None or known is None or _beats(scored, best, truth, version)
    if not improved and release.policy == "ladder" and known is not None:
        shown = decimal_string(known, release.decimals)
        text = f"Not above, or not distinguishable from your best ({shown})."
        return Feedback(None, improved=False, text=text, bits=_YES_OR_NO_BITS)
    shown = decimal_string(value, release.decimals)
    of = " on the part that gives feedback" if scored.part == "feedback" else ""
    bits = number_bits(release.decimals)
    return Feedback(shown, improved=improved, text=f"{title} {shown}{of}.", bits=bits)


def _beats(scored: Scored, best: Scored, truth: Truth, version: TaskVersion) -> bool:
    """Whether the value is higher by more than ``ladder_k`` paired standard errors."""
    metric = version.task.primary
    value, known = scored.values[metric], best.values[metric]
    if value is None or known is None or value <= known:
        return False
    se = paired_se(scored, best, truth, version)
    return se is not None and value - known > version.task.release.ladder_k * se


def released(scored: Scored, version: TaskVersion) -> dict[str, Any]:
    """Panel of an entry as decimal strings: all of it that may leave the worker."""
    rows = [
        {
            "metric": one.metric,
            "value": released_decimal(one.value, version),
            "low": released_decimal(one.low, version),
            "high": released_decimal(one.high, version),
            "reason": one.reason,
        }
        for one in panel(scored, version)
    ]
    return {
        "part": scored.part,
        "panel": rows,
        "n_rows": scored.n_rows,
        "n_patients": scored.n_patients,
        "n_positive": scored.n_positive,
    }


def entry_bits(version: TaskVersion) -> float:
    """What one pick costs of the leak budget: three numbers a metric."""
    return 3 * len(version.task.panel) * number_bits(version.task.release.decimals)


def pair_bits(version: TaskVersion) -> float:
    """What comparing two entries costs: the bounds; their difference follows from their values."""
    return 2 * number_bits(version.task.release.decimals, width=2.0)
