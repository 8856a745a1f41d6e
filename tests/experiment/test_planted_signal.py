"""What is planted is found, and as much of it as is planted: a network against the findings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from acsbench.cohort.build import build_cohort
from acsbench.dataset import load_dataset
from acsbench.evaluation.config import EvaluateConfig
from acsbench.evaluation.evaluate import evaluate
from acsbench.models.base import make_model, predict
from acsbench.results import Results
from acsbench.sources.base import open_source
from acsbench.sources.synthetic import write_hospital
from acsbench.sources.synthetic_rates import DEFAULT_EFFECT_MV
from acsbench.tasks import TASKS
from acsbench.waveforms.process import process_waveforms

pytestmark = pytest.mark.slow

N_PATIENTS, SEED = 1000, 0
NARROW = {
    "width": 8,
    "hidden": 64,
    "dropout": 0.1,
    "learning_rate": 3e-3,
    "batch_size": 16,
    "epochs": 12,
    "threads": 1,
}
PAGE = {"target_rate": 100, "high_hz": 40}
"""ST is slow: a fifth of the samples shows it, at a fifth of the time."""
FLAGS = ("has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal")
TASK = TASKS["acs"]


def judged(folder: Path, effect_mv: float) -> Results:
    """A network and the classical findings, on the tested patients of a hospital."""
    path = write_hospital(
        folder / "hospital", n_patients=N_PATIENTS, seed=SEED, effect_mv=effect_mv, n_jobs=1
    )
    source = open_source("nightingale", path=path)
    cohort = build_cohort(source.tables(), seed=SEED)
    cohort = replace(cohort, frame=cohort.frame.filter("is_tested"))  # nobody else is asked for
    store = process_waveforms(
        source, cohort, recipe="three_by_four", parameters=PAGE, folder=folder / "store", n_jobs=1
    )
    train, val, test = (load_dataset(cohort, store, TASK, s) for s in ("train", "val", "test"))
    model = make_model("resnet18", seed=SEED, **NARROW).fit(train, val)
    config = EvaluateConfig(n_resamples=100, sections=("comparisons",), flags=FLAGS)
    scored = predict(model, test)
    return evaluate(scored, TASK.labels(cohort), TASK, config=config)


@pytest.fixture(scope="module")
def by_effect(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Results]:
    """Results at the default effect, at half of it, and at none."""
    folder = tmp_path_factory.mktemp("planted")
    return {
        share: judged(folder / f"{share}", share * DEFAULT_EFFECT_MV) for share in (1.0, 0.5, 0.0)
    }


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
