"""FoundationClassifier: a foundation model behind the four methods of a model."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from acsbench.dataset import WaveformDataset
from acsbench.errors import ConfigError, InputError
from acsbench.models.batches import Feed
from acsbench.models.config import Shape
from acsbench.models.folder import is_saved, read_folder, weights_sha256
from acsbench.models.foundation.base import Adapter, Published, adapter_of
from acsbench.models.foundation.cache import cached_features
from acsbench.models.foundation.config import FoundationConfig
from acsbench.models.foundation.feed import FeatureFeed, WindowFeed, require_leads
from acsbench.models.foundation.heads import pool_windows
from acsbench.models.foundation.network import FeatureNetwork, FoundationNetwork
from acsbench.models.inference import OnnxNetwork
from acsbench.models.neural import NeuralClassifier
from acsbench.models.pretrained import fetch, fill
from acsbench.models.signature import require_recipe
from acsbench.provenance import json_sha256

__all__ = ["FoundationClassifier", "backbone_settings", "ecg_cpc", "ecgfounder", "hubert_ecg"]

log = logging.getLogger("acsbench")
_OF_THE_HEAD = {"head_kind", "hidden", "activation"}
_CONTROL = "Backbone from random weights: the control that says what pre-training brought."


class FoundationClassifier(NeuralClassifier):
    """`NeuralClassifier` with an adapter's backbone: windows, stages, frozen features.

    Parameters
    ----------
    network : str
        A name of `base.ADAPTERS`, or what a plug-in's model is registered as.
    adapter : type of Adapter, optional
        A plug-in's.
    name, folder, **parameters
        As for `NeuralClassifier`; see `FoundationConfig` and the adapter's own.
    """

    config: FoundationConfig

    def __init__(
        self,
        network: str,
        *,
        adapter: type[Adapter] | None = None,
        name: str | None = None,
        folder: Path | None = None,
        **parameters: Any,
    ) -> None:
        self._adapter_type = adapter or adapter_of(network)
        super().__init__(network, name=name, folder=folder, **parameters)

    def _config_of(self, network: str) -> type[FoundationConfig]:
        del network
        return self._adapter_type.settings

    @classmethod
    def from_published(cls, network: str, place: Path | str, **parameters: Any) -> Self:
        """Take published weights with their head, as a model that scores without being trained.

        Parameters
        ----------
        network : str
            As above.
        place : path or str
            A file, a folder, or ``hf:OWNER/NAME[/file]``.
        **parameters
            ``profile``, ``recipe``, ``positive_label``, ...

        Raises
        ------
        InputError, StoreError
        """
        found = _read(adapter_of(network), place)
        model = cls(network, **{**found.settings, "labels": found.labels, **parameters})
        adapter = model.config.adapter()
        shape = Shape(
            n_channels=len(adapter.spec.lead_names),
            n_samples=adapter.input_shape[-1],
            n_outputs=found.n_outputs,
        )
        built = model.config.build(shape)
        fill(built.backbone, found.backbone, where=str(place))
        if found.head:
            fill(built.classifier, found.head, where=str(place))
        model.adopt(built, shape, source=str(place))
        model.remarks = (*model.remarks, adapter.spec.notice)
        return model

    def _fresh_network(self, train: WaveformDataset) -> tuple[nn.Module, str]:
        require_leads(train, self.config.adapter())
        init = self.config.init
        if init is not None and is_saved(init):
            return self._start_from(init, train, head="fresh")
        if init is not None:
            return self._from_init(init)
        if self.config.init_from is None:
            self.remarks = (_CONTROL,)
        return super()._fresh_network(train)

    def _from_init(self, init: str) -> tuple[nn.Module, str]:
        """Build on published weights; their head is kept where it fits and ``head`` says so."""
        assert self.shape is not None
        found = _read(self._adapter_type, init)
        keeps = self.config.head == "keep" and found.n_outputs == self.shape.n_outputs
        taken = {k: v for k, v in found.settings.items() if keeps or k not in _OF_THE_HEAD}
        self.config = self.config.model_copy(update=taken)
        network = self.config.build(self.shape)
        fill(network.backbone, found.backbone, where=init)
        if keeps:
            fill(network.classifier, found.head, where=init)
        self.remarks = (self.config.adapter().spec.notice,)
        return network, weights_sha256(network)

    def _inherit(self, other: NeuralClassifier) -> None:
        """Build as the model that is started from is built, where nothing else was asked for."""
        if not isinstance(other, FoundationClassifier):
            return
        self.remarks = (*other.remarks, *self.remarks)
        if other.config.network == self.config.network:
            names = self._own_parameters() | (_OF_THE_HEAD if self.config.head == "keep" else set())
            theirs = {
                name: getattr(other.config, name) for name in names - self.config.model_fields_set
            }
            self.config = self.config.model_copy(update=theirs)

    def _own_parameters(self) -> set[str]:
        """Names of the adapter's own parameters: sizes, preparation, regularisation."""
        return set(type(self.config).model_fields) - set(FoundationConfig.model_fields)

    def _train(
        self,
        network: nn.Module,
        train: WaveformDataset,
        val: WaveformDataset,
        folder: Path,
        *,
        feed: Feed,
    ) -> nn.Module:
        assert isinstance(network, FoundationNetwork)
        self._tell(network)
        if self.config.mode != "frozen":
            return super()._train(network, train, val, folder, feed=feed)
        cache = self.config.cache or (self.folder or folder) / "features"
        features = {
            data.ecg_ids: self._features(network, data, cache, feed) for data in (train, val)
        }
        head = FeatureNetwork(network)
        super()._train(head, train, val, folder, feed=FeatureFeed(features))
        return network.eval()

    def features(
        self, network: FoundationNetwork, data: WaveformDataset, *, cache: Path
    ) -> NDArray[np.float32]:
        """Pooled features of a network of this model, (records, windows, width).

        Parameters
        ----------
        network : FoundationNetwork
            Of `begin`, say.
        data : WaveformDataset
        cache : Path
            Keeps them for whoever asks again for these weights and records.
        """
        return self._features(network, data, cache, self._feed())

    def _tell(self, network: FoundationNetwork) -> None:
        """Say what is trained."""
        counts = {part: n for part, n in network.trainable().items() if n}
        whole = sum(p.numel() for p in network.parameters())
        parts = ", ".join(f"{part} {n:,}" for part, n in counts.items())
        log.info(
            "%s trains %s of %s parameters: %s",
            self.name,
            f"{sum(counts.values()):,}",
            f"{whole:,}",
            parts,
        )

    def _features(
        self, network: FoundationNetwork, data: WaveformDataset, cache: Path, feed: Feed
    ) -> NDArray[np.float32]:
        """Features of a dataset, from the cache where they are there."""
        names = self._own_parameters() | {"pooling", "n_windows"}
        preparation = self.config.model_dump(mode="json", include=names)
        store = require_leads(data, network.adapter)
        backbone = weights_sha256(network.backbone)
        key = [self.config.network, backbone, preparation, store.manifest.fingerprint, data.ecg_ids]
        return cached_features(
            network,
            data,
            feed.for_scoring(data),
            folder=cache / json_sha256(key)[:16],
            at_once=self.config.at_once,
        )

    def _feed(self) -> Feed:
        return WindowFeed(self.config.adapter())

    def _at_once(self, data: WaveformDataset) -> int:
        del data  # the backbone decides, not the store
        return self.config.at_once

    def _ready(self, network: nn.Module) -> nn.Module:
        if isinstance(network, OnnxNetwork):
            return _EachWindow(network, how=self.config.window_pooling)
        return super()._ready(network)

    def _input_shape(self) -> tuple[int, ...]:
        return self.config.adapter().input_shape

    def _logits(self, data: WaveformDataset) -> NDArray[np.float64]:
        require_recipe(data, self.recipe, what=self._what)
        require_leads(data, self.config.adapter())
        network, shape = self._fitted()
        del network
        if shape.n_outputs is None:
            raise InputError(f"'{self.name}' has no head yet: train one with init = its weights.")
        column = None
        if shape.n_outputs != len(data.tasks):
            column = self._positive(shape.n_outputs, data.tasks)
        logits = super()._logits(data)
        return logits if column is None else logits[:, [column]]

    def _positive(self, n_outputs: int, tasks: tuple[str, ...]) -> int:
        """Number of the output that is the score."""
        label, names = self.config.positive_label, self.config.labels
        said = f" ({', '.join(names)})" if names else ""
        if len(tasks) != 1 or label is None:
            raise InputError(
                f"The head of '{self.name}' has {n_outputs} outputs{said} for {len(tasks)} task(s) "
                f"({', '.join(tasks)}). Say which is the score: positive_label = 0, or its name."
            )
        if label in names:
            return names.index(str(label))
        if not str(label).isdecimal() or int(label) >= n_outputs:
            raise ConfigError(
                f"positive_label = {label!r} is none of the {n_outputs} outputs{said}."
            )
        return int(label)


