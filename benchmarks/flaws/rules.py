"""What a rule of judging costs: thresholds, intervals, who is tested, who is split, copies."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from acsbench.evaluation.intervals import clustered_delong, logit_interval
from acsbench.evaluation.metrics import auroc
from acsbench.parallel import progress
from benchmarks.flaws import copies
from benchmarks.flaws.hospitals import (
    EFFECTS_MV,
    Figures,
    Floats,
    arrays,
    holds,
    hospital,
    mean_of,
    print_table,
    share_of,
    tested,
)

SPECIFICITY = 0.9


def cut_at(labels: Floats, scores: Floats) -> float:
    """The lowest score whose specificity is at least `SPECIFICITY`."""
    return float(np.quantile(scores[labels == 0], SPECIFICITY, method="higher"))


def at_cut(labels: Floats, scores: Floats, cut: float) -> tuple[float, float]:
    """Sensitivity and specificity of flagging what is above a cut."""
    flagged = scores > cut
    return float(flagged[labels == 1].mean()), float(1 - flagged[labels == 0].mean())


def recalled(rows: pl.DataFrame, known: pl.DataFrame) -> float:
    """AUROC of somebody who reads nothing and recalls the patients that were shown."""
    seen = known.group_by("patient_id").agg(pl.col("label").cast(pl.Float64).mean().alias("seen"))
    joined = rows.join(seen, on="patient_id", how="left")
    fallback = float(known["label"].cast(pl.Float64).mean())
    return auroc(joined["label"].to_numpy(), joined["seen"].fill_null(fallback).to_numpy())


def figures_of(truth: pl.DataFrame, rows: pl.DataFrame, seed: int) -> tuple[Figures, Any]:
    """What each rule says of one hospital, and what is needed to judge it over all of them."""
    test, val = (rows.filter(pl.col("split") == split) for split in ("test", "val"))
    labels, scores, patients = arrays(test)
    val_labels, val_scores, _ = arrays(val)
    found: Figures = {}
    by_test = at_cut(labels, scores, cut_at(labels, scores))
    by_val = at_cut(labels, scores, cut_at(val_labels, val_scores))
    found["sensitivity, cut from test"], found["specificity, cut from test"] = by_test
    found["sensitivity, cut from val"], found["specificity, cut from val"] = by_val
    everybody = truth.filter("included")
    lesion = pl.col("lesion").cast(pl.Float64).alias("label")
    for name, chosen in (("tested", everybody.filter("tested")), ("everybody", everybody)):
        found[f"AUROC for a lesion, {name}"] = auroc(*arrays(chosen.with_columns(lesion))[:2])
    rng = np.random.default_rng(seed)
    by_ecg = rows.with_columns(pl.Series("part", rng.random(len(rows)) < 0.8))
    ours = rows.filter(pl.col("split") == "train")
    found["AUROC of recalling, split by ECG"] = recalled(
        by_ecg.filter(~pl.col("part")), by_ecg.filter("part")
    )
    found["AUROC of recalling, split by patient"] = recalled(test, ours)
    intervals = {
        kind: logit_interval(float(d.auroc[0]), float(d.covariance[0, 0]))
        for kind, d in (
            ("patients", clustered_delong(labels, scores, patients)),
            ("ECGs", clustered_delong(labels, scores, np.arange(len(labels)))),
        )
    }
    return found, {"area": auroc(labels, scores), "intervals": intervals, "rows": test}


def sensitivity_of_all(tests: list[pl.DataFrame]) -> float:
    """Sensitivity at the specificity over the ECGs of all hospitals together."""
    labels, scores, _ = arrays(pl.concat(tests))
    return at_cut(labels, scores, cut_at(labels, scores))[0]


def study(
    folder: Path, n_hospitals: int, effect_mv: float
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Rows of two tables at one effect size: of the rules, and of copied recordings."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    judged, copied = [], []
    for seed in progress(range(n_hospitals), label=f"effect {effect_mv:g} mV", total=n_hospitals):
        tables, truth = hospital(folder, seed, effect_mv)
        rows = tested(tables, truth)
        found, more = figures_of(truth, rows, seed)
        judged.append(more)
        copied.append({share: copies.figures_of(rows, share, seed) for share in copies.SHARES})
        for name, value in found.items():
            figures[name].append(value)
    area = float(np.mean([one["area"] for one in judged]))
    told = [("true AUROC of the reader", f"{area:.3f}")]
    for kind in ("patients", "ECGs"):
        inside = [holds(one["intervals"][kind], area) for one in judged]
        told.append((f"95 % intervals that hold it, counting {kind}", share_of(inside)))
    at_90 = sensitivity_of_all([one["rows"] for one in judged])
    told.append((f"true sensitivity at {SPECIFICITY:.0%} specificity", f"{at_90:.3f}"))
    told += [(name, mean_of(values)) for name, values in figures.items()]
    return told, copies.told(copied, area)


def main(folder: Path, n_hospitals: int) -> None:
    """Print both tables: a column an effect size."""
    columns = [study(folder, n_hospitals, effect) for effect in EFFECTS_MV]
    head = [f"{n_hospitals} hospitals", *(f"{effect:.2f} mV" for effect in EFFECTS_MV)]
    for tables in zip(*columns, strict=True):
        names = [name for name, _ in tables[0]]
        cells = zip(*([value for _, value in rows] for rows in tables), strict=True)
        print_table(head, [(name, *row) for name, row in zip(names, cells, strict=True)])
