"""One fit of a sweep: a model trained once, its scores kept beside it; a unit of work."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from acsbench.errors import AcsbenchError
from acsbench.experiment.config import ModelStep
from acsbench.experiment.steps import (
    datasets,
    model_fingerprint,
    predictions_path,
    train_step,
    write_predictions,
)
from acsbench.models.base import Model, predict
from acsbench.predictions import Predictions
from acsbench.provenance import holds, read_manifest, write_manifest
from acsbench.store import WaveformStore
from acsbench.tables import Cohort

__all__ = ["Fit", "FitOnce", "read_scores"]

_SPLITS = ("val", "test")
_ONE_AT_A_TIME = threading.Lock()
"""Torch's random state belongs to a process, and a Dask worker may have several threads."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What to fit.

    Attributes
    ----------
    step : ModelStep
    seed : int or None
        None for the ensemble of all seeds.
    folder : Path
        The model, its training and its scores.
    store : Path, str or None
        None for models of features only.
    start : Path or None
        Model to start from.
    """

    step: ModelStep
    seed: int | None
    folder: Path
    store: Path | str | None
    start: Path | None = None

    @property
    def n_seeds(self) -> int:
        """One, or how many an ensemble joins."""
        return 1 if self.seed is not None else len(self.step.parameters["members"])

    def __str__(self) -> str:
        which = "ensemble of seeds" if self.seed is None else f"seed {self.seed}"
        return f"{self.step.name}, {'+'.join(self.step.tasks)}, {which}"


@dataclass(frozen=True)
class FitOnce:
    """Fits and scores, unless the manifests say that it was done.

    Attributes
    ----------
    cohort : Path
        Folder of the cohort.
    """

    cohort: Path

    def __call__(self, fit: Fit) -> str | None:
        """Return None, or why the fit failed; the other fits go on."""
        try:
            with _ONE_AT_A_TIME:
                self._fit(fit)
        except AcsbenchError as error:
            return str(error)
        except Exception as error:  # of any model, a plug-in's too; it must not take the rest along
            return f"{type(error).__name__}: {error}"
        return None

    def _fit(self, fit: Fit) -> None:
        cohort = Cohort.load(self.cohort)
        store = None if fit.store is None else WaveformStore.open(fit.store)
        model = train_step(
            fit.step, cohort, store, fit.folder, seed=fit.seed or 0, init_from=fit.start
        )
        inputs = {"model": model_fingerprint(fit.folder)}
        folder = _scores_of(fit)
        if not holds(folder, step="predict", config={}, inputs=inputs):
            _score(model, fit, cohort, store, inputs)


def _scores_of(fit: Fit) -> Path:
    return fit.folder / "predictions"


def _score(
    model: Model, fit: Fit, cohort: Cohort, store: WaveformStore | None, inputs: dict[str, str]
) -> None:
    folder, written = _scores_of(fit), []
    for split in _SPLITS:
        scored = predict(model, datasets(fit.step, cohort, store, split), name=fit.step.name)
        written += [file.name for file in write_predictions(scored, split, folder)]
    write_manifest(
        folder,
        step="predict",
        config={},
        inputs=inputs,
        outputs=written,
        patient_level=written,
        info={
            "scores_are": scored.scores_are,
            "remarks": list(getattr(model, "remarks", ())),
        },
    )


def read_scores(fit: Fit, task: str) -> tuple[Predictions, Predictions, list[str]]:
    """Scores of a finished fit on val and test, and what its model has to say."""
    info = read_manifest(_scores_of(fit)).info
    val, test = (
        Predictions.read(
            predictions_path(_scores_of(fit), fit.step.name, task, split),
            model=fit.step.name,
            scores_are=info["scores_are"],
        )
        for split in _SPLITS
    )
    return val, test, info["remarks"]
