"""What a source is: tables in our columns, and recordings by id."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from acsbench import registry
from acsbench.errors import RecordingError
from acsbench.provenance import parse_config
from acsbench.recording import Recording
from acsbench.tables import Tables

__all__ = ["Source", "file_of", "open_source", "own_clusters", "read_each", "remembered"]

T = TypeVar("T")


@runtime_checkable
class Source(Protocol):
    """Raw data in our names. Picklable, since workers read recordings in parallel.

    The built-in sources are frozen pydantic models whose fields are their options.
    """

    def tables(self) -> Tables:
        """Hospital tables in our columns, checked.

        Raises
        ------
        TableError, MissingPathError
        """
        ...

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """One result per id, in their order: the ECG, or why it cannot be read.

        A broken record is yielded as the error that describes it, so that one of them never
        stops the rest.
        """
        ...


def open_source(name: str, **options: Any) -> Source:
    """Make a source by name.

    Parameters
    ----------
    name : str
        See ``acsbench list sources``.
    **options
        The source's own fields; unknown ones are refused with the nearest known one.

    Raises
    ------
    UnknownNameError, ConfigError, MissingPathError
    """
    entry = registry.load("sources", name)
    if isinstance(entry, type) and issubclass(entry, BaseModel):
        source: Source = parse_config(entry, options, where=f"Source '{name}'")  # type: ignore[assignment]  # every registered source has the two methods; tests prove it
        return source
    made: Source = entry(**options)
    return made


def read_each(
    ids: Sequence[str], read: Callable[[str], Recording]
) -> Iterator[Recording | RecordingError]:
    """Yield what ``read`` returns for each id, or the `RecordingError` it raises."""
    for ecg_id in ids:
        try:
            yield read(ecg_id)
        except RecordingError as error:
            yield error


def file_of(ecg_id: str, files: Mapping[str, str], *, table: str) -> str:
    """Return the file that a table names for an ECG.

    Raises
    ------
    RecordingError
        ``unknown_id``.
    """
    if ecg_id not in files:
        raise RecordingError(ecg_id, "unknown_id", f"the id is not in {table}.")
    return files[ecg_id]


def own_clusters(n_without_patient: int, n_records: int) -> str:
    """Remark on records that count as a patient of their own for want of an id."""
    return (
        f"{n_without_patient:,} of {n_records:,} records have no patient id: each counts as a "
        "patient of its own, so intervals may be too narrow, and a patient may stand in two splits "
        "unless a publisher's folds keep them apart."
    )


def remembered(function: Callable[..., T]) -> Callable[..., T]:
    """Keep the last results of a function of paths, until one of the files changes.

    Workers ask for a few hundred recordings at a time: so each process reads a table once. The
    result is shared; nobody may change it.
    """

    @functools.lru_cache(maxsize=2)
    def keep(arguments: tuple[Any, ...], stamps: tuple[Any, ...]) -> T:
        del stamps  # part of the key only
        return function(*arguments)

    @functools.wraps(function)
    def wrapper(*arguments: Any) -> T:
        stamps = tuple(_stamp(path) for path in arguments if isinstance(path, Path))
        return keep(arguments, stamps)

    return wrapper


def _stamp(path: Path) -> tuple[int, int] | None:
    """When a file was last changed, and its size; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
