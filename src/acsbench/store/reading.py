"""A finished store, on this machine or in an object store, open for reading.

One record is one fixed-offset range of one ``.npy`` file: a memory map and a multiplication here,
one range request there.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.errors import MissingPathError, StoreError, did_you_mean, first_few
from acsbench.provenance import MANIFEST_NAME, Manifest, read_manifest
from acsbench.recording import RECORDED, Units, Waveform
from acsbench.store.files import Files, open_files
from acsbench.store.layout import FAILURES, INDEX, SCALE, SHARD_SIZE, Failures, shard_files

__all__ = ["WaveformStore"]


@dataclass(frozen=True)
class WaveformStore:
    """A finished store, open for reading.

    Attributes
    ----------
    folder : Path or str
        A folder, or the URL of one in an object store.
    manifest : Manifest
        ``config["recipe"]`` holds name, version and parameters of the recipe.
    index : DataFrame
        ``row, ecg_id, shard, offset, status, reason``.
    """

    folder: Path | str
    manifest: Manifest
    index: pl.DataFrame
    _files: Files = field(repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a store's folder, or its URL (``s3://bucket/store``; extra ``cloud``).

        Raises
        ------
        MissingPathError, StoreError
            When it is no finished store.
        MissingDependencyError
            When a library for the URL is not installed.
        """
        files = open_files(folder)
        place = folder if "://" in str(folder) else Path(folder)
        manifest = read_manifest(place) if isinstance(place, Path) else _read_manifest(files, place)
        if manifest.step != "process":
            raise StoreError(
                f"{folder} is the output of step '{manifest.step}', not a waveform store."
            )
        if not files.exists(INDEX):
            raise MissingPathError(f"The store {folder} has lost its {INDEX}. Process it again.")
        return cls(place, manifest, pl.read_parquet(io.BytesIO(files.read(INDEX))), files)

    def __len__(self) -> int:
        return len(self.index)

    def __getstate__(self) -> dict[str, Any]:
        # what is worked out from the index is worked out again, not sent to every worker
        return {k: v for k, v in self.__dict__.items() if k not in ("_row_of", "_written")}

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
        table = pl.read_csv(io.BytesIO(self._files.read(FAILURES)), infer_schema=False)
        return {row.pop("ecg_id"): row for row in table.iter_rows(named=True)}

    @cached_property
    def _written(self) -> frozenset[str]:
        return frozenset(self.manifest.outputs)

    def read_signal(self, row: int) -> NDArray[np.float32]:
        """Signal of one row, (leads, samples), float32 in the store's unit."""
        shard, offset = divmod(int(row), SHARD_SIZE)
        steps = self._row(shard_files(shard)[0], offset)
        signal: NDArray[np.float32] = steps * np.float32(SCALE)
        return signal

    def read_row(self, row: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Signal (float32, in the store's unit) and mask of one row, both (leads, samples)."""
        signal = self.read_signal(row)
        shard, offset = divmod(int(row), SHARD_SIZE)
        mask_name = shard_files(shard)[1]
        if mask_name in self._written:
            return signal, np.array(self._row(mask_name, offset))
        return signal, np.full(signal.shape, RECORDED, np.uint8)

    def _row(self, name: str, offset: int) -> NDArray[Any]:
        try:
            return self._files.row(name, offset)
        except FileNotFoundError:
            raise StoreError(
                f"The store {self.folder} has lost {name}. Process it again."
            ) from None

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

    def verify(self) -> list[str]:
        """Read every byte again and say what is not as it was written.

        Returns
        -------
        list of str
            One finding a line; empty when the store is whole.
        """
        findings = []
        for name, checksum in self.manifest.outputs.items():
            if not self._files.exists(name):
                findings.append(f"{name} is missing.")
            elif self._files.sha256(name) != checksum:
                findings.append(f"{name} has changed since it was written (checksum differs).")
        return findings or self._verify_index()

    def _verify_index(self) -> list[str]:
        """Whether the index points at what the shards hold."""
        findings = []
        if self.index["ecg_id"].to_list() != sorted(set(self.index["ecg_id"])):
            findings.append(f"{INDEX} does not hold sorted, unique ids.")
        for (shard,), rows in self.index.group_by("shard", maintain_order=True):
            for name in shard_files(int(str(shard))):
                wanted = (len(rows), *self.shape)
                if name in self._written and self._files.shape(name) != wanted:
                    found = self._files.shape(name)
                    findings.append(f"{name} holds {found}; the index says {wanted}.")
        return findings


def _read_manifest(files: Files, url: str) -> Manifest:
    content = files.read(MANIFEST_NAME)
    try:
        body = json.loads(content)
        body.pop("fingerprint", None)
        return Manifest(**body)
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"{url}/{MANIFEST_NAME} is damaged ({error}).") from None
