"""How a record becomes HuBERT-ECG's input: goldens of both published profiles, the clean one,
windows. Traps of the specification are named by number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from twelve_leads import TINY_SIZES, make_store, sets

from acsbench.errors import ConfigError, InputError
from acsbench.models.base import make_model
from acsbench.models.foundation.classifier import FoundationClassifier
from acsbench.models.foundation.feed import WindowFeed
from acsbench.signal.hubert import clean_leads, decimate_flattened, decimate_leads, upstream_leads

RECORDS = ("clean", "lead_missing", "printout_3x4", "zero_padded", "nan_gap_flat_lead")


def adapter_of(**parameters: Any) -> Any:
    recipe = "paper_12x10s" if parameters.get("profile") == "acs" else "hubert_100hz"
    model = FoundationClassifier("hubert_ecg", sizes=TINY_SIZES, recipe=recipe, **parameters)
    return model.config.adapter()


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "golden" / "hubert" / "input_prep.npz"))


@pytest.mark.shared
@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("profile", ["acs", "upstream"])
def test_published_profiles_are_reproduced(
    golden: dict[str, np.ndarray], record: str, profile: str
) -> None:
    """Trap 34: scipy alone; trap 26: the parity profiles keep the ringing across leads."""
    raw = golden[f"{record}/raw"]
    starts = [s for s in (0, 1250, 2500) if f"{record}/{profile}/crop{s}/input" in golden]
    assert len(starts) >= 2
    made = adapter_of(profile=profile).prepare(
        raw, np.isfinite(raw).astype(np.uint8), sampling_rate=500, starts=starts
    )
    for one, start in zip(made, starts, strict=True):
        wanted = golden[f"{record}/{profile}/crop{start}/input"]
        assert np.abs(one - wanted).max() < 2e-7
    if f"{record}/{profile}/preprocessed" in golden:
        scaled, wanted = (
            upstream_leads(raw, sampling_rate=500),
            golden[f"{record}/upstream/preprocessed"],
        )
        np.testing.assert_array_equal(np.isnan(scaled), np.isnan(wanted))
        assert np.nanmax(np.abs(scaled - wanted)) < 1e-7


@pytest.mark.shared
def test_another_rate_is_filtered_there_and_resampled_by_fourier(
    golden: dict[str, np.ndarray],
) -> None:
    raw = golden["fs250/raw"]
    made = adapter_of(profile="upstream").prepare(
        raw, np.ones(raw.shape, np.uint8), sampling_rate=250, starts=(0,)
    )
    assert np.abs(made[0] - golden["fs250/upstream/crop0/input"]).max() < 2e-7


@pytest.mark.shared
@pytest.mark.parametrize("record", RECORDS)
def test_windows_cut_behind_the_decimation_are_the_published_augmentation(
    golden: dict[str, np.ndarray], record: str
) -> None:
    """Trap 24: the published scoring cut later than its training; only lead edges differ."""
    whole = decimate_flattened(golden[f"{record}/raw"]).reshape(12, 1000)
    for start in (0, 137, 499):
        cut = whole[:, start : start + 500].ravel()
        assert np.abs(cut - golden[f"{record}/acs/tta{start}/input"]).max() < 2e-5
    ours = adapter_of(profile="acs").prepare(
        golden[f"{record}/raw"],
        np.ones((12, 5000), np.uint8),
        sampling_rate=500,
        starts=(0,),
    )[0]
    if np.isfinite(golden[f"{record}/raw"]).all():
        inner = np.abs(ours - whole[:, :500].ravel()).reshape(12, 500)[:, 60:-60]
        assert inner.max() < 1e-3


@pytest.mark.shared
def test_the_clean_profile_decimates_each_lead_by_itself(golden: dict[str, np.ndarray]) -> None:
    """Trap 26: what one lead holds changes no other."""
    raw = golden["clean/raw"].astype(np.float64)
    changed = raw.copy()
    changed[4] += np.random.default_rng(0).normal(0, 1, 5000)
    mask = np.ones(raw.shape, np.uint8)
    for profile, others_stay in (("clean", True), ("acs", False)):
        adapter = adapter_of(profile=profile)
        one, two = (
            adapter.prepare(x, mask, sampling_rate=500, starts=(0,))[0].reshape(12, 500)
            for x in (raw, changed)
        )
        others = [i for i in range(12) if i != 4]
        assert np.array_equal(one[others], two[others]) == others_stay


def test_a_short_gap_costs_the_clean_profile_no_lead() -> None:
    """Trap 29: the published filter turns one missing sample into a missing lead."""
    rng = np.random.default_rng(0)
    signal = np.cumsum(rng.normal(0, 0.01, (12, 5000)), axis=1)
    mask = np.ones(signal.shape, np.uint8)
    mask[2, 1000:1060] = 0
    signal[2, 1000:1060] = 0
    clean = adapter_of(profile="clean").prepare(signal, mask, sampling_rate=500, starts=(0,))
    missing = np.isnan(clean[0]).reshape(12, 500)
    assert missing.sum() == 12
    assert missing[2, 200:212].all()
    scaled = upstream_leads(np.where(mask > 0, signal, np.nan), sampling_rate=500)
    assert np.isnan(scaled[2]).all()


def test_a_missing_lead_is_marked_and_not_filled_with_other_leads() -> None:
    """Traps 27 and 29: by lead, in frames; the padding rule cannot say it."""
    adapter = adapter_of(profile="clean")
    torch.manual_seed(0)
    backbone = adapter.random_init().eval()
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 0.3, (12, 1000)).astype(np.float32)
    mask = np.ones(signal.shape, np.uint8)
    mask[5] = 0
    x = torch.from_numpy(adapter.prepare(signal, mask, sampling_rate=100, starts=(0,)))
    assert torch.isnan(x).sum() == 500
    with torch.inference_mode():
        known = adapter.features(backbone, x).known
        assert known is not None
        centres = torch.arange(93) * 64 + 41
        inside = (centres >= 2500) & (centres < 3000)
        assert torch.equal(known[0], ~inside)
        # what lies in the missing lead does not matter
        noisy = signal.copy()
        noisy[5] = rng.normal(0, 5, 1000)
        again = torch.from_numpy(adapter.prepare(noisy, mask, sampling_rate=100, starts=(0,)))
        assert torch.equal(torch.isnan(x), torch.isnan(again))
        assert torch.equal(torch.nan_to_num(x), torch.nan_to_num(again))


def test_a_complete_record_needs_no_mask() -> None:
    """Trap 27: zero padding that a filter rang through looked complete and was masked by count."""
    adapter = adapter_of()
    torch.manual_seed(0)
    backbone = adapter.random_init().eval()
    x = torch.randn(2, 6000)
    with torch.inference_mode():
        assert adapter.features(backbone, x).known is None
        ones = adapter.features(backbone, x, torch.ones(2, 6000))
        torch.testing.assert_close(ones.frames, adapter.features(backbone, x).frames)


def test_a_hole_masks_the_frames_where_it_is() -> None:
    """Trap 28: the count rule would drop the end of the vector instead."""
    adapter = adapter_of()
    torch.manual_seed(0)
    backbone = adapter.random_init().eval()
    x = torch.randn(1, 6000)
    x[0, 1000:1500] = torch.nan
    counted = torch.isfinite(x).long()
    with torch.inference_mode():
        ours = adapter.features(backbone, x).known
        theirs = adapter.features(backbone, torch.nan_to_num(x), counted).known
    assert ours is not None
    assert theirs is not None
    assert not ours[0, 16:22].any()
    assert ours[0, -10:].all()
    assert theirs[0, 16:22].all()
    assert not theirs[0, -7:].any()


def test_a_constant_lead_is_zero() -> None:
    """Trap 30: the published scaling makes it -1 everywhere."""
    signal = np.random.default_rng(0).normal(0, 0.3, (12, 1000))
    signal[2] = 0.7
    made, known = clean_leads(signal, np.ones(signal.shape, bool), sampling_rate=100)
    assert np.abs(made[2]).max() < 1e-9
    assert known.all()
    assert np.abs(upstream_leads(signal, sampling_rate=500)[2] + 1).max() < 1e-3


def test_drift_is_removed_in_the_clean_profile() -> None:
    """The published band-pass lets drift through: section 3a of the specification."""
    time = np.arange(5000) / 500
    beat = np.exp(-(((time % 0.8) - 0.4) ** 2) / 0.0005)
    drift = np.sin(2 * np.pi * 0.1 * time)
    signal = np.tile(beat + drift, (12, 1))
    made, _ = clean_leads(signal, np.ones(signal.shape, bool), sampling_rate=500)
    wanted, _ = clean_leads(np.tile(beat, (12, 1)), np.ones(signal.shape, bool), sampling_rate=500)
    inner = slice(100, 900)
    assert np.abs(made - wanted)[:, inner].max() < 0.05
    scaled = upstream_leads(signal, sampling_rate=500)
    assert np.corrcoef(scaled[0], drift)[0, 1] > 0.8


@pytest.mark.parametrize("rate", [250.0, 500.0])
def test_every_rate_comes_to_the_same_samples(rate: float) -> None:
    n = round(10 * rate)
    time = np.arange(n) / rate
    signal = np.stack([np.sin(2 * np.pi * (2 + i) * time) for i in range(12)])
    made, known = clean_leads(signal, np.ones(signal.shape, bool), sampling_rate=rate)
    at_100 = np.stack([np.sin(2 * np.pi * (2 + i) * np.arange(1000) / 100) for i in range(12)])
    assert made.shape == known.shape == (12, 1000)
    assert np.abs(made - at_100)[:, 200:-200].max() < 0.03


@settings(max_examples=20)
@given(gain=st.floats(0.1, 10), offset=st.floats(-3, 3))
def test_the_clean_profile_is_linear_and_blind_to_offsets(gain: float, offset: float) -> None:
    signal = np.random.default_rng(1).normal(0, 0.3, (12, 1000))
    known = np.random.default_rng(2).random(signal.shape) < 0.9
    one, _ = clean_leads(signal, known, sampling_rate=100)
    two, _ = clean_leads(gain * signal + offset, known, sampling_rate=100)
    np.testing.assert_allclose(two, gain * one, atol=1e-8 * (gain + abs(offset)))


def test_the_benchmarks_profile_refuses_a_store_decimated_lead_by_lead() -> None:
    with pytest.raises(ConfigError, match="paper_hubert_100hz"):
        FoundationClassifier("hubert_ecg", profile="acs")


def test_rates_and_gaps_that_a_profile_cannot_take_are_refused() -> None:
    signal, mask = np.ones((12, 2500)), np.ones((12, 2500), np.uint8)
    with pytest.raises(InputError, match="reads 500 Hz"):
        adapter_of(profile="acs").prepare(signal, mask, sampling_rate=250, starts=(0,))
    mask[:, 7] = 0
    with pytest.raises(InputError, match="no lead of this record is whole"):
        adapter_of(profile="upstream").prepare(signal, mask, sampling_rate=250, starts=(0,))


def test_scoring_windows_are_first_middle_and_last_and_always_the_same(tmp_path: Path) -> None:
    """Traps 5, 23: no random crop, no draw that depends on order, the last start included."""
    adapter = adapter_of()
    assert adapter.windows(1000, sampling_rate=100) == (0, 250, 500)
    assert adapter.windows(5000, sampling_rate=500) == (0, 1250, 2500)
    assert adapter.windows(500, sampling_rate=100) == (0,)  # a record of 5 s is not refused
    assert adapter_of(n_windows=2).windows(1000, sampling_rate=100) == (0, 500)
    assert adapter_of(n_windows=1).windows(1000, sampling_rate=100) == (0,)
    _, _, test = sets(make_store(tmp_path))
    read = WindowFeed(adapter).for_scoring(test)
    whole = read(range(len(test)))
    assert whole.shape == (len(test), 3, 6000)
    assert torch.equal(read([5, 2]), whole[[5, 2]])
    assert torch.equal(read([2]), whole[[2]])


def test_training_windows_are_drawn_from_seed_epoch_and_record(tmp_path: Path) -> None:
    train, *_ = sets(make_store(tmp_path))
    now = 0
    read = WindowFeed(adapter_of()).for_training(train, epoch=lambda: now)
    first = read([0, 1, 2])
    assert first.shape == (3, 6000)
    assert torch.equal(read([2]), first[2:])  # not of the batch
    now = 1
    assert not torch.equal(read([0, 1, 2]), first)
    now = 0
    assert torch.equal(read([0, 1, 2]), first)
    fixed = WindowFeed(adapter_of(train_windows="first")).for_training(train, epoch=lambda: now)
    scored = WindowFeed(adapter_of()).for_scoring(train)
    assert torch.equal(fixed([0, 1]), scored([0, 1])[:, 0])


def test_every_start_is_drawn_once_in_a_while() -> None:
    """Trap 23: the published draw never reaches the last start."""
    from acsbench.models.batches import seed_of

    drawn = {
        int(np.random.default_rng(seed_of(0, epoch, 3, "window")).integers(11))
        for epoch in range(400)
    }
    assert drawn == set(range(11))


@pytest.mark.parametrize("how", ["mean", "max"])
def test_windows_are_pooled_as_asked(tmp_path: Path, how: str) -> None:
    train, val, test = sets(make_store(tmp_path))
    small = {"epochs": 1, "batch_size": 8, "threads": 1, "sizes": TINY_SIZES}
    model = make_model("hubert_ecg", **small, window_pooling=how).fit(train, val)
    network: Any = model.network
    with torch.inference_mode():
        x = model._feed().for_scoring(test)(range(4))
        each = torch.stack([network(x[:, i]) for i in range(3)])
        pooled = each.mean(0) if how == "mean" else each.amax(0)
        torch.testing.assert_close(network(x), pooled)


def test_a_decimated_store_of_the_benchmark_is_taken_as_it_is() -> None:
    vector = np.random.default_rng(0).normal(0, 1, 6000).astype(np.float32)
    made = adapter_of(profile="acs").prepare(
        vector.reshape(12, 500), np.ones((12, 500), np.uint8), sampling_rate=100, starts=(0,)
    )
    np.testing.assert_array_equal(made[0], vector)
    ecg = np.random.default_rng(1).normal(0, 1, (12, 2500))
    both = decimate_leads(ecg).ravel() - decimate_flattened(ecg)
    assert np.abs(both).max() > 0.05
