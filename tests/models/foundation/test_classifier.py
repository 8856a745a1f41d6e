"""Training through `NeuralClassifier`: modes, cache, transfer, resume, imported heads."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from twelve_leads import TINY, cohort, hub_folder, make_store, sets

from acsbench.dataset import load_dataset
from acsbench.errors import ConfigError, InputError, StoreError
from acsbench.models.base import load_model, make_model
from acsbench.models.foundation import cache
from acsbench.models.foundation.classifier import FoundationClassifier
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.models.pretrained import load_pretrained
from acsbench.store import WaveformStore
from acsbench.tasks import TASKS

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch")
SIZED = {key: value for key, value in TINY.items() if key != "sizes"}


def network_of(model: Any) -> FoundationNetwork:
    network = model.network
    assert isinstance(network, FoundationNetwork)
    return network


@pytest.mark.parametrize("mode", ["frozen", "head_first", "full"])
def test_each_mode_trains_saves_and_scores_as_before(
    store: WaveformStore, tmp_path: Path, mode: str
) -> None:
    train, val, test = sets(store)
    model = make_model("hubert_ecg", **TINY, mode=mode, head_epochs=1).fit(train, val)
    scores = model.predict_proba(test)
    assert scores.shape == (len(test), 2)
    np.testing.assert_allclose(scores.sum(1), 1)
    model.save(tmp_path)
    again = load_model(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(test), scores)
    np.testing.assert_array_equal(load_pretrained(tmp_path).predict_proba(test), scores)
    assert (
        "random weights: the control"
        in json.loads((tmp_path / "config.json").read_text())["remarks"][0]
    )


def test_only_what_a_mode_trains_moves(store: WaveformStore, tmp_path: Path) -> None:
    """Trap 2: frozen is frozen, by named stage."""
    train, val, _ = sets(store)
    start = load_file(hub_folder(tmp_path / "hub") / "model.safetensors")

    def moved(**parameters: Any) -> set[str]:
        model = make_model("hubert_ecg", **SIZED, init=str(tmp_path / "hub"), **parameters)
        network = network_of(model.fit(train, val))
        state = network.backbone.state_dict()
        changed = {k for k in state if not torch.equal(state[k], start[k])}
        return {
            stage
            for stage, modules in network.stages().items()
            for module in modules
            for name, value in network.backbone.named_parameters()
            if any(value is one for one in module.parameters()) and name in changed
        }

    everything = {"conv", "projection", "position", "block_0", "block_1"}
    assert moved(mode="frozen") == set()
    assert moved(mode="head_first", head_epochs=5) == set()
    assert moved(mode="full") == everything - {"conv"}
    assert moved(mode="full", frozen_stages=()) == everything
    late = moved(mode="full", frozen_stages=("conv", "projection", "position", "block_[0]"))
    assert late == {"block_1"}


def test_the_number_of_trained_parameters_is_told(
    store: WaveformStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Trap 2: trainable counts are printed."""
    caplog.set_level(logging.INFO, "acsbench")
    train, val, _ = sets(store)
    model = make_model("hubert_ecg", **{**TINY, "epochs": 1}, mode="frozen").fit(train, val)
    assert network_of(model).trainable() == {
        "conv": 0,
        "projection": 0,
        "position": 0,
        "block_0": 0,
        "block_1": 0,
        "head": 17,
    }
    assert "trains 17 of" in caplog.text


