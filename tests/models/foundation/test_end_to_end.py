"""The commands: a user's copy of weights, MACE, then ACS. Trap 15: commands that do run."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from twelve_leads import cohort, hub_folder, make_store

from acsbench.cli import main
from acsbench.models.trainee import Trainee

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning:torch")]
SMALL = ("--set", "epochs=3", "--set", "batch_size=8", "--set", "threads=1")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as leaving:
        main([str(one) for one in arguments])
    return int(leaving.value.code or 0)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Cohort, store and a user's copy of random weights, as the commands find them."""
    planted = cohort()
    text, number = pl.lit(None, pl.String), pl.lit(1, pl.Int64)
    frame = planted.frame.with_columns(encounter_id=text, exclusion=text, ecg_order=number)
    counts = {"n_encounters": 0, "n_patients": len(frame), "n_records": len(frame)}
    flow = pl.DataFrame({"order": 0, "step": "all", "kind": "start", **counts})
    replace(planted, frame=frame, flow=flow).save(tmp_path / "cohort")
    make_store(tmp_path / "store")
    hub_folder(tmp_path / "weights")
    return tmp_path


def test_mace_then_acs_from_a_users_copy(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "acsbench")
    data = ("--cohort", place / "cohort", "--store", place / "store", *SMALL)
    init = f"init={place / 'weights'}"
    mace = ("train", "hubert-ecg", *data, "--task", "mace", "--out", place / "mace")
    assert run(*mace, "--set", init, "--mode", "frozen") == 0
    assert "CC BY-NC 4.0" in caplog.text
    assert "trains 17 of" in caplog.text
    body = json.loads((place / "mace" / "config.json").read_text())
    assert body["parameters"]["sizes"]["hidden_size"] == 16
    acs = ("train", "hubert-ecg", *data, "--task", "acs", "--out", place / "acs")
    assert run(*acs, "--init-from", place / "mace", "--mode", "head-first") == 0
    body = json.loads((place / "acs" / "config.json").read_text())
    assert "CC BY-NC 4.0" in body["remarks"][0]
    assert "CC BY-NC 4.0" in (place / "acs" / "README.md").read_text()
    scored = ("predict", place / "acs", "--cohort", place / "cohort", "--store", place / "store")
    assert run(*scored, "--task", "acs", "--out", place / "scores") == 0
    table = pl.read_csv(place / "scores" / "acs--acs--test.csv")
    assert len(table) == 16
    assert table["score"].is_between(0, 1).all()


@pytest.mark.parametrize("mode", ["frozen", "full"])
def test_a_stopped_command_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    data = ("--cohort", place / "cohort", "--store", place / "store", *SMALL)
    options = ("--task", "acs", "--set", f"init={place / 'weights'}", "--mode", mode)
    command = ("train", "hubert_ecg", *data, *options)
    assert run(*command, "--out", place / "whole") == 0
    epochs: list[int] = []

    def stop(self: Trainee) -> None:
        epochs.append(self.current_epoch)
        if epochs == [0, 1]:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainee, "on_train_epoch_start", stop)
    assert run(*command, "--out", place / "stopped") == 130
    assert run(*command, "--out", place / "stopped") == 0
    assert epochs == [0, 1, 1, 2]
    for name in ("model.safetensors", "config.json"):
        whole, stopped = ((place / one / name).read_bytes() for one in ("whole", "stopped"))
        assert whole == stopped


def test_what_is_wrong_with_a_copy_is_told_and_ends_with_two(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--cohort", place / "cohort", "--store", place / "store", "--task", "acs")
    command = ("train", "hubert-ecg", *data, "--out", place / "out")
    assert run(*command, "--set", f"init={place / 'nothing'}") == 2
    assert "There is no file or folder" in capsys.readouterr().err
    (place / "weights" / "model.safetensors").write_bytes(b"{}")
    assert run(*command, "--set", f"init={place / 'weights'}") == 2
    assert "is damaged" in capsys.readouterr().err
    assert run(*command, "--mode", "frosen") == 2
    assert "frozen" in capsys.readouterr().err


def test_what_pretrain_leaves_is_what_label_efficiency_takes(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--store", place / "store", "--cohort", place / "cohort")
    told = {"epochs": 1, "batch_size": 8, "threads": 1, "n_negatives": 8, "n_steps": 3}
    sizes = {"width": 8, "n_layers": 1, "n_states": 4, "kernels": [3, 1], "strides": [4, 1]}
    values = {**told, **{f"sizes.{key}": value for key, value in sizes.items()}}
    settings = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    learn = ("pretrain", "cpc", *data, *settings, "--seed", "0", "--out", place / "cpc-0")
    assert run(*learn, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)
    assert not (place / "cpc-0").exists()
    assert run(*learn, "--task", "acs") == 0
    assert (place / "cpc-0" / "curve.csv").is_file()
    assert (
        run("pretrain", "cpc", "--store", place / "store", "--limit", 5, "--out", place / "x") == 2
    )
    assert "--limit counts a cohort's ECGs" in capsys.readouterr().err

    start = f"cpc={place}/cpc-{{seed}}"
    study = ("label-efficiency", *data, "--task", "acs", "--pretrained", start)
    study += ("--set", "batch_size=8", "--set", "threads=1", "--mode", "frozen", "--share", 1)
    study += ("--epochs", 1, "--draws", 1, "--seeds", 1, "--out", place / "study")
    assert run(*study, "--dry-run", "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert not (place / "study").exists()
    assert run(*study, "--json") == 0
    told_of = json.loads(capsys.readouterr().out)
    names = {row["method"] for row in told_of["rows"]}
    assert names == {"scratch", "cpc-frozen", "random-frozen"}
    assert names <= {key.partition(" ")[0] for key in planned}
    assert told_of["failures"] == []
    assert Path(told_of["figure"]).read_text().count("<svg") == 1
    assert run(*study, "--mode", "frosen") == 2
    assert "is none of" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["list", "models"]])
def test_help_and_lists_import_neither_torch_nor_transformers(arguments: list[str]) -> None:
    code = (
        "import sys; from acsbench.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'transformers', 'lightning') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_training_another_foundation_model_needs_no_transformers(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from acsbench.models.base import make_model\n"
        "from acsbench.models.foundation.ecgfounder import FounderSizes\n"
        "make_model('hubert_ecg')\n"
        "sizes = FounderSizes(stem=4, widths=(4,), depths=(1,), group_width=4)\n"
        "make_model('ecgfounder', sizes=sizes.model_dump()).config.adapter().random_init()\n"
        "print('transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_hub_is_asked_for_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub as hub

    from acsbench.models.pretrained import load_pretrained

    folder = hub_folder(tmp_path / "cached")
    asked: list[str] = []

    def snapshot(repository: str, **_: object) -> str:
        asked.append(repository)
        return str(folder)

    monkeypatch.setattr(hub, "list_repo_files", lambda name: ["config.json", "model.safetensors"])
    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    model = load_pretrained("hf:somebody/hubert-ecg-tiny")
    assert model.name == "hubert_ecg"
    assert asked == ["somebody/hubert-ecg-tiny"]
    assert model.remarks[0].startswith("Weights of hf:somebody/hubert-ecg-tiny")
