"""FoundationNetwork: an adapter's backbone under a shared head, frozen stage by stage."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from torch import Tensor, nn

from acsbench.models.foundation.base import Adapter
from acsbench.models.foundation.heads import Head, pool_frames, pool_windows

__all__ = ["FeatureNetwork", "FoundationNetwork"]


class FoundationNetwork(nn.Module):
    """From prepared windows to logits.

    Frozen stages are kept in evaluation mode, so that neither dropout nor batch statistics touch
    what is not trained; and since the input asks for no gradient, none is kept below the first
    stage that is trained.

    Parameters
    ----------
    adapter : Adapter
    n_outputs : int or None
        None for no head; the network then gives pooled features.
    """

    head = ("classifier.",)
    """Where the keys of the last layer begin."""

    def __init__(self, adapter: Adapter, *, n_outputs: int | None) -> None:
        super().__init__()
        config = adapter.config
        self.adapter = adapter
        self.pooling = config.pooling
        self.window_pooling = config.window_pooling
        self.backbone = adapter.random_init()
        self.classifier: nn.Module = nn.Identity()
        if n_outputs is not None:
            self.classifier = Head(
                adapter.n_features,
                n_outputs,
                kind=config.head_kind,
                hidden=config.hidden,
                activation=config.activation,
                dropout=config.head_dropout,
            )
        self._frozen: tuple[nn.Module, ...] = ()
        self.freeze(config.frozen(self.stages()))

    def stages(self) -> dict[str, tuple[nn.Module, ...]]:
        """Parts of the backbone, from input to output."""
        return self.adapter.stages(self.backbone)

    def freeze(self, names: Collection[str]) -> None:
        """Train every stage but those named."""
        stages = self.stages()
        for name, modules in stages.items():
            for module in modules:
                module.requires_grad_(name not in names)
        self._frozen = tuple(module for name in names for module in stages[name])
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all that is trained; what is frozen stays as it is when scoring."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def trainable(self) -> dict[str, int]:
        """Number of parameters that are trained now, by stage and head."""
        parts = {**self.stages(), "head": (self.classifier,)}
        return {
            name: sum(p.numel() for m in modules for p in m.parameters() if p.requires_grad)
            for name, modules in parts.items()
        }

    def pooled(self, x: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Features of windows, (batch, *input_shape) to (batch, width)."""
        features = self.adapter.features(self.backbone, x, attention_mask)
        return pool_frames(features.frames, features.known, how=self.pooling)

    def forward(self, x: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Logits of windows, or of records by several windows.

        Parameters
        ----------
        x : Tensor, shape (batch, *input_shape) or (batch, windows, *input_shape)
            Prepared; NaN where nothing was recorded.
        attention_mask : Tensor, shape of x, optional
            As the published code counts it: ones, padded with zeros at the end.

        Returns
        -------
        Tensor, shape (batch, n_outputs); (batch, width) without a head
        """
        if x.ndim == len(self.adapter.input_shape) + 1:
            logits: Tensor = self.classifier(self.pooled(x, attention_mask))
            return logits
        each: Tensor = self.classifier(self.pooled(x.flatten(0, 1)))
        return pool_windows(each, x.shape[1], how=self.window_pooling)


class FeatureNetwork(nn.Module):
    """The head of a `FoundationNetwork`, fed with features that were computed before.

    Parameters
    ----------
    whole : FoundationNetwork
        Its head is trained in place.
    """

    def __init__(self, whole: FoundationNetwork) -> None:
        super().__init__()
        self.classifier = whole.classifier
        self.window_pooling = whole.window_pooling

    @staticmethod
    def stages() -> dict[str, tuple[nn.Module, ...]]:
        """No backbone here."""
        return {}

    def forward(self, features: Tensor) -> Tensor:
        """From (batch, windows, width) to (batch, n_outputs) logits."""
        each: Tensor = self.classifier(features.flatten(0, 1))
        return pool_windows(each, features.shape[1], how=self.window_pooling)