def test_features_are_computed_once_for_trainings_of_one_backbone(
    store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val, test = sets(store)
    computed: list[int] = []
    really = cache.computed_features

    def counted(*given: Any, **named: Any) -> Any:
        computed.append(len(given[2]))
        return really(*given, **named)

    monkeypatch.setattr(cache, "computed_features", counted)
    hub_folder(tmp_path / "hub")

    def fitted(**parameters: Any) -> Any:
        common = {**SIZED, "init": str(tmp_path / "hub"), "mode": "frozen"}
        return make_model(
            "hubert_ecg", **{**common, "cache": tmp_path / "cache", **parameters}
        ).fit(train, val)

    first = fitted()
    assert computed == [len(train), len(val)]
    second = fitted(head_learning_rate=1e-2, epochs=3)
    assert computed == [len(train), len(val)]
    for changed in ({"pooling": "max"}, {"n_windows": 1}, {"profile": "upstream"}):
        computed.clear()
        fitted(**changed)
        assert computed == [len(train), len(val)], changed
    computed.clear()
    hub_folder(tmp_path / "hub", seed=1)
    fitted()
    assert computed == [len(train), len(val)]
    assert not np.array_equal(first.predict_proba(test), second.predict_proba(test))
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_a_stopped_computation_goes_on_and_a_damaged_file_is_made_again(
    store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val, test = sets(store)
    monkeypatch.setattr(cache, "_CHUNK", 8)
    common = {**TINY, "mode": "frozen", "cache": tmp_path / "cache"}
    wanted = make_model("hubert_ecg", **{**common, "cache": tmp_path / "other"}).fit(train, val)
    really, n_calls = cache.computed_features, 0

    def stopped(*given: Any, **named: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 3:
            raise KeyboardInterrupt
        return really(*given, **named)

    monkeypatch.setattr(cache, "computed_features", stopped)
    with pytest.raises(KeyboardInterrupt):
        make_model("hubert_ecg", **common).fit(train, val)
    files = sorted((tmp_path / "cache").rglob("*.npy"))
    assert len(files) == 2
    files[0].write_bytes(files[0].read_bytes()[:100])
    n_calls = 100
    model = make_model("hubert_ecg", **common).fit(train, val)
    assert n_calls - 100 == (len(train) + len(val) + 7) // 8 - 1  # all but the whole file
    np.testing.assert_array_equal(model.predict_proba(test), wanted.predict_proba(test))


def test_frozen_features_give_the_whole_networks_logits(store: WaveformStore) -> None:
    train, val, test = sets(store)
    model = make_model("hubert_ecg", **TINY, mode="frozen").fit(train, val)
    network = network_of(model)
    read = model._feed().for_scoring(test)
    with torch.inference_mode():
        x = read(range(4))
        features = network.pooled(x.flatten(0, 1)).reshape(4, x.shape[1], -1)
        from acsbench.models.foundation.network import FeatureNetwork

        torch.testing.assert_close(FeatureNetwork(network).eval()(features), network(x))


@pytest.mark.parametrize("mode", ["frozen", "head_first"])
def test_a_stopped_training_ends_with_the_same_weights(
    store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Traps 1 and 16: what resumes is the same schedule and the same weights."""
    from acsbench.models.trainee import Trainee

    train, val, test = sets(store)
    common = {**TINY, "epochs": 4, "mode": mode, "head_epochs": 2}
    whole = make_model("hubert_ecg", **common, folder=tmp_path / "a").fit(train, val)

    def stop(self: Trainee) -> None:
        if self.current_epoch == 3:
            raise KeyboardInterrupt
        self.config.at_epoch(self.network, self.current_epoch)

    with monkeypatch.context() as patched:
        patched.setattr(Trainee, "on_train_epoch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            make_model("hubert_ecg", **common, folder=tmp_path / "b").fit(train, val)
    resumed = make_model("hubert_ecg", **common, folder=tmp_path / "b").fit(train, val)
    np.testing.assert_array_equal(resumed.predict_proba(test), whole.predict_proba(test))


def test_mace_then_acs_with_a_published_backbone(store: WaveformStore, tmp_path: Path) -> None:
    hub_folder(tmp_path / "hub")
    train, val, _ = sets(store, "mace")
    chosen = {"init": str(tmp_path / "hub"), "profile": "upstream"}
    mace = make_model("hubert_ecg", **SIZED, **chosen).fit(train, val)
    mace.save(tmp_path / "mace")
    train, val, test = sets(store)
    acs = make_model("hubert_ecg", **SIZED, init_from=tmp_path / "mace", seed=3)
    acs.fit(train, val).predict_proba(test)
    assert acs.config.sizes == mace.config.sizes
    assert any("CC BY-NC" in remark for remark in acs.remarks)
    assert acs.config.profile == mace.config.profile == "upstream"
    other = [load_dataset(cohort(swap=True), store, TASKS["acs"], s) for s in ("train", "val")]
    with pytest.raises(InputError, match="another split"):
        make_model("hubert_ecg", **SIZED, init_from=tmp_path / "mace").fit(*other)
    with pytest.raises(ConfigError, match="give one"):
        make_model("hubert_ecg", init="x", init_from=tmp_path)


def test_a_binary_task_has_one_output(store: WaveformStore) -> None:
    """Trap 11: not two complementary ones."""
    train, val, test = sets(store)
    model = make_model("hubert_ecg", **{**TINY, "epochs": 1}).fit(train, val)
    assert network_of(model).classifier.n_outputs == 1
    tasks = [TASKS["acs"], TASKS["mace"]]
    both = [load_dataset(cohort(), store, tasks, s) for s in ("train", "val", "test")]
    model = make_model("hubert_ecg", **{**TINY, "epochs": 1}).fit(*both[:2])
    assert model.predict_proba(both[2]).shape == (len(test), 2)


@pytest.mark.shared
@pytest.mark.parametrize("label", [0, 1, "1", "LABEL_1"])
def test_of_an_imported_two_label_head_the_named_output_is_the_score(
    store: WaveformStore, tiny: Path, tmp_path: Path, label: int | str
) -> None:
    """Trap 11: never a maximum, a mean or a mirror of the two."""
    _, _, test = sets(store)
    file = tiny / "hubert_ecg_tiny_finetuned_mlp.pt"
    model = load_pretrained(file, positive_label=label)
    with torch.inference_mode():
        logits = network_of(model)(model._feed().for_scoring(test)(range(len(test)))).double()
    assert logits.shape == (len(test), 2)
    wanted = torch.sigmoid(logits[:, int(str(label)[-1])]).numpy()
    np.testing.assert_allclose(model.predict_proba(test)[:, 1], wanted, rtol=1e-5)
    model.save(tmp_path)
    np.testing.assert_allclose(load_model(tmp_path).predict_proba(test)[:, 1], wanted, rtol=1e-5)
    again = load_pretrained(tmp_path, positive_label=0).predict_proba(test)[:, 1]
    assert np.allclose(again, wanted) == (int(str(label)[-1]) == 0)


@pytest.mark.shared
def test_an_imported_head_that_does_not_say_which_output_is_refused(
    store: WaveformStore, tiny: Path
) -> None:
    _, _, test = sets(store)
    file = tiny / "hubert_ecg_tiny_finetuned_linear.pt"
    with pytest.raises(InputError, match=r"2 outputs \(LABEL_0, LABEL_1\).*positive_label"):
        load_pretrained(file).predict_proba(test)
    for label in (2, "acs", -1):
        with pytest.raises(ConfigError, match="none of the 2 outputs"):
            load_pretrained(file, positive_label=label).predict_proba(test)
    with pytest.raises(InputError, match="no head yet"):
        load_pretrained(tiny / "hubert_ecg_tiny_pretrained.pt").predict_proba(test)
    with pytest.raises(InputError, match="compat"):
        load_pretrained(file, "reload")


@pytest.mark.shared
def test_a_published_head_is_kept_or_left(store: WaveformStore, tiny: Path) -> None:
    tasks = [TASKS["acs"], TASKS["mace"]]
    train = load_dataset(cohort(), store, tasks, "train")
    file = tiny / "hubert_ecg_tiny_finetuned_mlp.pt"
    head = load_pretrained(file).network.classifier.state_dict()
    for choice in ("keep", "fresh"):
        model = FoundationClassifier("hubert_ecg", init=str(file), head=choice)
        model._prepare(train)
        network, _ = model._fresh_network(train)
        ours = network.classifier.state_dict()
        same = ours.keys() == head.keys() and all(torch.equal(ours[k], head[k]) for k in head)
        assert same == (choice == "keep")


def test_stores_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    train, val, _ = sets(make_store(tmp_path / "short", seconds=4))
    with pytest.raises(StoreError, match=r"reads 5 s at once.*last 4 s"):
        make_model("hubert_ecg", **TINY).fit(train, val)
    from planted import make_store as three_leads

    train, val, _ = sets(three_leads(tmp_path / "three"))
    with pytest.raises(StoreError, match="reads the leads I, II"):
        make_model("hubert_ecg", **TINY, recipe="three_by_four").fit(train, val)


def test_options_that_do_not_fit_are_refused(store: WaveformStore) -> None:
    train, val, _ = sets(store)
    with pytest.raises(ConfigError, match=r"blok_1 fits no stage.*block_1"):
        make_model("hubert_ecg", **TINY, frozen_stages=("blok_1",)).fit(train, val)
    with pytest.raises(ConfigError, match="leave use_mask out"):
        make_model("hubert_ecg", use_mask=True)
    with pytest.raises(ConfigError, match="no place for covariates"):
        make_model("hubert_ecg", covariates=("age",))
    with pytest.raises(ConfigError, match="find_unused"):
        make_model("hubert_ecg", mode="head_first", devices=2)
    for wrong in ({"dropout": 1.0}, {"dropout": -0.1}, {"feature_dropout": -0.1}):
        with pytest.raises(ConfigError, match="dropout"):  # trap 4: clipped by refusal
            make_model("hubert_ecg", **wrong)


def test_a_record_without_a_sample_is_refused_by_its_id(tmp_path: Path) -> None:
    """Trap 29: an empty record never scores in silence."""
    store = make_store(tmp_path)
    _, _, test = sets(store)
    train, val, _ = sets(store)
    model = make_model("hubert_ecg", **{**TINY, "epochs": 1}).fit(train, val)

    class Empty(type(test.store)):
        def read_row(self, row: int) -> Any:
            signal, mask = super().read_row(row)
            return (signal * 0, mask * 0) if row == test.rows[2] else (signal, mask)

    assert test.store is not None
    emptied = Empty(test.store.folder, test.store.manifest, test.store.index, test.store._files)
    with pytest.raises(InputError, match=f"ECG {test.ecg_ids[2]}: .*without a single recorded"):
        model.predict_proba(replace(test, store=emptied))
