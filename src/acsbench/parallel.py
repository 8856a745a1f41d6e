"""Map a function over work units: on one core, on many, resumable, with one progress bar.

joblib is the engine: its loky backend on one machine, its Dask backend on many. What a unit
writes is its own affair; a unit whose result already exists is left out by the caller, which is
all that resuming needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

__all__ = ["default_jobs", "map_units", "progress"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")


def default_jobs() -> int:
    """Cores this process may use (a cluster's limit counts, not the machine's size)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def progress(items: Iterable[Unit], *, label: str, total: int | None = None) -> Iterator[Unit]:
    """Yield the items behind a progress bar on stderr; silent when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console  # noqa: PLC0415  costs time; only where a bar is shown
    from rich.progress import track  # noqa: PLC0415

    yield from track(items, description=label, total=total, console=Console(stderr=True))


def map_units(
    function: Callable[[Unit], Result],
    units: Sequence[Unit],
    *,
    n_jobs: int | None = None,
    label: str = "working",
) -> list[Result]:
    """Apply ``function`` to every unit and return the results in the order of the units.

    Parameters
    ----------
    function : callable
        Picklable; called once per unit.
    units : sequence
        Picklable.
    n_jobs : int, optional
        Worker processes; by default one per usable core. 1 stays in this process.
    label : str
        Shown beside the progress bar.

    Raises
    ------
    Exception
        The first one that a unit raised, unchanged.
    """
    n_jobs = min(n_jobs or default_jobs(), max(len(units), 1))
    if n_jobs == 1:
        return [function(unit) for unit in progress(units, label=label, total=len(units))]
    from joblib import Parallel, delayed  # noqa: PLC0415  costs 0.1 s at import

    results = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(u) for u in units)
    return list(progress(results, label=label, total=len(units)))
