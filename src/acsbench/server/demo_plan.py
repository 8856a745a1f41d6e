"""What a demo board is filled with: tasks, and the files of teams and baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acsbench.server.card import ModelCard

__all__ = ["DemoFile", "DemoPlan"]


@dataclass(frozen=True, kw_only=True)
class DemoFile:
    """One prediction file and who sends it.

    Attributes
    ----------
    team : str
        Name of the team or baseline.
    member : str
        Email of the person who sends it; the host's for a baseline.
    task : str
    card : ModelCard
    write : function
        Makes the CSV; called when its turn has come, since fitting a model takes its time.
    is_baseline : bool
    """

    team: str
    member: str
    task: str
    card: ModelCard
    write: Callable[[], bytes]
    is_baseline: bool = False


@dataclass(frozen=True, kw_only=True)
class DemoPlan:
    """Everything a demo board is made of.

    Attributes
    ----------
    tasks : dict of Path to Path
        Folder of each task, and the file of its hidden labels.
    files : tuple of DemoFile
        In the order in which they are sent.
    example : DemoFile
        Not sent: for people to send themselves.
    host : str
        Email of the account that is host of every task.
    """

    tasks: dict[Path, Path]
    files: tuple[DemoFile, ...]
    example: DemoFile
    host: str
