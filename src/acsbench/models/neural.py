"""NeuralClassifier: any network of the registry as a model."""

from __future__ import annotations

import io
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from acsbench.dataset import WaveformDataset
from acsbench.errors import InputError, MissingPathError, StepError, StoreError
from acsbench.models.base import CONFIG_NAME, require_both_classes
from acsbench.models.batches import read_inputs
from acsbench.models.networks.resnet import ResNet
from acsbench.provenance import (
    StepConfig,
    atomic_path,
    atomic_text,
    file_sha256,
    json_sha256,
    parse_config,
)

__all__ = ["NeuralClassifier", "NeuralConfig", "resnet6", "resnet18", "resnet50"]

WEIGHTS_NAME = "weights.pt"
_DEPTHS: dict[str, Literal[6, 18, 50]] = {"resnet6": 6, "resnet18": 18, "resnet50": 50}


class NeuralConfig(StepConfig):
    """Parameters of a network and of its training.

    Attributes
    ----------
    network : str
    recipe : str
        What the store must hold.
    use_mask : bool
        Give the network the mask as extra channels.
    width, hidden, kernel : int
        Sizes of the network; see `networks.resnet.ResNet`.
    dropout : float
    epochs, batch_size : int
    patience : int
        Epochs without a better validation AUROC before training stops.
    learning_rate, weight_decay : float
        Of AdamW.
    schedule : "cosine" or "constant"
        One cycle with a short warm-up, or none.
    precision : "32-true" or "bf16-mixed"
    threads : int or None
        Torch's threads; results are repeatable for one number of threads.
    seed : int
    init_from : path or None
        Folder of a trained model to start from, head included.
    allow_other_split : bool
        Start from a model trained under another split all the same; every result is then marked.
    """

    network: str
    recipe: str = "three_by_four"
    use_mask: bool = False
    width: int = Field(default=32, ge=1)
    hidden: int = Field(default=256, ge=1)
    kernel: int = Field(default=7, ge=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    epochs: int = Field(default=50, ge=1)
    batch_size: int = Field(default=32, ge=2)
    patience: int = Field(default=10, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    threads: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    init_from: Path | None = None
    allow_other_split: bool = False


class NeuralClassifier:
    """A network, trained by the Lightning Trainer, behind the four methods of a model.

    Parameters
    ----------
    network : str
        ``resnet6``, ``resnet18`` or ``resnet50``.
    folder : Path, optional
        Keeps checkpoints and the log; by default a temporary one.
    **parameters
        See `NeuralConfig`; unknown ones are refused.
    """

    def __init__(self, network: str, *, folder: Path | None = None, **parameters: Any) -> None:
        where = f"Model '{network}'"
        self.config = parse_config(NeuralConfig, {"network": network, **parameters}, where=where)
        self.name = network
        self.recipe: str | None = self.config.recipe
        self.folder = folder
        self.network: nn.Module | None = None
        self.remarks: tuple[str, ...] = ()
        self.signature: dict[str, Any] = {}

    def fit(self, train: WaveformDataset, val: WaveformDataset) -> Self:
        """Train on ``train``, stop and choose the best epoch on ``val``.

        Raises
        ------
        StoreError, InputError
            When the store is of another recipe, or ``init_from`` does not fit.
        KeyboardInterrupt
            A later call takes up after the last finished epoch, and ends with the same weights.
        TableError
            When a split has one class only.
        """
        from acsbench.models.training import TrainingPlan, fit_network  # noqa: PLC0415  seconds

        self._require_recipe(train)
        if train.tasks != val.tasks:
            raise InputError(f"train has the tasks {train.tasks}, val {val.tasks}.")
        require_both_classes(train, val)
        self.signature = _signature(train)
        if self.config.threads is not None:
            torch.set_num_threads(self.config.threads)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            network = self._build()
            self._start_from(network, train)
            fields = TrainingPlan.__dataclass_fields__
            plan = TrainingPlan(**{name: getattr(self.config, name) for name in fields})
            if self.folder is not None:
                folder = self.folder / self._job(train, val)
                self.network = fit_network(network, train, val, plan, folder=folder)
            else:
                with tempfile.TemporaryDirectory() as folder_name:
                    self.network = fit_network(network, train, val, plan, folder=Path(folder_name))
        return self

    def _job(self, train: WaveformDataset, val: WaveformDataset) -> str:
        """Name the training, so that checkpoints of another one are never taken up."""
        store = train.store
        start = self.config.init_from
        return json_sha256(
            [
                self.config.model_dump(mode="json", exclude={"threads"}),
                self.signature,
                json_sha256([train.ecg_ids, val.ecg_ids]),
                json_sha256([train.labels.tolist(), val.labels.tolist()]),
                store.manifest.fingerprint if store is not None else "",
                file_sha256(start / WEIGHTS_NAME) if start is not None else "",
            ]
        )[:16]

    def _build(self) -> nn.Module:
        n_leads, n_samples = len(self.signature["lead_names"]), self.signature["n_samples"]
        config = self.config
        if config.network not in _DEPTHS:
            raise InputError(f"NeuralClassifier knows no network '{config.network}'.")
        return ResNet(
            _DEPTHS[config.network],
            n_channels=n_leads * (2 if config.use_mask else 1),
            n_samples=n_samples,
            n_outputs=len(self.signature["tasks"]),
            width=config.width,
            hidden=config.hidden,
            kernel=config.kernel,
            dropout=config.dropout,
        )

    def _start_from(self, network: nn.Module, train: WaveformDataset) -> None:
        if self.config.init_from is None:
            return
        other = NeuralClassifier.load(self.config.init_from)
        if other.network is None:
            raise StoreError(f"{self.config.init_from} holds no trained network.")
        theirs = other.signature["split_fingerprint"]
        if theirs != train.split_fingerprint:
            message = (
                f"{self.config.init_from} was trained under another split ({theirs[:12]}, here "
                f"{train.split_fingerprint[:12]}): its training patients may be in val or test."
            )
            if not self.config.allow_other_split:
                raise InputError(f"{message} Train it again on this cohort.")
            self.remarks = (message,)
        self._require_same_input(other.signature, self.signature, what=str(self.config.init_from))
        try:
            network.load_state_dict(other.network.state_dict())
        except RuntimeError as error:
            raise InputError(
                f"{self.config.init_from} is a network of other sizes: {error}"
            ) from None

    def _require_recipe(self, data: WaveformDataset) -> None:
        if data.recipe != self.recipe:
            raise StoreError(
                f"Model '{self.name}' needs waveforms of recipe '{self.recipe}'; the store holds "
                f"'{data.recipe}'. Give it the right store, or set recipe."
            )

    @staticmethod
    def _require_same_input(theirs: dict[str, Any], ours: dict[str, Any], *, what: str) -> None:
        for key in ("recipe", "lead_names", "sampling_rate", "units", "n_samples"):
            if theirs[key] != ours[key]:
                raise StoreError(
                    f"{what} was trained with {key} = {theirs[key]}; here the store has "
                    f"{ours[key]}."
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
        if self.network is None:
            raise StepError(f"Model '{self.name}' is not fitted yet; call fit or load first.")
        self._require_recipe(data)
        self._require_same_input(self.signature, _signature(data), what=f"Model '{self.name}'")
        parts = []
        network = self.network.eval()
        with torch.inference_mode():
            for start in range(0, len(data), 128):
                indices = range(start, min(start + 128, len(data)))
                x = read_inputs(data, indices, use_mask=self.config.use_mask)
                parts.append(torch.sigmoid(network(x).double()).numpy())
        scores = np.concatenate(parts)
        return np.hstack([1 - scores, scores]) if scores.shape[1] == 1 else scores

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``weights.pt``.

        Raises
        ------
        StepError
            Before a fit.
        """
        if self.network is None:
            raise StepError(f"Model '{self.name}' is not fitted yet; there is nothing to save.")
        buffer = io.BytesIO()
        torch.save(self.network.state_dict(), buffer)
        with atomic_path(folder / WEIGHTS_NAME) as temporary:
            temporary.write_bytes(buffer.getvalue())
        body = {
            "model": self.name,
            "parameters": self.config.model_dump(mode="json"),
            "signature": self.signature,
            "n_parameters": sum(p.numel() for p in self.network.parameters()),
            "remarks": list(self.remarks),
        }
        atomic_text(folder / CONFIG_NAME, json.dumps(body, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; weights are read without unpickling code.

        Raises
        ------
        MissingPathError, StoreError
        """
        for name in (CONFIG_NAME, WEIGHTS_NAME):
            if not (folder / name).is_file():
                raise MissingPathError(
                    f"There is no trained network in {folder}: {name} is missing."
                )
        try:
            body = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
            parameters = body["parameters"]
            model = cls(parameters.pop("network"), **parameters)
            model.signature = body["signature"]
            model.remarks = tuple(body["remarks"])
            model.network = model._build().eval()
            state = torch.load(folder / WEIGHTS_NAME, map_location="cpu", weights_only=True)
            model.network.load_state_dict(state)
        except (KeyError, TypeError, json.JSONDecodeError, RuntimeError) as error:
            raise StoreError(f"The model in {folder} is damaged: {error}") from None
        return model


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
    }


resnet6 = partial(NeuralClassifier, network="resnet6")
resnet18 = partial(NeuralClassifier, network="resnet18")
resnet50 = partial(NeuralClassifier, network="resnet50")
