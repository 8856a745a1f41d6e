"""What a source gives besides waveforms, and the cohort that is built from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import polars as pl

from acsbench.errors import MissingPathError
from acsbench.provenance import atomic_path, atomic_text, json_sha256
from acsbench.tables.columns import COHORT, FLOW
from acsbench.tables.files import read_table
from acsbench.tables.schema import check

__all__ = ["Cohort", "Tables"]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What a source gives besides waveforms, in our names.

    Attributes
    ----------
    source : str
        Name of the source.
    fingerprint : str
        Changes when the tables change.
    ecgs, patients : DataFrame
        See `ECGS`, `PATIENTS`.
    encounters : DataFrame or None
        See `ENCOUNTERS`; None where a source knows no visits.
    outcomes, subgroups, features : tuple of str
        Columns (of any of the three tables, or derived: ``is_female``, ``age_band``) that hold
        labels, that divide patients for reports, and that a model may use.
    flags : tuple of str
        The features that are classical 0/1 findings, drawn as points in a ROC figure.
    fold_column : str or None
        A column of ``ecgs`` that a publisher's split is made from.
    min_count : int
        Counts from 1 up to this number are printed as "<= min_count".
    remarks : tuple of str
        What a reader of the results has to know of the data.
    """

    source: str
    fingerprint: str
    ecgs: pl.DataFrame
    patients: pl.DataFrame
    encounters: pl.DataFrame | None = None
    outcomes: tuple[str, ...] = ()
    subgroups: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    fold_column: str | None = None
    min_count: int = 0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Everyone the source holds, with who is included, in which split, and what happened.

    Attributes
    ----------
    frame : DataFrame
        One row per ECG, sorted by ``ecg_id``; see `COHORT`, then outcomes, subgroups, features.
    flow : DataFrame
        See `FLOW`.
    source, outcomes, subgroups, features, flags, min_count
        As in `Tables`.
    scheme : str
        The split scheme.
    info : dict
        Remarks for people: shares, overlaps found, whether quality was checked.
    """

    frame: pl.DataFrame
    flow: pl.DataFrame
    source: str
    scheme: str
    outcomes: tuple[str, ...] = ()
    subgroups: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    min_count: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def split_fingerprint(self) -> str:
        """SHA-256 over who is in which split: the same for any order of rows."""
        who = self.frame.select(pl.coalesce("patient_id", "ecg_id").alias("who"), "split")
        return json_sha256(sorted(who.unique().rows()))

    def __len__(self) -> int:
        return len(self.frame)

    def save(self, folder: Path) -> list[str]:
        """Write ``cohort.parquet``, ``flow.csv`` and ``cohort.json``; return their names."""
        with atomic_path(folder / "cohort.parquet") as temporary:
            self.frame.write_parquet(temporary)
        with atomic_path(folder / "flow.csv") as temporary:
            self.flow.write_csv(temporary)
        body = {k: v for k, v in asdict(self).items() if k not in ("frame", "flow")}
        body["split_fingerprint"] = self.split_fingerprint
        atomic_text(folder / "cohort.json", json.dumps(body, indent=1, default=str) + "\n")
        return ["cohort.json", "cohort.parquet", "flow.csv"]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        MissingPathError, TableError
        """
        if not (folder / "cohort.parquet").is_file():
            raise MissingPathError(
                f"{folder} is no cohort: there is no cohort.parquet in it. `acsbench cohort` makes "
                "one, and a run keeps its own in its folder cohort/."
            )
        frame = check(read_table(folder / "cohort.parquet"), COHORT, where=folder)
        flow = check(read_table(folder / "flow.csv"), FLOW, where=folder / "flow.csv")
        body = json.loads((folder / "cohort.json").read_text(encoding="utf-8"))
        body.pop("split_fingerprint", None)
        for name in ("outcomes", "subgroups", "features", "flags"):
            body[name] = tuple(body[name])
        return cls(frame=frame, flow=flow, **body)
