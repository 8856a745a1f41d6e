"""The traps of HuBERT-ECG's published training, evaluation and signal path, by number.

| trap | where it is tested |
|---|---|
| 1 nothing learns behind the unfreezing | here; resume: test_classifier |
| 2 frozen parts train, others never do | here; test_classifier |
| 3 a frozen stack keeps its graph | here |
| 4 dropouts that stay, or go below zero | here |
| 5 random crops in validation | test_hubert_input |
| 6 validation drops its last batch | here |
| 7 metrics of batches on mixed scales | here |
| 8 weights from validation labels | here |
| 9 weights of empty or misordered classes | here |
| 10 a last batch of one record | here |
| 11 two complementary outputs | test_classifier |
| 12 a schedule in two units | here |
| 13 steps behind the schedule's end | here |
| 14 names of metrics that differ | here: there is one, and it is not an option |
| 15 commands that do not parse | test_end_to_end |
| 16 weights that are silently random | test_hubert_files |
| 17 files of features that cannot be made | test_classifier |
| 18 tracking with a network account by default | here |
| 19 scores matched by position | here |
| 20 hidden states taken for logits | test_hubert_files |
| 21 the test split chooses | here |
| 22 thresholds at one half | here: none is used; `calibrate` is fitted on val |
| 23 random windows at test | test_hubert_input |
| 24 crops behind the decimation | test_hubert_input |
| 25 sizes from the order of keys | test_hubert_files |
| 26 ringing across leads | test_hubert_input |
| 27, 28 masks by count | test_hubert_input |
| 29 missing data | test_hubert_input, test_classifier |
| 30 a constant lead | test_hubert_input |
| 31 masked writes in place | test_hubert_files |
| 32 a mask function that returns one thing | here |
| 33 a tuple and a tensor added | not ours: outputs have names |
| 34 a filter that needs a hidden package | test_hubert_input |
| 35 to 38 targets of pre-training | not ours: weights are not pre-trained here |
| 39 an empty set's loss | test_hubert_files |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from twelve_leads import TINY, sets

from acsbench.dataset import WaveformDataset
from acsbench.errors import TableError
from acsbench.models.base import make_model, predict
from acsbench.models.config import Shape
from acsbench.models.foundation.classifier import FoundationClassifier
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.models.trainee import Trainee, mean_auroc, positive_weight
from acsbench.models.training import make_trainer
from acsbench.store import WaveformStore

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch")
SHAPE = Shape(n_channels=12, n_samples=1000, n_outputs=1)


def build(**parameters: Any) -> tuple[FoundationNetwork, Any]:
    torch.manual_seed(0)
    config = FoundationClassifier("hubert_ecg", **{**TINY, **parameters}).config
    return config.build(SHAPE), config


class Watched(Trainee):
    """Notes the learning rates and the size of each step, by group."""

    rates: list[list[float]]
    moved: list[list[float]]

    def on_train_start(self) -> None:
        self.rates, self.moved = [], []

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.rates.append([group["lr"] for group in optimizer.param_groups])
        self.before = [[p.detach().clone() for p in g["params"]] for g in optimizer.param_groups]

    def on_train_batch_end(self, *_: Any) -> None:
        groups = self.trainer.optimizers[0].param_groups
        self.moved.append(
            [
                max(
                    float((p.detach() - q).abs().max())
                    for p, q in zip(g["params"], old, strict=True)
                )
                for g, old in zip(groups, self.before, strict=True)
            ]
        )


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Watched]]:
    made: list[Watched] = []

    class Kept(Watched):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            made.append(self)

    monkeypatch.setattr("acsbench.models.trainee.Trainee", Kept)
    return made


def test_after_the_heads_turn_everything_learns_on_one_schedule(
    store: WaveformStore, watched: list[Watched]
) -> None:
    """Traps 1, 12, 13: one optimiser, one schedule over all steps, no step without a rate."""
    train, val, _ = sets(store)
    small = {**TINY, "epochs": 6, "layer_drop": 0.0}
    make_model("hubert_ecg", **small, mode="head_first", head_epochs=3).fit(train, val)
    (one,) = watched
    n_steps = 6 * 4
    assert len(one.moved) == n_steps == one.n_steps
    rates, moved = np.array(one.rates), np.array(one.moved)
    assert (rates > 0).all()
    assert rates[:, 0].argmax() == rates[:, 1].argmax() in (1, 2)  # a warm-up, once
    assert (np.diff(rates[3:, 1]) < 0).all()
    assert (moved[:, 0] > 0).all()  # the head, always
    assert (moved[:12, 1:] == 0).all()
    assert (moved[12:20, 1:] > 1e-5).all()
    assert (moved[20:, 1:] > 0).all()
    # Adam's moments of the head go on: no step of full size, as its first ones are
    assert moved[12, 0] < 1.5 * moved[11, 0]


def test_learning_rates_fall_from_stage_to_stage() -> None:
    network, config = build(layer_decay=0.5, head_learning_rate=0.01, frozen_stages=())
    groups = config.parameter_groups(network)
    found = [group["lr"] for group in groups]
    assert found == [0.01, *(1e-3 * 0.5**i for i in range(5))]
    sizes = [sum(p.numel() for p in g["params"]) for g in groups]
    counts = network.trainable()
    order = ["head", "block_1", "block_0", "position", "projection", "conv"]
    assert sizes == [counts[name] for name in order]
    whole = sum(p.numel() for p in network.parameters())
    assert sum(sizes) == whole  # trap 2: no part is forgotten


def test_a_frozen_stack_keeps_no_graph() -> None:
    """Trap 3: the input is not marked as needing gradients, and nothing below is kept."""
    network, _ = build()
    network.train()
    kept: list[bool] = []
    backbone: Any = network.backbone
    backbone.feature_extractor.register_forward_hook(lambda *a: kept.append(a[-1].requires_grad))
    x = torch.randn(2, 6000)
    network(x).sum().backward()
    network.freeze(())
    network(x).sum().backward()
    assert kept == [False, True]
    assert not x.requires_grad


def test_what_is_frozen_is_in_evaluation_mode() -> None:
    network, _ = build(frozen_stages=("conv", "projection", "position", "block_0"))
    network.train()
    backbone: Any = network.backbone
    assert not backbone.encoder.layers[0].training
    assert not backbone.encoder.pos_conv_embed.training
    assert backbone.encoder.layers[1].training
    network.freeze(())
    assert backbone.encoder.layers[0].training
    network.eval()
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_dropout_is_what_is_asked_everywhere(p: float) -> None:
    """Trap 4: attention's is a plain number, the projection's has its own, the head's too."""
    network, _ = build(dropout=p, feature_dropout=0.0, head_dropout=0.0, layer_drop=p)
    backbone: Any = network.backbone
    assert backbone.feature_projection.dropout.p == 0
    assert network.classifier.dropout.p == 0
    assert backbone.encoder.config.layerdrop == p
    for layer in backbone.encoder.layers:
        assert layer.attention.dropout == p
        found = {m.p for m in layer.modules() if isinstance(m, nn.Dropout)}
        assert found == {p}
    if p == 0:
        network.train()
        x = torch.randn(2, 6000)
        assert torch.equal(network(x), network(x))


