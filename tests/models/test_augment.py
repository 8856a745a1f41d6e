from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from planted import SMALL, sets

from acsbench.errors import ConfigError, StoreError
from acsbench.models.augment import AugmentConfig, augment, lead_stretches
from acsbench.models.base import make_model
from acsbench.models.batches import augmentation, seed_of
from acsbench.signal.leads import PAGE_ROWS, STANDARD_12
from acsbench.store import WaveformStore

ALL = AugmentConfig(amplitude=0.2, lead_mask=0.5, time_mask=0.3, shift_s=0.5, wander=0.1)


def changed(
    config: AugmentConfig, *, seed: int = 0, leads: tuple[str, ...] = STANDARD_12
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    signal = np.random.default_rng(3).normal(size=(len(leads), 500)).astype(np.float32)
    mask = np.ones(signal.shape, np.uint8)
    mask[0, :100] = 0
    signal[mask == 0] = 0
    return augment(signal, mask, config, lead_names=leads, sampling_rate=100, seed=seed)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**63 - 1))
def test_the_same_seed_gives_the_same_change_and_what_is_masked_is_zero(seed: int) -> None:
    signal, mask = changed(ALL, seed=seed)
    again, mask_again = changed(ALL, seed=seed)
    np.testing.assert_array_equal(signal, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert (signal[mask == 0] == 0).all()
    assert np.isfinite(signal).all()
    assert signal.dtype == np.float32


def test_one_gain_for_all_leads_keeps_einthovens_law() -> None:
    limb = np.random.default_rng(0).normal(size=(2, 500)).astype(np.float32)
    signal = np.vstack([limb, limb[1:] - limb[:1]])
    louder, _ = augment(
        signal,
        np.ones(signal.shape, np.uint8),
        AugmentConfig(amplitude=0.5),
        lead_names=("I", "II", "III"),
        sampling_rate=100,
        seed=1,
    )
    assert abs(louder[1] - louder[0] - louder[2]).max() < 1e-5
    assert abs(louder - signal).max() > 0.05


def test_a_lead_of_a_printed_page_is_taken_away_where_it_is_printed() -> None:
    names = tuple("+".join(row) for row in PAGE_ROWS)
    assert len(lead_stretches(names, 500)) == 12
    for seed in range(20):
        _, mask = changed(AugmentConfig(lead_mask=0.5), seed=seed, leads=names)
        quarters = mask[1:].reshape(2, 4, 125)
        assert (quarters == quarters[..., :1]).all()
    assert (mask == 0).any()
    assert (mask == 1).any(), "one lead stays"


def test_a_crop_is_one_stretch_of_all_leads() -> None:
    whole, mask = changed(AugmentConfig())
    starts = set()
    for seed in range(10):
        signal, its_mask = changed(AugmentConfig(crop_s=2.5), seed=seed)
        assert signal.shape == its_mask.shape == (12, 250)
        start = int(np.flatnonzero(whole[1, :251] == signal[1, 0])[0])
        np.testing.assert_array_equal(signal, whole[:, start : start + 250])
        np.testing.assert_array_equal(its_mask, mask[:, start : start + 250])
        starts.add(start)
    assert len(starts) > 5
    np.testing.assert_array_equal(changed(AugmentConfig(crop_s=99))[0], whole)


@pytest.mark.parametrize("name", ["resnet6", "ecg_omi"])
def test_a_network_of_one_length_refuses_crops(name: str) -> None:
    with pytest.raises(ConfigError, match="records of one length alone"):
        make_model(name, augment={"crop_s": 1.0})


def test_zero_strengths_change_nothing() -> None:
    assert AugmentConfig().changes_nothing
    assert not ALL.changes_nothing


def test_records_change_by_seed_epoch_and_row_and_joined_pages_are_not_shifted(
    store: WaveformStore,
) -> None:
    train, _, _ = sets(store)
    epoch = 0
    change = augmentation(train, ALL, seed=1, epoch=lambda: epoch)
    assert change is not None
    item = train[0]
    first = change(0, item.waveform, item.mask)[0]
    assert not np.array_equal(first, change(1, item.waveform, item.mask)[0])
    epoch = 1
    assert not np.array_equal(first, change(0, item.waveform, item.mask)[0])
    epoch = 0
    np.testing.assert_array_equal(first, change(0, item.waveform, item.mask)[0])
    assert seed_of(1, 2, 3) != seed_of(1, 23)
    store.manifest.info["lead_names"] = ["I+aVR+V1+V4", "b", "c"]
    try:
        with pytest.raises(StoreError, match="whose rows join leads"):
            augmentation(train, ALL, seed=1, epoch=lambda: 0)
        with pytest.raises(StoreError, match=r"augment\.crop_s"):
            augmentation(train, AugmentConfig(crop_s=1), seed=1, epoch=lambda: 0)
    finally:
        store.manifest.info["lead_names"] = ["a", "b", "c"]


def test_a_network_trains_on_crops_and_scores_whole_records(store: WaveformStore) -> None:
    train, val, test = sets(store)
    model = make_model("s4", width=4, n_states=4, epochs=1, threads=1, augment={"crop_s": 2.5})
    model.fit(train, val)
    assert model.predict_proba(test).shape == (len(test), 2)


def test_training_is_changed_and_scoring_is_not(store: WaveformStore) -> None:
    train, val, test = sets(store)
    plain, augmented = (
        make_model("resnet18", **SMALL, augment=strength).fit(train, val)
        for strength in ({}, {"amplitude": 0.3, "lead_mask": 0.3})
    )
    assert not np.array_equal(plain.predict_proba(test), augmented.predict_proba(test))
    np.testing.assert_array_equal(augmented.predict_proba(test), augmented.predict_proba(test))
