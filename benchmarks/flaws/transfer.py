"""What can leak through pre-training on MACE when tested and untested visits are split apart.

Nobody reads a waveform here. A patient whose MACE outcome was trained on is recalled with
certainty: the most that any network could gain. What networks did gain stands on the page of
`benchmarks.transfer`.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl

from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.evaluation.metrics import auroc
from acsbench.parallel import progress
from acsbench.tables import Tables
from acsbench.tasks import TASKS
from benchmarks.flaws.hospitals import EFFECTS_MV, Figures, hospital, mean_of, print_table

SCHEMES = ("paper", "patient")
FRACTIONS = {"train": 0.7, "val": 0.15, "test": 0.15}


def recall(tables: Tables, truth: pl.DataFrame, scheme: str) -> pl.DataFrame:
    """ACS ECGs with label, the reader's score, and the MACE outcome that training showed."""
    config = CohortConfig.model_validate({"scheme": scheme, "fractions": FRACTIONS})
    cohort = build_cohort(tables, seed=0, config=config)
    acs, mace = TASKS["acs"], TASKS["mace"]
    outcome = pl.col(mace.outcome).cast(pl.Float64).max()
    shown = mace.select(cohort, "train").group_by("patient_id").agg(outcome.alias("seen"))
    rows = cohort.frame.filter("is_included", "is_tested", pl.col(acs.outcome).is_not_null())
    return (
        rows.select("ecg_id", "patient_id", "split", label=acs.outcome)
        .join(shown, on="patient_id", how="left")
        .join(truth.select("ecg_id", "score"), on="ecg_id")
    )


def evidence(train: pl.DataFrame) -> dict[float | None, float]:
    """Log likelihood ratio of a lesion for each thing that may have been seen of a patient."""
    known = train.filter(pl.col("seen").is_not_null())
    # one of each added, so that a rare combination does not become certainty
    counts = {
        (seen, label): 1 + len(known.filter(seen=seen, label=label))
        for seen in (0.0, 1.0)
        for label in (False, True)
    }
    totals = {label: counts[0.0, label] + counts[1.0, label] for label in (False, True)}
    weights: dict[float | None, float] = {None: 0.0}
    for seen in (0.0, 1.0):
        shares = [counts[seen, label] / totals[label] for label in (True, False)]
        weights[seen] = float(np.log(shares[0] / shares[1]))
    return weights


def figures_of(rows: pl.DataFrame) -> Figures:
    """Who was shown to pre-training in one hospital, and what recalling them brings."""
    weights = evidence(rows.filter(pl.col("split") == "train"))
    test = rows.filter(pl.col("split") == "test")
    added = np.array([weights[seen] for seen in test["seen"]])
    labels, scores = test["label"].cast(pl.Float64).to_numpy(), test["score"].to_numpy()
    shown = test["seen"].is_not_null().to_numpy()
    leaked = auroc(labels, scores + added) - auroc(labels, scores)
    found = {
        "test patients": float(test["patient_id"].n_unique()),
        "of them trained MACE": float(test.filter(shown)["patient_id"].n_unique()),
        "AUROC of recalling alone": auroc(labels, added),
        "AUROC of the reader": auroc(labels, scores),
        "AUROC gained by recalling as well": leaked,
    }
    if shown.any() and 0 < labels[shown].mean() < 1:
        found["AUROC of recalling alone, patients shown"] = auroc(labels[shown], added[shown])
    return found


def main(folder: Path, n_hospitals: int) -> None:
    """Print the table: a row a scheme and figure, a column an effect size."""
    cells: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for effect in EFFECTS_MV:
        figures: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for seed in progress(range(n_hospitals), label=f"transfer, {effect:g} mV"):
            tables, truth = hospital(folder, seed, effect, rates="returning")
            for scheme in SCHEMES:
                for name, value in figures_of(recall(tables, truth, scheme)).items():
                    figures[scheme, name].append(value)
        for key, values in figures.items():
            cells[key].append(mean_of(values, spread=False))
    head = [f"{n_hospitals} hospitals", *(f"{effect:.2f} mV" for effect in EFFECTS_MV)]
    print_table(head, [(f"{scheme}: {name}", *row) for (scheme, name), row in cells.items()])