class _EachWindow(nn.Module):
    """Runs an exported network, which knows single windows, on every window of a record."""

    def __init__(self, network: OnnxNetwork, *, how: str) -> None:
        super().__init__()
        self.network = network
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, windows, *input_shape) to (batch, n_outputs) logits."""
        each = self.network(x.flatten(0, 1))
        return pool_windows(each, x.shape[1], how=self.how)


def backbone_settings(folder: Path) -> tuple[str, dict[str, Any]]:
    """Network of a saved model, and the settings without which its backbone is another one.

    Raises
    ------
    MissingPathError, StoreError
    """
    parameters = read_folder(folder).get("parameters", {})
    network = str(parameters.get("network"))
    names = set(adapter_of(network).settings.model_fields) - set(FoundationConfig.model_fields)
    return network, {name: parameters[name] for name in sorted(names) if name in parameters}


def _read(adapter: type[Adapter], place: Path | str) -> Published:
    """Read published weights, telling their licence."""
    log.warning("%s", adapter.spec.notice)
    return adapter.load(fetch(place))


hubert_ecg = partial(FoundationClassifier, network="hubert_ecg")
ecgfounder = partial(FoundationClassifier, network="ecgfounder")
ecg_cpc = partial(FoundationClassifier, network="ecg_cpc")
