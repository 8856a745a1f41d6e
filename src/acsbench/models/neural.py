"""NeuralClassifier: any network of the registry as a model."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from acsbench.dataset import WaveformDataset
from acsbench.errors import (
    InputError,
    MissingDependencyError,
    StepError,
    StoreError,
    UnknownNameError,
    did_you_mean,
)
from acsbench.models.base import require_both_classes
from acsbench.models.batches import Feed, WaveformFeed
from acsbench.models.calibrate import Line, apply_lines, fit_lines
from acsbench.models.config import NETWORKS, NetworkConfig, Shape
from acsbench.models.covariates import Covariates
from acsbench.models.folder import (
    ONNX_NAME,
    read_folder,
    read_weights,
    weights_sha256,
    write_config,
    write_folder,
)
from acsbench.models.inference import (
    OnnxNetwork,
    batch_logits,
    export_onnx,
    fold_batch_norm,
    records_at_once,
)
from acsbench.provenance import json_sha256, parse_config

__all__ = ["NeuralClassifier", "acsbench_s4", "ecg_omi", "resnet6", "resnet18", "resnet50", "s4"]

_SAME_INPUT = ("recipe", "lead_names", "sampling_rate", "units", "n_samples")


class NeuralClassifier:
    """A network, trained by the Lightning Trainer, behind the four methods of a model.

    Parameters
    ----------
    network : str
        A name of `config.NETWORKS`.
    name : str, optional
        What the model is registered as; by default the network.
    folder : Path, optional
        Keeps checkpoints and logs; by default a temporary one.
    **parameters
        See `config.NetworkConfig` and the network's own; unknown ones are refused.

    Attributes
    ----------
    network : nn.Module or None
        None before a fit or load.
    signature : dict
        What the training's input was; empty for a published checkpoint, which does not say.
    remarks : tuple of str
        What a reader of the results has to know.
    """

    def __init__(
        self,
        network: str,
        *,
        name: str | None = None,
        folder: Path | None = None,
        **parameters: Any,
    ) -> None:
        self.name = name or network
        self.config: NetworkConfig = parse_config(
            self._config_of(network),
            {"network": network, **parameters},
            where=f"Model '{self.name}'",
        )
        self.recipe: str | None = self.config.recipe
        self.folder = folder
        self.network: nn.Module | None = None
        self.shape: Shape | None = None
        self.signature: dict[str, Any] = {}
        self.covariates = Covariates()
        self.lines: tuple[Line, ...] = ()
        self.remarks: tuple[str, ...] = ()

    def _config_of(self, network: str) -> type[NetworkConfig]:
        if network not in NETWORKS:
            raise UnknownNameError(
                f"No network is called '{network}'.{did_you_mean(network, NETWORKS)} "
                f"Known: {', '.join(NETWORKS)}."
            )
        return NETWORKS[network]

    def fit(self, train: WaveformDataset, val: WaveformDataset) -> Self:
        """Train on ``train``, stop and choose the best epoch on ``val``.

        Raises
        ------
        StoreError, InputError
            When the store is of another recipe, or ``init_from`` does not fit.
        TableError
            When a split has one class only, or a covariate is not there.
        KeyboardInterrupt
            A later call takes up after the last finished epoch, and ends with the same weights.
        """
        self._require_recipe(train)
        if train.tasks != val.tasks:
            raise InputError(f"train has the tasks {train.tasks}, val {val.tasks}.")
        require_both_classes(train, val)
        self._prepare(train)
        if self.config.threads is not None:
            torch.set_num_threads(self.config.threads)
        with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as temporary:
            torch.manual_seed(self.config.seed)
            network, started_from = self._fresh_network(train)
            folder = Path(temporary)
            if self.folder is not None:
                folder = self.folder / self._job(val, started_from)
            self.network = self._train(network, train, val, folder, feed=self._feed())
        if self.config.calibrate:
            self.lines = fit_lines(self._logits(val), val.labels)
        return self

    def _train(
        self,
        network: nn.Module,
        train: WaveformDataset,
        val: WaveformDataset,
        folder: Path,
        *,
        feed: Feed,
    ) -> nn.Module:
        from acsbench.models.training import fit_network  # noqa: PLC0415  seconds

        return fit_network(
            network,
            train,
            val,
            self.config,
            feed=feed,
            covariates=self.covariates,
            folder=folder,
        )

    def _feed(self) -> Feed:
        """How records become the network's input."""
        return WaveformFeed(self.config)

    def _at_once(self, data: WaveformDataset) -> int:
        """Records scored in one batch."""
        n_samples = data.store.shape[1] if data.store is not None else 1
        return records_at_once(width=int(getattr(self.config, "width", 64)), n_samples=n_samples)

    def _prepare(self, train: WaveformDataset) -> None:
        self.signature, self.lines = _signature(train), ()
        self.covariates = Covariates.fit(train, self.config.covariates)
        self.shape = Shape(
            n_channels=len(self.signature["lead_names"]) * (2 if self.config.use_mask else 1),
            n_samples=self.signature["n_samples"],
            n_outputs=len(train.tasks),
            n_covariates=len(self.config.covariates),
        )

    def _job(self, val: WaveformDataset, started_from: str) -> str:
        """Name the training, so that checkpoints of another one are never taken up."""
        where = {"threads", "devices", "nodes", "loggers", "init_from", "predict_in", "calibrate"}
        where |= {"init", "cache"}
        return json_sha256(
            [
                self.config.model_dump(mode="json", exclude=where),
                self.signature,
                _data_fingerprint(val),
                started_from,
            ]
        )[:16]

    def _fresh_network(self, train: WaveformDataset) -> tuple[nn.Module, str]:
        """Build the network and start it from ``init_from``, with a fingerprint of the latter."""
        assert self.shape is not None
        if self.config.init_from is None:
            return self.config.build(self.shape), ""
        from acsbench.models.pretrained import load_pretrained  # noqa: PLC0415  avoids a circle

        where = str(self.config.init_from)
        with torch.random.fork_rng(devices=[]):  # a fresh head is the seed's alone
            other = load_pretrained(self.config.init_from)
        self.remarks = _compare_splits(
            other.signature, train, where=where, allowed=self.config.allow_other_split
        )
        if other.signature:
            _require_same_input(other.signature, self.signature, what=where)
        self._inherit(other)
        network = self.config.build(self.shape)
        _copy_weights(other.network, network, where=where, head=self.config.head)
        return network, weights_sha256(network)

    def _inherit(self, other: NeuralClassifier) -> None:
        """Take over from ``init_from`` what is not in its weights."""

    def _require_recipe(self, data: WaveformDataset) -> None:
        if data.recipe != self.recipe:
            raise StoreError(
                f"Model '{self.name}' needs waveforms of recipe '{self.recipe}'; the store holds "
                f"'{data.recipe}'. Give it the right store, or set recipe."
            )

    def predict_proba(self, data: WaveformDataset) -> NDArray[np.float64]:
        """Probabilities, (n, 2) for one task and (n, k) for several.

        Raises
        ------
        StepError
            Before a fit.
        StoreError
            When the store has another recipe, lead order, rate or unit than the training's.
        """
        logits = apply_lines(self._logits(data), self.lines)
        scores: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        return np.hstack([1 - scores, scores]) if scores.shape[1] == 1 else scores

    def _logits(self, data: WaveformDataset) -> NDArray[np.float64]:
        network, shape = self._fitted()
        self._require_recipe(data)
        seen = _signature(data)
        if self.signature:
            _require_same_input(self.signature, seen, what=f"Model '{self.name}'")
        n_channels = len(seen["lead_names"]) * (2 if self.config.use_mask else 1)
        if shape.n_channels not in (None, n_channels):
            raise StoreError(
                f"Model '{self.name}' takes {shape.n_channels} rows; the store gives {n_channels}."
            )
        return batch_logits(
            self._ready(network),
            data,
            self._feed().for_scoring(data),
            covariates=self.covariates,
            at_once=self._at_once(data),
            in_bf16=self.config.predict_in == "bf16",
        )

    def _ready(self, network: nn.Module) -> nn.Module:
        """Make the network quick for scoring."""
        return network if isinstance(network, OnnxNetwork) else fold_batch_norm(network)

    def _input_shape(self) -> tuple[int, ...]:
        """Shape of one input of the network."""
        _, shape = self._fitted()
        if shape.n_channels is None:
            raise InputError("A network without encoder cannot be exported.")
        return shape.n_channels, shape.n_samples

    def _fitted(self) -> tuple[nn.Module, Shape]:
        if self.network is None or self.shape is None:
            raise StepError(f"Model '{self.name}' is not fitted yet; call fit or load first.")
        return self.network, self.shape

    def adopt(self, network: nn.Module, shape: Shape, *, source: str) -> None:
        """Take a published network; what its input was is not known."""
        self.network, self.shape = network.eval(), shape
        self.remarks = (f"Weights of {source}; nothing is known of their training data.",)
        if shape.n_covariates:
            zeros, ones = (0.0,) * shape.n_covariates, (1.0,) * shape.n_covariates
            self.covariates = Covariates(
                names=self.config.covariates, medians=zeros, means=zeros, scales=ones
            )

    def save(self, folder: Path) -> None:
        """Write ``config.json``, ``model.safetensors`` and a model card.

        Raises
        ------
        StepError
            Before a fit.
        """
        network, _ = self._fitted()
        write_folder(folder, self._body(), network)

    def save_onnx(self, folder: Path) -> None:
        """Write the folder of a model that onnxruntime runs; it scores like this one.

        Raises
        ------
        StepError, MissingDependencyError, InputError
        """
        network, shape = self._fitted()
        export_onnx(
            fold_batch_norm(network),
            folder / ONNX_NAME,
            shape=self._input_shape(),
            n_covariates=shape.n_covariates,
        )
        write_config(folder, self._body())

    def _body(self) -> dict[str, Any]:
        network, shape = self._fitted()
        return {
            "model": self.name,
            "parameters": self.config.model_dump(mode="json"),
            "shape": shape.model_dump(mode="json"),
            "signature": self.signature,
            "covariates": asdict(self.covariates),
            "lines": self.lines,
            "n_parameters": sum(p.numel() for p in network.parameters()),
            "remarks": list(self.remarks),
        }

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` or `save_onnx` wrote; nothing in the files is executed.

        Raises
        ------
        MissingPathError, StoreError
        """
        body = read_folder(folder)
        try:
            parameters = body["parameters"]
            model = cls(parameters.pop("network"), name=body["model"], **parameters)
            model.signature = body["signature"]
            model.remarks = tuple(body["remarks"])
            model.covariates = Covariates.from_json(body["covariates"])
            model.lines = tuple((slope, intercept) for slope, intercept in body["lines"])
            model.shape = Shape.model_validate(body["shape"])
            if (folder / ONNX_NAME).is_file():
                model.network = OnnxNetwork(folder / ONNX_NAME)
            else:
                model.network = model.config.build(model.shape).eval()
                model.network.load_state_dict(read_weights(folder))
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            if isinstance(error, (InputError, StepError)):
                raise
            raise StoreError(f"The model in {folder} is damaged: {error}") from None
        return model

    def push_to_hub(self, repository: str, *, private: bool = True) -> None:
        """Upload the folder that `save` writes to ``OWNER/NAME`` on the Hugging Face hub."""
        try:
            import huggingface_hub as hub  # noqa: PLC0415  optional
        except ImportError:
            raise MissingDependencyError(
                "Uploading needs huggingface_hub: pip install 'acsbench[hub]'."
            ) from None
        with tempfile.TemporaryDirectory() as name:
            self.save(Path(name))
            hub.create_repo(repository, private=private, exist_ok=True)
            hub.upload_folder(repo_id=repository, folder_path=name)


def _signature(data: WaveformDataset) -> dict[str, Any]:
    """What a network's input was: travels in its checkpoint."""
    store = data.store
    if store is None:
        raise StoreError("A network needs a waveform store; load_dataset was given none.")
    return {
        "recipe": store.manifest.config["recipe"],
        "lead_names": list(store.lead_names),
        "sampling_rate": store.sampling_rate,
        "units": store.units,
        "n_samples": store.shape[1],
        "tasks": list(data.tasks),
        "split_fingerprint": data.split_fingerprint,
        "data_fingerprint": "" if data.is_holdout else _data_fingerprint(data),
    }


def _data_fingerprint(data: WaveformDataset) -> str:
    store = data.store
    waveforms = store.manifest.fingerprint if store is not None else ""
    return json_sha256([data.ecg_ids, data.labels.tolist(), waveforms])


def _require_same_input(theirs: dict[str, Any], ours: dict[str, Any], *, what: str) -> None:
    for key in _SAME_INPUT:
        if theirs[key] != ours[key]:
            raise StoreError(
                f"{what} was trained with {key} = {theirs[key]}; here the store has {ours[key]}."
            )


def _compare_splits(
    theirs: dict[str, Any], train: WaveformDataset, *, where: str, allowed: bool
) -> tuple[str, ...]:
    """Refuse, or remark on, a start whose training patients may be in val or test."""
    if not theirs:
        return (f"Started from {where}, of whose training patients nothing is known.",)
    split, here = theirs["split_fingerprint"], train.split_fingerprint
    if split == here:
        return ()
    message = (
        f"{where} was trained under another split ({split[:12]}, here {here[:12]}): its training "
        "patients may be in val or test."
    )
    if not allowed:
        raise InputError(f"{message} Train it again on this cohort.")
    return (message,)


def _copy_weights(source: nn.Module | None, target: nn.Module, *, where: str, head: str) -> None:
    assert source is not None
    if type(source) is not type(target):
        raise InputError(f"{where} is a {type(source).__name__}, not a {type(target).__name__}.")
    state, fresh = dict(source.state_dict()), target.state_dict()
    if head == "fresh":
        prefixes: tuple[str, ...] = target.head  # type: ignore[assignment]  # every network names it
        state.update({key: fresh[key] for key in fresh if key.startswith(prefixes)})
    try:
        target.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{where} is a network of other sizes: {error}") from None


resnet6 = partial(NeuralClassifier, network="resnet6")
resnet18 = partial(NeuralClassifier, network="resnet18")
resnet50 = partial(NeuralClassifier, network="resnet50")
s4 = partial(NeuralClassifier, network="s4", batch_size=32, learning_rate=1e-3)
ecg_omi = partial(NeuralClassifier, network="ecg_omi")
acsbench_s4 = partial(
    NeuralClassifier,
    network="s4",
    name="acsbench_s4",
    recipe="recorded_12",
    use_mask=True,
    width=128,
    calibrate=True,
)
