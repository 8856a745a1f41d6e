from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from planted import sets

from acsbench.errors import StoreError, TableError
from acsbench.models.base import load_model, make_model, predict
from acsbench.store import WaveformStore


def test_feature_models_fit_save_and_load(tmp_path: Path) -> None:
    train, val, test = sets(None)
    logistic = make_model("logistic", features=("has_st_eleva", "age")).fit(train, val)
    boosting = make_model("boosting", features=("tabular",), recipe=None, max_iter=5)
    for name, model in (("l", logistic), ("b", boosting.fit(train, val))):
        model.save(tmp_path / name)
        again = load_model(tmp_path / name)
        np.testing.assert_array_equal(again.predict_proba(test), model.predict_proba(test))
        assert model.predict_proba(test).shape == (len(test), 2)


def test_an_unknown_feature_is_refused_with_a_suggestion() -> None:
    train, val, _ = sets(None)
    with pytest.raises(TableError, match="Did you mean 'has_st_eleva'"):
        make_model("logistic", features=("has_st_elev",)).fit(train, val)


def test_a_finding_is_a_model_whose_scores_are_ranks() -> None:
    train, val, test = sets(None)
    scored = predict(make_model("flag:has_st_eleva").fit(train, val), test)
    assert scored.scores_are == "rank"
    assert scored.model == "flag:has_st_eleva"
    assert set(scored.frame["score"]) == {0.0, 1.0}


@pytest.mark.parametrize("name", ["logistic", "boosting"])
def test_measured_features_of_a_page_whose_rows_join_leads_are_refused(
    store: WaveformStore, name: str
) -> None:
    with pytest.raises(StoreError, match=r"'three_by_four' has none.*Set recipe = 'recorded_12'"):
        make_model(name, features=("measured",), recipe="three_by_four")
    train, val, _ = sets(store)
    model = make_model(name, features=("measured",), recipe="recorded_12")
    with pytest.raises(StoreError, match="needs waveforms of recipe 'recorded_12'"):
        model.fit(train, val)
    config = {**store.manifest.config, "recipe": {"name": "recorded_12"}}
    renamed = replace(store, manifest=replace(store.manifest, config=config))
    train, val, _ = sets(renamed)
    with pytest.raises(StoreError, match=r"its rows are a, b, c. Set recipe = 'recorded_12'"):
        model.fit(train, val)


def test_columns_are_found_by_name_not_by_place() -> None:
    train, val, test = sets(None)
    model = make_model("boosting", features=("tabular",), recipe=None, max_iter=5).fit(train, val)
    assert model.columns == ("has_st_eleva", "age")
    scores = model.predict_proba(test)
    frame = test.feature_frame.select("age", pl.lit(1.0).alias("new"), "has_st_eleva")
    np.testing.assert_array_equal(model.predict_proba(replace(test, feature_frame=frame)), scores)
    with pytest.raises(TableError, match="There is no feature age"):
        model.predict_proba(replace(test, feature_frame=frame.drop("age")))


@pytest.mark.parametrize("name", ["logistic", "boosting"])
def test_columns_that_are_not_there_are_filled_in_only_if_the_model_says_so(
    name: str, tmp_path: Path
) -> None:
    train, val, test = sets(None)
    features: dict[str, Any] = {"features": ("age", "has_st_eleva"), "recipe": None}
    make_model(name, **features, may_lack_columns=True).fit(train, val).save(tmp_path)
    model = load_model(tmp_path)
    empty = test.feature_frame.with_columns(pl.lit(np.nan).alias("age"))
    np.testing.assert_array_equal(
        model.predict_proba(replace(test, feature_frame=empty.drop("age"))),
        model.predict_proba(replace(test, feature_frame=empty)),
    )
    assert model.columns == ()


def test_a_damaged_folder_is_refused(tmp_path: Path) -> None:
    train, val, _ = sets(None)
    make_model("logistic", features=("age",)).fit(train, val).save(tmp_path)
    (tmp_path / "config.json").write_text('{"model": "logistic"}')
    with pytest.raises(StoreError, match="is damaged: 'parameters'"):
        load_model(tmp_path)
