from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import SMALL, cohort, sets

from acsbench.dataset import load_dataset
from acsbench.errors import InputError, StepError, StoreError
from acsbench.models.base import load_model, make_model
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
