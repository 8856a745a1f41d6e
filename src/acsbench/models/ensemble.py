"""Ensemble: several models as one, the mean of their logits, each calibrated on val."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import expit, logit

from acsbench.dataset import WaveformDataset
from acsbench.errors import ConfigError, MissingPathError, StepError, StoreError
from acsbench.models.base import (
    CONFIG_NAME,
    Model,
    load_model,
    make_model,
    model_maker,
    require_both_classes,
)
from acsbench.models.calibrate import Line, apply_lines, fit_lines
from acsbench.provenance import StepConfig, atomic_text, parse_config

__all__ = ["Ensemble", "EnsembleConfig"]


class MemberConfig(StepConfig):
    """A model to train, or one that was trained before.

    Attributes
    ----------
    model : str or None
        A registered name.
    parameters : dict
        Of that model.
    folder : Path or None
        A trained model's folder, instead of ``model``.
    """

    model: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    folder: Path | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.model is None) == (self.folder is None):
            raise ValueError("a member is either a model to train or the folder of a trained one")
        return self


class EnsembleConfig(StepConfig):
    """Parameters of `Ensemble`.

    Attributes
    ----------
    members : tuple of MemberConfig
    recipe : str
        Of all members that use waveforms.
    seed : int
        Member i is trained with ``seed + i`` unless it sets its own.
    """

    members: tuple[MemberConfig, ...] = Field(
        default=(MemberConfig(model="resnet18"), MemberConfig(model="s4")), min_length=1
    )
    recipe: str = "three_by_four"
    seed: int = Field(default=0, ge=0)


class Ensemble:
    """Mean of the members' logits; slope and intercept of each are fitted on val.

    Parameters
    ----------
    folder : Path, optional
        Keeps the members' checkpoints.
    **parameters
        See `EnsembleConfig`.
    """

    name = "ensemble"

    def __init__(self, *, folder: Path | None = None, **parameters: Any) -> None:
        self.config = parse_config(EnsembleConfig, parameters, where="Model 'ensemble'")
        self.recipe: str | None = self.config.recipe
        self.folder = folder
        self.members: list[Model] = []
        self.lines: list[tuple[Line, ...]] = []

    def fit(self, train: WaveformDataset, val: WaveformDataset) -> Self:
        """Train the members that are not trained yet, and calibrate all of them on val.

        Raises
        ------
        TableError
            When a split has one class only.
        ConfigError
            When a member's scores are ranks, or it needs another recipe.
        """
        require_both_classes(train, val)
        members = [self._make(i, member) for i, member in enumerate(self.config.members)]
        for member, config in zip(members, self.config.members, strict=True):
            if config.folder is None:
                member.fit(train, val)
        self.lines = [fit_lines(_logits(member, val), val.labels) for member in members]
        self.members = members
        return self

    def _make(self, number: int, config: MemberConfig) -> Model:
        if config.folder is not None:
            member = load_model(config.folder)
        else:
            member = self._fresh(number, str(config.model), config.parameters)
        if getattr(member, "scores_are", "probability") != "probability":
            raise ConfigError(f"Member {number} of the ensemble gives ranks, not probabilities.")
        if member.recipe not in (None, self.recipe):
            raise ConfigError(
                f"Member {number} of the ensemble needs recipe '{member.recipe}', the ensemble "
                f"reads '{self.recipe}'. All members share one store; set recipe."
            )
        return member

    def _fresh(self, number: int, name: str, parameters: dict[str, Any]) -> Model:
        """Make a member that is still to train; it sets its own seed and recipe, or gets ours."""
        known = inspect.signature(model_maker(name)).parameters
        wanted: dict[str, Any] = {}
        if not name.startswith("flag:"):
            wanted = {"seed": self.config.seed + number, "recipe": self.recipe}
        if self.folder is not None and "folder" in known:
            wanted["folder"] = self.folder / str(number)
        return make_model(name, **{**wanted, **parameters})

    @property
    def tasks(self) -> tuple[str, ...]:
        """What its members were trained for."""
        return next((tuple(t) for m in self.members if (t := getattr(m, "tasks", ()))), ())

    @property
    def signature(self) -> dict[str, Any]:
        """Input of its members; empty where none uses waveforms."""
        return next((s for m in self.members if (s := getattr(m, "signature", {}))), {})

    @property
    def columns(self) -> tuple[str, ...]:
        """Cohort columns without which a member does not score."""
        return tuple(dict.fromkeys(c for m in self.members for c in getattr(m, "columns", ())))

    def predict_proba(self, data: WaveformDataset) -> NDArray[np.float64]:
        """Probabilities, (n, 2) for one task and (n, k) for several.

        Raises
        ------
        StepError
            Before a fit.
        """
        if not self.members:
            raise StepError("Model 'ensemble' is not fitted yet; call fit or load first.")
        calibrated = [
            apply_lines(_logits(member, data), lines)
            for member, lines in zip(self.members, self.lines, strict=True)
        ]
        scores: NDArray[np.float64] = expit(np.mean(calibrated, axis=0))
        return np.hstack([1 - scores, scores]) if scores.shape[1] == 1 else scores

    def save(self, folder: Path) -> None:
        """Write each member's folder, then ``config.json``.

        Raises
        ------
        StepError
            Before a fit.
        """
        if not self.members:
            raise StepError("Model 'ensemble' is not fitted yet; there is nothing to save.")
        for number, member in enumerate(self.members):
            member.save(folder / f"member-{number}")
        body = {
            "model": self.name,
            "parameters": self.config.model_dump(mode="json"),
            "lines": self.lines,
        }
        atomic_text(folder / CONFIG_NAME, json.dumps(body, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        MissingPathError, StoreError
        """
        path = folder / CONFIG_NAME
        if not path.is_file():
            raise MissingPathError(f"There is no ensemble in {folder}: {path.name} is missing.")
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            model = cls(**body["parameters"])
            model.lines = [tuple((a, b) for a, b in lines) for lines in body["lines"]]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise StoreError(f"The ensemble in {folder} is damaged: {error}") from None
        model.members = [load_model(folder / f"member-{n}") for n in range(len(model.lines))]
        return model


def _logits(model: Model, data: WaveformDataset) -> NDArray[np.float64]:
    """Logits of a model's probabilities, (n, tasks)."""
    scores = model.predict_proba(data)
    scores = scores[:, 1:] if len(data.tasks) == 1 else scores
    logits: NDArray[np.float64] = logit(np.clip(scores, 1e-12, 1 - 1e-12))
    return logits
