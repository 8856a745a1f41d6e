"""A store in other people's formats: zarr v3, WFDB, Hugging Face datasets. Memory stays constant.

Records without a waveform are left out; rows keep the store's order. Integers stay as they are
stored, 0.001 of the unit per step, so that nothing is rounded twice.
"""

from __future__ import annotations

import importlib
import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import InputError, MissingDependencyError
from acsbench.parallel import progress
from acsbench.provenance import atomic_text
from acsbench.recording import NOT_RECORDED, SYNTHETIC
from acsbench.store import SCALE, WaveformStore
from acsbench.waveforms.card import write_card

__all__ = ["EXPORTS", "export_datasets", "export_wfdb", "export_zarr"]

_CHUNK = 64
_WFDB_MISSING = -32768
"""What format 16 of WFDB writes for a sample that is not there."""


def export_zarr(store: WaveformStore, folder: Path | str) -> Path:
    """Write ``signal`` and ``mask`` as arrays of one zarr v3 group, 64 records a chunk.

    Parameters
    ----------
    store : WaveformStore
    folder : Path
        New or empty.

    Returns
    -------
    Path
        The group; ``index.csv`` in it names the ECG of each row.

    Raises
    ------
    InputError, MissingDependencyError
    """
    target = _empty(folder)
    zarr = _import("zarr")
    rows = _usable(store)
    group = zarr.create_group(str(target), zarr_format=3, overwrite=True)
    group.attrs.update(_about(store))
    shape, chunks = (len(rows), *store.shape), (_CHUNK, *store.shape)
    signal = group.create_array("signal", shape=shape, chunks=chunks, dtype="int16")
    mask = group.create_array("mask", shape=shape, chunks=chunks, dtype="uint8")
    starts = range(0, len(rows), _CHUNK)
    for start in progress(starts, label="zarr", total=len(starts)):
        part = rows["row"][start : start + _CHUNK].to_list()
        read = [store.read_row(row) for row in part]
        signal[start : start + len(part)] = np.stack([_steps(one) for one, _ in read])
        mask[start : start + len(part)] = np.stack([one for _, one in read])
    atomic_text(target / "index.csv", rows.select("ecg_id").write_csv())
    write_card(store, target, files="zarr")
    return target


def export_wfdb(store: WaveformStore, folder: Path | str) -> Path:
    """Write one WFDB record (format 16) per ECG, and a list ``RECORDS``.

    Samples that were not recorded are written as missing; synthetic ones are there, and the
    header's comment says how many.

    Parameters
    ----------
    store : WaveformStore
    folder : Path
        New or empty.

    Raises
    ------
    InputError, MissingDependencyError
    """
    target = _empty(folder)
    wfdb = _import("wfdb")
    rows = _usable(store)
    names = {ecg_id: _record_name(ecg_id) for ecg_id in rows["ecg_id"]}
    if len(set(names.values())) < len(names):
        raise InputError("Two ids are the same when written as WFDB record names; rename one.")
    pairs = rows.select("row", "ecg_id").iter_rows()
    with warnings.catch_warnings():
        # wfdb 4.3 calls pandas with a keyword that pandas is about to retire
        warnings.simplefilter("ignore")
        for row, ecg_id in progress(pairs, label="wfdb", total=len(rows)):
            _write_wfdb(wfdb, store, row, ecg_id, name=names[ecg_id], folder=target)
    atomic_text(target / "RECORDS", "".join(f"{name}\n" for name in names.values()))
    write_card(store, target, files="wfdb")
    return target


def _write_wfdb(
    wfdb: Any, store: WaveformStore, row: int, ecg_id: str, *, name: str, folder: Path
) -> None:
    signal, mask = store.read_row(row)
    steps = np.where(mask == NOT_RECORDED, _WFDB_MISSING, _steps(signal)).astype(np.int64)
    wfdb.wrsamp(
        name,
        fs=store.sampling_rate,
        units=[store.units] * len(steps),
        sig_name=list(store.lead_names),
        d_signal=steps.T,
        fmt=["16"] * len(steps),
        adc_gain=[1 / SCALE] * len(steps),
        baseline=[0] * len(steps),
        comments=[
            f"ecg_id: {ecg_id}",
            f"recipe: {store.recipe}",
            f"synthetic samples: {int((mask == SYNTHETIC).sum())}",
        ],
        write_dir=str(folder),
    )


def _record_name(ecg_id: str) -> str:
    """WFDB allows letters, digits, dashes and underscores."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in ecg_id)


def export_datasets(store: WaveformStore, folder: Path | str) -> Path:
    """Write a Hugging Face dataset: ``datasets.load_from_disk(folder)`` reads it.

    Parameters
    ----------
    store : WaveformStore
    folder : Path
        New or empty.

    Raises
    ------
    InputError, MissingDependencyError
    """
    target = _empty(folder)
    datasets = _import("datasets")
    rows = _usable(store)
    features = datasets.Features(
        {
            "ecg_id": datasets.Value("string"),
            "signal": datasets.Array2D(store.shape, "int16"),
            "mask": datasets.Array2D(store.shape, "uint8"),
        }
    )

    def items() -> Iterator[dict[str, Any]]:
        for row, ecg_id in rows.select("row", "ecg_id").iter_rows():
            signal, mask = store.read_row(row)
            yield {"ecg_id": ecg_id, "signal": _steps(signal), "mask": mask}

    made = datasets.Dataset.from_generator(
        items, features=features, cache_dir=str(target / ".cache"), writer_batch_size=_CHUNK
    )
    made.info.description = json.dumps(_about(store))
    made.save_to_disk(str(target))
    del made
    shutil.rmtree(target / ".cache", ignore_errors=True)
    write_card(store, target, files="datasets")
    return target


EXPORTS = {"zarr": export_zarr, "wfdb": export_wfdb, "datasets": export_datasets}
"""By the name of the format."""


def _steps(signal: NDArray[np.float32]) -> NDArray[np.int16]:
    steps: NDArray[np.int16] = np.rint(signal / np.float32(SCALE)).astype(np.int16)
    return steps


def _usable(store: WaveformStore) -> pl.DataFrame:
    rows = store.index.filter(pl.col("status") == "ok")
    if rows.is_empty():
        raise InputError(f"The store {store.folder} holds no waveform to export.")
    return rows


def _about(store: WaveformStore) -> dict[str, Any]:
    """What a reader of the integers has to know."""
    return {
        "scale": SCALE,
        "units": store.units,
        "sampling_rate": store.sampling_rate,
        "lead_names": list(store.lead_names),
        "mask": "0 not recorded, 1 recorded, 2 synthetic",
        "recipe": store.manifest.config["recipe"],
    }


def _empty(folder: Path | str) -> Path:
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is not empty. Choose a new folder with --out.")
    target.mkdir(parents=True, exist_ok=True)
    return target


def _import(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            # wfdb 4.3 calls pandas with a keyword that pandas is about to retire
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        raise MissingDependencyError(
            f"This export needs the library {name}: pip install 'acsbench[export]'."
        ) from None
