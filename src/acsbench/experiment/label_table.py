"""Table of a label-efficiency study: what each method reaches with each share of the labels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from acsbench.dataset import WaveformDataset, load_dataset
from acsbench.errors import InputError
from acsbench.evaluation.replicates import Area, Estimate, area, estimate_over_fits, mean_area
from acsbench.experiment.label_config import LabelEfficiencyConfig
from acsbench.experiment.label_fits import LabelFit, patients_of, read_fit
from acsbench.store import WaveformStore
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

__all__ = ["label_table"]


def label_table(
    config: LabelEfficiencyConfig,
    rounds: Mapping[str, Cohort],
    store: WaveformStore,
    done: Sequence[tuple[LabelFit, Path]],
) -> pl.DataFrame:
    """Judge finished fits: one row a method and share.

    AUROCs of the rounds are averaged, so that scores of different rounds are never compared.
    """
    return _table(config, _Judge(config, rounds, store).areas(done))


@dataclass(frozen=True)
class _Fitted:
    """A method at a share with one draw: AUROC averaged over rounds."""

    area: Area
    seed: int
    n_labels: float
    n_positive: float


class _Judge:
    """Scores fits on the test records of every round."""

    def __init__(
        self, config: LabelEfficiencyConfig, rounds: Mapping[str, Cohort], store: WaveformStore
    ) -> None:
        self.config = config
        task = TASKS[config.task]
        self.tests: dict[str, WaveformDataset] = {
            name: load_dataset(cohort, store, task, "test") for name, cohort in rounds.items()
        }
        whose = {name: patients_of(test, rounds[name]) for name, test in self.tests.items()}
        everybody = np.unique(np.concatenate(list(whose.values())))
        self.patients = {name: np.searchsorted(everybody, who) for name, who in whose.items()}
        self.n_patients = len(everybody)
        for name, test in self.tests.items():
            if len(np.unique(test.labels[np.isfinite(test.labels)])) < 2:
                raise InputError(f"The test records of round '{name}' hold one class only.")

    def areas(self, done: Sequence[tuple[LabelFit, Path]]) -> dict[tuple[str, float, int], _Fitted]:
        """By method, share and draw; without a draw that lacks a round."""
        found: dict[tuple[str, float, int], list[tuple[LabelFit, Path]]] = {}
        for fit, file in done:
            found.setdefault((fit.method.name, fit.share, fit.draw), []).append((fit, file))
        return {
            key: self._judged(parts)
            for key, parts in found.items()
            if len(parts) == len(self.tests)
        }

    def _judged(self, parts: Sequence[tuple[LabelFit, Path]]) -> _Fitted:
        held = [(fit, read_fit(file)) for fit, file in parts]
        areas, counts = [], []
        for fit, scores in held:
            assert scores is not None
            test = self.tests[fit.round_name]
            known = np.isfinite(test.labels)
            areas.append(
                area(
                    test.labels[known, None].astype(np.float64),
                    scores["test"][known, None],
                    self.patients[fit.round_name][known],
                    n_patients=self.n_patients,
                )
            )
            counts.append((float(scores["n_labels"]), float(scores["n_positive"])))
        n_labels, n_positive = np.mean(counts, axis=0)
        return _Fitted(mean_area(areas), parts[0][0].seed, float(n_labels), float(n_positive))


def _table(
    config: LabelEfficiencyConfig, judged: Mapping[tuple[str, float, int], _Fitted]
) -> pl.DataFrame:
    rows = []
    for method, share in itertools.product(config.methods, config.shares):
        draws = [draw for draw, _ in config.fits_of(share)]
        ours = {
            d: judged[method.name, share, d] for d in draws if (method.name, share, d) in judged
        }
        if not ours:
            continue
        found = estimate_over_fits([o.area for o in ours.values()], [o.seed for o in ours.values()])
        rows.append(
            {
                "method": method.name,
                "share": share,
                "n_labels": float(np.mean([one.n_labels for one in ours.values()])),
                "n_positive": float(np.mean([one.n_positive for one in ours.values()])),
                "n_fits": found.n_fits,
                "auroc": found.value,
                "low": found.low,
                "high": found.high,
                "sd_of_fits": found.spread,
                **_compared(config.baseline, method.name, share, ours, judged),
            }
        )
    table = pl.DataFrame(rows, schema_overrides=dict.fromkeys(_PAIRED, pl.Float64))
    return table.with_columns(_same_as(table, config.baseline))


_PAIRED = ("difference", "difference_low", "difference_high", "p_value")


def _compared(
    baseline: str,
    name: str,
    share: float,
    ours: Mapping[int, _Fitted],
    judged: Mapping[tuple[str, float, int], _Fitted],
) -> dict[str, float | None]:
    """Difference from the baseline, paired by draw, seed and patient."""
    pairs = {d: (one, judged.get((baseline, share, d))) for d, one in ours.items()}
    differences = [(a.area.minus(b.area), a.seed) for a, b in pairs.values() if b is not None]
    if name == baseline or not differences:
        return dict.fromkeys(_PAIRED)
    found: Estimate = estimate_over_fits(
        [one for one, _ in differences], [seed for _, seed in differences]
    )
    values = (found.value, found.low, found.high, found.p_value)
    return dict(zip(_PAIRED, values, strict=True))


def _same_as(table: pl.DataFrame, baseline: str) -> pl.Series:
    """Share of labels with which the baseline reaches each AUROC; null beyond its own shares.

    Between its shares the baseline is taken as linear in the logarithm of the share.
    """
    own = table.filter(pl.col("method") == baseline).sort("share")
    # more labels that seem to harm are noise
    reached = np.maximum.accumulate(own["auroc"].to_numpy())
    shares = np.log(own["share"].to_numpy())
    found: list[float | None] = []
    for value in table["auroc"]:
        inside = len(reached) > 1 and reached[0] <= value <= reached[-1]
        found.append(float(np.exp(np.interp(value, reached, shares))) if inside else None)
    return pl.Series("same_as_share", found, dtype=pl.Float64)
