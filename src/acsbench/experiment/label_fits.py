"""One fit of a label-efficiency study: a method on a share of the labels; a unit of work."""

from __future__ import annotations

import contextlib
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import logit

from acsbench.dataset import WaveformDataset, load_dataset
from acsbench.errors import AcsbenchError, TableError
from acsbench.experiment.steps import model_fingerprint
from acsbench.models.base import make_model
from acsbench.provenance import StepConfig, atomic_path, json_sha256
from acsbench.store import WaveformStore
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

__all__ = ["LabelFit", "LabelFitOnce", "Method", "Mode", "draw_rows", "patients_of", "read_fit"]

Floats = NDArray[np.float64]
Mode: TypeAlias = Literal["frozen", "full"]
_ONE_AT_A_TIME = threading.Lock()
"""Torch's random state belongs to a process, and a Dask worker may have several threads."""


class Method(StepConfig):
    """A way to learn from few labels.

    Attributes
    ----------
    name : str
        What results call it.
    model : str
        A registered foundation model.
    mode : "frozen" or "full"
        A linear model on features that never change, or the whole network.
    init_from : str or None
        A pre-trained folder; ``{round}`` and ``{seed}`` in it are filled in. None: random weights,
        from scratch, or, frozen, the control that says what the architecture alone gives.
    parameters : dict
        Of the model.
    """

    name: str = Field(pattern=r"[A-Za-z0-9_.-]+")
    model: str = "ecg_cpc"
    mode: Mode = "full"
    init_from: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)

    def start(self, *, round_name: str, seed: int) -> Path | None:
        """Folder to start from."""
        if self.init_from is None:
            return None
        return Path(self.init_from.replace("{round}", round_name).replace("{seed}", str(seed)))


@dataclass(frozen=True, kw_only=True)
class LabelFit:
    """What to fit.

    Attributes
    ----------
    method : Method
    round_name : str
        Of the cohort.
    share : float
        Of the training patients whose labels are used.
    draw, seed : int
    epochs : int
        Of a full training.
    """

    method: Method
    round_name: str
    share: float
    draw: int
    seed: int
    epochs: int

    def __str__(self) -> str:
        return (
            f"{self.method.name}, round {self.round_name}, {self.share:.0%} of labels, "
            f"draw {self.draw}"
        )


