"""Sweeps over seeds and tasks: what they cross, keep, repeat and report."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import pytest

from acsbench import registry
from acsbench.cli import main
from acsbench.dataset import WaveformDataset
from acsbench.errors import ConfigError, InputError, StepError
from acsbench.experiment.config import ExperimentConfig
from acsbench.experiment.fits import FitOnce
from acsbench.experiment.sweep import plan_fits, run_sweep
from acsbench.models.features import LogisticModel
from acsbench.parallel import Workers

pytestmark = pytest.mark.slow
BROKEN_SEEDS: set[int] = set()
FITTED: list[int] = []


class Fickle(LogisticModel):
    """Logistic regression on the ages plus noise of its seed; fails for some seeds."""

    name = "fickle"

    def __init__(self, **parameters: Any) -> None:
        self.start = parameters.pop("init_from", None)
        super().__init__(**{"features": ("age",), **parameters})

    def fit(self, train: WaveformDataset, val: WaveformDataset) -> Self:
        if self.config.seed in BROKEN_SEEDS:
            raise ZeroDivisionError("no luck")
        FITTED.append(self.config.seed)
        noise = np.random.default_rng(self.config.seed).normal(0, 30, len(train))
        frame = train.feature_frame.with_columns(age=pl.col("age") + noise)
        return super().fit(replace(train, feature_frame=frame), val)


@pytest.fixture(autouse=True)
def fickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_INS["models"], "fickle", f"{__name__}:Fickle")
    BROKEN_SEEDS.clear()
    FITTED.clear()


def experiment(hospital: Path, **sweep: Any) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "name": "small",
            "seed": 3,
            "source": {"name": "synthetic", "path": str(hospital), "n_patients": 100},
            "models": [
                {"name": "first", "model": "fickle", "task": "mace"},
                {"name": "second", "model": "fickle", "task": "acs", "init_from": "first"},
                {"name": "flag", "model": "flag:has_st_eleva", "task": "acs"},
            ],
            "evaluate": {"n_resamples": 100},
            "sweep": {"seeds": 2, **sweep},
        }
    )


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep") / "hospital"


@pytest.fixture(scope="module")
def done(hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two models and a flag, two seeds each."""
    folder = tmp_path_factory.mktemp("sweep") / "done"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.BUILT_INS["models"], "fickle", f"{__name__}:Fickle")
        run_sweep(experiment(hospital), out=folder)
    return folder


@pytest.fixture
def folder(done: Path, tmp_path: Path) -> Path:
    return shutil.copytree(done, tmp_path / "sweep")


def cells(table: pl.DataFrame) -> set[tuple[Any, ...]]:
    return set(table.select("model", "task", "seed").unique().rows())


def test_a_sweep_leaves_a_row_for_each_model_task_and_seed_and_the_spread(done: Path) -> None:
    table = pl.read_csv(done / "sweep.csv")
    seeds = (3, 4, None)
    assert cells(table) == {
        *(("first", "mace", seed) for seed in seeds),
        *(("second", "acs", seed) for seed in seeds),
        *(("flag", "acs", seed) for seed in seeds[:2]),
    }
    auroc = table.filter((pl.col("model") == "second") & (pl.col("metric") == "auroc"))
    values = auroc.unique("seed", keep="first", maintain_order=True)["value"].to_list()
    row = (
        pl.read_csv(done / "summary.csv")
        .filter((pl.col("model") == "second") & (pl.col("metric") == "auroc"))
        .row(0, named=True)
    )
    assert row["n_seeds"] == 2
    assert row["mean"] == pytest.approx(np.mean(values[:2]))
    assert row["sd"] == pytest.approx(np.std(values[:2], ddof=1))
    assert row["ensemble"] == pytest.approx(values[2])
    assert row["ensemble_low"] < row["ensemble"] < row["ensemble_high"]
    assert (done / "failures.csv").read_text().strip() == "model,task,seed,reason"
    assert json.loads((done / "manifest.json").read_text())["step"] == "sweep"


def test_finished_fits_are_not_repeated_and_seeds_and_tasks_can_be_added(
    hospital: Path, folder: Path
) -> None:
    before = pl.read_csv(folder / "sweep.csv")
    again = run_sweep(experiment(hospital), out=folder)
    assert FITTED == []
    assert again.table.select(before.columns).equals(before.cast(dict(again.table.schema)))
    more = run_sweep(experiment(hospital, seeds=3, models=["second"]), out=folder)
    assert FITTED == [5, 5], "the new seed of the model, and of the one it starts from"
    assert more.summary.filter(pl.col("metric") == "auroc")["n_seeds"].to_list() == [3, 3]


