"""What the flaws of a benchmark cost, on generated hospitals where the truth is known.

    python -m benchmarks.flaws [N_HOSPITALS]

Many hospitals are drawn, tables alone, at three sizes of the planted effect. A reader of known
skill scores every ECG: the best possible log odds plus noise, half of it the patient's and half
the ECG's. Each rule is then applied to each hospital, and compared with what holds over all of
them. Hospitals are independent, so means over them have plain intervals.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from acsbench.cohort.build import build_cohort
from acsbench.evaluation.intervals import Interval, clustered_delong, logit_interval
from acsbench.evaluation.metrics import auroc
from acsbench.parallel import progress
from acsbench.sources.base import open_source
from acsbench.tables import Tables
from benchmarks.ptbxl_folds import logit

EFFECTS_MV = (0.0, 0.18, 0.36)
N_PATIENTS = 1500
NOISE = 0.7
"""Standard deviation of either part of the noise, in log odds."""
SPECIFICITY = 0.9
Floats = NDArray[np.float64]
Figures = dict[str, float]


def hospital(folder: Path, seed: int, effect_mv: float) -> tuple[Tables, pl.DataFrame]:
    """Tables of a generated hospital, and what nobody knows in a real one, with the scores."""
    path = folder / f"{effect_mv:g}-{seed}"
    options: dict[str, Any] = {"n_patients": N_PATIENTS, "waveforms": False}
    tables = open_source("synthetic", path=path, seed=seed, effect_mv=effect_mv, **options).tables()
    truth = pl.read_csv(path / "truth" / "truth.csv").join(
        tables.ecgs.select("ecg_id", "patient_id"), on="ecg_id"
    )
    rng = np.random.default_rng([seed, 7])
    number = truth["patient_id"].fill_null("").rank("dense").to_numpy() - 1
    of_patient = rng.normal(0, NOISE, int(number.max()) + 1)[number.astype(int)]
    read = logit(truth["true_risk"].to_numpy())
    score = read + of_patient + rng.normal(0, NOISE, len(truth))
    return tables, truth.with_columns(pl.Series("score", score))


def tested(tables: Tables, truth: pl.DataFrame) -> pl.DataFrame:
    """Scored ECGs of tested patients with a known outcome, by split."""
    frame = build_cohort(tables, seed=0).frame
    known = pl.col("stent_or_cabg_010_day").is_not_null()
    rows = frame.filter("is_included", "is_tested", known)
    return rows.select("ecg_id", "patient_id", "split", label="stent_or_cabg_010_day").join(
        truth.select("ecg_id", "score"), on="ecg_id"
    )


def arrays(rows: pl.DataFrame) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Labels, scores and patients of some rows."""
    patients = np.unique(rows["patient_id"].to_numpy(), return_inverse=True)[1]
    return (
        rows["label"].cast(pl.Float64).to_numpy(),
        rows["score"].to_numpy(),
        patients.astype(np.intp),
    )


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


def figures_of(folder: Path, seed: int, effect_mv: float) -> tuple[Figures, dict[str, Any]]:
    """What each rule says of one hospital, and what is needed to judge it over all of them."""
    tables, truth = hospital(folder, seed, effect_mv)
    rows = tested(tables, truth)
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


def study(folder: Path, n_hospitals: int, effect_mv: float) -> list[tuple[str, str]]:
    """Rows of the table at one effect size."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    judged = []
    for seed in progress(range(n_hospitals), label=f"effect {effect_mv:g} mV", total=n_hospitals):
        found, more = figures_of(folder, seed, effect_mv)
        judged.append(more)
        for name, value in found.items():
            figures[name].append(value)
    truth = float(np.mean([one["area"] for one in judged]))
    rows = [("true AUROC of the reader", f"{truth:.3f}")]
    for kind in ("patients", "ECGs"):
        inside = [holds(one["intervals"][kind], truth) for one in judged]
        share = float(np.mean(inside))
        reach = 1.96 * np.sqrt(share * (1 - share) / len(inside))
        rows.append((f"95 % intervals that hold it, counting {kind}", f"{share:.3f} ± {reach:.3f}"))
    at_90 = sensitivity_of_all([one["rows"] for one in judged])
    rows.append((f"true sensitivity at {SPECIFICITY:.0%} specificity", f"{at_90:.3f}"))
    return rows + [(name, mean_of(values)) for name, values in figures.items()]


def holds(interval: Interval, value: float) -> bool:
    """Whether an interval holds a value; one that could not be estimated holds nothing."""
    low, high = interval.low, interval.high
    return low is not None and high is not None and low <= value <= high


def mean_of(values: list[float]) -> str:
    """Mean over hospitals with its 95 % interval, and how far single ones lie apart."""
    reach = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {reach:.3f} (sd {np.std(values, ddof=1):.3f})"


def main(n_hospitals: int) -> None:
    """Print the table: a column an effect size."""
    with tempfile.TemporaryDirectory() as name:
        columns = [study(Path(name), n_hospitals, effect) for effect in EFFECTS_MV]
    print(f"| {n_hospitals} hospitals | " + " | ".join(f"{e:.2f} mV" for e in EFFECTS_MV) + " |")
    print("|---" * (1 + len(EFFECTS_MV)) + "|")
    for cells in zip(*columns, strict=True):
        print(f"| {cells[0][0]} | " + " | ".join(value for _, value in cells) + " |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
