"""Names that strangers see: random public ids, and the names teams may give themselves."""

from __future__ import annotations

import secrets
import unicodedata

from acsbench.errors import InputError

__all__ = ["new_public_id", "team_name", "team_slug"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: no i, l, o, u
_FORMULA_STARTS = "=+-@"


def new_public_id() -> str:
    """16 random characters, 80 bits: nobody can count or guess submissions by their ids."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def team_name(text: str) -> str:
    """Return a team's name as it is stored: NFC, 3 to 60 printable characters.

    Raises
    ------
    InputError
        When it is too short or long, holds control, bidirectional or zero-width characters, or
        begins like a spreadsheet formula.
    """
    name = unicodedata.normalize("NFC", text)
    rule = "A team's name has 3 to 60 printable characters and does not begin with = + - @."
    hidden = [
        c for c in name if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    ]
    if hidden:
        raise InputError(f"The name {text!r} holds the character {hidden[0]!r}. {rule}")
    if not 3 <= len(name) <= 60 or name != name.strip() or name[0] in _FORMULA_STARTS:
        raise InputError(f"{text!r} cannot be a team's name. {rule}")
    return name


def team_slug(name: str) -> str:
    """The name in an address: lower-case ASCII letters, digits and dashes."""
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in ascii_).split()
    return "-".join(words) or f"team-{new_public_id()[:8]}"
