"""Goldens of HuBERT-ECG's pre-training, its traps 35 to 39, and the objectives by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_pretraining import TINY_HUBERT
from twelve_leads import TINY_SIZES, cohort, sets

from acsbench.models.foundation.hubert_ecg import HubertEcg, HubertEcgConfig
from acsbench.models.foundation.hubert_files import HubertSizes
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.models.pretrained import load_pretrained
from acsbench.models.pretraining.clusters import ClusterPrediction, cluster_loss, draw_frames
from acsbench.models.pretraining.codebooks import Codebook
from acsbench.models.pretraining.config import HubertConfig
from acsbench.models.pretraining.cpc import info_nce
from acsbench.models.pretraining.masked import draw_patches
from acsbench.models.pretraining.people import unlabelled
from acsbench.models.pretraining.pretrain import _extras_of
from acsbench.models.pretraining.probe import LinearProbe
from acsbench.models.pretraining.targets import ClusterStages, described
from acsbench.signal.frame_descriptors import describe, frame_starts, mfcc, time_freq
from acsbench.store import WaveformStore

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch")
TOLERANCE = 2e-5


@pytest.fixture
def golden(tiny: Path) -> ClusterPrediction:
    """The tiny golden network with its mask, projection and codebook."""
    place = tiny / "hubert_ecg_tiny_pretrained.pt"
    network = load_pretrained(place).network
    assert isinstance(network, FoundationNetwork)
    made = ClusterPrediction(network, clusters=(10,), width=16, mask_share=0.33, alpha=1.0)
    state = made.state_dict()
    extras = _extras_of(place)
    assert set(extras) == {key for key in state if not key.startswith("network.")}
    made.load_state_dict({**state, **extras})
    network.freeze(())  # a fine-tuning never trains the convolutions, unless told to
    return made.eval()


@pytest.mark.shared
def test_logits_of_pretraining_are_the_references(
    golden: ClusterPrediction, outputs: dict[str, np.ndarray]
) -> None:
    x = torch.from_numpy(outputs["x"])
    nothing = torch.zeros(4, 93, dtype=torch.bool)
    hidden = torch.from_numpy(outputs["mask_time_indices"])
    with torch.no_grad():
        (seen,), (masked,) = golden.logits(x, nothing), golden.logits(x, hidden)
    # a cosine is divided by 0.1
    assert np.abs(seen.numpy() - outputs["nomask/pretrain_logits0"]).max() < 10 * TOLERANCE
    assert np.abs(masked.numpy() - outputs["pretrain/masked_logits0"]).max() < 10 * TOLERANCE


@pytest.mark.shared
def test_masked_loss_and_gradients_are_the_references(
    golden: ClusterPrediction, outputs: dict[str, np.ndarray], tiny: Path
) -> None:
    x = torch.from_numpy(outputs["x"])
    hidden = torch.from_numpy(outputs["mask_time_indices"])
    labels = torch.from_numpy(outputs["pretrain/labels0"])[:, None]
    logits = golden.logits(x, hidden)
    unmasked = cluster_loss(logits, labels, hidden=hidden, seen=~hidden, alpha=0.0)
    assert unmasked.item() == pytest.approx(float(outputs["pretrain/unmasked_loss"]), abs=TOLERANCE)
    loss = cluster_loss(logits, labels, hidden=hidden, seen=~hidden, alpha=1.0)
    assert loss.item() == pytest.approx(float(outputs["pretrain/masked_loss"]), abs=TOLERANCE)
    loss.backward()
    found = {
        name.removeprefix("network.backbone."): float(parameter.grad.norm())
        for name, parameter in golden.named_parameters()
        if parameter.grad is not None
    }
    wanted = json.loads((tiny / "grad_norms.json").read_text())["pretrain_masked"]
    assert set(found) == set(wanted)
    # the norm of a gradient that is nothing but rounding has no relative error
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-5)


@pytest.mark.shared
@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_the_layers_that_are_clustered_are_the_references(
    golden: ClusterPrediction, outputs: dict[str, np.ndarray], layer: int
) -> None:
    adapter, backbone = golden.network.adapter, golden.network.backbone
    assert isinstance(adapter, HubertEcg)
    with torch.no_grad():
        embedded = adapter.embedded(backbone, torch.from_numpy(outputs["x"]))
        states = adapter.encoded(backbone, embedded, layer=layer).frames
    assert np.abs(states.numpy() - outputs[f"nomask/hidden{layer}"]).max() < TOLERANCE


def frames_of(seed: int, n: int = 400) -> np.ndarray:
    """Directions all round, at very unequal lengths."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 3)) * rng.lognormal(0, 2, (n, 1))).astype(np.float32)


