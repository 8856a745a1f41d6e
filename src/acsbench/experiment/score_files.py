"""Trained model x bare waveforms -> scores: the recipe is the one found in the model."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from acsbench.dataset import WaveformDataset
from acsbench.errors import AllFailedError, ConfigError, InputError, StoreError
from acsbench.models.base import Model, predict
from acsbench.parallel import Workers
from acsbench.predictions import Predictions
from acsbench.provenance import atomic_path
from acsbench.registry import canonical
from acsbench.sources.bare import BareWaveforms, find_waveforms
from acsbench.store import Failures, WaveformStore
from acsbench.tables import Cohort, Split
from acsbench.waveforms.process import process_waveforms
from acsbench.waveforms.recipes import NamedRecipe, get_recipe

__all__ = ["ScoredFiles", "find_waveforms", "model_tasks", "score_files"]

_NO_SCORES = pl.DataFrame(schema={"ecg_id": pl.String, "task": pl.String, "score": pl.Float64})


@dataclass(frozen=True, kw_only=True)
class ScoredFiles:
    """Scores of bare waveforms, and the files that gave none.

    Attributes
    ----------
    predictions : Predictions
    failures : DataFrame
        ``ecg_id, file, reason, detail``.
    """

    predictions: Predictions
    failures: pl.DataFrame

    def write_failures(self, folder: Path) -> Path:
        """Write ``failures.csv``, a line a file; its header alone when there is none."""
        with atomic_path(folder / "failures.csv") as temporary:
            self.failures.write_csv(temporary)
        return folder / "failures.csv"


def score_files(
    model: Model,
    paths: Sequence[Path | str],
    *,
    tasks: Sequence[str] = (),
    name: str | None = None,
    work: Path | None = None,
    workers: Workers | None = None,
) -> ScoredFiles:
    """Score ECGs that are files and nothing else.

    Waveforms go through a store on disk, so that memory does not grow with their number.

    Parameters
    ----------
    model : Model
        Trained; its recipe is run.
    paths : sequence of Path
        Files that `acsbench convert` reads or writes, folders of such, or a holdout: a folder with
        ``holdout-ids.csv`` and ``ecg-waveforms-npz/``, of which the ids of the model's tasks are
        scored.
    tasks : sequence of str
        By default those that the model was trained for.
    name : str, optional
        The model's name in results.
    work : Path, optional
        Folder for the store; started again, what was processed there is not processed anew. It is
        removed at the end. By default a temporary one.
    workers : Workers, optional

    Raises
    ------
    InputError
        When the model needs columns that waveforms do not have, uses none, or nothing is found.
    StoreError
        When the recipe has changed since the training, or gives waveforms of another kind.
    """
    wanted = model_tasks(model, tasks)
    recipe = _recipe_of(model)
    found = _asked_for(find_waveforms([Path(path) for path in paths]), wanted)
    with _folder(work) as folder:
        try:
            store = process_waveforms(
                found,
                _cohort(found),
                recipe=recipe.name,
                parameters=recipe.parameters,
                folder=folder,
                max_failed_share=1.0,
                workers=workers,
            )
        except AllFailedError as error:
            return ScoredFiles(
                predictions=Predictions(_NO_SCORES, name or "model"),
                failures=_listed(error.failures, found),
            )
        scored = predict(model, _dataset(store, wanted), name=name)
        failures = store.failures()
    pairs = [(i, task) for i in found.files for task in found.asked.get(i, wanted)]
    asked = pl.DataFrame(pairs, schema=["ecg_id", "task"], orient="row")
    frame = scored.frame.join(asked, on=["ecg_id", "task"], how="semi")
    return ScoredFiles(
        predictions=Predictions(frame, scored.model, scored.scores_are),
        failures=_listed(failures, found),
    )


def model_tasks(model: Model, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """Tasks asked for, else those that the model was trained for.

    Raises
    ------
    ConfigError
        When neither says.
    """
    tasks = tuple(canonical(task) for task in asked) or tuple(getattr(model, "tasks", ()))
    if not tasks:
        raise ConfigError("The model does not say which task it scores. Name it (--task).")
    return tasks


def _recipe_of(model: Model) -> NamedRecipe:
    """Recipe of the training with its parameters; of a published model, by its defaults."""
    columns = getattr(model, "columns", ())
    if columns:
        raise InputError(
            f"The model needs {', '.join(columns)}, which bare waveforms lack. Score a cohort that "
            "has them (--cohort, --store), or train with may_lack_columns = true."
        )
    told: Mapping[str, object] = getattr(model, "signature", {}).get("recipe", {})
    name = told.get("name", model.recipe)
    if name is None:
        raise InputError("The model uses no waveforms. Score a cohort (--cohort).")
    parameters: Mapping[str, object] = told.get("parameters", {})  # type: ignore[assignment]  # as manifests have it
    recipe = get_recipe(str(name), **parameters)
    version = told.get("version", recipe.version)
    if version != recipe.version:
        raise StoreError(
            f"The model was trained on version {version} of recipe '{name}', and this acsbench has "
            f"version {recipe.version}. Use the acsbench of the training, or train again."
        )
    return recipe


def _asked_for(found: BareWaveforms, tasks: Sequence[str]) -> BareWaveforms:
    """Leave out the ids of a holdout that want scores for other tasks alone."""
    files = {
        i: path for i, path in found.files.items() if found.asked.get(i, set(tasks)) & set(tasks)
    }
    if not files:
        named = sorted({task for some in found.asked.values() for task in some})
        raise InputError(
            f"The holdout asks for {', '.join(named)}; the model scores {', '.join(tasks)}."
        )
    return BareWaveforms(files, found.asked)


@contextlib.contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    """Yield a folder that is removed when the work is done; one of the user's stays on errors."""
    if work is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    yield work
    shutil.rmtree(work, ignore_errors=True)


def _cohort(found: BareWaveforms) -> Cohort:
    frame = found.tables().ecgs.with_columns(pl.lit(value=True).alias("is_included"))
    return Cohort(frame=frame, flow=pl.DataFrame(), source="bare", scheme="none")


def _dataset(store: WaveformStore, tasks: Sequence[str]) -> WaveformDataset:
    good = store.index.filter(pl.col("status") == "ok")
    ids = tuple(good["ecg_id"])
    shape = (len(ids),) if len(tasks) == 1 else (len(ids), len(tasks))
    return WaveformDataset(
        ecg_ids=ids,
        tasks=tuple(tasks),
        split=Split.HOLDOUT,
        split_fingerprint="",
        feature_frame=pl.DataFrame(),
        store=store,
        rows=good["row"].to_numpy(),
        failed=store.failed(),
        _labels=np.full(shape, np.nan, np.float32),
    )


def _listed(failures: Failures, found: BareWaveforms) -> pl.DataFrame:
    columns = ("ecg_id", "file", "reason", "detail")
    rows = [(i, str(found.files[i]), why["reason"], why["detail"]) for i, why in failures.items()]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
