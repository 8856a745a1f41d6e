"""Networks from outside: a plain ``nn.Module`` in the registry gets a config of its own."""

from __future__ import annotations

import functools
import inspect
import typing
from typing import Any, ClassVar

import torch
from pydantic import create_model, model_validator
from torch import nn

from acsbench import registry
from acsbench.errors import ConfigError, UnknownNameError, did_you_mean
from acsbench.models.base import is_network
from acsbench.models.config import NETWORKS, NetworkConfig, Shape

__all__ = ["OwnConfig", "config_class"]

_SHAPE = tuple(Shape.model_fields)
"""What a network may ask of the data, by the names of its arguments."""


class OwnConfig(NetworkConfig):
    """Base of the configs that are made from a network's signature."""

    made_by: ClassVar[type[nn.Module]]
    asks: ClassVar[tuple[str, ...]]

    @model_validator(mode="after")
    def _covariates_have_a_place(self) -> OwnConfig:
        if "n_covariates" not in self.asks and self.covariates:
            raise ConfigError(
                f"Model '{self.network}' has no place for covariates: its network takes no "
                "n_covariates."
            )
        return self

    def build(self, shape: Shape) -> nn.Module:
        """Make the network and try it on one record of zeros.

        Raises
        ------
        ConfigError
            When it does not give one row of ``n_outputs`` logits a record.
        """
        asked = {name: getattr(shape, name) for name in self.asks}
        own = {name: getattr(self, name) for name in _own_fields(type(self))}
        network = self.made_by(**asked, **own)
        inputs = [torch.zeros(1, shape.n_channels or 0, shape.n_samples)]
        if shape.n_covariates:
            inputs.append(torch.zeros(1, shape.n_covariates))
        with torch.inference_mode():
            found = tuple(network.eval()(*inputs).shape)
        if found != (1, shape.n_outputs):
            raise ConfigError(
                f"Network '{self.network}' gives {found} for an input of "
                f"{tuple(inputs[0].shape)}; expected (1, {shape.n_outputs}): a logit a task."
            )
        return network.train()


def config_class(network: str) -> type[NetworkConfig]:
    """Config of a network of ours, or of a registered ``nn.Module``.

    Raises
    ------
    UnknownNameError
        For a name that is neither.
    ConfigError
        When an argument of the network is called as one of training's.
    """
    if network in NETWORKS:
        return NETWORKS[network]
    entry = registry.load("models", network) if network in registry.names("models") else None
    if is_network(entry):
        return _from_signature(network, entry)  # type: ignore[arg-type]  # a class is hashable
    raise UnknownNameError(
        f"No network is called '{network}'.{did_you_mean(network, NETWORKS)} "
        f"Known: {', '.join(NETWORKS)}."
    )


@functools.cache
def _from_signature(name: str, network: type[nn.Module]) -> type[NetworkConfig]:
    """Every named argument is a parameter, but for those that the data decide."""
    hints = typing.get_type_hints(network.__init__)
    arguments = {
        key: one
        for key, one in inspect.signature(network).parameters.items()
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    taken = [key for key in arguments if key in NetworkConfig.model_fields]
    if taken:
        raise ConfigError(
            f"Network '{name}' has an argument '{taken[0]}', which is a parameter of every "
            "training. Rename it."
        )
    fields: dict[str, Any] = {
        key: (hints.get(key, Any), ... if one.default is one.empty else one.default)
        for key, one in arguments.items()
        if key not in _SHAPE
    }
    made = create_model(f"{network.__name__}Config", __base__=OwnConfig, **fields)
    made.made_by = network
    made.asks = tuple(key for key in arguments if key in _SHAPE)
    return made


def _own_fields(config: type[NetworkConfig]) -> list[str]:
    return [name for name in config.model_fields if name not in NetworkConfig.model_fields]
