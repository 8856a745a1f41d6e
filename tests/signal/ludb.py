"""LUDB's signals and cardiologists' marks; its integers are microvolts, whatever headers say."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acsbench.signal.leads import STANDARD_12


class LudbRecord(NamedTuple):
    name: str
    signal: NDArray[np.float64]
    r_marks: NDArray[np.int64]  # of lead II
    qrs_end_after_r_ms: float  # the median lead's, the median beat's


def ludb_records(shared: Path, *, every: int = 1) -> Iterator[LudbRecord]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wfdb
    folder = shared / "data" / "ludb"
    names = sorted((p.stem for p in (folder / "data").glob("*.hea")), key=int)
    for name in names[::every]:
        path = str(folder / "data" / name)
        with warnings.catch_warnings():
            # wfdb 4.3 uses what pandas is about to retire
            warnings.simplefilter("ignore")
            record = wfdb.rdrecord(path, physical=False)
            marks = [_qrs(wfdb.rdann(path, lead.lower())) for lead in STANDARD_12]
        r_marks = np.array([r for r, _ in marks[1]])
        yield LudbRecord(name, record.d_signal.T / 1000.0, r_marks, _end_ms(marks))


def _qrs(annotation: object) -> list[tuple[int, int | None]]:
    """R mark and end of each QRS of one lead."""
    samples, symbols = annotation.sample, annotation.symbol
    return [
        (int(samples[n]), int(samples[n + 1]) if symbols[n + 1 : n + 2] == [")"] else None)
        for n in range(len(symbols))
        if symbols[n] == "N"
    ]


def _end_ms(marks: list[list[tuple[int, int | None]]]) -> float:
    """From the R mark of lead II to the end of QRS: median over leads, then over beats."""
    per_beat = []
    for r, _ in marks[1]:
        ends = [e - r for lead in marks for at, e in lead if abs(at - r) < 50 and e is not None]
        if len(ends) >= 6:
            per_beat.append(np.median(ends))
    return 2 * float(np.median(per_beat))
