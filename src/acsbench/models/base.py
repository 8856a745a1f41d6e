"""What a model is, how one is made by name, and how it hands over its scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench import registry
from acsbench.dataset import WaveformDataset
from acsbench.errors import MissingPathError, StoreError, TableError
from acsbench.predictions import Predictions

__all__ = [
    "CONFIG_NAME",
    "Model",
    "load_model",
    "make_model",
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
    if name.startswith("flag:"):
        from acsbench.models.features import FlagModel  # noqa: PLC0415  avoids a circle

        flag: Model = FlagModel(column=name.removeprefix("flag:"), **parameters)
        return flag
    model: Model = registry.load("models", name)(**parameters)
    return model


def load_model(folder: Path | str) -> Model:
    """Load a model that was saved in ``folder``.

    Raises
    ------
    MissingPathError, StoreError, UnknownNameError
    """
    path = Path(folder) / CONFIG_NAME
    if not path.is_file():
        raise MissingPathError(f"There is no model in {folder}: {CONFIG_NAME} is missing.")
    try:
        name = str(json.loads(path.read_text(encoding="utf-8"))["model"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}).") from None
    if name.startswith("flag:"):
        from acsbench.models.features import FlagModel  # noqa: PLC0415  avoids a circle

        flag: Model = FlagModel.load(Path(folder))
        return flag
    entry = registry.load("models", name)
    model: Model = getattr(entry, "func", entry).load(Path(folder))
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
    """
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
