"""The models of a run on other data: nothing is learnt there, and nobody of train is met again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from acsbench.errors import ConfigError, InputError
from acsbench.experiment import external
from acsbench.experiment.config import ExperimentConfig, read_experiment
from acsbench.experiment.judging import Trained
from acsbench.experiment.run import RunResult, run_experiment
from acsbench.results import Results
from acsbench.tables import Cohort

FLAGS = ["has_st_eleva", "has_depress", "has_twave_inver", "has_twave_abnormal"]


def hospital(folder: Path, **more: Any) -> dict[str, Any]:
    source = {"name": "synthetic", "path": str(folder), "n_patients": 100, **more}
    return {"source": source, "cohort": {"fractions": {"train": 0.5, "val": 0.2, "test": 0.3}}}


def config(folder: Path) -> ExperimentConfig:
    model = {"name": "logistic", "model": "logistic", "task": "acs"}
    other = hospital(folder / "other", seed=9)
    return ExperimentConfig.model_validate(
        {
            "name": "home",
            **hospital(folder / "home"),
            "models": [{**model, "parameters": {"features": FLAGS}}],
            "evaluate": {"n_resamples": 100, "sections": []},
            "evaluate_on": {
                "other": other,
                "other-mace": {**other, "tasks": {"acs": "mace"}},
                "same": hospital(folder / "home"),
            },
        }
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("external")
    return run_experiment(config(folder), out=folder / "run", n_jobs=1)


@pytest.mark.slow
def test_other_data_are_judged_whole_and_reported_apart(done: RunResult) -> None:
    there = done.folder / "evaluate_on" / "other"
    assert done.elsewhere["other"] == there / "report.html"
    assert "nothing was learnt or chosen there" in (there / "report.html").read_text()
    results = Results.load(there)
    frame = Cohort.load(there / "cohort").frame
    known = pl.col("stent_or_cabg_010_day").is_not_null()
    tested = frame.filter("is_included", "is_tested", known)
    overall = results.overall.filter(model="logistic", metric="auroc")
    assert set(overall["n_records"]) == {len(tested)}
    scored = pl.read_csv(there / "predictions" / "logistic--acs--test.csv")
    assert set(scored["ecg_id"]) == set(tested["ecg_id"])
    assert set(results.overall["model"]) == {"logistic", *(f"flag:{flag}" for flag in FLAGS)}


@pytest.mark.slow
def test_patients_who_trained_are_left_out_where_they_come_again(done: RunResult) -> None:
    page = done.elsewhere["same"]
    assert "train or val were left out" in page.read_text()
    there = pl.read_csv(page.parent / "predictions" / "logistic--acs--test.csv")
    here = pl.read_csv(done.folder / "predictions" / "logistic--acs--test.csv")
    assert there.sort("ecg_id").equals(here.sort("ecg_id"))


@pytest.mark.slow
def test_labels_of_another_task_can_be_asked_for(done: RunResult) -> None:
    page = done.elsewhere["other-mace"]
    assert set(Results.load(page.parent).overall["task"]) == {"mace"}
    assert "by the labels of mace for acs" in page.read_text()


@pytest.mark.slow
def test_a_second_call_gives_the_same(done: RunResult) -> None:
    kept = read_experiment(done.folder / "config.toml")
    before = {name: page.read_bytes() for name, page in done.elsewhere.items()}
    again = run_experiment(kept, out=done.folder, n_jobs=1)
    assert {name: page.read_bytes() for name, page in again.elsewhere.items()} == before


@pytest.mark.slow
def test_a_model_that_cannot_read_the_data_is_told(done: RunResult, tmp_path: Path) -> None:
    class Blind:
        recipe = None
        remarks = ()

        def predict_proba(self, data: Any) -> Any:
            raise InputError("the column age is not there")

    kept = read_experiment(done.folder / "config.toml").model_copy(update={"compare_flags": False})
    blind: Any = Blind()
    models = [Trained(step=kept.models[0], model=blind, store=None)]
    with pytest.raises(InputError, match="logistic was not judged: the column age"):
        external.judge_elsewhere("other", kept, models, done.cohort, tmp_path / "there")


def test_a_name_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        'name = "x"\n[source]\nname = "synthetic"\n'
        '[[models]]\nname = "l"\nmodel = "logistic"\ntask = "acs"\n'
        '[evaluate_on."../up".source]\nname = "folder"\n'
    )
    with pytest.raises(ConfigError, match="evaluate_on"):
        read_experiment(path)
