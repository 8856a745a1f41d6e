"""What a model is, how one is made by name, and how it hands over its scores."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeGuard, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench import registry
from acsbench.dataset import WaveformDataset
from acsbench.errors import InputError, MissingPathError, StoreError, TableError
from acsbench.predictions import Predictions

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "CONFIG_NAME",
    "Model",
    "is_network",
    "load_model",
    "make_model",
    "model_maker",
    "predict",
    "require_both_classes",
]

CONFIG_NAME = "config.json"
"""In a model's folder; its key ``model`` is the registered name."""


@runtime_checkable
class Model(Protocol):
    """The four methods of a model, and the recipe that its waveforms must come from."""

    recipe: str | None
    """What the store must hold; None for models of features only."""

    def fit(self, train: WaveformDataset, val: WaveformDataset) -> Self:
        """Learn from ``train``; every choice is made on ``val``."""
        ...

    def predict_proba(self, data: WaveformDataset) -> NDArray[np.float64]:
        """Probabilities: (n, 2) for one task, (n, k) for several, as in scikit-learn."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything `load` needs."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...


def make_model(name: str, **parameters: Any) -> Model:
    """Make an unfitted model by its registered name, or ``flag:<column>`` for a feature as model.

    Raises
    ------
    UnknownNameError, ConfigError
        For a name or parameter that does not exist, with the nearest one that does.
    """
    model: Model = model_maker(name)(**parameters)
    return model


def model_maker(name: str) -> Any:
    """Class that makes and loads the models of a name, or a ``partial`` of it.

    A registered ``nn.Module`` is wrapped: training, checkpoints and scoring come with it.

    Raises
    ------
    UnknownNameError
    """
    if name.startswith("flag:"):
        from acsbench.models.features import FlagModel  # noqa: PLC0415  avoids a circle

        return partial(FlagModel, column=name.removeprefix("flag:"))
    entry = registry.load("models", name)
    if is_network(entry):
        from acsbench.models.neural import NeuralClassifier  # noqa: PLC0415  avoids a circle

        return partial(NeuralClassifier, network=registry.canonical(name))
    return entry


def is_network(entry: Any) -> TypeGuard[type[nn.Module]]:
    """Whether a registered object is a plain ``nn.Module``; imports no torch to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(entry, type) and issubclass(entry, torch.nn.Module)


def load_model(place: Path | str) -> Model:
    """Load a model.

    Parameters
    ----------
    place : Path or str
        A folder that ``save`` wrote, an ``.onnx`` file that ``save_onnx`` wrote, or a published
        checkpoint: see `load_pretrained`.

    Raises
    ------
    MissingPathError, StoreError, UnknownNameError, InputError
    """
    folder = Path(place)
    if folder.suffix == ".onnx" and folder.is_file():
        from acsbench.models.inference import OnnxNetwork  # noqa: PLC0415  torch costs a second

        return _load(str(OnnxNetwork(folder).body["model"]), folder)
    if folder.is_file() or str(place).startswith("hf:"):
        from acsbench.models.pretrained import load_pretrained  # noqa: PLC0415  avoids a circle

        return load_pretrained(place)
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise MissingPathError(f"There is no model in {folder}: {CONFIG_NAME} is missing.")
    try:
        name = str(json.loads(path.read_text(encoding="utf-8"))["model"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}).") from None
    return _load(name, folder)


def _load(name: str, place: Path) -> Model:
    maker = model_maker(name)
    model: Model = getattr(maker, "func", maker).load(place)
    return model


def predict(model: Model, data: WaveformDataset, *, name: str | None = None) -> Predictions:
    """Score every record of a dataset.

    Parameters
    ----------
    model : Model
        Fitted.
    data : WaveformDataset
        Any split, a holdout included.
    name : str, optional
        The model's name in results; by default its registered one.

    Returns
    -------
    Predictions
        One row per record and task.

    Raises
    ------
    InputError
        When the model was trained for several tasks and the dataset has others, or another order;
        or when there is no record.
    """
    known = tuple(getattr(model, "tasks", ()))
    if known and known != data.tasks and max(len(known), len(data.tasks)) > 1:
        raise InputError(
            f"The model scores the tasks {', '.join(known)}, in this order; the dataset has "
            f"{', '.join(data.tasks)}."
        )
    if not len(data):
        raise InputError(
            f"There is no ECG to score: all {len(data.failed):,} of split '{data.split}' are "
            "without a waveform."
        )
    scores = np.asarray(model.predict_proba(data), dtype=np.float64)
    if len(data.tasks) == 1:
        scores = scores[:, 1:]
    frame = pl.concat(
        pl.DataFrame({"ecg_id": data.ecg_ids, "score": scores[:, column]}).select(
            "ecg_id", pl.lit(task).alias("task"), "score"
        )
        for column, task in enumerate(data.tasks)
    )
    return Predictions(
        frame,
        name or str(getattr(model, "name", type(model).__name__)),
        getattr(model, "scores_are", "probability"),
    )


def require_both_classes(*splits: WaveformDataset) -> None:
    """Check that every task has positives and negatives in every split, before anything slow.

    Raises
    ------
    TableError
        Naming each task and split that falls short, with its counts.
    """
    findings = []
    for data in splits:
        columns = data.labels.reshape(len(data), -1)
        for task, labels in zip(data.tasks, columns.T, strict=True):
            n_positive, n_negative = int((labels == 1).sum()), int((labels == 0).sum())
            if n_positive == 0 or n_negative == 0:
                findings.append(
                    f"Task '{task}', split '{data.split}': {n_positive:,} positive, "
                    f"{n_negative:,} negative and {int(np.isnan(labels).sum()):,} unknown labels."
                )
    if findings:
        findings.append(
            "A model needs both classes to learn and to choose. Use more patients, another "
            "split, or leave the task out."
        )
        raise TableError("\n".join(findings))
