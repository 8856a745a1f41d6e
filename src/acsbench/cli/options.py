"""Options that commands share, and how a command reads and prints."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from acsbench.cli.help import names_of
from acsbench.errors import ConfigError

if TYPE_CHECKING:
    from acsbench.parallel import Workers

__all__ = [
    "CohortFolder",
    "Debug",
    "DryRun",
    "Engine",
    "Jobs",
    "Json",
    "Limit",
    "Out",
    "Scheduler",
    "Seed",
    "Set",
    "SourceName",
    "SourcePath",
    "StoreFolder",
    "assignments",
    "debugging",
    "emit",
    "pairs",
    "workers",
]

_debug = False


def _set_debug(value: bool) -> bool:
    global _debug  # noqa: PLW0603  one process, one command line
    _debug = value
    return value


def debugging() -> bool:
    """Whether the command that was just parsed asked for tracebacks."""
    return _debug


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, at what cost; write nothing.")
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Use at most N ECGs; the results are marked as not reportable."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of every random choice.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_set_debug, help="Show a traceback on errors.")
]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Worker processes; by default one per usable core.")
]
Engine = Annotated[
    str, typer.Option(help="Where to work: local processes, or dask with --scheduler.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler, as tcp://host:8786.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the config; repeatable."),
]
Out = Annotated[Path, typer.Option(help="Folder to write to.")]
CohortFolder = Annotated[Path, typer.Option("--cohort", help="Folder that `cohort` wrote.")]
StoreFolder = Annotated[Path | None, typer.Option("--store", help="Folder that `process` wrote.")]
SourceName = Annotated[
    str,
    typer.Option(
        "--source", help="See `acsbench list sources`.", autocompletion=names_of("sources")
    ),
]
SourcePath = Annotated[Path | None, typer.Option("--path", help="Folder of the source.")]


def emit(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print a result to stdout: as text for people, or as JSON for programs.

    A reader who leaves early, as ``| head`` does, is no failure.
    """
    try:
        told = json_module.dumps(result, indent=1, default=str) if as_json else text
        print(told, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def pairs(values: Mapping[str, Any]) -> str:
    """Write one ``key  value`` a line, the values in one column."""
    width = max((len(key) for key in values), default=0)
    return "\n".join(f"{key:<{width}}  {value}" for key, value in values.items())


def workers(jobs: int | None, engine: str, scheduler: str | None) -> Workers:
    """Say who does the work."""
    from acsbench.parallel import Engine, Workers

    if engine not in get_args(Engine):
        raise ConfigError(f"--engine {engine} is none of {', '.join(get_args(Engine))}.")
    return Workers(n_jobs=jobs, engine=engine, scheduler=scheduler)  # type: ignore[arg-type]  # one of the two, as just checked


def assignments(changes: Sequence[str] | None) -> dict[str, Any]:
    """Read ``--set KEY=VALUE ...`` into a dictionary."""
    from acsbench.experiment.config import assign

    return assign({}, changes or ())