def test_one_failed_fit_loses_no_other_and_is_tried_again(
    hospital: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BROKEN_SEEDS.add(5)
    config = tmp_path / "e.toml"
    config.write_text(experiment(hospital).to_toml())
    command = ["sweep", str(config), "--seeds", "3", "--out", str(folder), "--json"]
    with pytest.raises(SystemExit) as leaving:
        main(command)
    assert leaving.value.code == 1
    shown = capsys.readouterr()
    assert "2 fits failed" in shown.err
    failures = {row["model"]: row for row in json.loads(shown.out)["failures"]}
    assert failures["first"]["reason"] == "ZeroDivisionError: no luck"
    assert "the model it starts from failed" in failures["second"]["reason"]
    table = pl.read_csv(folder / "sweep.csv")
    assert ("second", "acs", 4) in cells(table)
    assert ("second", "acs", None) in cells(table), "of the two seeds that are there"
    BROKEN_SEEDS.clear()
    with pytest.raises(SystemExit) as leaving:
        main(command)
    assert leaving.value.code == 0
    assert FITTED == [5, 5]
    assert json.loads(capsys.readouterr().out)["failures"] == []


def test_a_sweep_in_which_nothing_can_be_fitted_fails(hospital: Path, folder: Path) -> None:
    BROKEN_SEEDS.update((7, 8))
    config = experiment(hospital, seeds=[7, 8], models=["second"])
    with pytest.raises(StepError, match="All 6 fits failed, the first of them: ZeroDivisionError"):
        run_sweep(config, out=folder)


def test_another_model_of_the_same_name_or_other_data_is_refused(
    hospital: Path, folder: Path, tmp_path: Path
) -> None:
    config = experiment(hospital)
    other = config.models[0].model_copy(update={"parameters": {"penalty_strength": 1.0}})
    changed = config.model_copy(update={"models": (other, *config.models[1:])})
    with pytest.raises(InputError, match="model first differs"):
        run_sweep(changed, out=folder)
    with pytest.raises(InputError, match="another config"):
        run_sweep(config.model_copy(update={"seed": 9}), out=folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(InputError, match="not empty and not a sweep"):
        run_sweep(config, out=tmp_path / "full")


def test_tasks_are_crossed_with_models_but_not_with_what_they_start_from(tmp_path: Path) -> None:
    config = experiment(tmp_path, tasks=["acs", "mace"], seeds=1)
    stages = plan_fits(config, tmp_path, dict.fromkeys(("first", "second", "flag")))
    named = [sorted((fit.step.name, fit.step.tasks) for fit in stage) for stage in stages]
    both = (("acs",), ("mace",))
    assert named == [
        sorted([("first", ("mace",)), *(("flag", one) for one in both)]),
        [("second", one) for one in both],
        [],
    ]
    assert {fit.start for fit in stages[1]} == {stages[0][0].folder}


def test_seeds_belong_to_the_sweep(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    seeded = config.models[0].model_copy(update={"parameters": {"seed": 1}})
    with pytest.raises(ConfigError, match="sets its own seed"):
        plan_fits(config.model_copy(update={"models": (seeded,)}), tmp_path, {"first": None})
    for wrong in (0, [], [-1]):
        with pytest.raises(ValueError, match="at least 1, or a list"):
            experiment(tmp_path, seeds=wrong)
    with pytest.raises(ValueError, match="Did you mean 'second'"):
        experiment(tmp_path, models=["secnd"])


def test_a_plan_counts_the_fits_and_writes_nothing(
    hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "e.toml"
    config.write_text(experiment(hospital).to_toml())
    out = tmp_path / "never"
    options = ["--model", "flag", "--task", "acs", "--task", "mace", "--seeds", "4", "--dry-run"]
    with pytest.raises(SystemExit):
        main(["sweep", str(config), *options, "--json", "--out", str(out)])
    assert json.loads(capsys.readouterr().out) == {"flag": 8, "fits in all": 8}
    assert not out.exists()


@pytest.mark.filterwarnings("ignore")  # a closing cluster leaves sockets behind
def test_a_cluster_fits_the_same(hospital: Path, done: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    config = experiment(hospital)
    logistic = {"name": "logistic", "model": "logistic", "task": "acs"}
    config = config.model_validate({**config.model_dump(), "models": [logistic]})
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        there = Workers(engine="dask", scheduler=cluster.scheduler_address)
        far = run_sweep(config, out=tmp_path / "far", workers=there)
    near = run_sweep(config, out=tmp_path / "near", workers=Workers(n_jobs=2))
    assert far.table.equals(near.table)


def test_an_interrupted_fit_is_no_failed_one(
    hospital: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FitOnce, "_fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(experiment(hospital), out=folder)
