from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from planted import SMALL, cohort, sets

from acsbench import registry
from acsbench.dataset import load_dataset
from acsbench.errors import ConfigError, InputError, TableError
from acsbench.models.base import make_model, predict
from acsbench.store import WaveformStore
from acsbench.tasks import TASKS

TABULAR = {"features": ("tabular",)}


@pytest.mark.parametrize("name", registry.names("models"))
def test_every_registered_model_builds_and_refuses_unknown_parameters(name: str) -> None:
    assert hasattr(make_model(name), "predict_proba")
    with pytest.raises(ConfigError, match="no such key"):
        make_model(name, widht=3)


def test_several_tasks_give_a_column_each(store: WaveformStore) -> None:
    tasks = [TASKS["acs"], TASKS["mace"]]
    train, val, test = (load_dataset(cohort(), store, tasks, s) for s in ("train", "val", "test"))
    for model in (make_model("resnet18", **SMALL), make_model("logistic", features=("age",))):
        scored = predict(model.fit(train, val), test)
        assert scored.tasks == ["acs", "mace"]
        assert len(scored.frame) == 2 * len(test)


@pytest.mark.parametrize("label", [0.0, 1.0, np.nan])
@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("name", registry.names("models"))
def test_a_split_of_one_class_is_refused_by_every_model_before_anything_slow(
    store: WaveformStore, monkeypatch: pytest.MonkeyPatch, name: str, split: str, label: float
) -> None:
    def too_late(*_: object) -> None:
        pytest.fail("a waveform was read first")

    data = dict(zip(("train", "val"), sets(store), strict=False))
    labels = data[split].labels.copy()
    labels[:] = label
    data[split] = replace(data[split], _labels=labels)
    monkeypatch.setattr(WaveformStore, "read_row", too_late)
    model = make_model(name, recipe="three_by_four", **({} if name != "boosting" else TABULAR))
    with pytest.raises(TableError) as caught:
        model.fit(data["train"], data["val"])
    message = str(caught.value)
    assert f"Task 'acs', split '{split}'" in message
    assert "Use more patients" in message
    assert message.count("Task") == 1


def test_an_empty_or_one_class_split_is_refused(store: WaveformStore) -> None:
    whole = cohort()
    one_class = replace(
        whole, frame=whole.frame.with_columns(stent_or_cabg_010_day=pl.lit(value=True))
    )
    with pytest.raises(TableError, match="only 1 among"):
        load_dataset(one_class, store, TASKS["acs"], "train")
    without_val = replace(whole, frame=whole.frame.filter(pl.col("split") != "val"))
    with pytest.raises(TableError, match="is empty"):
        load_dataset(without_val, store, TASKS["acs"], "val")


@pytest.mark.slow
def test_predicting_imports_no_lightning() -> None:
    import subprocess
    import sys

    code = "import sys, acsbench.models.neural; print('lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_cohort_without_features_trains_and_scores(store: WaveformStore) -> None:
    bare = replace(cohort(), features=())
    train, val, test = (
        load_dataset(bare, store, TASKS["acs"], split) for split in ("train", "val", "test")
    )
    assert test.features.shape == (len(test), 0)
    assert test[0].features.shape == (0,)
    scored = predict(make_model("resnet18", **SMALL).fit(train, val), test)
    assert len(scored.frame) == len(test)


def test_a_model_of_several_tasks_scores_them_in_its_own_order(store: WaveformStore) -> None:
    tasks = [TASKS["acs"], TASKS["mace"]]
    train, val = (load_dataset(cohort(), store, tasks, split) for split in ("train", "val"))
    turned = load_dataset(cohort(), store, tasks[::-1], "test")
    for model in (make_model("resnet18", **SMALL), make_model("logistic", features=("age",))):
        with pytest.raises(InputError, match="scores the tasks acs, mace, in this order"):
            predict(model.fit(train, val), turned)


def test_a_split_without_a_single_waveform_is_refused(store: WaveformStore) -> None:
    train, val, test = sets(store)
    model = make_model("resnet18", **SMALL).fit(train, val)
    nobody = replace(
        test,
        ecg_ids=(),
        feature_frame=test.feature_frame.head(0),
        rows=test.rows[:0],
        _labels=test.labels[:0],
        failed={"e50": "truncated"},
    )
    with pytest.raises(InputError, match="all 1 of split 'test' are without a waveform"):
        predict(model, nobody)


def test_a_cohort_without_features_is_read_all_the_same(store: WaveformStore) -> None:
    data = load_dataset(replace(cohort(), features=()), store, TASKS["acs"], "test")
    assert data[3].features.shape == (0,)
    assert data[3].waveform.shape == (3, 1000)
