"""Labels that a user brings: one 0/1 column each, which the task ``label_<column>`` asks for."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from acsbench.errors import TableError, first_few
from acsbench.tables import Column, Schema, check, read_table

__all__ = ["read_own_labels"]


def read_own_labels(ecgs: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Add the columns of a labels file to the ECGs; an ECG it does not name has none of them.

    Parameters
    ----------
    ecgs : DataFrame
        Has ``ecg_id``.
    path : Path
        CSV or Parquet: ``ecg_id`` and columns of 0, 1 or nothing.

    Returns
    -------
    tuple of DataFrame and of tuple of str
        The ECGs with the new columns, and their names.

    Raises
    ------
    MissingPathError, TableError
        A value that is neither 0 nor 1, an id that no ECG has, a column that is already there.
    """
    table = read_table(path, text_columns=("ecg_id",))
    names = tuple(name for name in table.columns if name != "ecg_id")
    columns = (Column("ecg_id", "text", nullable=False), *(Column(n, "flag") for n in names))
    table = check(table, Schema("labels", ("ecg_id",), columns), where=path)
    taken = sorted({*names} & {*ecgs.columns})
    if not names or taken:
        raise TableError(
            f"{path}: "
            + (
                f"the ECGs already have {first_few(taken)}; rename it."
                if taken
                else "there is no column beside ecg_id; add one of 0 and 1 for each label."
            )
        )
    strangers = table.join(ecgs, on="ecg_id", how="anti")["ecg_id"].to_list()
    if strangers:
        raise TableError(
            f"{path}: {len(strangers):,} ids are of no ECG of this source (first: "
            f"{first_few(strangers, n=3)}). Ids are written as in the source's own table."
        )
    return ecgs.join(table, on="ecg_id", how="left", maintain_order="left"), names
