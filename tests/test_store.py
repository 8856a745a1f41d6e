from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acsbench.errors import MissingPathError, RecordingError, StoreError
from acsbench.recording import RECORDED, Waveform
from acsbench.store import SCALE, WaveformStore, encode, finish_store, shard_failures, write_shard


def waveform(seed: int = 0, *, masked: bool = False, leads: int = 3) -> Waveform:
    rng = np.random.default_rng(seed)
    signal = np.round(rng.normal(0, 0.5, (leads, 50)), 3).astype(np.float32)
    mask = np.full(signal.shape, RECORDED, np.uint8)
    if masked:
        mask[0, :10] = 0
        signal[0, :10] = 0
    return Waveform(
        signal=signal,
        mask=mask,
        lead_names=tuple("abcdefgh"[:leads]),
        sampling_rate=100.0,
        units="mV",
    )


RECORDS: list[tuple[str, Waveform | RecordingError]] = [
    ("a", waveform(0)),
    ("b", RecordingError("b", "truncated", "cut, at a comma")),
    ("c", waveform(2, masked=True)),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shard(tmp_path / "s", 0, RECORDS, shape=(3, 50), job="j")
    recipe = {"name": "r", "version": 1, "parameters": {"low_hz": 0.5}}
    finish_store(tmp_path / "s", n_shards=1, recipe=recipe, inputs={}, example=waveform())
    return tmp_path / "s"


@given(hnp.arrays(np.float32, (2, 7), elements=st.floats(-32, 32, width=32)))
def test_a_waveform_comes_back_within_half_a_step(signal: np.ndarray) -> None:
    made = Waveform(
        signal=signal,
        mask=np.ones((2, 7), np.uint8),
        lead_names=("a", "b"),
        sampling_rate=1.0,
        units="mV",
    )
    assert np.abs(encode("x", made) * SCALE - signal).max() <= SCALE / 2 + 1e-6


@pytest.mark.parametrize(
    ("value", "reason"), [(40.0, "out_of_range"), (np.nan, "not_finite"), (np.inf, "not_finite")]
)
def test_what_does_not_fit_is_refused_and_never_clipped(value: float, reason: str) -> None:
    made = waveform()
    made.signal[0, 0] = value
    with pytest.raises(RecordingError) as caught:
        encode("x", made)
    assert caught.value.reason == reason


def test_a_waveform_that_lies_transposed_in_memory_comes_back_as_it_was(tmp_path: Path) -> None:
    first, second = waveform(0, masked=True), waveform(1, masked=True)
    turned = replace(
        first, signal=np.asfortranarray(first.signal), mask=np.asfortranarray(first.mask)
    )
    write_shard(tmp_path, 0, [("a", turned), ("b", second)], shape=(3, 50), job="j")
    recipe = {"name": "r", "version": 1, "parameters": {}}
    finish_store(tmp_path, n_shards=1, recipe=recipe, inputs={}, example=turned)
    store = WaveformStore.open(tmp_path)
    for ecg_id, made in (("a", first), ("b", second)):
        found = store.read(ecg_id)
        np.testing.assert_allclose(found.signal, made.signal, atol=SCALE)
        np.testing.assert_array_equal(found.mask, made.mask)


def test_failed_records_keep_their_row_and_their_reason(folder: Path) -> None:
    store = WaveformStore.open(folder)
    assert store.index["ecg_id"].to_list() == ["a", "b", "c"]
    assert store.failed() == {"b": "truncated"}
    assert store.failures() == {"b": {"reason": "truncated", "detail": "cut, at a comma"}}
    with pytest.raises(StoreError, match=r"b has no waveform.*truncated"):
        store.read("b")
    with pytest.raises(StoreError, match=r"lacks 1 of 1 ECGs \(first: d\)"):
        store.read("d")


def test_signal_and_mask_are_read_by_id_and_by_row(folder: Path) -> None:
    store = WaveformStore.open(folder)
    made = waveform(2, masked=True)
    for signal, mask in ((store.read("c").signal, store.read("c").mask), store.read_row(2)):
        np.testing.assert_allclose(signal, made.signal, atol=SCALE / 2)
        np.testing.assert_array_equal(mask, made.mask)
        assert signal.dtype == np.float32
    assert (store.read("a").mask == RECORDED).all()


def test_a_store_behind_a_url_is_the_same_store(folder: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/bucket/store", recursive=True)
    here, there = WaveformStore.open(folder), WaveformStore.open("memory://bucket/store")
    assert there.index.equals(here.index)
    assert there.manifest == here.manifest
    assert there.failures() == here.failures()
    for row in (0, 2):
        for one, two in zip(here.read_row(row), there.read_row(row), strict=True):
            np.testing.assert_array_equal(one, two)
    assert there.verify() == []
    again = pickle.loads(pickle.dumps(there))
    np.testing.assert_array_equal(again.read("a").signal, here.read("a").signal)
    memory.rm("/bucket/store/signal-00000.npy")
    assert there.verify() == ["signal-00000.npy is missing."]
    with pytest.raises(MissingPathError, match=r"no manifest\.json at memory://bucket/other"):
        WaveformStore.open("memory://bucket/other")


def test_a_whole_store_verifies_and_each_damage_is_named(folder: Path) -> None:
    store = WaveformStore.open(folder)
    assert store.verify() == []
    signal = folder / "signal-00000.npy"
    content = bytearray(signal.read_bytes())
    content[-1] ^= 1
    signal.write_bytes(content)
    (folder / "failures.csv").unlink()
    findings = WaveformStore.open(folder).verify()
    assert findings == [
        "failures.csv is missing.",
        "signal-00000.npy has changed since it was written (checksum differs).",
    ]


def test_an_index_that_does_not_fit_its_shards_is_found(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, RECORDS[:1], shape=(3, 50), job="j")
    recipe = {"name": "r", "version": 1, "parameters": {}}
    wide = waveform(leads=4)
    store = finish_store(tmp_path, n_shards=1, recipe=recipe, inputs={}, example=wide)
    assert store.verify() == ["signal-00000.npy holds (1, 3, 50); the index says (1, 4, 50)."]


def test_a_lost_shard_and_a_lost_index_are_named(folder: Path) -> None:
    (folder / "signal-00000.npy").unlink()
    with pytest.raises(StoreError, match=r"lost signal-00000\.npy"):
        WaveformStore.open(folder).read("a")
    (folder / "index.parquet").unlink()
    with pytest.raises(MissingPathError, match="lost its index"):
        WaveformStore.open(folder)


def test_a_shard_counts_for_its_own_job_alone_and_not_when_it_is_cut(tmp_path: Path) -> None:
    assert shard_failures(tmp_path, 0, "j") is None
    write_shard(tmp_path, 0, RECORDS, shape=(3, 50), job="j")
    assert shard_failures(tmp_path, 0, "j") == {
        "b": {"reason": "truncated", "detail": "cut, at a comma"}
    }
    assert shard_failures(tmp_path, 0, "other") is None
    (tmp_path / "part-00000.json").write_text("{")
    assert shard_failures(tmp_path, 0, "j") is None


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=300))
def test_a_damaged_manifest_is_an_error_and_no_traceback(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "manifest.json").write_bytes(content)
        with pytest.raises((StoreError, MissingPathError)):
            WaveformStore.open(name)