@dataclass(frozen=True, kw_only=True)
class LabelFitOnce:
    """Fits and scores val and test, unless that was done.

    Attributes
    ----------
    rounds : mapping of str to Cohort
    store : Path or str
    task : str
    folder : Path
        Of the study.
    """

    rounds: Mapping[str, Cohort]
    store: Path | str
    task: str
    folder: Path

    def __call__(self, fit: LabelFit) -> tuple[Path, str | None]:
        """Return the file of the scores, and why there is none; the other fits go on."""
        try:
            file = self._file(fit)
            if read_fit(file) is None:
                with _ONE_AT_A_TIME:
                    self._fit(fit, file)
        except AcsbenchError as error:
            return self.folder, str(error)
        except Exception as error:  # of any model; it must not take the rest along
            return self.folder, f"{type(error).__name__}: {error}"
        return file, None

    def _file(self, fit: LabelFit) -> Path:
        """Place named by everything that decides the scores."""
        start = fit.method.start(round_name=fit.round_name, seed=fit.seed)
        key = json_sha256(
            [
                fit.method.model_dump(mode="json", exclude={"name", "init_from"}),
                None if start is None else model_fingerprint(start),
                WaveformStore.open(self.store).manifest.fingerprint,
                self.rounds[fit.round_name].split_fingerprint,
                self.task,
                fit.share,
                fit.draw,
                fit.seed,
                fit.epochs if fit.method.mode == "full" else None,
            ]
        )
        return self.folder / "fits" / fit.method.name / f"{key[:20]}.npz"

    def _fit(self, fit: LabelFit, file: Path) -> None:
        cohort, store = self.rounds[fit.round_name], WaveformStore.open(self.store)
        train, val, test = (
            load_dataset(cohort, store, TASKS[self.task], split)
            for split in ("train", "val", "test")
        )
        drawn = _Drawn(
            train=train,
            rows=draw_rows(train, cohort, share=fit.share, seed=fit.draw),
            val=val,
            test=test,
            cohort=cohort,
        )
        learn = self._probe if fit.method.mode == "frozen" else self._train
        scores = learn(fit, drawn)
        labels = train.labels[drawn.rows]
        counts = {"n_labels": np.isfinite(labels).sum(), "n_positive": np.nansum(labels)}
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            arrays: dict[str, Any] = {**scores, **counts}
            np.savez(stream, **arrays)

    def _model(self, fit: LabelFit, **more: Any) -> Any:
        parameters = {"seed": fit.seed, **fit.method.parameters, **more}
        start = fit.method.start(round_name=fit.round_name, seed=fit.seed)
        if start is not None:
            parameters["init_from"] = start
        return make_model(fit.method.model, mode=fit.method.mode, **parameters)

    def _probe(self, fit: LabelFit, drawn: _Drawn) -> dict[str, Floats]:
        """Scores of a linear model on frozen features, which all draws share."""
        from acsbench.models.pretraining.probe import LinearProbe, frozen_features  # noqa: PLC0415  torch

        sets = (drawn.train, drawn.val, drawn.test)
        x, of_val, of_test = frozen_features(self._model(fit), sets, cache=self.folder / "features")
        labels = drawn.train.labels
        rows = drawn.rows[np.isfinite(labels[drawn.rows])]
        probe = LinearProbe.fit(x[rows], labels[rows], seed=fit.seed)
        return {"val": probe.logits(of_val), "test": probe.logits(of_test)}

    def _train(self, fit: LabelFit, drawn: _Drawn) -> dict[str, Floats]:
        """Scores of a whole network after its last epoch: so few labels leave none to choose by."""
        val_rows = draw_rows(drawn.val, drawn.cohort, share=fit.share, seed=fit.draw)
        model = self._model(fit, epochs=fit.epochs, patience=fit.epochs, choose="last")
        model.fit(drawn.train.take(drawn.rows), drawn.val.take(val_rows))
        return {
            name: logit(np.clip(model.predict_proba(data)[:, 1], 1e-12, 1 - 1e-12))
            for name, data in (("val", drawn.val), ("test", drawn.test))
        }


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """The records of a round, and the rows of train whose labels a fit may use."""

    train: WaveformDataset
    rows: NDArray[np.intp]
    val: WaveformDataset
    test: WaveformDataset
    cohort: Cohort


def patients_of(data: WaveformDataset, cohort: Cohort) -> NDArray[np.str_]:
    """Whose each record is; a record of nobody known is its own."""
    ids = pl.DataFrame({"ecg_id": data.ecg_ids})
    rows = ids.join(cohort.frame, on="ecg_id", how="left", maintain_order="left")
    return rows.select(pl.coalesce("patient_id", "ecg_id")).to_series().to_numpy().astype(str)


def draw_rows(
    data: WaveformDataset, cohort: Cohort, *, share: float, seed: int
) -> NDArray[np.intp]:
    """Rows of a share of the patients, of those with a positive record and of the others alike.

    A smaller share is part of a larger one of the same seed.

    Raises
    ------
    TableError
        When a class is missing altogether.
    """
    patients = patients_of(data, cohort)
    positive = np.unique(patients[data.labels == 1])
    negative = np.setdiff1d(patients[data.labels == 0], positive)
    if len(np.unique(data.labels[np.isfinite(data.labels)])) < 2:
        raise TableError(f"Split '{data.split}' holds one class only: no labels to draw from.")
    generator = np.random.default_rng([seed, 7])
    chosen = [
        generator.permutation(people)[: int(np.ceil(share * len(people)))]
        for people in (positive, negative)
    ]
    return np.flatnonzero(np.isin(patients, np.concatenate(chosen)))


def read_fit(file: Path) -> dict[str, Floats] | None:
    """Logits on ``val`` and ``test``, ``n_labels`` and ``n_positive`` of a finished fit."""
    with contextlib.suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
            found = {name: held[name] for name in ("val", "test", "n_labels", "n_positive")}
        if np.isfinite(found["test"]).all():
            return found
    return None
