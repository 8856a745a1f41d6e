"""Whether a model keeps its contract."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.dataset import WaveformDataset, load_dataset
from acsbench.errors import AcsbenchError, ConfigError, InputError
from acsbench.models.base import Model, load_model, make_model
from acsbench.store import WaveformStore, finish_store, write_shard
from acsbench.tables import Cohort, Split
from acsbench.tasks import TASKS
from acsbench.testing.findings import require
from acsbench.testing.recordings import generated_recording
from acsbench.waveforms.recipes import get_recipe

__all__ = ["check_model"]

_SIZES = {"train": 24, "val": 12, "test": 12}
_FLAGS = ("has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal")
_CLOSE = 1e-4
"""Scores of one record in two batches differ by rounding alone."""


def check_model(name: str, **parameters: Any) -> None:
    """Check that a registered model keeps its contract, on 48 generated ECGs.

    Parameters
    ----------
    name : str
        Registered, by a built-in line or an entry point of the group ``acsbench.models``.
    **parameters
        Of the model: small sizes and few epochs make the check quick.

    Raises
    ------
    AssertionError
        With every finding, one a line.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench.set_up(name, parameters, Path(folder))
        checks = (_before_a_fit, _after_a_fit, _several_tasks)
        require(f"Model '{name}'", [partial(check, bench) for check in checks])


@dataclass(frozen=True)
class _Bench:
    """A model to be, and the data it is tried on."""

    name: str
    parameters: dict[str, Any]
    folder: Path
    cohort: Cohort
    store: WaveformStore | None

    @classmethod
    def set_up(cls, name: str, parameters: dict[str, Any], folder: Path) -> _Bench:
        recipe = make_model(name, **parameters).recipe
        cohort = _cohort()
        store = None if recipe is None else _store(recipe, cohort, folder / "store")
        return cls(name, parameters, folder, cohort, store)

    def make(self) -> Model:
        return make_model(self.name, **self.parameters)

    def data(self, *tasks: str) -> tuple[WaveformDataset, ...]:
        """Train, val and test."""
        wanted = [TASKS[task] for task in tasks]
        return tuple(load_dataset(self.cohort, self.store, wanted, split) for split in _SIZES)


def _before_a_fit(bench: _Bench) -> Iterator[str]:
    model: Any = bench.make()
    if not isinstance(model, Model):
        yield "it lacks one of recipe, fit, predict_proba, save and load."
        return
    try:
        make_model(bench.name, **bench.parameters, no_such_parameter=1)
        yield "it takes a parameter that it does not know."
    except ConfigError:
        pass
    except Exception as error:  # the finding
        yield f"an unknown parameter raises {error!r}; expected a ConfigError."
    if bench.name.startswith("flag:"):
        return
    try:
        model.predict_proba(bench.data("acs")[2])
        yield "it scores before it is fitted."
    except AcsbenchError:
        pass
    except Exception as error:  # the finding
        yield f"scoring before a fit raises {error!r}; expected a StepError."


def _after_a_fit(bench: _Bench) -> Iterator[str]:
    train, val, test = bench.data("acs")
    model = bench.make()
    if model.fit(train, val) is not model:
        yield "fit() does not return the model itself."
    scores = model.predict_proba(test)
    yield from _in_shape(scores, (len(test), 2))
    if scores.shape == (len(test), 2) and not np.allclose(scores.sum(axis=1), 1):
        yield "the two columns of predict_proba() do not sum to 1."
    again = bench.make()
    again.fit(train, val)
    if not np.array_equal(again.predict_proba(test), scores):
        yield "a second fit with the same seed gives other scores."
    few = _rows(test, [5, 2])
    if not np.allclose(model.predict_proba(few), scores[[5, 2]], atol=_CLOSE):
        yield "the score of a record depends on the records beside it."
    holdout = replace(test, split=Split.HOLDOUT, _labels=np.full_like(test.labels, np.nan))
    if not np.allclose(model.predict_proba(holdout), scores, atol=_CLOSE):
        yield "a record of a holdout gets another score."
    model.save(bench.folder / "saved")
    if not np.array_equal(load_model(bench.folder / "saved").predict_proba(test), scores):
        yield "a saved and loaded model gives other scores."
    yield from _other_store(model, test)


def _other_store(model: Model, test: WaveformDataset) -> Iterator[str]:
    if test.store is None:
        return
    config = {**test.store.manifest.config, "recipe": {"name": "another", "version": 1}}
    manifest = replace(test.store.manifest, config=config)
    other = replace(test, store=replace(test.store, manifest=manifest))
    try:
        model.predict_proba(other)
        yield "it scores a store of another recipe."
    except InputError:
        pass


def _several_tasks(bench: _Bench) -> Iterator[str]:
    train, val, test = bench.data("acs", "mace")
    model = bench.make()
    model.fit(train, val)
    yield from _in_shape(model.predict_proba(test), (len(test), 2))


def _in_shape(scores: NDArray[np.float64], shape: tuple[int, int]) -> Iterator[str]:
    if scores.shape != shape:
        yield f"predict_proba() gives {scores.shape}; expected {shape}."
    elif not ((scores >= 0) & (scores <= 1)).all():
        yield "predict_proba() gives scores outside [0, 1], or NaN."


def _rows(data: WaveformDataset, rows: list[int]) -> WaveformDataset:
    return replace(
        data,
        ecg_ids=tuple(data.ecg_ids[row] for row in rows),
        feature_frame=data.feature_frame[rows],
        rows=data.rows[rows],
        _labels=data.labels[rows],
    )


def _cohort() -> Cohort:
    """Half of each split is positive; the classes differ in age, a finding and their ST level."""
    splits = [split for split, n in _SIZES.items() for _ in range(n)]
    n = len(splits)
    rng = np.random.default_rng(0)
    labels = [bool(i % 2) for i in range(n)]
    ids = [f"e{i:02d}" for i in range(n)]
    flags = {name: (rng.random(n) < 0.3).tolist() for name in ("is_female", *_FLAGS)}
    frame = pl.DataFrame(
        {
            "ecg_id": ids,
            "patient_id": ids,
            "split": splits,
            **dict.fromkeys(("is_included", "is_tested", "is_untested"), [True] * n),
            "stent_or_cabg_010_day": labels,
            "macetrop_pos_or_death_030": labels[::-1],
            "age": 60 + 10 * np.array(labels) + rng.normal(0, 5, n),
            **flags,
        }
    )
    return Cohort(
        frame=frame,
        flow=pl.DataFrame(),
        source="check",
        scheme="patient",
        features=("age", "is_female", *_FLAGS),
    )


def _store(name: str, cohort: Cohort, folder: Path) -> WaveformStore:
    recipe = get_recipe(name)
    positive = cohort.frame["stent_or_cabg_010_day"]
    made = [
        (ecg_id, recipe(generated_recording(ecg_id, seed=seed, is_positive=bool(positive[seed]))))
        for seed, ecg_id in enumerate(cohort.frame["ecg_id"])
    ]
    example = made[0][1]
    shape = (example.signal.shape[0], example.signal.shape[1])
    write_shard(folder, 0, made, shape=shape, job="check")
    return finish_store(folder, n_shards=1, recipe=recipe.describe(), inputs={}, example=example)
