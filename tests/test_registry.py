from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from acsbench import registry
from acsbench.errors import InputError, MissingDependencyError, UnknownNameError


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_registered_name_loads(kind: registry.Kind) -> None:
    for name in registry.names(kind):
        assert registry.load(kind, name) is not None


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18'"):
        registry.load("models", "resnet81")


def test_dashes_and_underscores_are_one_name() -> None:
    assert registry.load("recipes", "three-by-four") is registry.load("recipes", "three_by_four")


def test_a_plug_in_may_not_take_a_name_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    thief = EntryPoint("resnet18", "other:model", "acsbench.models")
    monkeypatch.setattr(registry, "entry_points", lambda group: [thief])
    with pytest.raises(InputError, match="already taken"):
        registry.names("models")


def test_a_plug_in_is_listed_and_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = EntryPoint("mine", "math:sqrt", "acsbench.metrics")
    monkeypatch.setattr(registry, "entry_points", lambda group: [mine])
    assert registry.names("metrics")[-1] == "mine"
    assert registry.load("metrics", "mine")(4) == 2


def test_a_model_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "acsbench.models.neural", None)  # as if it could not import
    with pytest.raises(MissingDependencyError, match=r"'resnet18' needs .*pip install"):
        registry.load("models", "resnet18")
