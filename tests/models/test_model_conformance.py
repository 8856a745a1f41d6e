"""Every model keeps the contract that `check_model` asks of plug-ins."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from acsbench import registry
from acsbench.dataset import WaveformDataset
from acsbench.models.features import LogisticModel
from acsbench.testing import check_model

ONCE = {"epochs": 1, "threads": 1}
NARROW = {"width": 2, "hidden": 4, **ONCE}
STATES = {"width": 4, "n_layers": 1, "n_states": 4, **ONCE}
SMALL: dict[str, dict[str, Any]] = {
    "logistic": {},
    "boosting": {"max_iter": 5},
    "resnet6": NARROW,
    "resnet18": NARROW,
    "resnet50": NARROW,
    "s4": STATES,
    "ecg_omi": NARROW,
    "acsbench_s4": STATES,
    "ensemble": {"members": [{"model": "logistic"}, {"model": "resnet18", "parameters": NARROW}]},
    "flag:has_st_eleva": {},
}


@pytest.mark.parametrize("name", [n for n in registry.names("models") if n in SMALL])
def test_a_built_in_model_keeps_its_contract(name: str) -> None:
    check_model(name, **SMALL[name])


def test_a_finding_of_the_cohort_keeps_it_too() -> None:
    check_model("flag:has_st_eleva")


class Careless(LogisticModel):
    """Breaks what it is told to break."""

    name = "careless"
    broken = ""
    n_fits = 0

    def __init__(self, **parameters: Any) -> None:
        if self.broken == "parameters":
            parameters.pop("no_such_parameter", None)
        super().__init__(**{"features": ("age",), **parameters})

    def fit(self, train: WaveformDataset, val: WaveformDataset) -> Self:
        type(self).n_fits += 1
        super().fit(train, val)
        return None if self.broken == "self" else self

    def predict_proba(self, data: WaveformDataset) -> NDArray[np.float64]:
        if not self.estimators and self.broken == "unfitted":
            return np.full((len(data), 2), 0.5)
        scores = super().predict_proba(data)
        if self.broken == "neighbours":
            scores = 0.9 * scores + 0.1 * scores.mean(axis=0)
        if self.broken == "range":
            scores = 3 * scores - 1
        if self.broken == "shape":
            scores = scores[:, 1:]
        if self.broken == "labels":
            scores = scores * 0.5 + 0.25 * data.labels.reshape(len(data), -1)
        if self.broken == "sum":
            scores = scores / 2
        if self.broken == "repeat":
            scores = scores / (1 + 1e-3 * self.n_fits)
        return scores


@pytest.mark.parametrize(
    ("broken", "finding"),
    [
        ("parameters", "takes a parameter that it does not know"),
        ("unfitted", "scores before it is fitted"),
        ("self", "does not return the model itself"),
        ("neighbours", "depends on the records beside it"),
        ("range", r"outside \[0, 1\]"),
        ("shape", r"gives \(12, 1\); expected \(12, 2\)"),
        ("sum", "do not sum to 1"),
        ("repeat", "a second fit with the same seed gives other scores"),
        ("labels", "A holdout has no labels"),
    ],
)
def test_a_model_that_breaks_it_is_told_how(
    monkeypatch: pytest.MonkeyPatch, broken: str, finding: str
) -> None:
    monkeypatch.setitem(registry.BUILT_INS["models"], "careless", f"{__name__}:Careless")
    monkeypatch.setattr(Careless, "broken", broken)
    with pytest.raises(AssertionError, match=finding):
        check_model("careless")
