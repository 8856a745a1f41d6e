"""Models on features: scikit-learn pipelines, and a single finding used as a model."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import joblib
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from acsbench.dataset import WaveformDataset
from acsbench.errors import MissingPathError, StepError, StoreError, TableError
from acsbench.models.base import CONFIG_NAME, require_both_classes
from acsbench.models.feature_matrix import (
    JOINED_RECIPES,
    MEASURED,
    TABULAR,
    feature_matrix,
    named_columns,
    needs_single_leads,
)
from acsbench.models.signature import require_recipe, require_same_input, signature_of
from acsbench.predictions import ScoresAre
from acsbench.provenance import StepConfig, atomic_path, atomic_text, parse_config

__all__ = ["BoostingModel", "FlagModel", "LogisticModel"]

CLASSICAL_FLAGS = ("has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal")
_ESTIMATORS_NAME = "estimators.joblib"


class FeatureConfig(StepConfig):
    """What every model on features has to be told.

    Attributes
    ----------
    features : tuple of str
        Cohort columns, or the words ``measured`` (numbers measured on the ECG) and ``tabular``
        (every feature column of the cohort).
    recipe : str or None
        Needed for ``measured``; one with a row for each lead.
    may_lack_columns : bool
        Score ECGs that come without the columns, as bare waveforms do: boosting takes them for
        missing, the others fill in train's medians.
    seed : int
    """

    features: tuple[str, ...]
    recipe: str | None = None
    may_lack_columns: bool = False
    seed: int = Field(default=0, ge=0)


class LogisticConfig(FeatureConfig):
    """Parameters of `LogisticModel`, beside those of `FeatureConfig`.

    Attributes
    ----------
    penalty_strength : float
        Of the squared coefficients of standardised features; 0 for none.
    """

    features: tuple[str, ...] = CLASSICAL_FLAGS
    penalty_strength: float = Field(default=0.0, ge=0)


class BoostingConfig(FeatureConfig):
    """Parameters of `BoostingModel`, beside those of `FeatureConfig`.

    Attributes
    ----------
    max_iter : int
        Most trees; the number used is the best on val.
    learning_rate : float
    max_leaf_nodes, min_samples_leaf : int
    """

    features: tuple[str, ...] = (MEASURED, TABULAR)
    recipe: str | None = "recorded_12"
    max_iter: int = Field(default=200, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    max_leaf_nodes: int = Field(default=8, ge=2)
    min_samples_leaf: int = Field(default=20, ge=1)


class FlagConfig(StepConfig):
    """Parameters of `FlagModel`.

    Attributes
    ----------
    column : str
        A feature column of the cohort.
    """

    column: str


ConfigT = TypeVar("ConfigT", bound=FeatureConfig)


class _FeatureModel(ABC, Generic[ConfigT]):
    """One scikit-learn estimator per task on a feature matrix."""

    name: ClassVar[str]
    config_class: type[ConfigT]

    def __init__(self, **parameters: Any) -> None:
        self.config = parse_config(self.config_class, parameters, where=f"Model '{self.name}'")
        self.recipe: str | None = self.config.recipe
        self.features: tuple[str, ...] = ()
        self.tasks: tuple[str, ...] = ()
        self.signature: dict[str, Any] = {}
        self.estimators: list[Any] = []
        if MEASURED in self.config.features and self.recipe is None:
            raise TableError(
                f"Model '{self.name}': 'measured' features need waveforms; "
                "set recipe = 'recorded_12'."
            )
        if MEASURED in self.config.features and self.recipe in JOINED_RECIPES:
            raise needs_single_leads(self.recipe, "it joins the leads of a printed line")

    def fit(self, train: WaveformDataset, val: WaveformDataset) -> Self:
        """Fit one estimator per task; records with a missing label are left out.

        Raises
        ------
        TableError
            When a split has one class only, or a feature is not there.
        StoreError
            When ``measured`` is asked of a store that cannot give it.
        """
        require_both_classes(train, val)
        self.features = named_columns(self.config.features, train)
        self.tasks = train.tasks
        if MEASURED in self.features:
            require_recipe(train, self.recipe, what=f"Model '{self.name}'")
            self.signature = signature_of(train)
        x, x_val = (feature_matrix(data, self.features) for data in (train, val))
        labels, labels_val = (data.labels.reshape(len(data), -1) for data in (train, val))
        self.estimators = [
            self._fit_one(*_known(x, y), *_known(x_val, y_val))
            for y, y_val in zip(labels.T, labels_val.T, strict=True)
        ]
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Cohort columns without which it does not score."""
        own = tuple(name for name in self.features if name != MEASURED)
        return () if self.config.may_lack_columns else own

    @abstractmethod
    def _fit_one(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.int64],
        x_val: NDArray[np.float64],
        y_val: NDArray[np.int64],
    ) -> Any:
        """Fit the estimator of one task."""

    def predict_proba(self, data: WaveformDataset) -> NDArray[np.float64]:
        """Probabilities, (n, 2) for one task and (n, k) for several.

        Raises
        ------
        StepError
            Before a fit.
        StoreError, TableError
            When the store or the columns are not those of the training.
        """
        if not self.estimators:
            raise StepError(f"Model '{self.name}' is not fitted yet; call fit or load first.")
        if self.signature:
            require_same_input(self.signature, signature_of(data), what=f"Model '{self.name}'")
        x = feature_matrix(data, self.features, may_lack=self.config.may_lack_columns)
        scores = [one.predict_proba(x) for one in self.estimators]
        if len(scores) == 1:
            return np.asarray(scores[0], dtype=np.float64)
        return np.stack([one[:, 1] for one in scores], axis=1)

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and the estimators.

        Notes
        -----
        scikit-learn's estimators are stored as a pickle: load only files you made yourself.
        """
        with atomic_path(folder / _ESTIMATORS_NAME) as temporary:
            joblib.dump(self.estimators, temporary)
        body = {
            "model": self.name,
            "parameters": self.config.model_dump(mode="json"),
            "features": self.features,
            "tasks": self.tasks,
            "signature": self.signature,
        }
        atomic_text(folder / CONFIG_NAME, json.dumps(body, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; load only files you made yourself."""
        path = folder / _ESTIMATORS_NAME
        if not path.is_file():
            raise MissingPathError(
                f"There is no trained model in {folder}: {path.name} is missing."
            )
        try:
            body = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
            model = cls(**body["parameters"])
            model.features, model.tasks = tuple(body["features"]), tuple(body["tasks"])
            model.signature = body["signature"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise StoreError(f"The model in {folder} is damaged: {error}") from None
        model.estimators = joblib.load(path)
        return model


def _known(
    x: NDArray[np.float64], labels: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows whose label is there, and those labels as 0 and 1."""
    known = np.isfinite(labels)
    return x[known], labels[known].astype(np.int64)


class LogisticModel(_FeatureModel[LogisticConfig]):
    """Logistic regression; by default unpenalised, on the four classical findings.

    Medians fill in missing values and features are standardised, both fitted on train.

    Parameters
    ----------
    **parameters
        See `LogisticConfig`.
    """

    name = "logistic"
    config_class = LogisticConfig

    def _fit_one(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.int64],
        x_val: NDArray[np.float64],  # noqa: ARG002  nothing is chosen on val
        y_val: NDArray[np.int64],  # noqa: ARG002  as above
    ) -> Pipeline:
        strength = self.config.penalty_strength
        regression = LogisticRegression(C=1 / strength if strength else np.inf, max_iter=1000)
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        return make_pipeline(imputer, StandardScaler(), regression).fit(x, y)


class BoostingModel(_FeatureModel[BoostingConfig]):
    """Gradient boosting on measured ECG features and the cohort's columns.

    The number of trees is the one with the best AUROC on val.

    Parameters
    ----------
    **parameters
        See `BoostingConfig`.
    """

    name = "boosting"
    config_class = BoostingConfig

    def _fit_one(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.int64],
        x_val: NDArray[np.float64],
        y_val: NDArray[np.int64],
    ) -> HistGradientBoostingClassifier:
        whole = self._estimator(self.config.max_iter).fit(x, y)
        on_val = [roc_auc_score(y_val, s[:, 1]) for s in whole.staged_predict_proba(x_val)]
        return self._estimator(int(np.argmax(on_val)) + 1).fit(x, y)

    def _estimator(self, n_trees: int) -> HistGradientBoostingClassifier:
        config = self.config
        return HistGradientBoostingClassifier(
            max_iter=n_trees,
            learning_rate=config.learning_rate,
            max_leaf_nodes=config.max_leaf_nodes,
            min_samples_leaf=config.min_samples_leaf,
            early_stopping=False,
            random_state=config.seed,
        )


class FlagModel:
    """A 0/1 finding of the cohort as a model: what a reader of the ECG report already knows.

    Its scores are ranks, not probabilities. A missing finding ranks between 0 and 1.

    Parameters
    ----------
    **parameters
        See `FlagConfig`.
    """

    recipe: str | None = None
    scores_are: ScoresAre = "rank"

    def __init__(self, **parameters: Any) -> None:
        self.column = parse_config(FlagConfig, parameters, where="Model 'flag'").column
        self.name = f"flag:{self.column}"
        self.columns = (self.column,)

    def fit(self, train: WaveformDataset, val: WaveformDataset) -> Self:
        """Learn nothing; check that the column is there."""
        for data in (train, val):
            feature_matrix(data, (self.column,))
        return self

    def predict_proba(self, data: WaveformDataset) -> NDArray[np.float64]:
        """Return the finding, shape (n, 2), the same for every task: (n, k) for several."""
        found = np.nan_to_num(feature_matrix(data, (self.column,)), nan=0.5)
        return (
            np.hstack([1 - found, found])
            if len(data.tasks) == 1
            else np.repeat(found, len(data.tasks), axis=1)
        )

    def save(self, folder: Path) -> None:
        """Write ``config.json``."""
        atomic_text(folder / CONFIG_NAME, json.dumps({"model": self.name}) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        body = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        return cls(column=str(body["model"]).removeprefix("flag:"))
