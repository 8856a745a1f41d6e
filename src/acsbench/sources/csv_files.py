"""The tables of a data set: all files read and checked, all findings in one error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from acsbench.errors import MissingPathError, TableError
from acsbench.tables import Schema, check, read_table

__all__ = ["TableFile", "read_all"]


@dataclass(frozen=True)
class TableFile:
    """A file of a data set.

    Attributes
    ----------
    schema : Schema
        Its name is the file's, relative to the data set's folder.
    spellings : mapping
        Other spellings of columns, and ours.
    """

    schema: Schema
    spellings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Path of the file, relative to the data set's folder."""
        return self.schema.name

    def read(self, folder: Path) -> pl.DataFrame:
        """Read and check this file."""
        path = folder / self.name
        frame = read_table(path)
        renamed = {
            theirs: ours
            for theirs, ours in self.spellings.items()
            if theirs in frame.columns and ours not in frame.columns
        }
        return check(frame.rename(renamed), self.schema, where=path)


def read_all(folder: Path, files: Sequence[TableFile]) -> list[pl.DataFrame]:
    """Read the files of a data set, so that one attempt shows everything that is wrong.

    Raises
    ------
    MissingPathError
        When the first finding is a file that is not there.
    TableError
        With the findings of every file.
    """
    frames: list[pl.DataFrame] = []
    findings: list[MissingPathError | TableError] = []
    for file in files:
        try:
            frames.append(file.read(folder))
        except (MissingPathError, TableError) as error:
            findings.append(error)
    if not findings:
        return frames
    kind = MissingPathError if isinstance(findings[0], MissingPathError) else TableError
    way_out = "Correct the files, or take them as published; rows are counted without the header."
    raise kind("\n".join([*(str(finding) for finding in findings), way_out]))
