from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from acsbench import registry
from acsbench.dataset import WaveformDataset, load_dataset
from acsbench.errors import ConfigError, InputError, StepError, StoreError, TableError
from acsbench.models.base import load_model, make_model, predict
from acsbench.models.networks.resnet import ResNet
from acsbench.recording import Waveform
from acsbench.store import WaveformStore, finish_store, write_shard
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

N = 60
SMALL = {"width": 2, "hidden": 4, "epochs": 2, "batch_size": 8, "threads": 1, "dropout": 0.1}


def waveform(label: int, seed: int) -> Waveform:
    """A sine, upright for positives: a signal that any network finds."""
    rng = np.random.default_rng(seed)
    sign = 1 if label else -1
    signal = rng.normal(0, 0.05, (3, 1000)) + sign * np.sin(np.arange(1000) / 20) ** 2
    return Waveform(
        signal=signal.astype(np.float32),
        mask=np.ones((3, 1000), np.uint8),
        lead_names=("a", "b", "c"),
        sampling_rate=100,
        units="mV",
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> WaveformStore:
    folder = tmp_path_factory.mktemp("store")
    made = [(f"e{i:02d}", waveform(i % 2, i)) for i in range(N)]
    write_shard(folder, 0, made, shape=(3, 1000), job="j")
    recipe = {"name": "three_by_four", "version": 1, "parameters": {}}
    return finish_store(folder, n_shards=1, recipe=recipe, inputs={}, example=made[0][1])


def cohort(*, swap: bool = False) -> Cohort:
    splits = ["train" if i < 32 else "val" if i < 44 else "test" for i in range(N)]
    if swap:
        splits[0], splits[-1] = splits[-1], splits[0]
    labels = [bool(i % 2) for i in range(N)]
    frame = pl.DataFrame(
        {
            "ecg_id": [f"e{i:02d}" for i in range(N)],
            "patient_id": [f"p{i:02d}" for i in range(N)],
            "split": splits,
            "is_included": [True] * N,
            "is_tested": [True] * N,
            "is_untested": [True] * N,
            "stent_or_cabg_010_day": labels,
            "macetrop_pos_or_death_030": labels,
            "has_st_eleva": [i % 3 == 0 for i in range(N)],
            "age": [50.0 + i for i in range(N)],
        }
    )
    return Cohort(
        frame=frame,
        flow=pl.DataFrame(),
        source="hand",
        scheme="patient",
        features=("has_st_eleva", "age"),
    )


def sets(store: WaveformStore | None, task: str = "acs") -> Iterator[WaveformDataset]:
    for split in ("train", "val", "test"):
        yield load_dataset(cohort(), store, TASKS[task], split)


@pytest.mark.parametrize("name", registry.names("models"))
def test_every_registered_model_builds_and_refuses_unknown_parameters(name: str) -> None:
    assert hasattr(make_model(name), "predict_proba")
    with pytest.raises(ConfigError, match="no such key"):
        make_model(name, widht=3)


GOLDEN = {
    "resnet6_small": (6, 1e-5),
    "resnet6_small_cov": (6, 1e-5),
    "resnet18_small": (18, 1e-5),
    "resnet18_small_cov": (18, 1e-5),
    "resnet18_small_12lead_L2500": (18, 1e-5),
    "resnet50_small": (50, 3e-4),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", GOLDEN)
def test_the_reference_weights_give_the_reference_logits(shared: Path, name: str) -> None:
    depth, tolerance = GOLDEN[name]
    arrays = np.load(shared / "golden" / "models" / f"{name}.npz")
    file = shared / "golden" / "models" / f"{name}.ckpt"
    state = torch.load(file, weights_only=True)["state_dict"]
    x = torch.from_numpy(arrays["x"])
    covariates = torch.from_numpy(arrays["cov"]) if "cov" in arrays else None
    network = ResNet(
        depth,  # type: ignore[arg-type]
        n_channels=x.shape[1],
        n_samples=x.shape[2],
        width=len(state["initial_conv.weight"]),
        hidden=len(state["fc.0.weight"]),
        n_covariates=0 if covariates is None else covariates.shape[1],
    )
    network.load_state_dict(state)
    with torch.inference_mode():
        found = network.eval()(x, covariates).numpy()
    assert np.abs(found - arrays["y64"]).max() < tolerance


@pytest.mark.parametrize(
    ("depth", "width", "hidden", "n"),
    [(6, 32, 256, 453_985), (18, 32, 256, 2_254_273), (50, 64, 512, 23_238_657)],
)
def test_the_published_sizes_have_the_published_number_of_parameters(
    depth: int, width: int, hidden: int, n: int
) -> None:
    network = ResNet(depth, width=width, hidden=hidden)  # type: ignore[arg-type]
    assert sum(p.numel() for p in network.parameters()) == n


def test_a_network_learns_a_planted_signal_and_repeats_itself(store: WaveformStore) -> None:
    train, val, test = sets(store)
    first, second = (
        make_model("resnet18", **{**SMALL, "epochs": 6, "learning_rate": 0.01}).fit(train, val)
        for _ in range(2)
    )
    scores = first.predict_proba(test)
    np.testing.assert_array_equal(scores, second.predict_proba(test))
    labels = test.labels.astype(bool)
    assert scores[labels, 1].min() > scores[~labels, 1].max()


def test_a_stopped_training_ends_with_the_same_scores(
    store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from acsbench.models import training

    train, val, test = sets(store)
    parameters = {**SMALL, "epochs": 4}
    whole = make_model("resnet18", **parameters, folder=tmp_path / "a").fit(train, val)
    step = training._Trainee.training_step

    def stop_in_the_third(self: training._Trainee, batch: object, batch_idx: int) -> object:
        if self.current_epoch == 2 and batch_idx == 1:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)  # type: ignore[arg-type]

    monkeypatch.setattr(training._Trainee, "training_step", stop_in_the_third)
    with pytest.raises(RuntimeError, match="killed"):
        make_model("resnet18", **parameters, folder=tmp_path / "b").fit(train, val)
    monkeypatch.setattr(training._Trainee, "training_step", step)
    resumed = make_model("resnet18", **parameters, folder=tmp_path / "b").fit(train, val)
    np.testing.assert_array_equal(resumed.predict_proba(test), whole.predict_proba(test))
    # the best epoch may lie before the stop, so the last weights are compared as well
    last = [
        torch.load(next((tmp_path / name).rglob("last.ckpt")), weights_only=True)["state_dict"]
        for name in ("a", "b")
    ]
    assert all(torch.equal(last[0][key], last[1][key]) for key in last[0])


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


def test_several_tasks_give_a_column_each(store: WaveformStore) -> None:
    tasks = [TASKS["acs"], TASKS["mace"]]
    train, val, test = (load_dataset(cohort(), store, tasks, s) for s in ("train", "val", "test"))
    for model in (make_model("resnet18", **SMALL), make_model("logistic", features=("age",))):
        scored = predict(model.fit(train, val), test)
        assert scored.tasks == ["acs", "mace"]
        assert len(scored.frame) == 2 * len(test)


def test_a_store_of_another_recipe_is_refused(store: WaveformStore) -> None:
    train, val, test = sets(store)
    with pytest.raises(StoreError, match="needs waveforms of recipe 'recorded_12'"):
        make_model("resnet18", **SMALL, recipe="recorded_12").fit(train, val)
    with pytest.raises(StepError, match="not fitted"):
        make_model("resnet18", **SMALL).predict_proba(test)


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


def test_an_empty_or_one_class_split_is_refused(store: WaveformStore) -> None:
    from dataclasses import replace

    whole = cohort()
    one_class = replace(
        whole, frame=whole.frame.with_columns(stent_or_cabg_010_day=pl.lit(value=True))
    )
    with pytest.raises(TableError, match="only 1 among"):
        load_dataset(one_class, store, TASKS["acs"], "train")
    without_val = replace(whole, frame=whole.frame.filter(pl.col("split") != "val"))
    with pytest.raises(TableError, match="is empty"):
        load_dataset(without_val, store, TASKS["acs"], "val")


def test_predicting_imports_no_lightning() -> None:
    import subprocess
    import sys

    code = "import sys, acsbench.models.neural; print('lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
