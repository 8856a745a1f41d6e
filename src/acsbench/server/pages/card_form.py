"""The model card as a form: its fields, what was filled in, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from acsbench.server.card import ModelCard
from acsbench.server.pages.words import KINDS

__all__ = ["CardField", "card_fields", "card_from"]

_TEXTS = {
    "name": ("Model name", "As the board shows it.", "line"),
    "kind": ("Kind", "", "choice"),
    "training_data": ("Training data", "What it learned from, in words.", "text"),
    "external_data": ("External data", "Data from elsewhere; “none” is an answer.", "text"),
    "pretraining": ("Pretraining", "Weights it started from; “none” is an answer.", "text"),
    "holdout_seen": (
        "Was any holdout record seen, by eye or in training?",
        "Your answer is public.",
        "yes or no",
    ),
    "intended_use": ("Intended use", "", "text"),
    "code_url": ("Code", "Address; leave it empty if there is none.", "optional line"),
    "paper": ("Paper", "DOI or address; leave it empty if there is none.", "optional line"),
    "contact": ("Contact", "Who answers questions: a name and an address.", "line"),
}
_LONGEST = {"name": 100}
_WRONG = {
    "string_too_short": "This is needed.",
    "missing": "This is needed.",
    "string_too_long": "This is too long.",
}


@dataclass(frozen=True)
class CardField:
    """One field of the form."""

    key: str
    label: str
    help: str
    form: str
    value: str
    wrong: str
    longest: int
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> str:
        """The value as it is read: for a choice, its words."""
        return dict(self.choices).get(self.value, self.value)

    @property
    def is_needed(self) -> bool:
        """Whether it may not be empty."""
        return not self.form.startswith("optional")


def card_fields(
    values: Mapping[str, Any], wrong: Mapping[str, str] | None = None
) -> list[CardField]:
    """Fields of the card, filled with what is known."""
    choices = {
        "kind": tuple(KINDS.items()),
        "holdout_seen": (("no", "No"), ("yes", "Yes")),
    }
    return [
        CardField(
            key=key,
            label=label,
            help=help_,
            form=form,
            value=_shown(values.get(key, "")),
            wrong=(wrong or {}).get(key, ""),
            longest=_LONGEST.get(key, 2000),
            choices=choices.get(key, ()),
        )
        for key, (label, help_, form) in _TEXTS.items()
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def card_from(form: Mapping[str, Any]) -> ModelCard | dict[str, str]:
    """The card that a form holds, or what is wrong with each of its fields."""
    values: dict[str, Any] = {key: str(form.get(f"card-{key}", "")).strip() for key in _TEXTS}
    seen = {"yes": True, "no": False}.get(values.pop("holdout_seen"))
    if seen is not None:
        values["holdout_seen"] = seen
    try:
        return ModelCard.model_validate(values)
    except ValidationError as error:
        return {
            str(one["loc"][0]): _WRONG.get(one["type"], "Choose one of these.")
            for one in error.errors()
        }
