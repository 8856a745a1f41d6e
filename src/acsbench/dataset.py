"""WaveformDataset: cohort rows x store x tasks; everything that a model gets to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import HoldoutError, TableError
from acsbench.store import WaveformStore
from acsbench.tables import Cohort, Split
from acsbench.tasks import Task

__all__ = ["Item", "WaveformDataset", "load_dataset"]


class Item(NamedTuple):
    """One ECG as a model sees it.

    Attributes
    ----------
    waveform : ndarray of float32, shape (leads, samples)
        Empty, (0, 0), where the dataset has no store.
    mask : ndarray of uint8, same shape
    label : ndarray of float32, shape () or (tasks,)
        0, 1, or NaN where missing; NaN throughout on a holdout.
    features : ndarray of float32, shape (features,)
        NaN where missing.
    index : int
        Row in the dataset.
    """

    waveform: NDArray[np.float32]
    mask: NDArray[np.uint8]
    label: NDArray[np.float32]
    features: NDArray[np.float32]
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here


@dataclass(frozen=True)
class WaveformDataset:
    """Records of one split, in the order of their ids. Numpy only; a torch loader takes it as is.

    Attributes
    ----------
    ecg_ids : tuple of str
    tasks : tuple of str
        Names of the tasks; one task gives labels (n,), several (n, k).
    split : Split
    split_fingerprint : str
        Of the cohort: says which patients were kept apart.
    feature_frame : DataFrame
        The cohort's feature columns as numbers, one row per record.
    store : WaveformStore or None
    rows : ndarray of int
        Row of each record in the store.
    failed : dict of str to str
        Records of this split that have no waveform, with the reason; they are left out.
    """

    ecg_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    split: Split
    split_fingerprint: str
    feature_frame: pl.DataFrame
    store: WaveformStore | None
    rows: NDArray[np.int64]
    failed: dict[str, str]
    _labels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ecg_ids)

    @property
    def is_holdout(self) -> bool:
        """Whether these records have neither labels nor patients."""
        return self.split is Split.HOLDOUT

    @property
    def labels(self) -> NDArray[np.float32]:
        """0, 1 or NaN, shape (n,) for one task and (n, k) for several.

        Raises
        ------
        HoldoutError
            On a holdout.
        """
        if self.is_holdout:
            raise HoldoutError(
                "A holdout has no labels. Predict its scores and send them to whoever keeps them."
            )
        return self._labels

    @property
    def features(self) -> NDArray[np.float32]:
        """Feature matrix, shape (n, features); column names are ``feature_names``."""
        if not self.feature_frame.width:  # a frame without columns forgets its rows
            return np.zeros((len(self), 0), np.float32)
        return self.feature_frame.to_numpy().astype(np.float32)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the feature columns."""
        return tuple(self.feature_frame.columns)

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> WaveformDataset:
        """Some of the records, by their rows, which keep their order."""
        chosen = np.unique(np.asarray(rows, dtype=np.intp))
        return replace(
            self,
            ecg_ids=tuple(self.ecg_ids[row] for row in chosen),
            rows=self.rows[chosen],
            feature_frame=self.feature_frame[chosen]
            if self.feature_frame.width
            else pl.DataFrame(),
            _labels=self._labels[chosen],
        )

    @property
    def recipe(self) -> str | None:
        """Name of the store's recipe; None without a store."""
        return self.store.recipe if self.store is not None else None

    def __getitem__(self, index: int) -> Item:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} records")
        index %= len(self)
        if self.store is None:
            waveform, mask = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.uint8)
        else:
            waveform, mask = self.store.read_row(int(self.rows[index]))
        row = self.feature_frame.row(index) if self.feature_frame.width else ()
        features = np.array(row, dtype=np.float32)
        return Item(waveform, mask, self._labels[index], features, index)


def load_dataset(
    cohort: Cohort,
    store: WaveformStore | None,
    task: Task | Sequence[Task],
    split: Split | str,
    *,
    untested: bool = False,
) -> WaveformDataset:
    """Select a split's records of one or several tasks and join labels, features and waveforms.

    Parameters
    ----------
    cohort : Cohort
    store : WaveformStore or None
        None for models that use features only.
    task : Task or sequence of Task
        Several tasks take the union of their populations; a record outside a task's population
        has NaN there.
    split : {"train", "val", "test", "holdout"}
    untested : bool
        Of each task those whose outcome nobody looked for, without labels, in the place of its
        population. May be nobody.

    Raises
    ------
    TableError
        When the split is empty, or a training or validation label has one class only.
    StoreError
        When the store lacks records of the cohort.
    """
    tasks = [task] if isinstance(task, Task) else list(task)
    split = Split(split)
    selections = [(one.untested if untested else one.select)(cohort, split) for one in tasks]
    rows = pl.concat(selections).unique("ecg_id").sort("ecg_id")
    failed: dict[str, str] = {}
    if store is not None:
        failed = {i: r for i, r in store.failed().items() if i in set(rows["ecg_id"])}
        rows = rows.filter(~pl.col("ecg_id").is_in(list(failed)))
    ecg_ids = tuple(rows["ecg_id"])
    labels = np.full((len(rows), len(tasks)), np.nan, dtype=np.float32)
    if split is not Split.HOLDOUT and not untested:
        for column, (one, selected) in enumerate(zip(tasks, selections, strict=True)):
            outcome = dict(zip(selected["ecg_id"], selected[one.outcome], strict=True))
            labels[:, column] = [float(outcome.get(ecg_id, np.nan)) for ecg_id in ecg_ids]
            _require_two_classes(labels[:, column], one, split)
    names = [
        name
        for name in cohort.features
        if name in rows.columns
        and (rows[name].dtype.is_numeric() or rows[name].dtype == pl.Boolean)
    ]
    return WaveformDataset(
        ecg_ids=ecg_ids,
        tasks=tuple(one.name for one in tasks),
        split=split,
        split_fingerprint=cohort.split_fingerprint,
        feature_frame=rows.select(
            pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in names
        ),
        store=store,
        rows=store.rows_of(ecg_ids) if store is not None else np.arange(len(rows)),
        failed=failed,
        _labels=labels[:, 0] if len(tasks) == 1 else labels,
    )


def _require_two_classes(labels: NDArray[np.float32], task: Task, split: Split) -> None:
    found = np.unique(labels[np.isfinite(labels)])
    if split in (Split.TRAIN, Split.VAL) and len(found) < 2:
        only = f"only {found[0]:.0f}" if len(found) else "no label at all"
        raise TableError(
            f"Split '{split}' of task '{task.name}' holds {only} among {len(labels):,} records; "
            "a model needs both classes there. Use more patients, or another split."
        )
