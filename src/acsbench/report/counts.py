"""Counts as a report may print them: small ones hidden, and safe from subtraction.

With a `min_count` of 10, counts from 1 to 10 are printed as "<= 10" and all others to the nearest
20; shares are computed from the rounded counts. A rule that hides small cells alone fails as soon
as a row or a column adds up: 1,023 visits less 1,020 are the 3 who left. Rounding needs no list of
what adds up with what, so it holds across tables, figures and files.
"""

from __future__ import annotations

import re

__all__ = [
    "guarded_fact",
    "guarded_text",
    "privacy_note",
    "rounded",
    "rounded_share",
    "rounding_step",
    "shown_count",
    "shown_part",
    "shown_share",
]

_COUNTED = r"(?:records?|ECGs?|patients?|visits?|encounters?|rows?|positives?|negatives?)"
_COUNT_IN_TEXT = re.compile(
    rf"(?<!than )\b(\d{{1,3}}(?:,\d{{3}})+|\d+)(?= (?:of |[a-z]+ )?{_COUNTED}\b)"
)


def rounding_step(min_count: int) -> int:
    """Step that counts are rounded to; 1 where nothing is hidden.

    Notes
    -----
    Twice ``min_count``, and halves go down, so that the counts printed as 20 are 11 to 30, those
    printed as 40 are 31 to 50: no printed number has a narrower range than another, and a range is
    twice as wide as the secret. Of the ten values of a hidden count, a sum or difference of two
    printed counts leaves at least nine possible, of three eight, of four seven, of five six; a test
    goes through all of them.
    """
    return 2 * min_count if min_count > 0 else 1


def rounded(count: int, min_count: int) -> int | None:
    """Count as it may be printed or computed with; None when it is hidden.

    >>> rounded(1023, 10), rounded(11, 10), rounded(7, 10), rounded(0, 10), rounded(7, 0)
    (1020, 20, None, 0, 7)
    """
    if min_count <= 0 or count == 0:
        return count
    if count <= min_count:
        return None
    step = rounding_step(min_count)
    return step * -((min_count - count) // step)


def shown_count(count: int | None, min_count: int) -> str:
    """Write a count.

    >>> shown_count(1234, 0), shown_count(1234, 10), shown_count(7, 10), shown_count(None, 10)
    ('1,234', '1,240', '<= 10', '')
    """
    if count is None:
        return ""
    known = rounded(count, min_count)
    return f"<= {min_count}" if known is None else f"{known:,}"


def shown_share(count: int, total: int, min_count: int) -> str:
    """Write a share, empty without a total; of a rounded total, only where it means something.

    >>> shown_share(502, 1295, 0), shown_share(502, 1295, 10), shown_share(7, 1295, 10)
    ('38.8 %', '38 %', 'not shown')
    """
    if not total:
        return ""
    share = rounded_share(count, total, min_count)
    if share is None:
        return "not shown"
    return f"{100 * share:.0f} %" if min_count else f"{100 * share:.1f} %"


def rounded_share(count: int, total: int, min_count: int) -> float | None:
    """Share as the printed counts give it; None when it is hidden or would be off by over 5 %.

    >>> rounded_share(15, 30, 0), rounded_share(15, 30, 10)
    (0.5, None)
    """
    part, whole = rounded(count, min_count), rounded(total, min_count)
    if part is None or not whole or (min_count and whole < 10 * rounding_step(min_count)):
        return None
    return part / whole


def shown_part(count: int, total: int, min_count: int) -> str:
    """Write a part of a total with its share.

    >>> shown_part(502, 1295, 0), shown_part(7, 1295, 10)
    ('502 (38.8 %)', '<= 10')
    """
    share = shown_share(count, total, min_count)
    number = shown_count(count, min_count)
    return number if share in ("", "not shown") else f"{number} ({share})"


def guarded_text(text: str, min_count: int) -> str:
    """Rewrite the counts of records and people within a sentence.

    >>> guarded_text("4 records of 1,295 patients; 2 of 2,000 resamples", 10)
    '<= 10 records of 1,300 patients; 2 of 2,000 resamples'
    """
    if not min_count:
        return text
    return _COUNT_IN_TEXT.sub(
        lambda found: shown_count(int(found[1].replace(",", "")), min_count), text
    )


def guarded_fact(title: str, value: str, min_count: int) -> str:
    """Rewrite a fact; a bare number is a count when its title speaks of what is counted.

    >>> guarded_fact("Patients in two splits", "3", 10), guarded_fact("Seed", "3", 10)
    ('<= 10', '3')
    """
    number = value.replace(",", "")
    if min_count and number.isdecimal() and re.search(rf"\b{_COUNTED}\b", title, re.IGNORECASE):
        return shown_count(int(number), min_count)
    return guarded_text(value, min_count)


def privacy_note(min_count: int) -> str:
    """Say the rule in a sentence; empty where nothing is hidden."""
    if not min_count:
        return ""
    return (
        f"Counts from 1 to {min_count} are written <= {min_count}; every other count is rounded to "
        f"the nearest {rounding_step(min_count)}, and shares are computed from the rounded counts, "
        "so that no hidden count can be found by subtraction."
    )
