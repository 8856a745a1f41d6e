"""The waveform store: one folder of int16 shards, an index and a manifest.

One record is one fixed-offset range of one ``.npy`` file, so a read is a memory map and a
multiplication. Rows stand in the order of the sorted ids; a record that failed keeps its row,
with its reason in the index. A shard is the unit of work, of retry and of resume.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import MissingPathError, RecordingError, StoreError, did_you_mean, first_few
from acsbench.provenance import (
    Manifest,
    atomic_path,
    atomic_text,
    read_manifest,
    write_manifest,
)
from acsbench.recording import RECORDED, Units, Waveform
from acsbench.tables import read_table

__all__ = [
    "SCALE",
    "SHARD_SIZE",
    "Failures",
    "WaveformStore",
    "encode",
    "finish_store",
    "is_store_file",
    "remove_leftovers",
    "shard_failures",
    "shard_files",
    "write_failures",
    "write_shard",
]

SHARD_SIZE = 1024
SCALE = 0.001
"""One step of the stored integers, in the waveform's unit: 1 microvolt for millivolts."""
_LARGEST = np.iinfo(np.int16).max
_INDEX, _FAILURES = "index.parquet", "failures.csv"

Failures: TypeAlias = dict[str, dict[str, str]]
"""``reason`` and ``detail`` of each record without a waveform, by id."""


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


def shard_files(shard: int) -> tuple[str, str]:
    """Names of a shard's signal and mask; a shard whose every sample is recorded has no mask."""
    return f"signal-{shard:05d}.npy", f"mask-{shard:05d}.npy"


def _part_name(shard: int) -> str:
    return f"part-{shard:05d}.json"


def is_store_file(name: str) -> bool:
    """Whether a file of this name is ours, in a store that is not finished."""
    return name.startswith((".", "signal-", "mask-", "part-", _INDEX, _FAILURES))


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
    header["shape"] = (len(rows), *rows[0].shape)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        # numpy's own writer loses the reason of a failure, and a full disk has to be named
        np.lib.format.write_array_header_1_0(stream, header)
        for row in rows:
            stream.write(np.ascontiguousarray(row).data)


def write_failures(folder: Path, failures: Failures) -> Path:
    """Write ``failures.csv``: one line for each record without a waveform."""
    rows = [{"ecg_id": ecg_id, **why} for ecg_id, why in failures.items()]
    columns = dict.fromkeys(("ecg_id", "reason", "detail"), pl.String)
    atomic_text(folder / _FAILURES, pl.DataFrame(rows, schema=columns).write_csv())
    return folder / _FAILURES


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
    with atomic_path(folder / _INDEX) as temporary:
        temporary.write_bytes(stream.getvalue())
    failures = {ecg_id: why for part in parts for ecg_id, why in part["failures"].items()}
    write_failures(folder, failures)
    shards = [name for shard in range(n_shards) for name in shard_files(shard)]
    outputs = [*(name for name in shards if (folder / name).is_file()), _INDEX, _FAILURES]
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


@dataclass(frozen=True)
class WaveformStore:
    """A finished store, open for reading.

    Attributes
    ----------
    folder : Path
    manifest : Manifest
        ``config["recipe"]`` holds name, version and parameters of the recipe.
    index : DataFrame
        ``row, ecg_id, shard, offset, status, reason``.
    """

    folder: Path
    manifest: Manifest
    index: pl.DataFrame
    _maps: dict[str, NDArray[Any] | None] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a store's folder.

        Raises
        ------
        MissingPathError, StoreError
            When the folder is no finished store.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest.step != "process":
            raise StoreError(
                f"{folder} is the output of step '{manifest.step}', not a waveform store."
            )
        index_path = folder / _INDEX
        if not index_path.is_file():
            raise MissingPathError(
                f"The store {folder} has lost its index.parquet. Process it again."
            )
        return cls(folder, manifest, pl.read_parquet(index_path))

    def __len__(self) -> int:
        return len(self.index)

    def __getstate__(self) -> dict[str, Any]:
        # a memory map would be pickled as a copy of the whole file
        return {**self.__dict__, "_maps": {}, "_row_of": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state.pop("_row_of", None)
        self.__dict__.update(state)

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return str(self.manifest.config["recipe"]["name"])

    @property
    def lead_names(self) -> tuple[str, ...]:
        """One name per row of a waveform."""
        return tuple(self.manifest.info["lead_names"])

    @property
    def sampling_rate(self) -> float:
        """Hz."""
        return float(self.manifest.info["sampling_rate"])

    @property
    def units(self) -> Units:
        """``"mV"`` or ``"sd"``."""
        units: Units = self.manifest.info["units"]
        return units

    @property
    def shape(self) -> tuple[int, int]:
        """Leads and samples of one waveform."""
        return len(self.lead_names), int(self.manifest.info["n_samples"])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return dict(zip(self.index["ecg_id"], self.index["row"], strict=True))

    def rows_of(self, ecg_ids: Sequence[str]) -> NDArray[np.int64]:
        """Row number of each id.

        Raises
        ------
        StoreError
            When ids are not in the store, naming the first of them.
        """
        missing = [ecg_id for ecg_id in ecg_ids if ecg_id not in self._row_of]
        if missing:
            hint = did_you_mean(missing[0], self._row_of) if len(missing) == 1 else ""
            raise StoreError(
                f"The store {self.folder} lacks {len(missing):,} of {len(ecg_ids):,} ECGs "
                f"(first: {first_few(missing, n=3)}).{hint} Process the waveforms of this cohort."
            )
        return np.array([self._row_of[ecg_id] for ecg_id in ecg_ids], dtype=np.int64)

    def failed(self) -> dict[str, str]:
        """Reason of each record that has no waveform, by id."""
        failed = self.index.filter(pl.col("status") != "ok")
        return dict(zip(failed["ecg_id"], failed["reason"], strict=True))

    def failures(self) -> Failures:
        """As `failed`, with the detail of each for people."""
        table = read_table(self.folder / _FAILURES)
        return {row.pop("ecg_id"): row for row in table.iter_rows(named=True)}

    def read_row(self, row: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Signal (float32, in the store's unit) and mask of one row, both (leads, samples)."""
        shard, offset = divmod(int(row), SHARD_SIZE)
        signal_name, mask_name = shard_files(shard)
        steps = self._map(signal_name)
        if steps is None:
            raise StoreError(f"The store {self.folder} has lost {signal_name}. Process it again.")
        signal = steps[offset] * np.float32(SCALE)
        masks = self._map(mask_name)
        mask = (
            np.full(signal.shape, RECORDED, np.uint8) if masks is None else np.array(masks[offset])
        )
        return signal, mask

    def read(self, ecg_id: str) -> Waveform:
        """Waveform of one record.

        Raises
        ------
        StoreError
            When the id is not in the store, or its record failed.
        """
        row = int(self.rows_of([ecg_id])[0])
        reason = self.index["reason"][row]
        if reason is not None:
            raise StoreError(f"ECG {ecg_id} has no waveform in {self.folder}: {reason}.")
        signal, mask = self.read_row(row)
        return Waveform(
            signal=signal,
            mask=mask,
            lead_names=self.lead_names,
            sampling_rate=self.sampling_rate,
            units=self.units,
        )

    def _map(self, name: str) -> NDArray[Any] | None:
        if name not in self._maps:
            path = self.folder / name
            self._maps[name] = np.load(path, mmap_mode="r") if path.is_file() else None
        return self._maps[name]
