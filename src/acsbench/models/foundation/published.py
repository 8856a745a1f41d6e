"""Foundation models out of files: the way `load_pretrained` takes for them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from acsbench.models.foundation.base import ADAPTERS, adapter_of
from acsbench.models.foundation.classifier import FoundationClassifier

__all__ = ["load_file", "load_saved", "network_of"]


def network_of(keys: Collection[str]) -> str | None:
    """Name of the built-in foundation model whose weights have these names."""
    return next((name for name in ADAPTERS if adapter_of(name).holds(keys)), None)


def load_file(
    network: str, place: Path, *, source: Path | str, positive_label: int | str | None = None
) -> FoundationClassifier:
    """Load published weights with their head."""
    changes = {} if positive_label is None else {"positive_label": positive_label}
    model = FoundationClassifier.from_published(network, place, **changes)
    model.remarks = (
        f"Weights of {source}; nothing is known of their training data.",
        *model.remarks[1:],
    )
    return model


def load_saved(folder: Path, *, positive_label: int | str | None = None) -> FoundationClassifier:
    """Load a folder that ``save`` wrote."""
    model = FoundationClassifier.load(folder)
    if positive_label is not None:
        changed = {"positive_label": positive_label}
        model.config = model.config.model_copy(update=changed)
    return model
