"""What a model's input was: travels with it, and every store is compared with it."""

from __future__ import annotations

from typing import Any

from acsbench.dataset import WaveformDataset
from acsbench.errors import StoreError
from acsbench.provenance import json_sha256

__all__ = ["data_fingerprint", "require_recipe", "require_same_input", "signature_of"]

_SAME_INPUT = ("recipe", "lead_names", "sampling_rate", "units", "n_samples")


def signature_of(data: WaveformDataset) -> dict[str, Any]:
    """Recipe, leads, rate, units, length, tasks, and fingerprints of split and data.

    Raises
    ------
    StoreError
        Without a store.
    """
    store = data.store
    if store is None:
        raise StoreError("The model needs a waveform store; load_dataset was given none.")
    return {
        "recipe": store.manifest.config["recipe"],
        "lead_names": list(store.lead_names),
        "sampling_rate": store.sampling_rate,
        "units": store.units,
        "n_samples": store.shape[1],
        "tasks": list(data.tasks),
        "split_fingerprint": data.split_fingerprint,
        "data_fingerprint": "" if data.is_holdout else data_fingerprint(data),
    }


def data_fingerprint(data: WaveformDataset) -> str:
    """SHA-256 over ids, labels and waveforms."""
    waveforms = data.store.manifest.fingerprint if data.store is not None else ""
    return json_sha256([data.ecg_ids, data.labels.tolist(), waveforms])


def require_recipe(data: WaveformDataset, recipe: str | None, *, what: str) -> None:
    """Refuse a store of another recipe.

    Raises
    ------
    StoreError
    """
    if data.recipe != recipe:
        raise StoreError(
            f"{what} needs waveforms of recipe '{recipe}'; the store holds '{data.recipe}'. "
            "Give it the right store, or set recipe."
        )


def require_same_input(theirs: dict[str, Any], ours: dict[str, Any], *, what: str) -> None:
    """Refuse a store of other parameters, leads, rate, units or length than the training's.

    Raises
    ------
    StoreError
        Naming each difference.
    """
    findings = [
        f"{key} = {theirs[key]}, here {ours[key]}"
        for key in _SAME_INPUT
        if theirs[key] != ours[key]
    ]
    if findings:
        raise StoreError(
            f"{what} was trained on a store with {'; '.join(findings)}. Process the waveforms as "
            "its training did."
        )
