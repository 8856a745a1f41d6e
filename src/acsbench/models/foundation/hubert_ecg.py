"""HuBERT-ECG on the stock ``HubertModel`` of transformers: settings, input, stages.

Coppola et al., "HuBERT-ECG as a self-supervised foundation model for broad and scalable cardiac
applications", 2024. The twelve leads are laid end to end at 100 Hz and read as one long vector;
nothing in the layers differs from speech. Written anew: the authors' code and weights are CC BY-NC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from acsbench.errors import ConfigError, InputError, MissingDependencyError
from acsbench.models.foundation.base import Adapter, Features, Published, Spec, recorded
from acsbench.models.foundation.config import FoundationConfig
from acsbench.models.foundation.hubert_files import SIZES, HubertSizes, read_published
from acsbench.models.foundation.local_files import read_place
from acsbench.signal.hubert import clean_leads, decimate_flattened, upstream_leads

if TYPE_CHECKING:
    from transformers import HubertConfig, HubertModel

__all__ = ["HubertEcg", "HubertEcgConfig"]

_WINDOW_S = 5.0
_MARK = "encoder.pos_conv_embed.conv.bias"


class HubertEcgConfig(FoundationConfig):
    """HuBERT-ECG's sizes, input and regularisation.

    Attributes
    ----------
    profile : "clean", "upstream" or "acs"
        How a record becomes input. ``clean``: gaps bridged and drift removed lead by lead, what was
        not recorded left out of attention and mean. ``upstream``: as the published weights'
        training data, at any rate. ``acs``: the ACS benchmark's, unfiltered and unscaled, of a
        store at 500 Hz or of ``paper_hubert_100hz``.
    size : "small", "base" or "large"
    sizes : HubertSizes or None
        Instead of ``size``; taken from the weights where there are any.
    dropout : float
        Of hidden layers, attention and activations alike.
    feature_dropout : float
        Behind the projection of the convolutions' features.
    layer_drop : float
        Probability that a block is left out of a training step.
    """

    network: str = "hubert_ecg"
    recipe: str = "hubert_100hz"
    learning_rate: float = Field(default=1e-5, gt=0)
    frozen_stages: tuple[str, ...] = ("conv",)
    profile: Literal["clean", "upstream", "acs"] = "clean"
    size: Literal["small", "base", "large"] = "base"
    sizes: HubertSizes | None = None
    dropout: float = Field(default=0.1, ge=0, lt=1)
    feature_dropout: float = Field(default=0.0, ge=0, lt=1)
    layer_drop: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _of_the_benchmark(self) -> Self:
        if self.profile == "acs" and self.recipe == "hubert_100hz":
            raise ConfigError(
                "profile = 'acs' decimates across leads, recipe 'hubert_100hz' has decimated each "
                "lead: set recipe = 'paper_12x10s' or 'paper_hubert_100hz'."
            )
        return self

    def adapter(self) -> HubertEcg:
        """Make the adapter."""
        return HubertEcg(self)


class HubertEcg(Adapter):
    """Twelve leads end to end, 5 s at 100 Hz, through the stock ``HubertModel``."""

    spec: ClassVar[Spec] = Spec(
        name="HuBERT-ECG",
        window_s=_WINDOW_S,
        licence="CC BY-NC 4.0, no commercial use; so is whatever is trained from them.",
        reference="Coppola et al. 2024, github.com/Edoar-do/HuBERT-ECG",
    )
    settings = HubertEcgConfig
    config: HubertEcgConfig

    @property
    def sizes(self) -> HubertSizes:
        """The network's."""
        return self.config.sizes or SIZES[self.config.size]

    @property
    def input_shape(self) -> tuple[int]:
        """Samples of twelve leads, 6000."""
        return (len(self.spec.lead_names) * round(_WINDOW_S * 100),)

    @property
    def n_features(self) -> int:
        """Width of a frame."""
        return self.sizes.hidden_size

    def prepare(
        self,
        signal: NDArray[np.float32],
        mask: NDArray[np.uint8],
        *,
        sampling_rate: float,
        starts: Collection[int],
    ) -> NDArray[np.float32]:
        """Cut, flatten and decimate as the profile says; `Adapter.prepare` tells the arguments.

        Raises
        ------
        InputError
            For a rate that the profile cannot take, or a record without a sample.
        """
        recorded(signal, mask)
        make = {"clean": _clean, "upstream": _upstream, "acs": _acs}[self.config.profile]
        return make(signal, mask, sampling_rate, starts).astype(np.float32)

    @classmethod
    def holds(cls, keys: Collection[str]) -> bool:
        """Whether a file is of this model: it names the positional convolution."""
        return any(key.removeprefix("hubert_ecg.") == _MARK for key in keys)

    @classmethod
    def load(cls, place: Path) -> Published:
        """Read a ``.pt``, a ``.safetensors``, or a folder of the model hub."""
        state, told, file = read_place(place)
        return read_published(state, told, where=str(file))

    def random_init(self) -> HubertModel:
        """Make a stock ``HubertModel``."""
        model = _transformers().HubertModel(self.stock_config())
        # asked for by gradient checkpointing alone, and it would keep the graph of frozen stages
        model.feature_extractor._requires_grad = False
        return model

    def stock_config(self) -> HubertConfig:
        """Settings of transformers' model; probabilities are set before it is built."""
        config = self.config
        return _transformers().HubertConfig(
            **self.sizes.model_dump(),
            hidden_dropout=config.dropout,
            attention_dropout=config.dropout,
            activation_dropout=config.dropout,
            feat_proj_dropout=config.feature_dropout,
            layerdrop=config.layer_drop,
            mask_time_prob=0.0,
            mask_feature_prob=0.0,
            apply_spec_augment=False,
        )

    def features(
        self, backbone: nn.Module, x: Tensor, attention_mask: Tensor | None = None
    ) -> Features:
        """Frames of the last block.

        With NaN in ``x`` a frame counts when at least half of what it sees was recorded; an
        ``attention_mask`` counts as in the published code, from the start of the vector.
        """
        return self.encoded(backbone, self.embedded(backbone, x, attention_mask))

    def embedded(
        self, backbone: nn.Module, x: Tensor, attention_mask: Tensor | None = None
    ) -> Features:
        """Frames before the first block, as `features` takes its arguments."""
        model: Any = backbone
        known = torch.isfinite(x)
        some_missing = torch.compiler.is_compiling() or not bool(known.all())
        if some_missing:
            x = torch.where(known, x, 0.0)
        hidden = model.feature_projection(model.feature_extractor(x).mT)
        frames: Tensor | None = None
        if attention_mask is not None:
            frames = model._get_feature_vector_attention_mask(
                hidden.shape[1], attention_mask.long()
            )
        elif some_missing:
            frames = self.known_frames(known, x.dtype)
        return Features(hidden, frames)

    def known_frames(self, known: Tensor, dtype: torch.dtype) -> Tensor:
        """Frames of whose samples at least half are known, (batch, frames)."""
        seen = known.to(dtype)[:, None]
        share = nn.functional.avg_pool1d(seen, self.sizes.reach, self.sizes.stride)
        return share[:, 0] >= 0.5

    def encoded(
        self, backbone: nn.Module, embedded: Features, *, layer: int | None = None
    ) -> Features:
        """Frames behind a block, 0 for those before the first; by default behind the last.

        A ``layer`` is for a backbone in evaluation mode: in training some blocks may be left out.
        """
        model: Any = backbone
        hidden, frames = embedded
        if frames is not None:
            # the stock encoder writes zeros into what it is given
            hidden = torch.where(frames[..., None], hidden, 0.0)
        if layer is None:
            return Features(model.encoder(hidden, attention_mask=frames).last_hidden_state, frames)
        with _watched(model.encoder.layers, layer) as seen:
            model.encoder(hidden, attention_mask=frames)
        return Features(seen[0], frames)

    def stages(self, backbone: nn.Module) -> dict[str, tuple[nn.Module, ...]]:
        """Convolutions, projection, position, blocks."""
        model: Any = backbone
        blocks = {f"block_{i}": (layer,) for i, layer in enumerate(model.encoder.layers)}
        return {
            "conv": (model.feature_extractor,),
            "projection": (model.feature_projection,),
            "position": (model.encoder.pos_conv_embed, model.encoder.layer_norm),
            **blocks,
        }