def test_layers_are_dropped_in_training_alone() -> None:
    network, _ = build(layer_drop=0.9, dropout=0.0, head_dropout=0.0, frozen_stages=())
    x = torch.randn(2, 6000)
    network.train()
    torch.manual_seed(1)
    with torch.no_grad():
        assert len({float(network(x)[0, 0]) for _ in range(12)}) > 1
        network.eval()
        assert len({float(network(x)[0, 0]) for _ in range(3)}) == 1


def test_validation_drops_no_record_and_scores_the_whole_set_at_once(
    store: WaveformStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traps 6 and 7: 12 records in batches of 8; one AUROC of all of them, of logits."""
    train, val, _ = sets(store)
    pooled: list[tuple[Any, Any]] = []

    def noted(labels: Any, scores: Any) -> float:
        pooled.append((labels, scores))
        return mean_auroc(labels, scores)

    monkeypatch.setattr("acsbench.models.trainee.mean_auroc", noted)
    make_model("hubert_ecg", **TINY).fit(train, val)
    assert [len(labels) for labels, _ in pooled] == [len(val)] * 2
    labels, scores = pooled[-1]
    np.testing.assert_array_equal(labels[:, 0], val.labels)
    assert ((scores > 0) & (scores < 1)).all()
    assert mean_auroc(labels, scores) == pytest.approx(roc_auc_score(labels[:, 0], scores[:, 0]))


def test_weights_of_classes_are_of_train_and_by_class(store: WaveformStore) -> None:
    """Traps 8 and 9."""
    train, val, _ = sets(store)
    labels = np.zeros((len(train), 2), np.float32)
    labels[:4, 0], labels[4:, 1] = 1, 1
    two = replace(train, _labels=labels, tasks=("a", "b"))
    assert positive_weight(two.labels).tolist() == pytest.approx([28 / 4, 4 / 28])
    network, config = build(class_weights=True)
    trainee = Trainee(network, config, positive_weight=torch.tensor([7.0]))
    ones, logits = torch.ones(4, 1), torch.zeros(4, 1)
    weighed, _ = trainee._summed_loss(logits, ones, training=True)
    plain, _ = trainee._summed_loss(logits, ones, training=False)
    assert float(weighed) == pytest.approx(7 * float(plain))
    none = replace(train, _labels=np.zeros(len(train), np.float32))
    with pytest.raises(TableError, match="0 positive"):
        make_model("hubert_ecg", **TINY, class_weights=True).fit(none, val)


def test_one_record_is_a_batch_too(store: WaveformStore) -> None:
    """Trap 10: a last batch of one record, in scoring and in validation."""
    train, val, test = sets(store)
    model = make_model("hubert_ecg", **{**TINY, "epochs": 1}, at_once=3).fit(train, val)
    whole = model.predict_proba(test)
    assert len(test) % 3 == 1
    one = first(test, 1)
    np.testing.assert_allclose(model.predict_proba(one), whole[:1], atol=1e-6)


def first(data: WaveformDataset, n: int) -> WaveformDataset:
    return replace(
        data,
        ecg_ids=data.ecg_ids[:n],
        rows=data.rows[:n],
        feature_frame=data.feature_frame[:n],
        _labels=data.labels[:n],
    )


def test_scores_carry_their_ids_and_do_not_depend_on_company(store: WaveformStore) -> None:
    """Trap 19: nothing is matched by position; trap 23: nor by the order of batches."""
    train, val, test = sets(store)
    model = make_model("hubert_ecg", **{**TINY, "epochs": 1}).fit(train, val)
    scored = predict(model, test)
    assert list(scored.frame["ecg_id"]) == list(test.ecg_ids)
    few = predict(model, first(test, 5))
    np.testing.assert_allclose(few.frame["score"], scored.frame["score"][:5], atol=1e-6)


def test_the_best_epoch_is_chosen_on_val_alone(
    store: WaveformStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 21: `fit` never sees the test split; traps 14, 22: one metric, without a threshold."""
    train, val, test = sets(store)
    read: set[int] = set()
    really = WaveformStore.read_row

    def noted(self: WaveformStore, row: int) -> Any:
        read.add(row)
        return really(self, row)

    monkeypatch.setattr(WaveformStore, "read_row", noted)
    make_model("hubert_ecg", **{**TINY, "epochs": 1}).fit(train, val)
    assert read == {*train.rows.tolist(), *val.rows.tolist()}
    assert not read & set(test.rows.tolist())


def test_logs_stay_here_unless_asked(tmp_path: Path) -> None:
    """Trap 18: no account, no network."""
    _, config = build()
    trainer = make_trainer(config, tmp_path)
    assert [type(one).__name__ for one in trainer.loggers] == ["CSVLogger"]


def test_no_masking_of_pretraining_is_left_in_fine_tuning() -> None:
    """Trap 32: the published switch for it splits a batch of two into 'states' and 'mask'."""
    network, config = build(layer_drop=0.0, dropout=0.0, head_dropout=0.0)
    stock = config.adapter().stock_config()
    assert stock.mask_time_prob == 0
    assert not stock.apply_spec_augment
    network.train()
    x = torch.randn(2, 6000)
    assert torch.equal(network(x), network(x))
    assert not any("masked_spec_embed" in key for key in network.state_dict())
