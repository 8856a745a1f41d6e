"""Cluster labels of every frame: described, clustered, assigned; each stage is done once.

``codebooks`` holds what was fitted, ``labels`` the clusters of each record in files of a few
records: a stage whose manifest holds is not repeated, and a stopped one loses one file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acsbench.dataset import WaveformDataset
from acsbench.errors import ConfigError
from acsbench.models.batches import Read
from acsbench.models.foundation.feed import WindowFeed
from acsbench.models.foundation.hubert_ecg import HubertEcg
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.models.pretraining.codebooks import Codebook
from acsbench.models.pretraining.config import HubertConfig
from acsbench.models.pretraining.people import Unlabelled
from acsbench.parallel import progress
from acsbench.provenance import atomic_path, holds, json_sha256, write_manifest
from acsbench.signal.frame_descriptors import Descriptor, describe, frame_starts

__all__ = ["ClusterStages", "described", "layer_of"]

Floats = NDArray[np.float32]
Frames = Callable[[Tensor], Floats]
"""From prepared windows (records, samples) to numbers (records, frames, numbers), NaN where the
signal was not recorded."""
_CHUNK = 64
_RATE = 100.0


@dataclass(frozen=True, kw_only=True)
class ClusterStages:
    """Makes codebooks, then labels.

    Attributes
    ----------
    config : HubertConfig
        With its iteration's targets.
    network : FoundationNetwork
        That the training starts with; its hidden states are clustered where ``targets`` is
        ``layer``.
    inputs : dict of str to str
        Fingerprints of store, split and start.
    folder : Path
    """

    config: HubertConfig
    network: FoundationNetwork
    inputs: dict[str, str]
    folder: Path

    def run(self, people: Unlabelled) -> tuple[Unlabelled, str]:
        """Give train and val their labels, (records, codebooks * frames), and a fingerprint."""
        self.network.eval()
        frames = self._frames()
        codebooks, made_from = self._codebooks(people.train, frames)
        labels = {}
        for data in (people.train, people.val):
            labels[str(data.split)] = self._labels(data, frames, codebooks, made_from)
        labelled = replace(
            people,
            train=replace(people.train, _labels=labels["train"]),
            val=replace(people.val, _labels=labels["val"]),
        )
        return labelled, made_from

    def _frames(self) -> Frames:
        adapter = self.network.adapter
        assert isinstance(adapter, HubertEcg)
        kind = self.config.targets
        if kind is None or kind == "layer":
            layer = layer_of(self.config, adapter)
            return lambda x: _hidden(adapter, self.network, x, layer=layer)
        return lambda x: described(adapter, x, kind)

    @property
    def _of_codebooks(self) -> dict[str, Any]:
        names = {"targets", "layer", "scaling", "clusters", "kmeans_records", "seed", "profile"}
        adapter = self.network.adapter
        assert isinstance(adapter, HubertEcg)
        of_input = {"profile": adapter.config.profile, "sizes": adapter.sizes.model_dump()}
        return {**self.config.model_dump(mode="json", include=names), **of_input}

    def _codebooks(self, train: WaveformDataset, frames: Frames) -> tuple[list[Codebook], str]:
        place, config = self.folder / "codebooks", self.config
        inputs = {**self.inputs, "records": json_sha256(train.ecg_ids)}
        files = [f"codebook-{number}.npz" for number in range(len(config.clusters))]
        manifest = holds(place, step="codebooks", config=self._of_codebooks, inputs=inputs)
        if manifest is None:
            rows = np.random.default_rng(config.seed).permutation(len(train))
            x = self._read_all(train, np.sort(rows[: config.kmeans_records]), frames)
            for file, size in zip(files, config.clusters, strict=True):
                made = Codebook.fit(x, n_clusters=size, scaling=config.scaling, seed=config.seed)
                made.save(place / file)
            manifest = write_manifest(
                place,
                step="codebooks",
                config=self._of_codebooks,
                inputs=inputs,
                outputs=files,
                info={"frames": len(x)},
            )
        return [Codebook.load(place / file) for file in files], manifest.fingerprint

    def _read_all(self, data: WaveformDataset, rows: NDArray[np.intp], frames: Frames) -> Floats:
        """Recorded frames of some records, (frames, numbers)."""
        read, parts = self._reader(data), []
        starts = range(0, len(rows), _CHUNK)
        for start in progress(starts, label="frames to cluster", total=len(starts)):
            x = frames(read(rows[start : start + _CHUNK].tolist()).flatten(0, 1))
            parts.append(x[np.isfinite(x).all(-1)])
        return np.concatenate(parts)

    def _reader(self, data: WaveformDataset) -> Read:
        return WindowFeed(self.network.adapter).for_scoring(data)

    def _labels(
        self, data: WaveformDataset, frames: Frames, codebooks: Sequence[Codebook], made_from: str
    ) -> Floats:
        place = self.folder / "labels" / json_sha256([made_from, data.ecg_ids])[:16]
        read, parts, files = self._reader(data), [], []
        starts = range(0, len(data), _CHUNK)
        for start in progress(starts, label=f"clusters of {data.split}", total=len(starts)):
            rows = range(start, min(start + _CHUNK, len(data)))
            files.append(f"{start:07d}.npy")
            part = _read_back(place / files[-1], len(rows))
            if part is None:
                part = _assigned(frames(read(rows).flatten(0, 1)), codebooks)
                with atomic_path(place / files[-1]) as temporary, temporary.open("wb") as stream:
                    np.save(stream, part)
            parts.append(part)
        inputs = {"codebooks": made_from, "records": json_sha256(data.ecg_ids)}
        if holds(place, step="labels", config={}, inputs=inputs) is None:
            write_manifest(
                place, step="labels", config={}, inputs=inputs, outputs=files, patient_level=files
            )
        labels = np.concatenate(parts)
        return np.where(labels < 0, np.nan, labels).astype(np.float32)


def layer_of(config: HubertConfig, adapter: HubertEcg) -> int:
    """Number of the hidden state that is clustered.

    Raises
    ------
    ConfigError
        When the network has fewer blocks.
    """
    n_layers = adapter.sizes.num_hidden_layers
    layer = round(2 / 3 * n_layers) if config.layer is None else config.layer
    if layer > n_layers:
        raise ConfigError(f"layer = {layer}: the network that is started from has {n_layers}.")
    return layer


def described(adapter: HubertEcg, x: Tensor, kind: Descriptor) -> Floats:
    """Descriptors of what each frame of the network sees, (records, frames, numbers).

    They are cut from the very vector that the network reads, so label t is of frame t; the
    published targets lie up to 0.46 s beside it.
    """
    sizes = adapter.sizes
    rows = x.numpy()
    starts = frame_starts(rows.shape[-1], reach=sizes.reach, stride=sizes.stride)
    pieces = rows[:, starts[:, None] + np.arange(sizes.stride)].astype(np.float64)
    numbers = describe(np.where(np.isfinite(pieces), pieces, 0.0), kind, sampling_rate=_RATE)
    known = adapter.known_frames(torch.isfinite(x), x.dtype).numpy()
    return np.where(known[..., None], numbers, np.nan).astype(np.float32)


def _hidden(adapter: HubertEcg, network: FoundationNetwork, x: Tensor, *, layer: int) -> Floats:
    """Hidden states of a layer, (records, frames, width)."""
    with torch.inference_mode():
        embedded = adapter.embedded(network.backbone, x)
        states, known = adapter.encoded(network.backbone, embedded, layer=layer)
        if known is not None:
            states = torch.where(known[..., None], states, torch.nan)
        found: Floats = states.float().numpy()
        return found


def _assigned(frames: Floats, codebooks: Sequence[Codebook]) -> NDArray[np.int16]:
    """Clusters by codebook, (records, codebooks * frames); -1 where nothing was recorded."""
    n_records, n_frames, width = frames.shape
    flat = frames.reshape(-1, width)
    known = np.isfinite(flat).all(-1)
    labels = np.full((len(codebooks), n_records * n_frames), -1, np.int16)
    if known.any():
        labels[:, known] = [one.assign(flat[known]) for one in codebooks]
    by_record = labels.reshape(len(codebooks), n_records, n_frames).transpose(1, 0, 2)
    return by_record.reshape(n_records, -1)


def _read_back(file: Path, n_records: int) -> NDArray[np.int16] | None:
    with contextlib.suppress(OSError, ValueError, EOFError):
        part: NDArray[np.int16] = np.load(file, allow_pickle=False)
        if part.ndim == 2 and len(part) == n_records:
            return part
    return None
