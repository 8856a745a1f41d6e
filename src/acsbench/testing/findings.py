"""How checks tell what they found: all of it, in one error."""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["require"]

Check = Callable[[], Iterable[str]]


def require(subject: str, checks: Iterable[Check]) -> None:
    """Run every check; an error inside one is a finding too.

    Raises
    ------
    AssertionError
        With every finding, one a line.
    """
    findings: list[str] = []
    cause: Exception | None = None
    for check in checks:
        try:
            findings += check()
        except Exception as error:  # the finding
            findings.append(f"it raises {type(error).__name__}: {error}")
            cause = error
    if findings:
        lines = [f"{subject} breaks its contract:", *(f"  {one}" for one in findings)]
        raise AssertionError("\n".join(lines)) from cause
