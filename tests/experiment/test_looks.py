"""Commands that look at data and results: quality, audit, compare, download."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from acsbench.cli import main
from acsbench.sources.synthetic import write_hospital
from acsbench.tables import Cohort
from acsbench.tasks import TASKS


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    return int(leaving.value.code or 0)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hospital(tmp_path_factory.mktemp("looks") / "h", n_patients=120)


def source(hospital: Path) -> tuple[str, ...]:
    return ("--source", "nightingale", "--path", str(hospital), "--jobs", "1")


@pytest.mark.slow
def test_quality_counts_what_is_wrong_and_draws_it(
    hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "q")
    assert run("quality", *source(hospital), "--out", out, "--json") == 0
    found = {row["reason"]: row for row in json.loads(capsys.readouterr().out)["quality"]}
    assert 0 < found["ok"]["n_ecgs"] < 320
    table = pl.read_parquet(tmp_path / "q" / "quality.parquet")
    sound = table.group_by("ecg_id").agg((pl.col("reasons") == "").all()).filter("reasons")
    assert len(sound) == found["ok"]["n_ecgs"]
    assert "<svg" in (tmp_path / "q" / "quality.svg").read_text()
    assert run("quality", *source(hospital), "--out", out) == 0
    assert "ok" in capsys.readouterr().out


@pytest.mark.slow
def test_audit_passes_a_split_by_patient_and_fails_the_papers(
    hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for scheme, code in (("patient", 0), ("paper", 2)):
        out = str(tmp_path / scheme)
        assert run("cohort", *source(hospital), "--scheme", scheme, "--out", out) == 0
        capsys.readouterr()
        assert run("audit", "--cohort", out, "--json") == code
        rows = json.loads(capsys.readouterr().out)["audit"]
        verdicts = {row["check"]: row["verdict"] for row in rows}
        assert verdicts["patient in one split"] == ("fail" if code else "pass")


@pytest.mark.slow
def test_audit_finds_a_patient_of_an_earlier_stage(
    hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in ("0", "1"):
        out = str(tmp_path / seed)
        assert run("cohort", *source(hospital), "--seed", seed, "--out", out) == 0
    stages = ("--cohort", str(tmp_path / "0"), "--stage")
    assert run("audit", *stages, str(tmp_path / "0")) == 0
    capsys.readouterr()
    assert run("audit", *stages, str(tmp_path / "1")) == 2
    assert "audit failed" in capsys.readouterr().err


@pytest.mark.slow
def test_a_plan_counts_what_would_be_there_and_writes_nothing(
    hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def planned(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert run(*words, "--dry-run", "--json") == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    def left() -> set[str]:
        return {path.name for path in tmp_path.iterdir()}

    config = tmp_path / "plan.toml"
    config.write_text(
        f"""
        name = "plan"
        source = {{ name = "nightingale", path = "{hospital.as_posix()}" }}
        models = [{{ name = "trees", model = "boosting", task = "acs" }}]
        """
    )
    built = tmp_path / "cohort"
    assert run("cohort", *source(hospital), "--out", str(built)) == 0
    cohort = Cohort.load(built)
    included = cohort.frame.filter("is_included")
    whole = planned("run", str(config), "--out", str(tmp_path / "run"))
    assert whole["ECGs"] == len(cohort)
    # quality, which takes its time, is not looked at beforehand
    assert whole["included ECGs"] >= len(included)
    assert whole["recorded_12: records"] == whole["included ECGs"]
    store = planned("process", "--cohort", str(built), "--out", str(tmp_path / "store"))
    assert store["records"] == len(included)
    training = planned(
        *("train", "boosting", "--cohort", str(built), "--task", "acs"),
        *("--out", str(tmp_path / "trees")),
    )
    labelled = TASKS["acs"].labels(cohort).drop_nulls("label")
    for split in ("train", "val"):
        assert training[split] == len(labelled.filter(split=split)) > 0
    assert training["recipe"] == "recorded_12"
    assert left() == {"plan.toml", "cohort"}


def test_an_unknown_ecg_is_answered_with_some_that_are_there(
    hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--source", "nightingale", "--path", str(hospital))
    assert run("show", "nobody", *where, "--out", str(tmp_path / "x.svg")) == 2
    told = capsys.readouterr().err
    assert "holds no ECG 'nobody'" in told
    known = told.partition("It holds ")[2].split(", ")[0]
    assert run("show", known, *where, "--out", str(tmp_path / "x.svg")) == 0


def test_compare_shows_what_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = range(60)
    labels = [f"e{i:02d},p{i // 2:02d},{i % 3 == 0:d}" for i in rows]
    (tmp_path / "labels.csv").write_text("\n".join(["ecg_id,patient_id,label", *labels]))
    for name, weight in (("a", 0.3), ("b", 0.1)):
        scores = [f"e{i:02d},acs,{0.5 + weight * (i % 3 == 0) - 0.007 * i:.4f}" for i in rows]
        file = tmp_path / name / "mine.csv"
        file.parent.mkdir()
        file.write_text("\n".join(["ecg_id,task,score", *scores]))
        judged = ("--labels", str(tmp_path / "labels.csv"), "--out", str(tmp_path / f"{name}.out"))
        assert run("evaluate", str(file), *judged) == 0
    capsys.readouterr()
    both = (str(tmp_path / "a.out"), str(tmp_path / "b.out"))
    assert run("compare", *both, "--out", str(tmp_path / "moved.csv"), "--json") == 0
    found = json.loads(capsys.readouterr().out)["estimates"]
    auroc = next(row for row in found if row["metric"] == "auroc" and not row["subgroup"])
    assert auroc["difference"] < 0
    assert len(pl.read_csv(tmp_path / "moved.csv")) == len(found)


def test_a_download_shows_its_licence_before_anything_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("download", "ludb", "--out", str(tmp_path / "ludb"), "--dry-run") == 0
    assert "Open Data Commons Attribution License" in capsys.readouterr().err
    assert not (tmp_path / "ludb").exists()
    assert run("download", "ludbb", "--out", str(tmp_path)) == 2
    assert "Did you mean 'ludb'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def store(hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    assert run("cohort", *source(hospital), "--limit", "30", "--out", str(folder / "c")) == 0
    built = ("--cohort", str(folder / "c"), "--jobs", "1")
    assert run("process", *built, "--out", str(folder / "s")) == 0
    return folder / "s"


def test_store_verify_finds_a_changed_byte(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("store", "verify", str(store)) == 0
    copy = shutil.copytree(store, tmp_path / "copy")
    shard = copy / "signal-00000.npy"
    changed = bytearray(shard.read_bytes())
    changed[-1] ^= 1
    shard.write_bytes(bytes(changed))
    capsys.readouterr()
    assert run("store", "verify", str(copy)) == 2
    assert "signal-00000.npy has changed" in capsys.readouterr().out


def test_store_export_writes_records_and_a_card(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "wfdb"
    assert run("store", "export", str(store), "--to", "wfdb", "--out", str(out)) == 0
    assert len(list(out.rglob("*.hea"))) > 0
    assert run("store", "export", str(store), "--to", "zar", "--out", str(out)) == 2
    assert "Did you mean 'zarr'" in capsys.readouterr().err


def test_a_cluster_needs_its_address(hospital: Path, tmp_path: Path) -> None:
    asked = ("cohort", *source(hospital), "--engine", "dask", "--out", str(tmp_path / "c"))
    assert run(*asked) == 2
    assert run(*asked[:-3], "dusk", *asked[-2:]) == 2
