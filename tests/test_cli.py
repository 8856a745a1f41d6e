from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import polars as pl
import pytest

from acsbench import registry
from acsbench.cli import main
from acsbench.experiment.config import ModelStep

COMMANDS = (
    *("demo", "run", "quality", "cohort", "audit", "process", "train", "sweep"),
    *("predict", "export-onnx"),
    *("evaluate", "compare", "report", "show", "convert", "download", "list", "new", "doctor"),
    *("check", "submit", "verify", "serve"),
)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    return int(leaving.value.code or 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    shown = capsys.readouterr().out
    assert "--debug" in shown
    assert "--json" in shown


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from acsbench.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'polars', 'pydantic', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_a_misspelt_command_is_bad_usage_with_a_suggestion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("evalute") == 2
    assert "Did you mean 'evaluate'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", registry.KINDS)
def test_list_prints_every_name(kind: registry.Kind, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", kind, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {kind: registry.names(kind)}


def test_list_without_a_kind_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert tuple(found) == registry.KINDS
    assert all(found.values())


def test_an_unknown_list_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "moels") == 2
    assert "Did you mean 'models'" in capsys.readouterr().err


def test_the_doctor_knows_every_extra(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--out", str(tmp_path), "--json") == 0
    told = capsys.readouterr().out
    body = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    extras = set(body["project"]["optional-dependencies"]) - {"docs", "test", "all"}
    assert {name for name in extras if f"extra '{name}'" not in told} == set()


def test_the_doctor_is_content_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--out", str(tmp_path), "--json") == 0
    assert all(f["is_fine"] for f in json.loads(capsys.readouterr().out)["findings"])
    assert list(tmp_path.iterdir()) == []


def write_judged(folder: Path) -> tuple[Path, Path]:
    labels = [f"e{i:02d},p{i // 2:02d},{i % 3 == 0:d}" for i in range(40)]
    scores = [f"e{i:02d},acs,{0.9 - 0.02 * i if i % 3 == 0 else 0.01 * i}" for i in range(40)]
    (folder / "labels.csv").write_text("\n".join(["ecg_id,patient_id,label", *labels]))
    (folder / "mine.csv").write_text("\n".join(["ecg_id,task,score", *scores]))
    return folder / "mine.csv", folder / "labels.csv"


def test_two_csv_files_are_enough_for_a_judgement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, labels = write_judged(tmp_path)
    out = tmp_path / "judged"
    assert run("evaluate", str(mine), "--labels", str(labels), "--out", str(out), "--json") == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    assert {"mine"} == {row["model"] for row in rows}
    assert (out / "results.csv").is_file()
    assert "<html" in (out / "report.html").read_text()


def test_bad_input_is_one_message_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, labels = write_judged(tmp_path)
    mine.write_text(mine.read_text().replace("e03,", "e3,"))
    assert run("evaluate", str(mine), "--labels", str(labels)) == 2
    shown = capsys.readouterr()
    assert "e03" in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_a_missing_file_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, labels = write_judged(tmp_path)
    assert run("evaluate", str(tmp_path / "mien.csv"), "--labels", str(labels)) == 2
    assert "Did you mean 'mine.csv'" in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("acsbench ")


def test_an_error_of_our_own_is_short_unless_debugged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("acsbench.experiment.doctor.examine", broken)
    assert run("doctor", "--out", str(tmp_path)) == 1
    shown = capsys.readouterr().err
    assert "ZeroDivisionError" in shown
    assert "--debug" in shown
    assert "Traceback" not in shown
    with pytest.raises(ZeroDivisionError):
        main(["doctor", "--debug"])


def test_a_limited_judgement_keeps_whole_patients_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, labels = write_judged(tmp_path)
    assert run("evaluate", str(mine), "--labels", str(labels), "--limit", "21", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["n_records"] for row in found["results"]} == {20}
    assert {row["n_patients"] for row in found["results"]} == {10}
    assert "not reportable" in found["remarks"][0]


def test_a_limited_judgement_still_refuses_unknown_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, labels = write_judged(tmp_path)
    mine.write_text(mine.read_text() + "\ne99,acs,0.5\n")
    assert run("evaluate", str(mine), "--labels", str(labels), "--limit", "30") == 2
    assert "e99" in capsys.readouterr().err


@pytest.mark.slow
def test_the_steps_one_by_one_take_a_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hospital = ("--source", "synthetic", "--path", str(tmp_path / "h"))
    cohort, store, model = (str(tmp_path / name) for name in ("cohort", "store", "model"))
    split = str(tmp_path / "split.csv")
    build = ("cohort", *hospital, "--set", "n_patients=150", "--write-split", split)
    assert run(*build, "--out", cohort) == 0
    assert not (Path(cohort) / "quality-parts").exists()
    with_ids_only = pl.read_csv(split)
    assert with_ids_only.columns == ["patient_id", "split"]
    assert run(*build, "--out", str(tmp_path / "again")) == 2
    assert "is not overwritten" in capsys.readouterr().err
    steps = ("--cohort", cohort, "--limit", "150")
    assert run("process", *steps, "--recipe", "recorded-12", "--out", store) == 0
    limited = ("--store", store, "--task", "acs")
    assert run("train", "boosting", *steps, *limited, "--out", model) == 0
    capsys.readouterr()
    out = str(tmp_path / "predictions")
    assert run("predict", model, *steps, *limited, "--out", out, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 < found["records"] < 150
    assert [Path(file).name for file in found["files"]] == ["model--acs--test.csv"]


def test_the_evaluation_is_configured_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, labels = write_judged(tmp_path)
    both = (str(mine), "--labels", str(labels))
    assert run("evaluate", *both, "--set", "level=0.9", "--set", "n_resamples=100") == 0
    assert "auroc (90 %)" in capsys.readouterr().out
    assert run("evaluate", *both, "--set", "levle=0.9") == 2
    assert "Did you mean 'level'" in capsys.readouterr().err


def test_a_file_without_a_task_is_of_the_labels_only_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, labels = write_judged(tmp_path)
    mine.write_text(mine.read_text().replace(",acs,", ",").replace(",task", ""))
    rows = labels.read_text().splitlines()
    labels.write_text("\n".join([f"{rows[0]},task", *(f"{row},mace" for row in rows[1:])]))
    assert run("evaluate", str(mine), "--labels", str(labels), "--json") == 0
    assert {row["task"] for row in json.loads(capsys.readouterr().out)["results"]} == {"mace"}


def test_machines_are_options_of_train_and_reach_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def trained(step: ModelStep, *_: object, **__: object) -> None:
        seen.update(step.parameters)

    monkeypatch.setattr("acsbench.experiment.limit.load_cohort", lambda *_, **__: None)
    monkeypatch.setattr("acsbench.experiment.steps.train_step", trained)
    options = ("--devices", "2", "--nodes", "3", "--strategy", "fsdp", "--precision", "bf16-mixed")
    where = ("--cohort", str(tmp_path), "--task", "acs", "--out", str(tmp_path / "m"))
    assert run("train", "s4", *where, *options, "--set", "width=8") == 0
    assert seen == {
        "width": 8,
        "devices": 2,
        "nodes": 3,
        "strategy": "fsdp",
        "precision": "bf16-mixed",
    }
    assert run("train", "s4", *where, "--devices", "auto") == 0
    assert seen["devices"] == "auto"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "finished work is kept"),
        (errno.EACCES, "--out"),
        (errno.EROFS, "--out"),
        (errno.EFBIG, "ulimit -f"),
    ],
)
def test_what_the_system_refuses_comes_with_a_way_out(
    number: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "/data/x")

    monkeypatch.setattr("acsbench.experiment.plug_ins.new_plug_in", refuse)
    assert run("new", "model", "mine") == 1
    told = capsys.readouterr().err
    assert told.startswith(f"Error: /data/x: {os.strerror(number)}.")
    assert said in told
    assert "Errno" not in told


def test_a_folder_that_is_no_cohort_says_what_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("train", "resnet18", "--cohort", str(tmp_path), "--task", "acs", "--out", "x")
    assert run(*arguments) == 2
    assert "`acsbench cohort` makes" in capsys.readouterr().err