@pytest.mark.parametrize("scaling", ["unit", "standard"])
def test_trap_35_labels_come_from_the_scaling_that_was_clustered(
    tmp_path: Path, scaling: Any
) -> None:
    frames = frames_of(0)
    made = Codebook.fit(frames, n_clusters=3, scaling=scaling, seed=0)
    made.save(tmp_path / "codebook.npz")
    loaded = Codebook.load(tmp_path / "codebook.npz")
    scaled = loaded.scaled(frames)
    distances = ((scaled[:, None] - loaded.centroids) ** 2).sum(-1)
    np.testing.assert_array_equal(loaded.assign(frames), distances.argmin(1))
    raw = ((frames[:, None] - loaded.centroids) ** 2).sum(-1).argmin(1)
    assert (raw != loaded.assign(frames)).mean() > 0.02, "raw frames are another clustering"
    if scaling == "unit":
        # a louder frame is in the same cluster
        np.testing.assert_array_equal(loaded.assign(frames), loaded.assign(8 * frames))


def test_trap_36_differences_of_the_cepstrum_run_from_frame_to_frame() -> None:
    rng = np.random.default_rng(0)
    numbers = describe(rng.normal(size=(2, 93, 64)), "mfcc", sampling_rate=100)
    assert numbers.shape == (2, 93, 39)
    assert (numbers[..., 13:].std(axis=(0, 1)) > 0).all()
    np.testing.assert_allclose(numbers[0, 1, 13], (numbers[0, 2, 0] - numbers[0, 0, 0]) / 2)
    assert describe(rng.normal(size=(2, 93, 64)), "mixed", sampling_rate=100).shape[-1] == 29


def adapter() -> HubertEcg:
    return HubertEcg(HubertEcgConfig(sizes=HubertSizes(**TINY_SIZES), n_windows=1))


def test_trap_37_label_t_describes_what_frame_t_sees() -> None:
    """An impulse anywhere changes no label of a frame that does not see it, and the first sample
    of the middle of each frame changes that frame's."""
    starts = frame_starts(6000, reach=82, stride=64)
    assert len(starts) == 93
    assert starts[0] == 9
    rng = np.random.default_rng(0)
    base = torch.from_numpy(rng.normal(size=(1, 6000)).astype(np.float32))
    before = described(adapter(), base, "time_freq")
    for at in (9, 500, 3001, 5970):
        x = base.clone()
        x[0, at] += 50
        moved = np.flatnonzero((described(adapter(), x, "time_freq") != before).any(-1)[0])
        sees = [t for t in range(93) if 64 * t <= at < 64 * t + 82]
        assert set(moved) <= set(sees)
        assert len(moved) == 1 or at > starts[-1] + 63


def test_trap_39_a_part_without_frames_or_weight_adds_nothing() -> None:
    logits = [torch.zeros(2, 5, 4)]
    labels = torch.zeros(2, 1, 5, dtype=torch.long)
    every, none = torch.ones(2, 5, dtype=torch.bool), torch.zeros(2, 5, dtype=torch.bool)
    for alpha, wanted in ((1.0, math.log(4)), (0.5, math.log(4) / 2)):
        loss = cluster_loss(logits, labels, hidden=every, seen=none, alpha=alpha)
        assert float(loss) == pytest.approx(wanted)
    twice = cluster_loss(logits * 2, labels.repeat(1, 2, 1), hidden=every, seen=none, alpha=1.0)
    assert float(twice) == pytest.approx(2 * math.log(4))
    assert float(cluster_loss(logits, labels, hidden=none, seen=none, alpha=0.5)) == 0


def test_a_third_of_the_recorded_frames_is_hidden_and_no_other() -> None:
    torch.manual_seed(0)
    known = torch.ones(400, 93, dtype=torch.bool)
    known[0, 3:] = False
    hidden = draw_frames(known, 0.33)
    assert not (hidden & ~known).any()
    counts = hidden.sum(1)
    assert int(counts[0]) == 2
    assert set(counts[1:].tolist()) == {30, 31}
    assert float(counts[1:].float().mean()) == pytest.approx(0.33 * 93, abs=0.1)


