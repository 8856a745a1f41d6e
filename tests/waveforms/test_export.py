from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import Shelf

from acsbench.errors import InputError
from acsbench.store import WaveformStore
from acsbench.waveforms.export import EXPORTS, export_datasets, export_wfdb, export_zarr
from acsbench.waveforms.process import process_waveforms


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> WaveformStore:
    shelf = Shelf()
    return process_waveforms(
        shelf,
        shelf.cohort(),
        recipe="recorded_12",
        folder=tmp_path_factory.mktemp("s") / "s",
        max_failed_share=0.5,
        n_jobs=1,
    )


def assert_same(signal: Any, mask: Any, store: WaveformStore, ecg_id: str) -> None:
    made = store.read(ecg_id)
    np.testing.assert_allclose(np.asarray(signal) * 0.001, made.signal, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(mask), made.mask)


def test_zarr_holds_every_waveform_and_what_its_numbers_mean(
    store: WaveformStore, tmp_path: Path
) -> None:
    zarr = pytest.importorskip("zarr")
    folder = export_zarr(store, tmp_path / "z")
    group = zarr.open_group(str(folder), mode="r")
    ids = (folder / "index.csv").read_text().split()[1:]
    assert ids == ["e000", "e001", "e002", "e003"]
    assert group.metadata.zarr_format == 3
    assert group.attrs["units"] == "mV"
    assert tuple(group.attrs["lead_names"]) == store.lead_names
    for n, ecg_id in enumerate(ids):
        assert_same(group["signal"][n], group["mask"][n], store, ecg_id)


def test_wfdb_records_are_read_back_with_gaps_where_nothing_was_recorded(
    store: WaveformStore, tmp_path: Path
) -> None:
    folder = export_wfdb(store, tmp_path / "w")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wfdb

        record = wfdb.rdrecord(str(folder / "e002"))
    made = store.read("e002")
    assert tuple(record.sig_name) == store.lead_names
    assert record.fs == 500
    np.testing.assert_array_equal(np.isnan(record.p_signal.T), made.mask == 0)
    np.testing.assert_allclose(np.nan_to_num(record.p_signal.T), made.signal, atol=1e-6)
    assert "recipe: recorded_12" in record.comments
    assert (folder / "RECORDS").read_text().split() == ["e000", "e001", "e002", "e003"]


def test_a_hugging_face_dataset_is_loaded_from_disk(store: WaveformStore, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    folder = export_datasets(store, tmp_path / "d")
    loaded = datasets.load_from_disk(str(folder))
    assert loaded["ecg_id"] == ["e000", "e001", "e002", "e003"]
    item = loaded[3]
    assert_same(item["signal"], item["mask"], store, "e003")
    assert not (folder / ".cache").exists()


@pytest.mark.parametrize("name", EXPORTS)
def test_nothing_that_is_there_is_overwritten(
    store: WaveformStore, tmp_path: Path, name: str
) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match=r"not empty.*--out"):
        EXPORTS[name](store, tmp_path)


def test_the_card_says_what_is_in_it_and_croissant_is_valid(
    store: WaveformStore, tmp_path: Path
) -> None:
    pytest.importorskip("zarr")
    folder = export_zarr(store, tmp_path / "z")
    card = (folder / "README.md").read_text()
    assert "4 ECGs, each 12 leads x 5,000 samples at 500 Hz, in mV" in card
    assert "low_hz = 0.5" in card
    assert "1 truncated" in card
    body = json.loads((folder / "croissant.json").read_text())
    names = {one["contentUrl"] for one in body["distribution"]}
    assert {"index.csv", "zarr.json"} <= names
    mlcroissant = pytest.importorskip("mlcroissant")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = mlcroissant.Dataset(jsonld=body)
    assert not found.metadata.ctx.issues.errors
