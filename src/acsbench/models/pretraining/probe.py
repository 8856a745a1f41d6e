"""What frozen features know of a task: a linear model on top of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from acsbench.dataset import WaveformDataset
from acsbench.models.foundation.cache import computed_features
from acsbench.models.foundation.classifier import FoundationClassifier
from acsbench.models.foundation.feed import WindowFeed
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.models.inference import torch_threads

__all__ = ["LinearProbe", "Probe", "frozen_features", "pooled_features"]

Floats = NDArray[np.float64]
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse strengths to choose from."""
_N_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class LinearProbe:
    """Logistic regression on standardised features, its penalty chosen by five-fold validation.

    Attributes
    ----------
    mean, scale, weights : ndarray, shape (width,)
    intercept : float
    """

    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, features: Floats, labels: NDArray[np.float32], *, seed: int = 0) -> Self:
        """Fit to known labels of both classes; (records, width).

        Without two records of each class the penalty cannot be chosen, and is a middling one.
        """
        mean, scale = features.mean(0), features.std(0)
        scale = np.where(scale > 1e-9 * np.abs(mean) + 1e-12, scale, 1.0)
        x, y = (features - mean) / scale, labels.astype(int)
        n_folds = min(_N_FOLDS, int(y.sum()), int((1 - y).sum()))
        penalty = _PENALTIES[len(_PENALTIES) // 2]
        if n_folds > 1:
            folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
            parts = list(folds.split(x, y))
            losses = [_loss_over(parts, x, y, penalty=one) for one in _PENALTIES]
            penalty = _PENALTIES[int(np.argmin(losses))]
        fitted = _fitted(x, y, penalty)
        return cls(
            mean=mean,
            scale=scale,
            weights=fitted.coef_[0].astype(np.float64),
            intercept=float(fitted.intercept_[0]),
        )

    def logits(self, features: Floats) -> Floats:
        """Log odds, (records,)."""
        found: Floats = (features - self.mean) / self.scale @ self.weights + self.intercept
        return found


def _fitted(x: Floats, y: NDArray[np.int_], penalty: float) -> LogisticRegression:
    return LogisticRegression(C=penalty, solver="newton-cholesky").fit(x, y)


def _loss_over(
    parts: list[tuple[NDArray[np.intp], NDArray[np.intp]]],
    x: Floats,
    y: NDArray[np.int_],
    *,
    penalty: float,
) -> float:
    """Mean log loss of the folds that are left out in turn."""
    losses = [
        log_loss(y[out], _fitted(x[kept], y[kept], penalty).predict_proba(x[out]), labels=[0, 1])
        for kept, out in parts
    ]
    return float(np.mean(losses))


@dataclass(frozen=True)
class Probe:
    """AUROC on val of a linear probe of one task.

    Attributes
    ----------
    train, val : WaveformDataset
        Labelled, of one task.
    at_most : int
        Records of each that are used: the first by a fixed draw.
    """

    train: WaveformDataset
    val: WaveformDataset
    at_most: int = 2000
    _rows: dict[str, NDArray[np.intp]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = {str(data.split): self._drawn(data) for data in (self.train, self.val)}
        object.__setattr__(self, "_rows", rows)

    def _drawn(self, data: WaveformDataset) -> NDArray[np.intp]:
        known = np.flatnonzero(np.isfinite(data.labels))
        return np.sort(np.random.default_rng(0).permutation(known)[: self.at_most])

    def auroc(self, network: FoundationNetwork) -> float:
        """Of a network that scores, as it is now; NaN without both classes."""
        sides = [(data, self._rows[str(data.split)]) for data in (self.train, self.val)]
        labels = [data.labels[rows] for data, rows in sides]
        if any(len(np.unique(one)) < 2 for one in labels):
            return float("nan")
        x, z = (pooled_features(network, data, rows) for data, rows in sides)
        probe = LinearProbe.fit(x, labels[0])
        return float(roc_auc_score(labels[1], probe.logits(z)))


def pooled_features(
    network: FoundationNetwork, data: WaveformDataset, rows: Sequence[int] | NDArray[np.intp]
) -> Floats:
    """Features of records, averaged over their windows, (records, width)."""
    read = WindowFeed(network.adapter).for_scoring(data)
    at_once = network.adapter.config.at_once
    windows = computed_features(network, read, [int(row) for row in rows], at_once=at_once)
    averaged: Floats = windows.mean(axis=1).astype(np.float64)
    return averaged


def frozen_features(
    model: FoundationClassifier, sets: Sequence[WaveformDataset], *, cache: Path
) -> list[Floats]:
    """Features of each dataset by the backbone that a model starts with, (records, width).

    Parameters
    ----------
    model : FoundationClassifier
        Not fitted; its ``init_from`` is compared with the split of the first dataset.
    sets : sequence of WaveformDataset
        Train first.
    cache : Path
        Computed once for a backbone and a dataset.
    """
    with torch_threads(model.config.threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(model.config.seed)
        network, _ = model.begin(sets[0])
        assert isinstance(network, FoundationNetwork)
        windows = [model.features(network, data, cache=cache) for data in sets]
    return [one.mean(axis=1).astype(np.float64) for one in windows]
