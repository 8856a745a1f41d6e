from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from acsbench.cli import app
from acsbench.errors import MissingPathError
from acsbench.experiment.export_check import examine_export


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "a run"
    (folder / "predictions").mkdir(parents=True)
    scores = pl.DataFrame({"ecg_id": ["ecg00017", "ecg00018", "7"], "task": "acs", "score": 0.5})
    scores.write_csv(folder / "predictions" / "s4--acs--test.csv")
    scores.rename({"score": "found"}).write_parquet(folder / "odd-name.parquet")
    pl.DataFrame({"metric": ["auroc"], "n_records": [900]}).write_csv(folder / "results.csv")
    pl.DataFrame({"step": ["a", "b"], "n_excluded": [0, 3]}).write_csv(folder / "flow.csv")
    pl.DataFrame({"metric": ["x"], "n_models": ["few"]}).write_csv(folder / "words.csv")
    (folder / "report.html").write_text("<p>7 of 900 ECGs</p>")
    (folder / "with-ids.html").write_text("<p>Example: ecg00017, a man</p>")
    (folder / "broken.csv").write_bytes(b"a,b\n1,2,3,4\n")
    (folder / "notes.txt").write_bytes(b"\xff\xfe\x00")
    np.save(folder / "signal-00000.npy", np.zeros(3))
    (folder / "model.safetensors").write_bytes(b"x")
    (folder / "empty.csv").write_text("")
    return folder


def test_verdicts_rest_on_what_files_hold(run: Path) -> None:
    verdicts = {one.file: one.verdict for one in examine_export(run)}
    assert verdicts == {
        "predictions/s4--acs--test.csv": "patient-level",
        "odd-name.parquet": "patient-level",
        "results.csv": "may leave",
        "words.csv": "may leave",
        "flow.csv": "small counts",
        "report.html": "may leave",
        "with-ids.html": "patient-level",
        "broken.csv": "patient-level",
        "empty.csv": "patient-level",
        "notes.txt": "patient-level",
        "signal-00000.npy": "patient-level",
        "model.safetensors": "weights",
    }


def test_what_counts_as_small_can_be_said(run: Path) -> None:
    verdicts = {one.file: one.verdict for one in examine_export(run, min_count=2)}
    assert verdicts["flow.csv"] == "may leave"


def test_the_command_lists_all(run: Path) -> None:
    told = CliRunner().invoke(app, ["doctor", "--export", str(run)])
    assert told.exit_code == 0
    assert "names 1 ids" in told.stdout
    found = CliRunner().invoke(app, ["doctor", "--export", str(run), "--json"])
    assert len(json.loads(found.stdout)["files"]) == 12


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match="no folder"):
        examine_export(tmp_path / "none")
