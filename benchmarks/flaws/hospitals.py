"""Generated hospitals, tables alone, with a reader of known skill; and how figures are printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from acsbench.cohort.build import build_cohort
from acsbench.evaluation.intervals import Interval
from acsbench.sources.base import open_source
from acsbench.tables import Tables
from benchmarks.ptbxl_folds import logit

EFFECTS_MV = (0.0, 0.18, 0.36)
N_PATIENTS = 1500
NOISE = 0.7
"""Standard deviation of either part of the reader's noise, in log odds."""
Floats = NDArray[np.float64]
Figures = dict[str, float]


def hospital(
    folder: Path, seed: int, effect_mv: float, *, rates: str = "demo", n_patients: int = N_PATIENTS
) -> tuple[Tables, pl.DataFrame]:
    """Tables of a generated hospital, and what nobody knows in a real one, with the scores."""
    path = folder / f"{rates}-{effect_mv:g}-{seed}"
    options: dict[str, Any] = {"n_patients": n_patients, "rates": rates, "waveforms": False}
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


def holds(interval: Interval, value: float) -> bool:
    """Whether an interval holds a value; one that could not be estimated holds nothing."""
    low, high = interval.low, interval.high
    return low is not None and high is not None and low <= value <= high


def reach_of(values: Sequence[float] | Floats) -> float:
    """Half of the 95 % interval of a mean over independent draws."""
    quantile = stats.t.ppf(0.975, len(values) - 1)  # of few draws, the spread is not known well
    return float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))


def mean_of(values: Sequence[float], *, spread: bool = True) -> str:
    """Mean over hospitals with its 95 % interval, and how far single ones lie apart."""
    told = f"{np.mean(values):.3f} ± {reach_of(values):.3f}"
    return f"{told} (sd {np.std(values, ddof=1):.3f})" if spread else told


def share_of(held: Sequence[bool]) -> str:
    """Share of hospitals of which something holds, with its 95 % interval."""
    share = float(np.mean(held))
    return f"{share:.3f} ± {1.96 * np.sqrt(share * (1 - share) / len(held)):.3f}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    print(f"| {' | '.join(head)} |")
    print("|---" * len(head) + "|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)
