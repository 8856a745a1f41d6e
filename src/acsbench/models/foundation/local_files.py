"""A user's copy of published weights: one file, or a folder of the model hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from acsbench.errors import StoreError
from acsbench.models.base import CONFIG_NAME
from acsbench.models.foundation.hubert_files import StandIn
from acsbench.models.pretrained import find_weights, read_checkpoint

__all__ = ["read_place"]


def read_place(place: Path) -> tuple[dict[str, Tensor], dict[str, Any], Path]:
    """Weights, what is told of them (in the file, or in ``config.json`` beside it), and the file.

    Raises
    ------
    MissingPathError, InputError, StoreError
    """
    file = find_weights(place)
    state, told = read_checkpoint(file)
    settings = told.get("model_config")
    if isinstance(settings, StandIn):
        told = {**told, **vars(settings)}
    beside = file.with_name(CONFIG_NAME)
    if "model_config" not in told and beside.is_file():
        try:
            said = json.loads(beside.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise StoreError(f"{beside} is damaged: {error}") from None
        if not isinstance(said, dict):
            raise StoreError(f"{beside} is damaged: it holds a {type(said).__name__}.")
        told = {**said, **told}
    return state, told, file
