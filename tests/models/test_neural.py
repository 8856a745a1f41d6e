from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from planted import SMALL, cohort, sets

from acsbench.dataset import load_dataset
from acsbench.errors import ConfigError, InputError, StepError, StoreError, TableError
from acsbench.models.base import load_model, make_model
from acsbench.models.covariates import Covariates
from acsbench.models.neural import NeuralClassifier
from acsbench.models.signature import signature_of
from acsbench.store import WaveformStore
from acsbench.tasks import TASKS


def test_a_saved_network_scores_as_before(store: WaveformStore, tmp_path: Path) -> None:
    train, val, test = sets(store)
    model = make_model("resnet6", **SMALL, use_mask=True).fit(train, val)
    model.save(tmp_path)
    again = load_model(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(test), model.predict_proba(test))


def test_transfer_starts_from_the_other_tasks_weights_and_guards_the_split(
    store: WaveformStore, tmp_path: Path
) -> None:
    train, val, _ = sets(store, "mace")
    make_model("resnet18", **SMALL).fit(train, val).save(tmp_path)
    train, val, _ = sets(store)
    model = make_model("resnet18", **SMALL, init_from=tmp_path).fit(train, val)
    assert model.remarks == ()
    other = [load_dataset(cohort(swap=True), store, TASKS["acs"], s) for s in ("train", "val")]
    with pytest.raises(InputError, match="another split"):
        make_model("resnet18", **SMALL, init_from=tmp_path).fit(*other)
    marked = make_model("resnet18", **SMALL, init_from=tmp_path, allow_other_split=True)
    assert "another split" in marked.fit(*other).remarks[0]
    with pytest.raises(InputError, match="other sizes"):
        make_model("resnet18", **{**SMALL, "width": 3}, init_from=tmp_path).fit(train, val)


def test_a_store_of_another_recipe_is_refused(store: WaveformStore) -> None:
    train, val, test = sets(store)
    with pytest.raises(StoreError, match="needs waveforms of recipe 'recorded_12'"):
        make_model("resnet18", **SMALL, recipe="recorded_12").fit(train, val)
    with pytest.raises(StepError, match="not fitted"):
        make_model("resnet18", **SMALL).predict_proba(test)


def test_covariates_are_filled_in_and_scaled_on_train_and_travel_with_the_model(
    store: WaveformStore, tmp_path: Path
) -> None:
    train, val, test = sets(store)
    ages = train.feature_frame["age"].to_numpy().copy()
    ages[:5] = np.nan
    train = replace(train, feature_frame=train.feature_frame.with_columns(age=pl.Series(ages)))
    learnt = Covariates.fit(train, ("age",))
    assert learnt.medians == (float(np.nanmedian(ages)),)
    filled = np.where(np.isnan(ages), np.nanmedian(ages), ages)
    np.testing.assert_allclose(
        learnt.of(train)[:, 0], (filled - filled.mean()) / filled.std(), rtol=1e-5
    )
    model = make_model("resnet18", **SMALL, covariates=("age", "has_st_eleva")).fit(train, val)
    model.save(tmp_path)
    again = load_model(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(test), model.predict_proba(test))
    older = test.feature_frame.with_columns(pl.col("age") + 30)
    moved = model.predict_proba(replace(test, feature_frame=older))
    assert not np.array_equal(moved, model.predict_proba(test))


def test_covariates_that_cannot_be_had_are_refused(store: WaveformStore) -> None:
    train, val, _ = sets(store)
    with pytest.raises(TableError, match=r"no covariate 'aeg'. Did you mean 'age'"):
        make_model("resnet18", **SMALL, covariates=("aeg",)).fit(train, val)
    with pytest.raises(ConfigError, match="no place for covariates"):
        make_model("s4", covariates=("age",))
    empty = train.feature_frame.with_columns(age=pl.lit(float("nan")))
    with pytest.raises(TableError, match="No training record has a value of covariate age"):
        make_model("resnet18", **SMALL, covariates=("age",)).fit(
            replace(train, feature_frame=empty), val
        )


@pytest.mark.parametrize("head", ["keep", "fresh"])
def test_a_fresh_head_starts_anew_and_all_else_is_taken_over(
    store: WaveformStore, tmp_path: Path, head: str
) -> None:
    train, val, _ = sets(store)
    first = NeuralClassifier("resnet18", **{**SMALL, "epochs": 1}).fit(train, val)
    first.save(tmp_path)
    second = NeuralClassifier("resnet18", **SMALL, init_from=tmp_path, head=head, seed=5)
    second._prepare(train)
    network, _ = second._fresh_network(train)
    assert first.network is not None
    theirs, ours = first.network.state_dict(), network.state_dict()
    different = {key for key in ours if not torch.equal(ours[key], theirs[key])}
    assert different == ({"fc.4.weight", "fc.4.bias"} if head == "fresh" else set())


def test_several_options_at_once_train_and_the_scores_are_calibrated(
    store: WaveformStore, tmp_path: Path
) -> None:
    train, val, test = sets(store)
    options: dict[str, Any] = {
        "class_weights": True,
        "label_smoothing": 0.05,
        "clip_norm": 1.0,
        "schedule": "plateau",
        "calibrate": True,
        "use_mask": True,
        "augment": {"lead_mask": 0.2},
    }
    small = {"epochs": 2, "threads": 1, "width": 4, "n_layers": 1, "n_states": 4}
    model = make_model("s4", **small, **options).fit(train, val)
    model.save(tmp_path)
    body = json.loads((tmp_path / "config.json").read_text())
    assert len(body["lines"]) == 1
    np.testing.assert_array_equal(
        load_model(tmp_path).predict_proba(test), model.predict_proba(test)
    )


def test_a_damaged_folder_is_refused(store: WaveformStore, tmp_path: Path) -> None:
    train, val, _ = sets(store)
    make_model("resnet18", **{**SMALL, "epochs": 1}).fit(train, val).save(tmp_path)
    path = tmp_path / "config.json"
    body = json.loads(path.read_text())
    del body["shape"]
    path.write_text(json.dumps(body))
    with pytest.raises(StoreError, match="is damaged"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("what", "other", "message"),
    [
        ("lead_names", ["a", "c", "b"], r"lead_names = \['a', 'b', 'c'\], here \['a', 'c', 'b'\]"),
        ("sampling_rate", 500.0, r"sampling_rate = 100.0, here 500.0"),
        ("units", "sd", r"units = mV, here sd"),
        ("n_samples", 999, r"n_samples = 1000, here 999"),
        ("recipe", {"name": "three_by_four", "version": 2}, r"recipe = .*'version': 2"),
    ],
)
@pytest.mark.parametrize("name", ["resnet18", "boosting"])
def test_a_store_that_differs_from_the_trainings_is_refused_with_the_difference(
    store: WaveformStore, what: str, other: Any, message: str, name: str
) -> None:
    train, val, test = sets(store)
    model: Any = make_model("resnet18", **{**SMALL, "epochs": 1})
    if name == "boosting":
        model = make_model("boosting", features=("age",), recipe="three_by_four", max_iter=3)
    model.fit(train, val)
    if name == "boosting":  # as if it had measured features
        model.signature = signature_of(train)
    config, info = store.manifest.config, store.manifest.info
    changed = (
        replace(store.manifest, config={**config, "recipe": other})
        if what == "recipe"
        else replace(store.manifest, info={**info, what: other})
    )
    with pytest.raises(StoreError, match=message):
        model.predict_proba(replace(test, store=replace(store, manifest=changed)))
