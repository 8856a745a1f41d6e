"""A new package with a model, a source or a metric in it: a start that works and is tested."""

from __future__ import annotations

import keyword
import re
import tempfile
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from jinja2 import Environment, StrictUndefined

from acsbench import registry
from acsbench.errors import InputError, did_you_mean

__all__ = ["PlugInKind", "new_plug_in"]

PlugInKind = Literal["model", "source", "metric"]
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class _Start(NamedTuple):
    """What differs between kinds: what the package needs, and what to do next."""

    needs: str
    then: str


_STARTS: dict[str, _Start] = {
    "model": _Start(
        "acsbench[train]",
        "train it like a built-in one: `acsbench train NAME --cohort ... --store ... --task acs "
        "--out runs/mine`.",
    ),
    "source": _Start(
        "acsbench",
        "build a cohort from it: `acsbench cohort --source NAME --path PATH --out work/cohort`.",
    ),
    "metric": _Start(
        "acsbench",
        'ask for it: `acsbench evaluate ... --set metrics=\'["auroc", "NAME"]\'`.',
    ),
}


def new_plug_in(kind: str, name: str, folder: Path | None = None) -> Path:
    """Write a package that registers one model, source or metric, with a test.

    Parameters
    ----------
    kind : "model", "source" or "metric"
    name : str
        Lower case with underscores (dashes are taken for them); the module has the same name.
    folder : Path, optional
        By default one of that name, here. It must not exist.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        For a kind or name that cannot be, or a folder that is there already.
    """
    if kind not in get_args(PlugInKind):
        raise InputError(
            f"A new '{kind}' cannot be made.{did_you_mean(kind, get_args(PlugInKind))} "
            f"Known: {', '.join(get_args(PlugInKind))}."
        )
    module = registry.canonical(name)
    _check_name(kind, module)
    folder = folder or Path(module)
    if folder.exists():
        raise InputError(f"{folder} is there already. Give another folder with --out.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as unfinished:
        made = Path(unfinished) / "made"
        _write(kind, module, made)
        made.rename(folder)
    return folder


def _check_name(kind: str, module: str) -> None:
    if not _NAME.fullmatch(module) or keyword.iskeyword(module):
        raise InputError(
            f"'{module}' cannot name a module: lower case letters, digits and underscores, "
            "beginning with a letter."
        )
    known: dict[str, registry.Kind] = {"model": "models", "source": "sources", "metric": "metrics"}
    if module in registry.names(known[kind]):
        raise InputError(f"A {kind} called '{module}' is there already. Names are unique.")


def _write(kind: str, module: str, folder: Path) -> None:
    start = _STARTS[kind]
    thing = module if kind == "metric" else "".join(part.title() for part in module.split("_"))
    words = {
        "kind": kind,
        "module": module,
        "thing": thing,
        "needs": start.needs,
        "then": start.then.replace("NAME", module),
    }
    templates = resources.files("acsbench.experiment") / "plug_in"
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701  writes Python and TOML, no page
    for template, target in {
        "pyproject.toml.j2": "pyproject.toml",
        "README.md.j2": "README.md",
        f"{kind}.py.j2": f"src/{module}/__init__.py",
        f"test_{kind}.py.j2": f"tests/test_{module}.py",
    }.items():
        text = templates.joinpath(template).read_text(encoding="utf-8")
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(environment.from_string(text).render(words), encoding="utf-8")
