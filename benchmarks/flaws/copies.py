"""What copies of one recording under two ids cost, when they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from acsbench.evaluation.intervals import Interval, clustered_delong, logit_interval
from acsbench.evaluation.metrics import auroc
from benchmarks.flaws.hospitals import Figures, arrays, holds, mean_of, share_of

SHARES = (0.01, 0.2)
"""Of ECGs that have a copy: as in the generated hospital, and so many that it can be seen."""
CERTAIN = 1e3
"""Log odds of somebody who knows the outcome."""


def doubled(rows: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    """Give a share of the ECGs a second id: the same waveform, so the same score."""
    rows = rows.with_columns(pl.col("ecg_id").alias("waveform"))
    chosen = rng.choice(len(rows), size=round(share * len(rows)), replace=False)
    copied = rows[np.sort(chosen)].with_columns(pl.col("ecg_id") + "-copy")
    return pl.concat([rows, copied])


def with_recall(rows: pl.DataFrame, shown: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """Scores of a reader who also knows each waveform that was shown, and the share of those."""
    known = shown.select("waveform", seen="label").unique("waveform")
    joined = rows.join(known, on="waveform", how="left")
    certain = pl.when(pl.col("seen")).then(CERTAIN).otherwise(-CERTAIN)
    score = pl.when(pl.col("seen").is_null()).then("score").otherwise(certain)
    return joined.with_columns(score=score), float(joined["seen"].is_not_null().mean())  # type: ignore[arg-type]


def gain(rows: pl.DataFrame, shown: pl.DataFrame) -> tuple[float, float]:
    """AUROC that recalling waveforms adds to a reader, and the share of waveforms recalled."""
    recalling, share = with_recall(rows, shown)
    return auroc(*arrays(recalling)[:2]) - auroc(*arrays(rows)[:2]), share


def interval(rows: pl.DataFrame, *, by_patient: bool) -> Interval:
    """AUROC of some rows with its 95 % interval."""
    labels, scores, patients = arrays(rows)
    units = patients if by_patient else np.arange(len(labels))
    found = clustered_delong(labels, scores, units)
    return logit_interval(float(found.auroc[0]), float(found.covariance[0, 0]))


def figures_of(rows: pl.DataFrame, share: float, seed: int) -> tuple[Figures, dict[str, Interval]]:
    """Gains of recalling in one hospital, and the intervals with and without the copies."""
    rng = np.random.default_rng([seed, 11])
    rows = doubled(rows, share, rng)
    part = rng.random(len(rows)) < 0.8
    test = rows.filter(pl.col("split") == "test")
    found: Figures = {}
    by_ecg = gain(rows.filter(~part), rows.filter(part))
    by_patient = gain(test, rows.filter(pl.col("split") == "train"))
    for split, (more, shown) in {"ECG": by_ecg, "patient": by_patient}.items():
        found[f"test ECGs that training showed, split by {split}"] = shown
        found[f"AUROC gained by recalling waveforms, split by {split}"] = more
    once = test.unique("waveform", maintain_order=True)
    intervals = {
        f"{told}, counting {unit}": interval(chosen, by_patient=unit == "patients")
        for told, chosen in {"copies kept": test, "copies dropped": once}.items()
        for unit in ("ECGs", "patients")
    }
    return found, intervals


def told(hospitals: Sequence[dict[float, Any]], area: float) -> list[tuple[str, str]]:
    """Rows of the table: means over hospitals, and how often intervals hold the true AUROC."""
    rows: list[tuple[str, str]] = []
    for share in SHARES:
        ours = [one[share] for one in hospitals]
        of = f"{share:.0%} copied: "
        means = {name: [one[0][name] for one in ours] for name in ours[0][0]}
        rows += [(of + name, mean_of(values, spread=False)) for name, values in means.items()]
        for name in ours[0][1]:
            inside = [holds(one[1][name], area) for one in ours]
            rows.append((f"{of}95 % intervals that hold the true AUROC, {name}", share_of(inside)))
    return rows
