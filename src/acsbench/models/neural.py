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
from scipy.special import expit
from torch import nn

from acsbench.dataset import WaveformDataset
from acsbench.errors import (
    InputError,
    MissingDependencyError,
    StepError,
    StoreError,
)
from acsbench.models.base import require_both_classes
from acsbench.models.batches import Feed, WaveformFeed
from acsbench.models.calibrate import Line, apply_lines, fit_lines
from acsbench.models.config import NetworkConfig, Shape
from acsbench.models.covariates import Covariates
from acsbench.models.folder import read_folder, read_weights, weights_sha256, write_folder
from acsbench.models.inference import (
    OnnxNetwork,
    batch_logits,
    export_onnx,
    fold_batch_norm,
    records_at_once,
    to_int8,
    torch_threads,
)
from acsbench.models.own_network import OwnConfig, config_class
from acsbench.models.signature import (
    data_fingerprint,
    require_recipe,
    require_same_input,
    signature_of,
)
from acsbench.models.transfer import compare_splits, copy_weights
from acsbench.provenance import json_sha256, parse_config

__all__ = ["NeuralClassifier", "acsbench_s4", "ecg_omi", "resnet6", "resnet18", "resnet50", "s4"]


class NeuralClassifier:
    """A network, trained by the Lightning Trainer, behind the four methods of a model.

    Parameters
    ----------
    network : str
        A name of `config.NETWORKS`, or of a registered ``nn.Module``.
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
        return config_class(network)

    @property
    def _what(self) -> str:
        return f"Model '{self.name}'"

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it was trained for; empty for a published checkpoint, which does not say."""
        return tuple(self.signature.get("tasks", ()))

    @property
    def rank(self) -> int:
        """Of this process in a distributed training; 0 otherwise."""
        distributed = torch.distributed
        is_one_of_many = distributed.is_available() and distributed.is_initialized()
        return distributed.get_rank() if is_one_of_many else 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Cohort columns without which it does not score."""
        return () if self.config.may_lack_columns else self.config.covariates

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
        if train.tasks != val.tasks:
            raise InputError(f"train has the tasks {train.tasks}, val {val.tasks}.")
        require_both_classes(train, val)
        with (
            torch_threads(self.config.threads),
            torch.random.fork_rng(devices=[]),
            tempfile.TemporaryDirectory() as temporary,
        ):
            torch.manual_seed(self.config.seed)
            network, started_from = self.begin(train)
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
        from acsbench.models.trainee import Trainee, positive_weight  # noqa: PLC0415  seconds
        from acsbench.models.training import fit_network  # noqa: PLC0415  seconds

        weight = positive_weight(train.labels) if self.config.class_weights else None
        return fit_network(
            Trainee(network, self.config, positive_weight=weight),
            train,
            val,
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

    def begin(self, train: WaveformDataset) -> tuple[nn.Module, str]:
        """Make the network that a training of these data starts with, from torch's present seed.

        Parameters
        ----------
        train : WaveformDataset
            Without tasks it gets no head.

        Returns
        -------
        network : nn.Module
        started_from : str
            Fingerprint of the weights it was given; empty for random ones.

        Raises
        ------
        StoreError, InputError
            When the store is of another recipe, or ``init_from`` does not fit.
        """
        require_recipe(train, self.recipe, what=self._what)
        self._prepare(train)
        return self._fresh_network(train)

    def _prepare(self, train: WaveformDataset) -> None:
        self.signature, self.lines = signature_of(train), ()
        self.covariates = Covariates.fit(
            train, self.config.covariates, may_lack=self.config.may_lack_columns
        )
        self.shape = Shape(
            n_channels=len(self.signature["lead_names"]) * (2 if self.config.use_mask else 1),
            n_samples=self.signature["n_samples"],
            n_outputs=len(train.tasks) or None,
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
                data_fingerprint(val),
                started_from,
            ]
        )[:16]

    def _fresh_network(self, train: WaveformDataset) -> tuple[nn.Module, str]:
        """Build the network and start it from ``init_from``, with a fingerprint of the latter."""
        assert self.shape is not None
        if self.config.init_from is None:
            return self.config.build(self.shape), ""
        return self._start_from(self.config.init_from, train, head=self.config.head)

    def _start_from(
        self, place: Path | str, train: WaveformDataset, *, head: str
    ) -> tuple[nn.Module, str]:
        """Build the network with the weights of a trained one, if its patients allow that."""
        from acsbench.models.pretrained import load_pretrained  # noqa: PLC0415  avoids a circle

        assert self.shape is not None
        where = str(place)
        with torch.random.fork_rng(devices=[]):  # a fresh head is the seed's alone
            other = load_pretrained(place)
        assert other.network is not None
        self.remarks = compare_splits(
            other.signature, train, where=where, allowed=self.config.allow_other_split
        )
        if other.signature:
            require_same_input(other.signature, self.signature, what=where)
        self._inherit(other)
        network = self.config.build(self.shape)
        copy_weights(other.network, network, where=where, head=head)
        return network, weights_sha256(network)

    def _inherit(self, other: NeuralClassifier) -> None:
        """Take over from ``init_from`` what is not in its weights."""

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
        scores: NDArray[np.float64] = expit(logits)
        return np.hstack([1 - scores, scores]) if scores.shape[1] == 1 else scores

    def _logits(self, data: WaveformDataset) -> NDArray[np.float64]:
        network, shape = self._fitted()
        require_recipe(data, self.recipe, what=self._what)
        seen = signature_of(data)
        if self.signature:
            require_same_input(self.signature, seen, what=self._what)
        n_channels = len(seen["lead_names"]) * (2 if self.config.use_mask else 1)
        if shape.n_channels not in (None, n_channels):
            raise StoreError(
                f"{self._what} takes {shape.n_channels} rows; the store gives {n_channels}."
            )
        with torch_threads(self.config.threads):
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
        # only of a network of ours is it known which layer a BatchNorm follows
        as_it_is = isinstance(network, OnnxNetwork) or isinstance(self.config, OwnConfig)
        return network if as_it_is else fold_batch_norm(network)

    def _input_shape(self) -> tuple[int, ...]:
        """Shape of one input of the network."""
        _, shape = self._fitted()
        if shape.n_channels is None:
            raise InputError("A network without encoder cannot be exported.")
        return shape.n_channels, shape.n_samples

    def _fitted(self) -> tuple[nn.Module, Shape]:
        if self.network is None or self.shape is None:
            raise StepError(f"{self._what} is not fitted yet; call fit or load first.")
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

    def save_onnx(self, file: Path, *, int8: bool = False) -> None:
        """Write one ``.onnx`` file that onnxruntime runs: a model that scores like this one.

        Parameters
        ----------
        file : Path
        int8 : bool
            Store matrices as 8-bit integers: smaller and quicker, and scores change a little.

        Raises
        ------
        StepError, MissingDependencyError, InputError
        """
        network, shape = self._fitted()
        if isinstance(network, OnnxNetwork):
            raise InputError("This network is an ONNX file already; copy the file.")
        export_onnx(
            self._ready(network),
            file,
            shape=self._input_shape(),
            n_covariates=shape.n_covariates,
            body=self._body(),
        )
        if int8:
            to_int8(file)

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
        onnx = OnnxNetwork(folder) if folder.suffix == ".onnx" else None
        body = read_folder(folder) if onnx is None else onnx.body
        try:
            model = cls._described(body)
            assert model.shape is not None
            if onnx is None:
                model.network = model.config.build(model.shape)
                model.network.load_state_dict(read_weights(folder))
            else:
                model.network = onnx
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            if isinstance(error, (InputError, StepError)):
                raise
            raise StoreError(f"The model in {folder} is damaged: {error}") from None
        model.network.eval()
        return model

    @classmethod
    def _described(cls, body: dict[str, Any]) -> Self:
        """Everything of a saved model but its network."""
        parameters = dict(body["parameters"])
        if "network" not in parameters:
            raise InputError(f"A model '{body['model']}' is no network.")
        model = cls(parameters.pop("network"), name=body["model"], **parameters)
        model.signature = body["signature"]
        model.remarks = tuple(body["remarks"])
        model.covariates = Covariates.from_json(body["covariates"])
        model.lines = tuple((slope, intercept) for slope, intercept in body["lines"])
        model.shape = Shape.model_validate(body["shape"])
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
    norm="batch",
    elementwise=True,
    learning_rate=4e-3,
    augment={"crop_s": 2.5},
    calibrate=True,
)
