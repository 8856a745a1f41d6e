"""Starting a training from another model: whether one may, and which weights come along."""

from __future__ import annotations

from typing import Any

from torch import nn

from acsbench.dataset import WaveformDataset
from acsbench.errors import InputError

__all__ = ["compare_splits", "copy_weights"]


def compare_splits(
    theirs: dict[str, Any], train: WaveformDataset, *, where: str, allowed: bool
) -> tuple[str, ...]:
    """Refuse, or remark on, a start whose training patients may be in val or test.

    Raises
    ------
    InputError
    """
    if not theirs:
        return (f"Started from {where}, of whose training patients nothing is known.",)
    split, here = theirs["split_fingerprint"], train.split_fingerprint
    if split == here:
        return ()
    under = f"under another split ({split[:12]}, here {here[:12]})" if split else "without a cohort"
    message = f"{where} was trained {under}: its training patients may be in val or test."
    if not allowed:
        raise InputError(f"{message} Train it again on this cohort.")
    return (message,)


def copy_weights(source: nn.Module, target: nn.Module, *, where: str, head: str) -> None:
    """Copy all weights; all but the last layer's with ``head = "fresh"`` or where there is none.

    Raises
    ------
    InputError
        For a network of another kind or size, or one that does not name its head.
    """
    if type(source) is not type(target):
        raise InputError(f"{where} is a {type(source).__name__}, not a {type(target).__name__}.")
    state, fresh = dict(source.state_dict()), target.state_dict()
    if head == "fresh" or (hasattr(target, "head") and not _has_head(source)):
        prefixes = _head_of(target)
        state.update({key: fresh[key] for key in fresh if key.startswith(prefixes)})
    try:
        target.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{where} is a network of other sizes: {error}") from None


def _has_head(network: nn.Module) -> bool:
    """Whether there are weights of a last layer; pre-training without labels leaves none."""
    return any(key.startswith(_head_of(network)) for key in network.state_dict())


def _head_of(network: nn.Module) -> tuple[str, ...]:
    """Start of the names of the last layer's weights: an attribute, or a layer of that name."""
    named: Any = getattr(network, "head", None)
    if isinstance(named, nn.Module):
        return ("head.",)
    if not named:
        raise InputError(
            f"Network {type(network).__name__} does not say what its head is: name that layer "
            "head, or set head = ('<start of its weights' names>',); or keep the head."
        )
    return tuple(named)
