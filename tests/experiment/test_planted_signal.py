"""What is planted is found, what is not planted is not: the road as a measuring instrument."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.experiment.config import ExperimentConfig
from acsbench.experiment.run import run_experiment
from acsbench.results import Results
from acsbench.sources.synthetic import write_hospital
from acsbench.sources.synthetic_rates import DEFAULT_EFFECT_MV

pytestmark = pytest.mark.slow

N_PATIENTS, SEED = 1000, 0
NARROW = {
    "width": 8,
    "hidden": 64,
    "dropout": 0.1,
    "learning_rate": 3e-3,
    "batch_size": 16,
    "epochs": 20,
    "threads": 1,
}
FLAGS = ("has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal")


def judged(source: dict[str, object], out: Path, *, level: float = 0.95) -> Results:
    config = ExperimentConfig.model_validate(
        {
            "seed": SEED,
            "source": source,
            "models": [
                {"name": "logistic", "model": "logistic", "task": "acs"},
                {"name": "boosting", "model": "boosting", "task": "acs"},
                {"name": "resnet18", "model": "resnet18", "task": "acs", "parameters": NARROW},
            ],
            "evaluate": {"n_resamples": 200, "level": level},
            "report": {"n_examples": 0},
        }
    )
    return run_experiment(config, out=out).results


def hospital(folder: Path, effect_mv: float) -> Path:
    return write_hospital(folder, n_patients=N_PATIENTS, seed=SEED, effect_mv=effect_mv)


@pytest.fixture(scope="module")
def by_effect(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Results]:
    """Results at the default effect, at half of it, and at none."""
    folder = tmp_path_factory.mktemp("planted")
    found = {}
    for share in (1.0, 0.5, 0.0):
        where = hospital(folder / f"h{share}", share * DEFAULT_EFFECT_MV)
        source = {"name": "nightingale", "path": str(where)}
        found[share] = judged(source, folder / f"r{share}")
    return found


def gain(results: Results, flag: str) -> tuple[float, float, float]:
    """AUROC of the network minus that of a classical finding, with its interval."""
    name = f"flag:{flag}"
    pair = pl.col("model").is_in(["resnet18", name]) & pl.col("compared_with").is_in(
        ["resnet18", name]
    )
    row = results.frame.filter(pair & (pl.col("metric") == "auroc")).row(0, named=True)
    assert row["value"] is not None, row["reason"]
    low, high = sorted((row["low"], row["high"]))
    if row["model"] == name:
        return -row["value"], -high, -low
    return row["value"], low, high


@pytest.mark.parametrize("flag", FLAGS)
def test_the_network_beats_the_findings_by_as_much_as_is_planted(
    by_effect: dict[float, Results], flag: str
) -> None:
    whole, half, none = (gain(by_effect[share], flag) for share in (1.0, 0.5, 0.0))
    assert whole[1] > 0
    assert whole[0] > half[0] > none[0]
    assert none[1] <= 0


def test_where_nothing_is_planted_the_waveforms_say_nothing(
    by_effect: dict[float, Results],
) -> None:
    low, high = by_effect[0.0].interval("resnet18", "auroc") or (1.0, 0.0)
    assert low < 0.5 < high


def test_shuffled_labels_leave_every_interval_around_one_half(tmp_path: Path) -> None:
    root = hospital(tmp_path / "h", DEFAULT_EFFECT_MV) / "ed-bwh-ecg" / "v1"
    visits = pl.read_csv(root / "ed-encounter.csv", infer_schema=False)
    shuffle_outcomes(visits).write_csv(root / "ed-encounter.csv")
    # seven intervals: at this level all of them together miss in one shuffle of thirty
    source = {"name": "nightingale", "path": str(root)}
    results = judged(source, tmp_path / "run", level=0.995)
    headline = (pl.col("metric") == "auroc") & (pl.col("method") == "clustered_delong_logit")
    rows = results.overall.filter(headline).iter_rows(named=True)
    intervals = {row["model"]: (row["low"], row["high"]) for row in rows}
    assert set(intervals) == {"logistic", "boosting", "resnet18", *(f"flag:{f}" for f in FLAGS)}
    missed = {name: ends for name, ends in intervals.items() if not ends[0] < 0.5 < ends[1]}
    assert missed == {}
    shutil.rmtree(tmp_path / "h")


def shuffle_outcomes(visits: pl.DataFrame) -> pl.DataFrame:
    """Deal the outcomes of the tested visits anew among them."""
    tested = (visits["cath_010_day"] == "true").fill_null(value=False)
    rows = np.flatnonzero(tested.to_numpy())
    outcome = visits["stent_or_cabg_010_day"].to_numpy().copy()
    outcome[rows] = outcome[np.random.default_rng(SEED).permutation(rows)]
    return visits.with_columns(pl.Series("stent_or_cabg_010_day", outcome, dtype=pl.String))
