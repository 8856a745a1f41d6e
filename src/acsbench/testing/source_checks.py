"""Whether a source keeps its contract."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl

from acsbench.errors import AcsbenchError, RecordingError
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12
from acsbench.sources.base import Source
from acsbench.tables import ECGS, ENCOUNTERS, PATIENTS, Tables, check

__all__ = ["check_source"]

_NOBODY = "no such ecg"
_DERIVED = ("is_female", "age_band", "age")
"""Columns that a cohort derives; a source may name them without having them."""


def check_source(source: Source, *, n_records: int = 5) -> None:
    """Check that a source keeps its contract.

    Parameters
    ----------
    source : Source
        Opened on a small data set.
    n_records : int
        How many of its ECGs to read, evenly spread.

    Raises
    ------
    AssertionError
        With every finding, one a line.
    """
    assert isinstance(source, Source), f"{source!r} lacks tables() or recordings(ids)."
    tables = source.tables()
    ids = sorted(tables.ecgs["ecg_id"])
    some = ids[:: max(len(ids) // n_records, 1)][:n_records]
    checks: Sequence[Callable[[], Iterator[str]]] = (
        lambda: _tables(tables),
        lambda: _repeats(source, tables, some),
        lambda: _recordings(source, some),
    )
    findings = [finding for one in checks for finding in one()]
    name = f"Source '{tables.source}' ({type(source).__name__})"
    assert not findings, "\n".join([f"{name} breaks its contract:", *(f"  {f}" for f in findings)])


def _tables(tables: Tables) -> Iterator[str]:
    if tables.ecgs.is_empty():
        yield "tables() has no ECG."
    if not tables.fingerprint:
        yield "tables() has no fingerprint: nothing would notice that the data changed."
    if "patient_id" not in tables.ecgs.columns:  # a holdout: ids and tasks, nothing else
        if tables.outcomes or tables.features:
            yield "a holdout (ECGs without patient_id) names outcomes or features."
        return
    yield from _schemas(tables)
    yield from _columns(tables)
    lonely = tables.ecgs.join(tables.patients, on="patient_id", how="anti")
    if not lonely.is_empty():
        yield f"{len(lonely)} ECGs have a patient that tables().patients does not hold."
    yield from _visits(tables)


def _schemas(tables: Tables) -> Iterator[str]:
    for frame, schema in (
        (tables.ecgs, ECGS),
        (tables.patients, PATIENTS),
        (tables.encounters, ENCOUNTERS),
    ):
        if frame is None:
            continue
        try:
            if check(frame, schema).schema != frame.schema:
                yield f"tables().{schema.name} has other types than its schema; use check()."
        except AcsbenchError as error:
            yield str(error)


def _columns(tables: Tables) -> Iterator[str]:
    frames = [f for f in (tables.ecgs, tables.patients, tables.encounters) if f is not None]
    columns = {name: frame[name].dtype for frame in frames for name in frame.columns}
    for kind in ("outcomes", "subgroups", "features", "flags"):
        for name in getattr(tables, kind):
            if name not in columns and name not in _DERIVED:
                yield f"{kind} names '{name}', a column that no table has."
    for name in (*tables.outcomes, *tables.flags):
        if columns.get(name, pl.Boolean()) != pl.Boolean():
            yield f"'{name}' is {columns[name]}; outcomes and flags are true, false or missing."
    if tables.fold_column is not None and tables.fold_column not in tables.ecgs.columns:
        yield f"fold_column names '{tables.fold_column}', which the ECGs do not have."
    shared = {n for n in tables.ecgs.columns if n in tables.patients.columns} - {"patient_id"}
    if tables.encounters is not None:
        shared |= {*tables.encounters.columns} & {*tables.ecgs.columns, *tables.patients.columns}
        shared -= {"patient_id", "encounter_id"}
    if shared:
        yield f"columns {sorted(shared)} stand in two tables; a join would double them."


def _visits(tables: Tables) -> Iterator[str]:
    if tables.encounters is None:
        return
    if "encounter_id" not in tables.ecgs.columns:
        yield "there are visits, but the ECGs have no encounter_id."
        return
    visits = tables.encounters.select("encounter_id", pl.col("patient_id").alias("visitor"))
    joined = tables.ecgs.join(visits, on="encounter_id", how="left")
    unknown = joined.filter(pl.col("encounter_id").is_not_null() & pl.col("visitor").is_null())
    if not unknown.is_empty():
        yield f"{len(unknown)} ECGs have a visit that tables().encounters does not hold."
    if not joined.filter(pl.col("patient_id") != pl.col("visitor")).is_empty():
        yield "an ECG has another patient than its visit."


def _repeats(source: Source, tables: Tables, ids: Sequence[str]) -> Iterator[str]:
    """Workers get a pickled copy: it must give the same."""
    copy: Source = pickle.loads(pickle.dumps(source))  # noqa: S301  its own bytes
    if copy.tables().fingerprint != tables.fingerprint:
        yield "a second look at unchanged tables has another fingerprint."
    for one, other in zip(source.recordings(ids), copy.recordings(ids), strict=True):
        if isinstance(one, Recording) and isinstance(other, Recording):
            if not np.array_equal(one.signal, other.signal, equal_nan=True):
                yield f"ECG {one.ecg_id} is not the same twice."
        elif type(one) is not type(other):
            yield f"ECG {one.ecg_id} is read once and not again."


def _recordings(source: Source, ids: Sequence[str]) -> Iterator[str]:
    if list(source.recordings([])):
        yield "recordings([]) yields something."
    asked = [*reversed(ids), _NOBODY]
    try:
        found = list(source.recordings(asked))
    except Exception as error:  # the finding: nothing may be raised here
        yield f"recordings() raised {error!r}; an unreadable record is yielded as its error."
        return
    if [one.ecg_id for one in found] != asked:
        yield f"recordings() gave {[one.ecg_id for one in found]} for {asked}: one each, in order."
    if found and not isinstance(found[-1], RecordingError):
        yield "an id that nobody has is read; it must be yielded as a RecordingError."
    read = [one for one in found if isinstance(one, Recording)]
    if not read:
        yield f"none of {len(ids)} ECGs can be read (first: {found[0]})."
    for one in read:
        missing = [name for name in STANDARD_12 if name not in one.lead_names]
        if missing:
            yield f"ECG {one.ecg_id} lacks {missing}; a lead not recorded is a row of NaN."
        if one.signal.dtype != np.float64:
            yield f"ECG {one.ecg_id} is {one.signal.dtype}; expected float64."
        if np.isinf(one.signal).any():
            yield f"ECG {one.ecg_id} holds infinite values; not recorded is NaN."
