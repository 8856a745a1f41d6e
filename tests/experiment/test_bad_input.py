"""Whatever is wrong with raw data is one message at the command line; nothing is half written."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.cli import main
from acsbench.sources.synthetic import write_hospital

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and waveforms of a small hospital in the Nightingale layout."""
    return write_hospital(tmp_path_factory.mktemp("bad") / "h", n_patients=60) / "ed-bwh-ecg" / "v1"


@pytest.fixture(scope="module")
def built(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cohort of the clean hospital."""
    folder = tmp_path_factory.mktemp("built") / "cohort"
    assert build(clean, folder) == 0
    return folder


@pytest.fixture
def raw(clean: Path, tmp_path: Path) -> Path:
    return shutil.copytree(clean, tmp_path / "raw")


def build(raw: Path, out: Path, *more: str) -> int:
    with pytest.raises(SystemExit) as leaving:
        main(
            [
                *("cohort", "--source", "nightingale", "--path", str(raw)),
                *("--out", str(out), "--jobs", "1", *more),
            ]
        )
    return int(leaving.value.code or 0)


def change(raw: Path, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    edit(pl.read_csv(raw / name, infer_schema=False)).write_csv(raw / name)


def waveforms(raw: Path) -> list[Path]:
    return sorted((raw / "ecg-waveforms-npz").rglob("*.npz"))


def set_first(column: str, value: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda t: t.with_columns(
        pl.when(pl.int_range(pl.len()) == 0)
        .then(pl.lit(value))
        .otherwise(pl.col(column))
        .alias(column)
    )


TABLE_FAULTS: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], list[str]]] = {
    "a missing column": (
        "patient.csv",
        lambda t: t.drop("sex"),
        ["patient.csv", "'sex'"],
    ),
    "a misspelt column": (
        "ed-encounter.csv",
        lambda t: t.rename({"cath_010_day": "cath_10_day"}),
        ["ed-encounter.csv", "'cath_010_day'", "cath_10_day"],
    ),
    "an id off its pattern": (
        "ecg-metadata.csv",
        set_first("ecg_id", "ECG-17"),
        ["ecg-metadata.csv", "'ecg_id'", "row 1", "ECG-17", "ecg[0-9a-f]{10}"],
    ),
    "a duplicated key": (
        "patient.csv",
        lambda t: pl.concat([t, t.head(1)]),
        ["patient.csv", "patient_ngsci_id", "more than one row"],
    ),
    "an ECG of another patient than its visit": (
        "ecg-metadata.csv",
        lambda t: t.with_columns(pl.col("patient_ngsci_id").shift(-30).fill_null("pat00000000")),
        ["another patient than their visit"],
    ),
    "a flag that is no flag": (
        "ed-encounter.csv",
        set_first("stent_or_cabg_010_day", "perhaps"),
        ["ed-encounter.csv", "stent_or_cabg_010_day", "row 1", "perhaps"],
    ),
}


@pytest.mark.parametrize("fault", TABLE_FAULTS)
def test_a_bad_table_is_one_message_that_says_where(
    fault: str, raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, edit, words = TABLE_FAULTS[fault]
    change(raw, name, edit)
    assert build(raw, tmp_path / "out") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert [word for word in words if word not in shown.err] == []
    assert not (tmp_path / "out").exists()


def test_all_findings_of_a_table_come_at_once(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(raw, "ed-encounter.csv", set_first("stent_or_cabg_010_day", "perhaps"))
    change(raw, "ed-encounter.csv", set_first("age_at_admit", "-3"))
    assert build(raw, tmp_path / "out") == 2
    shown = capsys.readouterr().err
    assert "perhaps" in shown
    assert "age_at_admit" in shown


def spoil(path: Path, how: str) -> None:
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "missing_file":
        path.unlink()
    else:
        signal = np.load(path)["waveform"]
        bad = {
            "wrong_shape": signal[:12],
            "wrong_units": signal * 1000,
            "wrong_type": np.array([["x"] * 4] * 15),
        }[how]
        np.savez_compressed(path, waveform=bad)


BROKEN = ("truncated", "empty", "missing_file", "wrong_shape", "wrong_units", "wrong_type")


def included(folder: Path) -> list[str]:
    return pl.read_parquet(folder / "cohort.parquet").filter("is_included")["ecg_id"].to_list()


def test_broken_waveforms_are_counted_with_their_reasons(
    raw: Path, built: Path, tmp_path: Path
) -> None:
    victims = dict(zip(BROKEN, included(built), strict=False))
    for how, victim in victims.items():
        spoil(raw / "ecg-waveforms-npz" / victim[3:5] / f"{victim[3:]}.npz", how)
    assert build(raw, tmp_path / "out") == 0
    assert not set(victims.values()) & set(included(tmp_path / "out"))
    rows = pl.read_parquet(tmp_path / "out" / "quality.parquet")
    reasons = dict(rows.filter(pl.col("lead") == "*").select("ecg_id", "reasons").rows())
    assert reasons == {victim: how for how, victim in victims.items()}


def test_waveforms_that_break_after_the_cohort_fail_above_the_stated_share(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(raw, tmp_path / "cohort") == 0
    ids = included(tmp_path / "cohort")
    for victim in ids[: len(ids) // 4]:
        spoil(raw / "ecg-waveforms-npz" / victim[3:5] / f"{victim[3:]}.npz", "truncated")
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main(["process", "--cohort", str(tmp_path / "cohort"), "--out", str(tmp_path / "store")])
    assert leaving.value.code == 1
    message = capsys.readouterr().err
    assert "truncated" in message
    assert "failures.csv" in message


def test_an_empty_split_says_which_and_why(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    share = "fractions={ train = 0.999999, val = 0.0, test = 0.000001 }"
    assert build(raw, tmp_path / "out", "--set", share) == 2
    shown = capsys.readouterr().err
    assert "Split val and test is empty" in shown
    assert "Traceback" not in shown


def test_a_split_of_one_class_says_which_task_and_split(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(
        raw,
        "ed-encounter.csv",
        lambda t: t.with_columns(pl.lit("False").alias("stent_or_cabg_010_day")),
    )
    assert build(raw, tmp_path / "cohort") == 0
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main(
            [
                *("train", "logistic", "--task", "acs"),
                *("--cohort", str(tmp_path / "cohort"), "--out", str(tmp_path / "model")),
            ]
        )
    assert leaving.value.code == 2
    message = capsys.readouterr().err
    assert "Split 'train' of task 'acs' holds only 0" in message
    assert not (tmp_path / "model").exists()


def test_a_missing_label_is_a_branch_of_the_flow(raw: Path, tmp_path: Path) -> None:
    unknown = pl.when(pl.col("cath_010_day") != "true").then("stent_or_cabg_010_day")
    change(raw, "ed-encounter.csv", lambda t: t.with_columns(unknown))
    assert build(raw, tmp_path / "out") == 0
    flow = pl.read_csv(tmp_path / "out" / "flow.csv")
    counts = dict(flow.filter(pl.col("kind") == "branch").select("step", "n_records").rows())
    assert counts["stent_or_cabg_010_day missing"] >= counts["tested"] > 0


def test_a_folder_that_cannot_be_written_is_named(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert build(raw, tmp_path / "file" / "out") == 1
    shown = capsys.readouterr().err
    assert str(tmp_path / "file" / "out") in shown
    assert "--out" in shown
    assert "Traceback" not in shown


def test_a_full_disk_leaves_nothing_half_written(built: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-m", "acsbench", "process", "--cohort", str(built)]
    command += ["--out", str(store), "--jobs", "1", "--json"]

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    full = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=little_room
    )
    assert full.returncode == 1
    assert f"No space left on the disk that holds {store}" in full.stderr
    assert "Traceback" not in full.stderr
    assert list(store.glob("*.npy")) == []
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["n_failed"] == 0
