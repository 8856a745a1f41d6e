"""The whole road, end to end, at the smallest size that still is one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from acsbench.errors import InputError
from acsbench.experiment.config import ExperimentConfig, read_experiment
from acsbench.experiment.run import rewrite_report, run_experiment
from acsbench.results import Results
from acsbench.tasks import TASKS

ROOT = Path(__file__).parents[2]
TINY = {"width": 2, "hidden": 4, "epochs": 3, "batch_size": 16, "threads": 1, "dropout": 0.1}


def tiny(hospital: Path, *, n_patients: int = 220) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "name": "tiny",
            "source": {"name": "synthetic", "path": str(hospital), "n_patients": n_patients},
            "models": [
                {"name": "logistic", "model": "logistic", "task": "acs"},
                {"name": "pre", "model": "resnet18", "task": "mace", "parameters": TINY},
                {
                    "name": "resnet18",
                    "model": "resnet18",
                    "task": "acs",
                    "init_from": "pre",
                    "parameters": TINY,
                },
            ],
            "evaluate": {"n_resamples": 100},
        }
    )


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("road") / "hospital"


def predictions(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((folder / "predictions").glob("*.csv"))}


@pytest.mark.slow
def test_a_run_leaves_what_it_promises_and_repeats_itself(hospital: Path, tmp_path: Path) -> None:
    config = tiny(hospital)
    first = run_experiment(config, out=tmp_path / "a", n_jobs=2)
    left = {p.name for p in first.folder.iterdir()}
    assert {"report.html", "results.csv", "predictions", "config.toml", "manifest.json"} <= left
    assert first.cohort.info["shared_patients"] == 0
    assert read_experiment(first.folder / "config.toml") == config
    again = run_experiment(read_experiment(first.folder / "config.toml"), out=tmp_path / "b")
    assert predictions(again.folder) == predictions(first.folder)
    page = first.report.read_text()
    assert not re.search(r"ecg[0-9a-f]{10}|pat[0-9a-f]{8}|\b21\d\d-\d\d-\d\d", page)
    results = Results.read_csv(first.folder / "results.csv")
    assert results.value("resnet18", "auroc", task="acs") is not None
    before = first.report.read_bytes()
    assert rewrite_report(first.folder).read_bytes() == before
    shown = rewrite_report(first.folder, tmp_path / "c", with_ids=True).read_text()
    assert re.search(r"ecg[0-9a-f]{10}", shown)
    other = config.model_copy(update={"seed": 5})
    with pytest.raises(InputError, match="holds a run of another config"):
        run_experiment(other, out=first.folder)


@pytest.mark.slow
def test_a_run_judges_selective_testing_and_the_original_table(
    hospital: Path, tmp_path: Path
) -> None:
    body = tiny(hospital).model_dump(mode="json", exclude_none=True)
    body["models"] = body["models"][:1]
    body["evaluate"]["testing_columns"] = ["age", "sex"]  # as many as so few people bear
    run = run_experiment(ExperimentConfig.model_validate(body), out=tmp_path, n_jobs=1)
    rows = run.results.table("selective_testing").filter(metric="auroc", model="logistic")
    found = {row["analysis"]: row for row in rows.iter_rows(named=True)}
    assert {"tested_only", "ipw", "doubly_robust", "bound_negative"} <= set(found)
    assert found["bound_negative"]["value"] is not None
    n_untested = len(TASKS["acs"].untested(run.cohort, "test"))
    assert found["ipw"]["n_all"] - found["ipw"]["n_tested"] == n_untested > 0
    remarks = " ".join(run.results.remarks)
    assert "have no label" not in remarks
    assert "without a label" not in remarks
    sensitivity = run.results.table("sensitivity")
    assert "the labels have no column" not in str(sensitivity["reason"].to_list())
    page = run.report.read_text()
    assert "Selective testing" in page
    assert "E1: Table 1" in page


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["stores", "models/pre/training"])
def test_a_killed_run_ends_with_the_same_predictions(
    hospital: Path, tmp_path: Path, stage: str
) -> None:
    config = tiny(hospital)
    whole = run_experiment(config, out=tmp_path / "whole")
    (tmp_path / "config.toml").write_text(config.to_toml())
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "acsbench", "run", str(tmp_path / "config.toml")]
    command += ["--out", str(killed)]
    process = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 600
    wanted = "last.ckpt" if "models" in stage else "*.npy"
    while time.monotonic() < deadline and not list((killed / stage).rglob(wanted)):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list((killed / stage).rglob(wanted))
    assert not (killed / "report.html").exists()
    resumed = run_experiment(config, out=killed)
    assert predictions(resumed.folder) == predictions(whole.folder)


@pytest.mark.slow
def test_a_limited_run_is_marked_as_not_reportable(hospital: Path, tmp_path: Path) -> None:
    config = tiny(hospital).model_copy(update={"limit": 400})
    config = config.model_copy(update={"models": config.models[:1]})
    done = run_experiment(config, out=tmp_path / "limited")
    assert "not reportable" in done.results.remarks[0]
    assert "not reportable" in done.report.read_text()


@pytest.mark.slow
def test_the_readme_python_runs(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(code) == 1
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:acsbench", "-c", code[0]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"^boosting +\S+ \(([\d.]+)-", done.stdout, re.MULTILINE)
    assert found, done.stdout
    assert float(found[1]) > 0.5, "it finds what is planted, as the page says"


@pytest.mark.slow
@pytest.mark.shared
def test_the_main_job_runs_on_real_ecgs(shared: Path, tmp_path: Path) -> None:
    source = f"source.path={(shared / 'data' / 'ptbxl_mini').as_posix()}"
    config = read_experiment(ROOT / "examples" / "ptbxl_mi.toml", [source])
    done = run_experiment(config, out=tmp_path / "ptbxl")
    models = {row["model"] for row in done.results.overall.to_dicts()}
    assert models == {"logistic", "boosting", "resnet18"}
    for model in models:
        low, high = done.results.interval(model, "auroc") or (0, 0)
        assert 0 < low < high < 1
    assert done.cohort.features == ("age", "is_female")
    assert "not an outcome" in done.report.read_text()
