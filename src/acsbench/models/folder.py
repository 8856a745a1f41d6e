"""A model's folder: ``config.json``, ``model.safetensors`` and a card for people."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from acsbench.errors import InputError, MissingPathError, StoreError
from acsbench.models.base import CONFIG_NAME
from acsbench.provenance import atomic_path, atomic_text

__all__ = [
    "WEIGHTS_NAME",
    "is_saved",
    "read_folder",
    "read_weights",
    "weights_sha256",
    "write_folder",
]

WEIGHTS_NAME = "model.safetensors"
_CARD_NAME = "README.md"


def write_folder(folder: Path, body: dict[str, Any], network: nn.Module) -> None:
    """Write card, weights and config; ``config.json`` last, so that half a folder is no model.

    Raises
    ------
    InputError
        For a network that has no weights of its own, as an ONNX file's.
    """
    state = network.state_dict()
    if not state:
        raise InputError("The network has no weights to save; copy the ONNX file instead.")
    atomic_text(folder / _CARD_NAME, _card(body))
    # copies, for the format takes no two names for one piece of memory
    layout = torch.contiguous_format
    copies = {key: value.clone(memory_format=layout) for key, value in state.items()}
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        save_file(copies, temporary, metadata={"format": "pt"})
    atomic_text(folder / CONFIG_NAME, json.dumps(body, indent=1) + "\n")


def is_saved(place: Path | str) -> bool:
    """Whether a place is a folder that ``save`` wrote, which says under which split it learnt."""
    path = Path(place) / CONFIG_NAME
    return path.is_file() and "model" in read_folder(Path(place))


def read_folder(folder: Path) -> dict[str, Any]:
    """Read ``config.json``.

    Raises
    ------
    MissingPathError, StoreError
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise MissingPathError(
            f"There is no trained network in {folder}: {CONFIG_NAME} is missing."
        )
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is damaged: {error}") from None
    if not isinstance(body, dict):
        raise StoreError(f"{path} is damaged: it holds a {type(body).__name__}.")
    return body


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read ``model.safetensors``, a format that holds numbers and nothing to execute.

    Raises
    ------
    MissingPathError, StoreError
    """
    path = folder / WEIGHTS_NAME
    if not path.is_file():
        raise MissingPathError(f"There is no trained network in {folder}: {path.name} is missing.")
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise StoreError(f"{path} is damaged: {error}") from None
    return weights


def weights_sha256(network: nn.Module) -> str:
    """SHA-256 over the names and bytes of a network's weights, as hex."""
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _card(body: dict[str, Any]) -> str:
    """Model card in the hub's format."""
    signature, parameters = body["signature"], body["parameters"]
    told = {
        "Network": f"{parameters['network']}, {body['n_parameters']:,} parameters",
        "Task": ", ".join(signature.get("tasks", [])) or ("none" if signature else "unknown"),
        "Input": _input(signature),
        "Covariates": ", ".join(parameters["covariates"]) or "none",
        "Calibrated on val": "yes" if body["lines"] else "no",
        "Training data": f"fingerprint {signature.get('data_fingerprint', 'unknown')[:12]}, split "
        f"{signature.get('split_fingerprint', 'unknown')[:12] or 'none'}",
        "Remarks": " ".join(body["remarks"]) or "none",
    }
    lines = [f"| {key} | {value} |" for key, value in told.items()]
    return "\n".join(
        [
            "---",
            "library_name: acsbench",
            "tags: [ECG, acute coronary syndrome]",
            "---",
            f"# {body['model']}",
            "",
            "A research model for ECG waveforms. Not a medical device; not for use on patients.",
            "",
            "| | |",
            "|---|---|",
            *lines,
            "",
            "```python",
            "import acsbench as ab",
            'model = ab.load_pretrained("path/to/this/folder")',
            "```",
            "",
        ]
    )


def _input(signature: dict[str, Any]) -> str:
    if not signature:
        return "unknown"
    return (
        f"recipe {signature['recipe']['name']}, {len(signature['lead_names'])} rows "
        f"({', '.join(signature['lead_names'])}) x {signature['n_samples']} samples at "
        f"{signature['sampling_rate']:g} Hz in {signature['units']}"
    )
