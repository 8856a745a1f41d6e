"""What readers call marks and kinds of models."""

from __future__ import annotations

__all__ = ["KINDS", "VERIFICATIONS"]

KINDS = {
    "neural": "neural network",
    "features": "ECG features",
    "ensemble": "ensemble",
    "rule": "rule",
    "other": "other",
}
VERIFICATIONS = {
    "claimed": "Claimed: nobody but the team has run it",
    "artefact": "Artefact seen: a host has looked at code or weights",
    "reproduced": "Reproduced: somebody else has run it to the same scores",
}
