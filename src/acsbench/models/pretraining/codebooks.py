"""Codebooks: centroids by mini-batch k-means, with the scaling that they were found under.

Fit and assignment go through one object: the published code scaled frames before it clustered them
and not before it assigned them, which is a different clustering.
"""

from __future__ import annotations

import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin

from acsbench.errors import InputError, MissingPathError, StoreError
from acsbench.provenance import atomic_path

__all__ = ["Codebook", "Scaling"]

Floats = NDArray[np.float32]
Scaling = Literal["standard", "unit"]
_N_STARTS = 20
_BATCH = 8192


@dataclass(frozen=True, kw_only=True)
class Codebook:
    """Clusters of frames.

    Attributes
    ----------
    unit : bool
        Whether each frame is scaled to length 1.
    mean, scale : ndarray, shape (numbers,)
        Taken off and divided by, before that.
    centroids : ndarray, shape (clusters, numbers)
        Of scaled frames.
    """

    unit: NDArray[np.bool_]
    mean: Floats
    scale: Floats
    centroids: Floats

    @classmethod
    def fit(cls, frames: Floats, *, n_clusters: int, scaling: Scaling, seed: int) -> Self:
        """Cluster frames, (frames, numbers): 20 starts, no reassignment.

        Raises
        ------
        InputError
            With fewer frames than clusters.
        """
        if len(frames) < n_clusters:
            raise InputError(
                f"{len(frames):,} frames cannot make {n_clusters:,} clusters. Use fewer clusters, "
                "or more kmeans_records."
            )
        width = frames.shape[1]
        mean, scale = np.zeros(width, np.float32), np.ones(width, np.float32)
        if scaling == "standard":
            mean, spread = frames.mean(0), frames.std(0)
            scale = np.where(spread > 0, spread, 1.0).astype(np.float32)
        empty = cls(
            unit=np.array(scaling == "unit"),
            mean=mean.astype(np.float32),
            scale=scale,
            centroids=np.zeros((0, width), np.float32),
        )
        found = MiniBatchKMeans(
            n_clusters,
            batch_size=_BATCH,
            n_init=_N_STARTS,
            reassignment_ratio=0,
            random_state=seed,
        ).fit(empty.scaled(frames))
        centroids = found.cluster_centers_.astype(np.float32)
        return cls(unit=empty.unit, mean=empty.mean, scale=empty.scale, centroids=centroids)

    def scaled(self, frames: Floats) -> Floats:
        """Frames as they are clustered and compared."""
        x = (frames - self.mean) / self.scale
        if self.unit:
            length = np.linalg.norm(x, axis=1, keepdims=True)
            x = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
        return x.astype(np.float32)

    def assign(self, frames: Floats) -> NDArray[np.intp]:
        """Nearest centroid of each frame, (frames,)."""
        nearest: NDArray[np.intp] = pairwise_distances_argmin(self.scaled(frames), self.centroids)
        return nearest

    def save(self, file: Path) -> None:
        """Write one ``.npz``."""
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **asdict(self))

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        MissingPathError, StoreError
        """
        if not file.is_file():
            raise MissingPathError(f"There is no codebook {file}.")
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
                body: dict[str, Any] = {name: held[name] for name in held.files}
            return cls(**body)
        except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise StoreError(f"The codebook {file} is damaged: {error}") from None
