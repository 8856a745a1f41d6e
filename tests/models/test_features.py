from __future__ import annotations

from pathlib import Path

import numpy as np
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
    with pytest.raises(StoreError, match=r"its rows are a, b, c. Set recipe = 'recorded_12'"):
        model.fit(train, val)
