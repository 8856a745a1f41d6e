"""The model card: what a team says about the model behind a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from acsbench.errors import InputError, MissingPathError
from acsbench.provenance import StepConfig, parse_config

__all__ = ["ModelCard", "parse_card", "read_card"]

Text = Annotated[str, Field(min_length=1, max_length=2000)]
MaybeText = Annotated[str, Field(max_length=2000)]


class ModelCard(StepConfig):
    """What must be said with every submission; an empty address says there is none.

    Attributes
    ----------
    name : str
        Of the model, as the board shows it.
    kind : str
        ``rule`` declares that few different scores are meant.
    training_data, external_data, pretraining : str
        What it learned from, in words; "none" is an answer.
    holdout_seen : bool
        Whether any holdout record was seen by eye or in training.
    intended_use : str
    code_url, paper : str
        Address of the code, DOI of the paper; may be empty.
    contact : str
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    kind: Literal["neural", "features", "ensemble", "rule", "other"]
    training_data: Text
    external_data: Text
    pretraining: Text
    holdout_seen: bool
    intended_use: Text
    code_url: MaybeText
    paper: MaybeText
    contact: Text


def parse_card(values: Mapping[str, Any], *, where: str) -> ModelCard:
    """Check a card, naming every field that is missing or wrong.

    Raises
    ------
    ConfigError
        With one line per finding.
    """
    return parse_config(ModelCard, values, where=where)


def read_card(path: Path) -> ModelCard:
    """Read a card from TOML.

    Raises
    ------
    MissingPathError, InputError
        When there is no such file, it is not TOML, or a field is missing or wrong.
    """
    if not path.is_file():
        raise MissingPathError(
            f"There is no model card {path}. It has the fields {', '.join(ModelCard.model_fields)}."
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}.") from None
    return parse_card(values, where=str(path))
