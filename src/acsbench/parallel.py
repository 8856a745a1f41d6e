"""Map a function over work units: on one core, on many, on a cluster, with one progress bar.

joblib's loky workers are the engine on one machine, Dask's on many. What a unit writes is its own
affair; a unit whose result already exists is left out by the caller, which is
all that resuming needs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from acsbench.errors import ConfigError, InputError, MissingDependencyError, StepError

__all__ = ["Engine", "Eta", "Workers", "default_jobs", "iter_units", "map_units", "progress"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")

Engine: TypeAlias = Literal["local", "dask"]
_PATIENCE = "10s"
"""For a scheduler to answer."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Who does the work.

    Attributes
    ----------
    n_jobs : int or None
        Worker processes of the engine ``local``; by default one per usable core. 1 stays in this
        process.
    engine : "local" or "dask"
    scheduler : str or None
        Address of a Dask scheduler, as ``tcp://host:8786``. Its workers need acsbench, and see
        the same files under the same paths.
    """

    n_jobs: int | None = None
    engine: Engine = "local"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if (self.engine == "dask") != (self.scheduler is not None):
            raise ConfigError(
                f"engine = '{self.engine}' with scheduler = {self.scheduler!r}: the engine 'dask' "
                "and a scheduler's address (tcp://host:8786) go together."
            )


@dataclass
class Eta:
    """Time left of a list of work, from the costs of its units.

    Attributes
    ----------
    total : float
        Sum of the costs of all units, in any unit of cost.
    clock : callable
        Seconds; never runs backward.
    """

    total: float
    clock: Callable[[], float] = time.monotonic
    done: float = field(default=0.0, init=False)
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.clock()

    def advance(self, cost: float) -> None:
        """Count a finished unit."""
        self.done += cost

    @property
    def seconds_left(self) -> float | None:
        """At the mean pace since the start; None before the first unit."""
        if not self.done:
            return None
        return (self.clock() - self._start) * (self.total - self.done) / self.done


def default_jobs() -> int:
    """Cores this process may use (a cluster's limit counts, not the machine's size)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def progress(
    items: Iterable[Unit],
    *,
    label: str,
    total: int | None = None,
    costs: Sequence[float] | None = None,
) -> Iterator[Unit]:
    """Yield the items behind a progress bar on stderr; silent when stderr is no terminal.

    Parameters
    ----------
    items : iterable
    label : str
    total : int, optional
        Number of items.
    costs : sequence of float, optional
        What each item costs, where they differ; the time left is weighed by it.
    """
    if not sys.stderr.isatty() or not (total or costs):
        yield from items
        return
    from rich.console import Console  # noqa: PLC0415  costs time; only where a bar is shown
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn  # noqa: PLC0415  as above

    paid = list(costs) if costs is not None else [1.0] * (total or 0)
    eta = Eta(sum(paid))
    columns = (
        "{task.description}",
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=eta.total, left="")
        for cost, item in zip(paid, items, strict=True):
            yield item
            eta.advance(cost)
            bar.update(task, completed=eta.done, left=f"{_clock(eta.seconds_left)} left")


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def map_units(
    function: Callable[[Unit], Result],
    units: Sequence[Unit],
    *,
    n_jobs: int | None = None,
    workers: Workers | None = None,
    label: str = "working",
) -> list[Result]:
    """Results of `iter_units`, all at once."""
    chosen = workers or Workers(n_jobs=n_jobs)
    return list(iter_units(function, units, workers=chosen, label=label))


def iter_units(
    function: Callable[[Unit], Result],
    units: Sequence[Unit],
    *,
    workers: Workers | None = None,
    label: str = "working",
    costs: Sequence[float] | None = None,
) -> Iterator[Result]:
    """Apply ``function`` to every unit and yield the results in the order of the units.

    Parameters
    ----------
    function : callable
        Picklable; called once per unit, and once more if the worker that had it died (on Dask).
    units : sequence
        Picklable.
    workers : Workers, optional
        By default one process per usable core of this machine.
    label : str
        Shown beside the progress bar.
    costs : sequence of float, optional
        What each unit costs, where they differ.

    Raises
    ------
    Exception
        The first one that a unit raised, unchanged.
    StepError
        When a worker process was killed, for want of memory in most cases.
    """
    workers = workers or Workers()
    n_jobs = min(workers.n_jobs or default_jobs(), max(len(units), 1))
    if workers.engine == "local" and n_jobs == 1:
        yield from progress(map(function, units), label=label, total=len(units), costs=costs)
        return
    if workers.scheduler is not None:
        results = _on_dask(function, units, workers.scheduler)
    else:
        results = _on_this_machine(function, units, n_jobs)
    yield from progress(results, label=label, total=len(units), costs=costs)


def _on_this_machine(
    function: Callable[[Unit], Result], units: Sequence[Unit], n_jobs: int
) -> Iterator[Result]:
    from joblib import Parallel, delayed  # noqa: PLC0415  costs 0.1 s at import
    from joblib.externals.loky.process_executor import TerminatedWorkerError  # noqa: PLC0415  as above

    # one unit a task: a worker that dies takes one unit with it
    run = Parallel(n_jobs=n_jobs, backend="loky", return_as="generator", batch_size=1)
    try:
        yield from run(delayed(function)(unit) for unit in units)
    except TerminatedWorkerError as error:
        raise StepError(
            "A worker process was killed, most often because the machine ran out of memory. Use "
            "fewer worker processes (--jobs 1) and start again: finished work is not repeated."
        ) from error


def _on_dask(
    function: Callable[[Unit], Result], units: Sequence[Unit], scheduler: str
) -> Iterator[Result]:
    """Units of a worker that dies are given to another one by the scheduler.

    The client is asked directly: joblib's Dask backend (1.6) waits for ever for a task that fails
    outside of the function, a worker lost thrice or an object it cannot hash, say.
    """
    with _client(scheduler) as client:
        from distributed import KilledWorker  # noqa: PLC0415  an extra

        futures = client.map(function, list(units), pure=False)
        try:
            for future in futures:
                yield future.result()
        except KilledWorker as error:
            raise StepError(
                f"The cluster at {scheduler} lost several workers over one unit of work, "
                "most often because they ran out of memory. Give them more, and start again: "
                "finished work is not repeated."
            ) from error


def _client(scheduler: str) -> Any:
    """Connect to the scheduler; a context manager that disconnects."""
    try:
        from distributed import Client  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingDependencyError(
            "The engine 'dask' needs Dask's scheduler: pip install 'acsbench[dask]'."
        ) from None
    try:
        return Client(scheduler, set_as_default=False, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {scheduler}: {error}. Start one with "
            "'dask scheduler', and give its address."
        ) from None