def test_descriptors_are_those_of_the_specification() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=64)
    from scipy import stats

    n = time_freq(x)
    rms = math.sqrt((x**2).mean())
    by_hand = [x.min(), x.max(), x.mean(), rms, x.var(), x.std(), (x**2).mean()]
    by_hand += [np.abs(x).max(), np.ptp(x), np.abs(x).max() / rms, stats.skew(x), stats.kurtosis(x)]
    power = np.abs(np.fft.fft(x) ** 2) / 64
    by_hand += [power.max(), power.sum(), power.mean(), power.var()]
    np.testing.assert_allclose(n, by_hand, rtol=1e-9)
    flat = time_freq(np.full((1, 64), 0.3))
    assert np.isfinite(flat).all()
    assert flat[0, 10] == flat[0, 11] == 0
    assert np.isfinite(time_freq(np.zeros((1, 64)))).all()


def test_the_cepstrum_tells_frequencies_apart_and_not_offsets() -> None:
    t = np.arange(64) / 100
    slow, fast = np.sin(2 * np.pi * 3 * t), np.sin(2 * np.pi * 30 * t)
    of_slow, of_fast = mfcc(slow, sampling_rate=100), mfcc(fast, sampling_rate=100)
    np.testing.assert_allclose(of_slow, mfcc(slow + 5, sampling_rate=100), atol=1e-6)
    # the first cosine is positive where low bands are the louder ones
    assert of_slow[1] > 0 > of_fast[1]


@pytest.mark.slow
@pytest.mark.parametrize("targets", ["time_freq", "mfcc", "mixed", "layer"])
def test_stages_are_done_once_and_a_lost_file_is_made_again(
    store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: Any
) -> None:
    config = HubertConfig.model_validate(
        {**TINY_HUBERT, "targets": targets, "init_from": "x", "iteration": 2}
    )
    torch.manual_seed(0)
    network = FoundationNetwork(adapter(), n_outputs=None)
    stages = ClusterStages(config=config, network=network, inputs={}, folder=tmp_path)
    people = unlabelled(store, cohort(), val_share=0.1, seed=0)
    labelled, made_from = stages.run(people)
    labels = labelled.train.labels
    assert labels.shape == (32, 2 * 93)
    assert set(np.unique(labels[:, :93])) <= set(range(6))
    assert set(np.unique(labels[:, 93:])) <= set(range(4))
    assert len(np.unique(labels[:, :93])) > 2
    assert labelled.train.ecg_ids == people.train.ecg_ids
    monkeypatch.setattr(Codebook, "fit", None)
    next((tmp_path / "labels").rglob("0000000.npy")).unlink()
    again, same = stages.run(people)
    assert same == made_from
    np.testing.assert_array_equal(again.train.labels, labels)


def test_info_nce_by_hand() -> None:
    """Two records of three frames, one step ahead."""
    torch.manual_seed(0)
    latents, predicted = torch.randn(2, 3, 4), torch.randn(2, 2, 4)
    places = [torch.tensor([[0, 4, 5]]), torch.tensor([[0, 2], [3, 5]])]
    losses = []
    for record in range(2):
        for t in range(2):
            true = 3 * record + t + 1
            others = [p for p in (0, 4, 5, *places[1][record].tolist()) if p != true]
            scores = latents.flatten(0, 1) @ predicted[record, t]
            against = torch.logsumexp(scores[[true, *others]], 0)
            losses.append(float(against - scores[true]))
    found = info_nce(predicted, latents, places, step=1)
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-5)


def test_patches_hide_their_share_of_each_lead() -> None:
    torch.manual_seed(0)
    hidden = draw_patches(torch.Size([200, 12, 600]), patch=60, share=0.75)
    assert hidden.shape == (200, 12, 600)
    whole = hidden.view(200, 12, 10, 60)
    assert (whole.all(-1) | ~whole.any(-1)).all()
    assert float(hidden.float().mean()) == pytest.approx(0.75, abs=0.01)
    assert not torch.equal(hidden[:, 0], hidden[:, 1])


def test_a_linear_probe_finds_what_is_linear() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5))
    x[:, 4] = 3.0
    labels = (x[:, 1] + 0.3 * rng.normal(size=200) > 0).astype(np.float32)
    probe = LinearProbe.fit(x[:100], labels[:100])
    logits = probe.logits(x[100:])
    assert np.mean((logits > 0) == labels[100:]) > 0.85
    few = LinearProbe.fit(x[:3], np.array([0, 1, 0], np.float32))
    assert np.isfinite(few.logits(x)).all()


def test_sets_of_the_store_are_labelled(store: WaveformStore) -> None:
    """`sets` and `unlabelled` choose the same training records where nobody is excluded."""
    train, *_ = sets(store)
    assert unlabelled(store, cohort(), val_share=0.1, seed=0).train.ecg_ids == train.ecg_ids
