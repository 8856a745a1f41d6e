"""Where labels mean nothing nothing is found: the whole road on outcomes dealt anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.experiment.config import ExperimentConfig
from acsbench.experiment.run import run_experiment
from acsbench.sources.synthetic import write_hospital

SEED = 0
FLAGS = ("has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal")
PAGE = {"target_rate": 100, "high_hz": 40}
NARROW = {"width": 8, "hidden": 64, "dropout": 0.1, "learning_rate": 3e-3, "batch_size": 16}
NARROW |= {"epochs": 10, "threads": 1}


@pytest.mark.slow
def test_shuffled_labels_leave_every_interval_around_one_half(tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path / "h", n_patients=600, seed=SEED, n_jobs=1)
    root = hospital / "ed-bwh-ecg" / "v1"
    visits = pl.read_csv(root / "ed-encounter.csv", infer_schema=False)
    shuffle_outcomes(visits).write_csv(root / "ed-encounter.csv")
    config = ExperimentConfig.model_validate(
        {
            "seed": SEED,
            "source": {"name": "nightingale", "path": str(root)},
            "process": {"recipes": {"three_by_four": PAGE}},
            "models": [
                {"name": "logistic", "model": "logistic", "task": "acs"},
                {"name": "boosting", "model": "boosting", "task": "acs"},
                {"name": "resnet18", "model": "resnet18", "task": "acs", "parameters": NARROW},
            ],
            # seven intervals: at this level all of them together miss in one shuffle of thirty
            "evaluate": {"n_resamples": 100, "level": 0.995},
            "report": {"n_examples": 0},
        }
    )
    results = run_experiment(config, out=tmp_path / "run", n_jobs=1).results
    headline = (pl.col("metric") == "auroc") & (pl.col("method") == "clustered_delong_logit")
    rows = results.overall.filter(headline).iter_rows(named=True)
    intervals = {row["model"]: (row["low"], row["high"]) for row in rows}
    assert set(intervals) == {"logistic", "boosting", "resnet18", *(f"flag:{f}" for f in FLAGS)}
    missed = {name: ends for name, ends in intervals.items() if not ends[0] < 0.5 < ends[1]}
    assert missed == {}


def shuffle_outcomes(visits: pl.DataFrame) -> pl.DataFrame:
    """Deal the outcomes of the tested visits anew among them."""
    tested = (visits["cath_010_day"] == "true").fill_null(value=False)
    rows = np.flatnonzero(tested.to_numpy())
    outcome = visits["stent_or_cabg_010_day"].to_numpy().copy()
    outcome[rows] = outcome[np.random.default_rng(SEED).permutation(rows)]
    return visits.with_columns(pl.Series("stent_or_cabg_010_day", outcome, dtype=pl.String))
