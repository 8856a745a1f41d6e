"""Published files of HuBERT-ECG: both layouts, read without running anything in them.

A ``.pt`` pickles its settings as an object of a class that is not here, and losses as numpy
scalars. Every such name is mapped to one inert stand-in, whose attributes are the settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from acsbench.errors import InputError, StoreError, first_few
from acsbench.models.foundation.base import Published
from acsbench.provenance import StepConfig, parse_config

__all__ = ["SIZES", "STAND_INS", "HubertSizes", "StandIn", "read_published"]


class StandIn:
    """Takes the place of each class that a published pickle names; holds values, does nothing."""

    def __init__(self, *_: object) -> None:
        """Take the arguments of whatever it stands for."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (StandIn, name)
    for name in (
        "transformers.models.hubert.configuration_hubert.HubertConfig",
        "hubert_ecg.HuBERTECGConfig",
        "numpy.dtype",
        "numpy._core.multiarray.scalar",
        "numpy.core.multiarray.scalar",
    )
]
"""For `torch.serialization.safe_globals`."""


Activation = Literal["gelu", "gelu_new", "relu", "selu"]


class HubertSizes(StepConfig):
    """The settings of transformers' ``HubertConfig`` that decide what HuBERT-ECG computes.

    Attributes
    ----------
    hidden_size, num_hidden_layers, num_attention_heads, intermediate_size : int
    conv_dim, conv_kernel, conv_stride : tuple of int
    conv_bias : bool
    feat_extract_norm, feat_extract_activation, hidden_act : str
    feat_proj_layer_norm, do_stable_layer_norm : bool
    num_conv_pos_embeddings, num_conv_pos_embedding_groups : int
    layer_norm_eps : float
    """

    hidden_size: int = Field(default=768, ge=1, le=8192)
    num_hidden_layers: int = Field(default=12, ge=1, le=128)
    num_attention_heads: int = Field(default=12, ge=1, le=256)
    intermediate_size: int = Field(default=3072, ge=1, le=65536)
    conv_dim: tuple[int, ...] = Field(default=(512,) * 5, min_length=1, max_length=16)
    conv_kernel: tuple[int, ...] = (10, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (4, 2, 2, 2, 2)
    conv_bias: bool = False
    feat_extract_norm: Literal["group", "layer"] = "group"
    feat_extract_activation: Activation = "gelu"
    hidden_act: Activation = "gelu"
    feat_proj_layer_norm: bool = True
    do_stable_layer_norm: bool = False
    num_conv_pos_embeddings: int = Field(default=128, ge=1, le=1024)
    num_conv_pos_embedding_groups: int = Field(default=16, ge=1, le=1024)
    layer_norm_eps: float = Field(default=1e-5, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        lengths = {len(self.conv_dim), len(self.conv_kernel), len(self.conv_stride)}
        if len(lengths) != 1:
            raise ValueError("conv_dim, conv_kernel and conv_stride need one value a layer each")
        for name in ("num_attention_heads", "num_conv_pos_embedding_groups"):
            if self.hidden_size % getattr(self, name):
                raise ValueError(f"{name} = {getattr(self, name)} does not divide hidden_size")
        return self

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        product = 1
        for step in self.conv_stride:
            product *= step
        return product

    @property
    def reach(self) -> int:
        """Samples that one frame sees."""
        seen, step = 1, 1
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            seen += (kernel - 1) * step
            step *= stride
        return seen


SIZES = {
    "small": HubertSizes(
        hidden_size=512, num_hidden_layers=8, num_attention_heads=8, intermediate_size=2048
    ),
    "base": HubertSizes(),
    "large": HubertSizes(
        hidden_size=960, num_hidden_layers=16, num_attention_heads=12, intermediate_size=3840
    ),
}
"""Of the published weights (Coppola et al., HuBERT-ECG, 2024)."""

_PREFIX = "hubert_ecg."
_PRETRAINING = re.compile(r"(final_proj|label_embedding)\.\d+\.")
_HEADS = {
    "classifier.weight": "linear",
    "classifier.0.weight": "mlp",
    "label_embedding.weight": "label_embedding",
}
_OLD_NAMES = {
    "encoder.pos_conv_embed.conv.weight_g": "parametrizations.weight.original0",
    "encoder.pos_conv_embed.conv.weight_v": "parametrizations.weight.original1",
}


def read_published(
    state: Mapping[str, Tensor], told: Mapping[str, Any], *, where: str
) -> Published:
    """Sort a file's weights into backbone and head, and find their sizes.

    Parameters
    ----------
    state : mapping
        Weights by their published names.
    told : mapping
        What the file, or the ``config.json`` beside it, says of them.
    where : str
        The file, for messages.

    Raises
    ------
    InputError, StoreError
    """
    backbone: dict[str, Tensor] = {}
    head: dict[str, Tensor] = {}
    for key, value in state.items():
        bare = key.removeprefix(_PREFIX)
        if _PRETRAINING.match(bare) or bare == "masked_spec_embed":
            continue  # of pre-training alone
        if bare.startswith(("classifier.", "label_embedding.")):
            head["net." + bare.split(".", 1)[1]] = value
        else:
            old = _OLD_NAMES.get(bare)
            backbone[bare.rsplit(".", 1)[0] + "." + old if old else bare] = value
    sizes = _sizes(backbone, told, where=where)
    kinds = [kind for key, kind in _HEADS.items() if key in state]
    if head and len(kinds) != 1:
        raise StoreError(f"{where} holds no head that is known: {first_few(sorted(head))}.")
    return Published(
        settings={"sizes": sizes, **(_head_settings(head, told, kinds[0]) if head else {})},
        backbone=backbone,
        head=head,
        labels=_labels(head, told),
    )


def _head_settings(
    head: Mapping[str, Tensor], told: Mapping[str, Any], kind: str
) -> dict[str, Any]:
    found: dict[str, Any] = {"head_kind": kind}
    if kind == "mlp":
        found["hidden"] = head["net.0.weight"].shape[0]
        found["activation"] = told.get("activation", "tanh")
    return found


def _labels(head: Mapping[str, Tensor], told: Mapping[str, Any]) -> tuple[str, ...]:
    names = told.get("id2label")
    last = [key for key in head if key.endswith("weight")]
    if not last or not isinstance(names, Mapping) or len(names) != len(head[last[-1]]):
        return ()
    return tuple(str(names[key]) for key in sorted(names, key=int))


def _sizes(backbone: Mapping[str, Tensor], told: Mapping[str, Any], *, where: str) -> HubertSizes:
    """Take the sizes that the file tells, or of the published model that its weights have."""
    try:
        hidden = backbone["encoder.layer_norm.weight"].shape[0]
    except KeyError as error:
        raise StoreError(f"{where} lacks the weights {error} of HuBERT-ECG.") from None
    published = next((s.model_dump() for s in SIZES.values() if s.hidden_size == hidden), None)
    if "hidden_size" not in told and published is None:
        raise InputError(
            f"{where} does not say the sizes of its network, and {hidden} is the width of none of "
            f"the published ones. Put its config.json beside it."
        )
    # a config.json leaves out what is transformers' default
    start = {} if "hidden_size" in told else published or {}
    wanted = {**start, **{key: told[key] for key in HubertSizes.model_fields if key in told}}
    if told.get("conv_pos_batch_norm"):
        raise InputError(f"{where}: conv_pos_batch_norm is no part of HuBERT-ECG.")
    sizes = parse_config(HubertSizes, wanted, where=f"The settings in {where}")
    # before anything is built in the size that a file says
    layers = {key.split(".")[2] for key in backbone if key.startswith("encoder.layers.")}
    for name, found in (("hidden_size", hidden), ("num_hidden_layers", len(layers))):
        if getattr(sizes, name) != found:
            said = getattr(sizes, name)
            raise StoreError(f"{where} says {name} = {said}; its weights are of {found}.")
    return sizes
