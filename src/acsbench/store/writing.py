"""How a store is written: shard by shard, each whole or not at all, then index and manifest.

A shard's part file is written last and names the job that the shard was made for, so that work
that was stopped at any point goes on where it was, and two jobs never mix in one folder.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import RecordingError
from acsbench.provenance import atomic_path, atomic_text, write_manifest
from acsbench.recording import RECORDED, Waveform
from acsbench.store.layout import FAILURES, INDEX, SCALE, Failures, shard_files
from acsbench.store.reading import WaveformStore

__all__ = [
    "encode",
    "finish_store",
    "is_store_file",
    "remove_leftovers",
    "shard_failures",
    "write_failures",
    "write_shard",
]

_LARGEST = np.iinfo(np.int16).max


def encode(ecg_id: str, waveform: Waveform) -> NDArray[np.int16]:
    """Round a waveform to the store's integers.

    Raises
    ------
    RecordingError
        ``out_of_range`` when a sample does not fit (it is never clipped), ``not_finite`` when one
        is NaN or infinite.
    """
    steps = np.rint(waveform.signal.astype(np.float64) / SCALE)
    if not np.isfinite(steps).all():
        raise RecordingError(
            ecg_id, "not_finite", "the recipe returned a NaN or an infinite sample."
        )
    largest = float(np.abs(steps).max(initial=0))
    if largest > _LARGEST:
        raise RecordingError(
            ecg_id,
            "out_of_range",
            f"a sample of {largest * SCALE:.4g} {waveform.units} lies beyond "
            f"±{_LARGEST * SCALE:.3f}; is the unit right?",
        )
    return steps.astype(np.int16)


def _part_name(shard: int) -> str:
    return f"part-{shard:05d}.json"


def is_store_file(name: str) -> bool:
    """Whether a file of this name is ours, in a store that is not finished."""
    return name.startswith((".", "signal-", "mask-", "part-", INDEX, FAILURES))


def shard_failures(folder: Path, shard: int, job: str) -> Failures | None:
    """Failures of a shard that was finished for this job; None when it was not finished.

    Parameters
    ----------
    folder : Path
    shard : int
    job : str
        Fingerprint of what is being made (config and inputs).
    """
    try:
        part = json.loads((folder / _part_name(shard)).read_text(encoding="utf-8"))
        failures: Failures | None = dict(part["failures"]) if part["job"] == job else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return failures if (folder / shard_files(shard)[0]).is_file() else None


def write_shard(
    folder: Path,
    shard: int,
    records: Iterable[tuple[str, Waveform | RecordingError]],
    *,
    shape: tuple[int, int],
    job: str,
) -> Failures:
    """Write one shard; its part file, which marks it as done, comes last.

    Parameters
    ----------
    folder : Path
    shard : int
        Number of the shard.
    records : iterable of (ecg_id, Waveform or RecordingError)
        In the order of their rows.
    shape : (int, int)
        Leads and samples of every waveform.
    job : str
        Fingerprint of what is being made, so that two jobs never mix in one folder.

    Returns
    -------
    dict
        ``reason`` and ``detail`` of each id that failed.
    """
    blank = np.zeros(shape, np.int16), np.zeros(shape, np.uint8)
    ids: list[str] = []
    rows: list[tuple[NDArray[np.int16], NDArray[np.uint8]]] = []
    failures: Failures = {}
    for ecg_id, outcome in records:
        ids.append(ecg_id)
        try:
            rows.append(_row(ecg_id, outcome, shape))
        except RecordingError as error:
            rows.append(blank)
            failures[ecg_id] = {"reason": error.reason, "detail": error.detail}
    signal_path, mask_path = (folder / name for name in shard_files(shard))
    # what is made again stops counting as done before a byte of it changes
    _remove(folder / _part_name(shard))
    _write_array(signal_path, [signal for signal, _ in rows])
    if all((mask == RECORDED).all() for _, mask in rows):
        _remove(mask_path)
    else:
        _write_array(mask_path, [mask for _, mask in rows])
    part = {"job": job, "ids": ids, "failures": failures}
    atomic_text(folder / _part_name(shard), json.dumps(part) + "\n")
    return failures


def _row(
    ecg_id: str, outcome: Waveform | RecordingError, shape: tuple[int, int]
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    if isinstance(outcome, RecordingError):
        raise outcome
    if outcome.signal.shape != shape:
        raise RecordingError(
            ecg_id, "wrong_shape", f"waveform {outcome.signal.shape}, expected {shape}."
        )
    return encode(ecg_id, outcome), outcome.mask


def _remove(path: Path) -> None:
    # a missing file is left alone, so that a folder that cannot be written complains in one place
    if path.exists():
        path.unlink()


def _write_array(path: Path, rows: Sequence[NDArray[Any]]) -> None:
    header = np.lib.format.header_data_from_array_1_0(rows[0])
    # rows are written in C order below, whatever order the first one has in memory
    header |= {"shape": (len(rows), *rows[0].shape), "fortran_order": False}
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        # numpy's own writer loses the reason of a failure, and a full disk has to be named
        np.lib.format.write_array_header_1_0(stream, header)
        for row in rows:
            stream.write(np.ascontiguousarray(row).data)


def write_failures(folder: Path, failures: Failures) -> Path:
    """Write ``failures.csv``: one line for each record without a waveform."""
    rows = [{"ecg_id": ecg_id, **why} for ecg_id, why in failures.items()]
    columns = dict.fromkeys(("ecg_id", "reason", "detail"), pl.String)
    atomic_text(folder / FAILURES, pl.DataFrame(rows, schema=columns).write_csv())
    return folder / FAILURES


def remove_leftovers(folder: Path) -> None:
    """Remove the half-written files of a process that was killed."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def finish_store(
    folder: Path,
    *,
    n_shards: int,
    recipe: Mapping[str, Any],
    inputs: Mapping[str, str],
    example: Waveform,
) -> WaveformStore:
    """Join the part files into ``index.parquet`` and ``failures.csv`` and write the manifest.

    Parameters
    ----------
    folder : Path
        Holds ``n_shards`` finished shards.
    n_shards : int
    recipe : mapping
        ``name``, ``version`` and ``parameters`` of the recipe.
    inputs : mapping of str to str
        Fingerprints of what the store was made from.
    example : Waveform
        Any waveform of the store: gives lead names, rate, units and length.
    """
    parts = [
        json.loads((folder / _part_name(shard)).read_text(encoding="utf-8"))
        for shard in range(n_shards)
    ]
    index = _index(parts)
    stream = io.BytesIO()
    index.write_parquet(stream)
    with atomic_path(folder / INDEX) as temporary:
        temporary.write_bytes(stream.getvalue())
    failures = {ecg_id: why for part in parts for ecg_id, why in part["failures"].items()}
    write_failures(folder, failures)
    shards = [name for shard in range(n_shards) for name in shard_files(shard)]
    outputs = [*(name for name in shards if (folder / name).is_file()), INDEX, FAILURES]
    write_manifest(
        folder,
        step="process",
        config={"recipe": dict(recipe), "scale": SCALE},
        inputs=inputs,
        outputs=outputs,
        patient_level=outputs,
        info={
            "lead_names": list(example.lead_names),
            "sampling_rate": example.sampling_rate,
            "units": example.units,
            "n_samples": example.signal.shape[1],
            "n_records": len(index),
            "n_failed": len(failures),
        },
    )
    for shard in range(n_shards):
        (folder / _part_name(shard)).unlink()
    remove_leftovers(folder)
    return WaveformStore.open(folder)


def _index(parts: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    rows = [
        (ecg_id, shard, offset, part["failures"].get(ecg_id, {}).get("reason"))
        for shard, part in enumerate(parts)
        for offset, ecg_id in enumerate(part["ids"])
    ]
    schema = {"ecg_id": pl.String, "shard": pl.Int64, "offset": pl.Int64, "reason": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("row")
    status = pl.when(pl.col("reason").is_null()).then(pl.lit("ok")).otherwise(pl.lit("failed"))
    return frame.select(
        pl.col("row").cast(pl.Int64),
        "ecg_id",
        "shard",
        "offset",
        status.alias("status"),
        "reason",
    )
