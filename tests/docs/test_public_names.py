"""Every public name says what it is, and stands in the reference; so does what plug-ins may use."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import acsbench as ab
from acsbench import registry, testing

ROOT = Path(__file__).parents[2]
REFERENCE = "\n".join(
    page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "reference").glob("*.md"))
)
DOORS = ("acsbench.server", "acsbench.cli")
"""Doors: their reference is made from ``--help`` and from the API's own schema."""


def modules() -> list[str]:
    """Every module outside of the doors."""
    root = Path(ab.__file__).parent
    files = [path.relative_to(root.parent).with_suffix("") for path in root.rglob("*.py")]
    names = {".".join(path.parts).removesuffix(".__init__") for path in files}
    return sorted(one for one in names if not one.startswith((*DOORS, "acsbench.__main__")))


def exported(module: Any) -> Iterator[tuple[str, Any]]:
    """Functions and classes that a module names in ``__all__`` and defines itself."""
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        if getattr(thing, "__module__", None) != module.__name__:
            continue  # documented where it is defined
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield name, thing


def undocumented(module: Any) -> list[str]:
    """Exported functions, classes and their public methods without a docstring of their own."""
    missing = []
    for name, thing in exported(module):
        if not (thing.__doc__ or "").strip():
            missing.append(f"{module.__name__}.{name}")
        if inspect.isclass(thing):
            missing += [
                f"{module.__name__}.{name}.{method}"
                for method, function in vars(thing).items()
                if not method.startswith("_")
                and inspect.isfunction(function)
                and not inspect.getdoc(getattr(thing, method))
            ]
    return missing


@pytest.mark.parametrize("name", ab.__all__)
def test_a_public_name_stands_in_the_reference(name: str) -> None:
    assert re.search(rf"^\| `{name}` \| \w", REFERENCE, re.M)


@pytest.mark.parametrize("name", testing.__all__)
def test_a_check_for_plug_ins_is_documented(name: str) -> None:
    assert (getattr(testing, name).__doc__ or "").strip()
    assert re.search(rf"\b{name}\b", REFERENCE)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_built_in_stands_in_the_reference(kind: registry.Kind) -> None:
    missing = [name for name in registry.BUILT_INS[kind] if f"`{name}`" not in REFERENCE]
    assert missing == []


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_built_in_says_what_it_is(kind: registry.Kind) -> None:
    """A task says it by its reference; a model that is a partial, by what it is a partial of."""
    for name in registry.BUILT_INS[kind]:
        thing = registry.load(kind, name)
        told = thing.reference if kind == "tasks" else getattr(thing, "func", thing).__doc__
        assert told, name


@pytest.mark.slow
def test_every_exported_name_of_every_module_has_a_docstring() -> None:
    names = modules()
    assert len(names) > 150
    assert [one for name in names for one in undocumented(importlib.import_module(name))] == []


def test_a_missing_docstring_is_found() -> None:
    class Module:
        __name__ = __name__
        __all__ = ("silent", "Silent")

    def silent() -> None: ...

    class Silent:
        """Tells of itself, not of its method."""

        def method(self) -> None: ...

    module = Module()
    module.silent, module.Silent = silent, Silent  # type: ignore[attr-defined]
    assert undocumented(module) == [f"{__name__}.silent", f"{__name__}.Silent.method"]