@contextmanager
def _watched(blocks: Any, layer: int) -> Iterator[list[Tensor]]:
    """Collect what enters the first block, for layer 0, or leaves block ``layer``.

    The encoder tells no hidden states outside of the whole stock model's forward.
    """
    seen: list[Tensor] = []

    def note_input(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append(given[0])

    def note_output(_: nn.Module, __: Any, out: Any) -> None:
        seen.append(out[0] if isinstance(out, tuple) else out)

    block = blocks[max(layer - 1, 0)]
    handle = (
        block.register_forward_hook(note_output)
        if layer
        else block.register_forward_pre_hook(note_input)
    )
    try:
        yield seen
    finally:
        handle.remove()


def _transformers() -> Any:
    try:
        import transformers  # noqa: PLC0415  seconds, and optional
    except ImportError:
        raise MissingDependencyError(
            "HuBERT-ECG needs transformers: pip install 'acsbench[foundation]'."
        ) from None
    return transformers


def _acs(
    signal: NDArray[np.float32], mask: NDArray[np.uint8], rate: float, starts: Collection[int]
) -> NDArray[np.floating]:
    del mask  # gaps are zeros there
    if rate not in (100, 500):
        raise InputError(f"Profile 'acs' reads 500 Hz, or 100 Hz as decimated; not {rate:g} Hz.")
    windows = [signal[:, start : start + round(_WINDOW_S * rate)] for start in starts]
    return np.stack([w.ravel() if rate == 100 else decimate_flattened(w) for w in windows])


def _upstream(
    signal: NDArray[np.float32], mask: NDArray[np.uint8], rate: float, starts: Collection[int]
) -> NDArray[np.floating]:
    recorded = np.where(mask > 0, signal, np.nan).astype(np.float64)
    scaled = upstream_leads(recorded, sampling_rate=rate)
    if not np.isfinite(scaled).any():
        raise InputError(
            "Profile 'upstream' loses every lead with a gap, and no lead of this record is whole. "
            "Use profile = 'clean', or a recipe without gaps."
        )
    firsts = [round(start * 500 / rate) for start in starts]
    return np.stack([decimate_flattened(scaled[:, one : one + 2500]) for one in firsts])


def _clean(
    signal: NDArray[np.float32], mask: NDArray[np.uint8], rate: float, starts: Collection[int]
) -> NDArray[np.floating]:
    leads, known = clean_leads(signal, mask > 0, sampling_rate=rate)
    rows = np.where(known, leads, np.nan)
    firsts = [round(start * 100 / rate) for start in starts]
    return np.stack([rows[:, one : one + 500].ravel() for one in firsts])
