"""Bare waveforms to scores: every kind of file, the model's own recipe, every failure listed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from acsbench.cli import main
from acsbench.dataset import load_dataset
from acsbench.errors import ConfigError, InputError, MissingPathError, StoreError
from acsbench.experiment import convert
from acsbench.experiment.score_files import find_waveforms, score_files
from acsbench.models.base import load_model, make_model, predict
from acsbench.models.neural import NeuralClassifier
from acsbench.recording import Recording
from acsbench.signal.leads import STANDARD_12
from acsbench.sources.bare import BareWaveforms
from acsbench.tables import Cohort
from acsbench.tasks import TASKS
from acsbench.waveforms.process import process_waveforms

N = 24
SMALL: dict[str, Any] = {"width": 2, "hidden": 4, "epochs": 1, "batch_size": 8, "threads": 1}
NAMES = [f"{i:010x}" for i in range(N)]


def page(seed: int) -> NDArray[np.float64]:
    """Fifteen rows of a printed page, upright waves in odd ones."""
    rng = np.random.default_rng(seed)
    wave = (1 if seed % 2 else -1) * np.sin(np.arange(5000) / 60) ** 4
    rows = rng.normal(0, 0.05, (15, 5000)) + wave
    for row in range(12):
        rows[row, : row // 3 * 1250] = np.nan
        rows[row, (row // 3 + 1) * 1250 :] = np.nan
    return rows


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A holdout of 24 pages: all wanted for acs, four of them for mace too."""
    folder = tmp_path_factory.mktemp("holdout")
    for seed, name in enumerate(NAMES):
        file = folder / "ecg-waveforms-npz" / name[:2] / f"{name}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, page(seed).astype(np.float32))
    lines = [f"ecg{name},acs" for name in NAMES] + [f"ecg{name},mace" for name in NAMES[:4]]
    (folder / "holdout-ids.csv").write_text("\n".join(["ecg_id,task", *lines]))
    return folder


@pytest.fixture(scope="module")
def cohort(pages: Path) -> Cohort:
    splits = ["train" if i < 12 else "val" if i < 18 else "test" for i in range(N)]
    labels = [bool(i % 2) for i in range(N)]
    ids = [f"ecg{name}" for name in NAMES]
    frame = pl.DataFrame(
        {
            "ecg_id": ids,
            "patient_id": ids,
            "split": splits,
            **dict.fromkeys(("is_included", "is_tested", "is_untested"), [True] * N),
            "stent_or_cabg_010_day": labels,
            "macetrop_pos_or_death_030": labels,
            "age": [40.0 + i for i in range(N)],
        }
    )
    return Cohort(
        frame=frame, flow=pl.DataFrame(), source="hand", scheme="patient", features=("age",)
    )


Trained = tuple[Any, dict[str, float]]


@pytest.fixture(scope="module")
def trained(pages: Path, cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network on a recipe with parameters of its own, and its scores by the usual road."""
    store = process_waveforms(
        find_waveforms([pages]),
        cohort,
        recipe="three_by_four",
        parameters={"low_hz": 1.0},
        folder=tmp_path_factory.mktemp("store"),
        n_jobs=1,
    )
    train, val, test = (
        load_dataset(cohort, store, TASKS["acs"], split) for split in ("train", "val", "test")
    )
    model = make_model("resnet18", **SMALL).fit(train, val)
    scored = predict(model, test)
    return model, dict(scored.frame.select("ecg_id", "score").rows())


def scores_of(frame: pl.DataFrame) -> dict[str, float]:
    return dict(frame.select("ecg_id", "score").rows())


def test_a_holdout_gets_the_scores_that_a_cohort_would(pages: Path, trained: Trained) -> None:
    model, wanted = trained
    done = score_files(model, [pages], name="mine")
    assert done.predictions.model == "mine"
    found = scores_of(done.predictions.frame)
    assert len(found) == N
    assert {ecg_id: found[ecg_id] for ecg_id in wanted} == pytest.approx(wanted, abs=1e-6)
    assert done.failures.is_empty()


def test_a_holdout_is_scored_where_it_asks_for_the_task(pages: Path, trained: Trained) -> None:
    model, _ = trained
    assert len(score_files(model, [pages], tasks=["mace"]).predictions.frame) == 4
    with pytest.raises(InputError, match="asks for acs, mace; the model scores mimic_i21"):
        score_files(model, [pages], tasks=["mimic_i21"])
    folder = pages / "ecg-waveforms-npz"
    assert len(score_files(model, [folder], tasks=["mimic_i21"]).predictions.frame) == N


def twelve_leads(seed: int) -> Recording:
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(5000) / 60) ** 4
    return Recording(
        ecg_id=f"r{seed}",
        signal=rng.normal(0, 0.05, (12, 5000)) + wave,
        lead_names=STANDARD_12,
        sampling_rate=500,
        units="mV",
    )


def test_one_ecg_scores_alike_in_every_format(trained: Trained, tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    model, _ = trained
    for kind, (write, suffix) in convert._WRITERS.items():
        write(twelve_leads(3), tmp_path / kind / f"r3{suffix}")
    (tmp_path / "npz" / "README.md").write_text("not an ECG")
    found = [
        scores_of(score_files(model, [tmp_path / kind]).predictions.frame)
        for kind in convert._WRITERS
    ]
    assert [list(one) for one in found] == [["r3"]] * 3
    assert max(one["r3"] for one in found) - min(one["r3"] for one in found) < 1e-3
    by_name = score_files(model, [tmp_path / "wfdb" / "r3"]).predictions.frame
    assert scores_of(by_name) == found[0]


def broken_files(folder: Path) -> dict[str, str]:
    """One file for each thing that can be wrong with it."""
    folder.mkdir()
    np.savez(folder / "flat.npz", np.zeros((3, 5)))
    (folder / "half.npz").write_bytes(b"PK half")
    (folder / "text.csv").write_text("time_s,I\n0,a\n")
    (folder / "no_time.csv").write_text("I,II\n1,2\n1,2\n")
    (folder / "uneven.csv").write_text("time_s,I\n0,1\n0.1,2\n0.5,3\n0.6,3\n")
    (folder / "other.xml").write_text("<html/>")
    convert._write_npz(
        replace(twelve_leads(0), signal=twelve_leads(0).signal[:, :900]), folder / "short.npz"
    )
    convert._write_npz(
        replace(twelve_leads(0), signal=twelve_leads(0).signal * 1000), folder / "loud.npz"
    )
    return {
        "flat": "wrong_shape",
        "half": "truncated",
        "text": "wrong_type",
        "no_time": "wrong_rate",
        "uneven": "wrong_rate",
        "other": "unknown_format",
        "short": "too_short",
        "loud": "wrong_units",
    }


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as leaving:
        main([str(one) for one in arguments])
    return int(leaving.value.code or 0)


def test_a_bad_file_is_one_line_and_the_others_are_scored(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = trained
    model.save(tmp_path / "model")
    reasons = broken_files(tmp_path / "in")
    convert._write_npz(twelve_leads(1), tmp_path / "in" / "good.npz")
    out = tmp_path / "out"
    assert run("predict", tmp_path / "model", tmp_path / "in", "--out", out, "--json") == 1
    shown = capsys.readouterr()
    assert f"{len(reasons)} files could not be scored" in shown.err
    assert json.loads(shown.out)["records"] == 1
    assert {p.name for p in out.iterdir()} == {"model--acs--holdout.csv", "failures.csv"}
    listed = pl.read_csv(out / "failures.csv")
    assert dict(listed.select("ecg_id", "reason").rows()) == reasons
    assert len((out / "failures.csv").read_text().splitlines()) == 1 + len(reasons)
    assert (tmp_path / "in" / "half.npz").as_posix() in listed["file"]


def test_files_that_are_all_bad_are_listed_too(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = trained
    model.save(tmp_path / "model")
    reasons = broken_files(tmp_path / "in")
    assert run("predict", tmp_path / "model", tmp_path / "in", "--out", tmp_path / "out") == 1
    assert len(pl.read_csv(tmp_path / "out" / "failures.csv")) == len(reasons)
    assert not list((tmp_path / "out").glob("*--*"))


def test_files_that_cannot_be_told_apart_or_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match="nowhere"):
        find_waveforms([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="There is no ECG in"):
        find_waveforms([tmp_path])
    for name in ("a", "b"):
        convert._write_npz(twelve_leads(1), tmp_path / name / "same.npz")
    with pytest.raises(InputError, match="1 pairs of files have one id"):
        find_waveforms([tmp_path])
    again = find_waveforms([tmp_path / "a", tmp_path / "a" / "same.npz"])
    assert again.files == {"same": tmp_path / "a" / "same.npz"}


def test_columns_that_a_waveform_lacks_are_named_or_filled_in(
    pages: Path, cohort: Cohort, tmp_path: Path
) -> None:
    store = process_waveforms(find_waveforms([pages]), cohort, folder=tmp_path / "s", n_jobs=1)
    train, val, test = (
        load_dataset(cohort, store, TASKS["acs"], split) for split in ("train", "val", "test")
    )
    strict = make_model("resnet18", **SMALL, covariates=("age",)).fit(train, val)
    with pytest.raises(InputError, match="needs age, which bare waveforms lack"):
        score_files(strict, [pages])
    NeuralClassifier("resnet18", **SMALL, covariates=("age",), may_lack_columns=True).fit(
        train, val
    ).save(tmp_path / "m")
    lenient = load_model(tmp_path / "m")
    found = scores_of(score_files(lenient, [pages]).predictions.frame)
    middle = float(np.median(train.feature_frame["age"].to_numpy()))
    filled = replace(test, feature_frame=test.feature_frame.with_columns(age=pl.lit(middle)))
    wanted = scores_of(predict(lenient, filled).frame)
    assert {i: found[i] for i in wanted} == pytest.approx(wanted, abs=1e-6)
    both = {"members": [{"folder": tmp_path / "m"}, {"model": "logistic"}]}
    both["members"][1]["parameters"] = {"features": ("age",)}
    ensemble = make_model("ensemble", **both).fit(train, val)
    with pytest.raises(InputError, match="needs age"):
        score_files(ensemble, [pages])
    tabular = make_model("logistic", features=("age",), may_lack_columns=True).fit(train, val)
    with pytest.raises(InputError, match="uses no waveforms"):
        score_files(tabular, [pages])


def test_a_recipe_that_changed_since_the_training_is_refused(pages: Path, trained: Trained) -> None:
    model, _ = trained
    other = NeuralClassifier("resnet18", **SMALL)
    other.network, other.shape = model.network, model.shape
    recipe = {**model.signature["recipe"], "version": 0}
    other.signature = {**model.signature, "recipe": recipe}
    with pytest.raises(StoreError, match="version 0 of recipe 'three_by_four'"):
        score_files(other, [pages])
    other.signature = {**model.signature, "lead_names": ["a", "b", "c"], "sampling_rate": 250.0}
    with pytest.raises(StoreError, match=r"lead_names = .*, here .*; sampling_rate = 250.0, here"):
        score_files(other, [pages])


def test_a_published_network_needs_to_be_told_its_task(pages: Path, trained: Trained) -> None:
    model, _ = trained
    other = NeuralClassifier("resnet18", **SMALL)
    other.adopt(model.network, model.shape, source="elsewhere")
    with pytest.raises(ConfigError, match=r"which task it scores. Name it \(--task\)"):
        score_files(other, [pages])
    assert len(score_files(other, [pages], tasks=["acs"]).predictions.frame) == N


def test_work_that_was_stopped_is_taken_up_and_leaves_no_store(
    pages: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = trained

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(NeuralClassifier, "predict_proba", interrupted)
        with pytest.raises(KeyboardInterrupt):
            score_files(model, [pages], work=tmp_path / "work")
    assert (tmp_path / "work" / "manifest.json").is_file()
    with monkeypatch.context() as patch:
        patch.setattr(BareWaveforms, "recordings", interrupted)
        score_files(model, [pages], work=tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_an_exported_network_scores_bare_waveforms(
    pages: Path, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    model, wanted = trained
    model.save(tmp_path / "model")
    assert run("export-onnx", tmp_path / "model", tmp_path / "mine.onnx") == 0
    assert run("export-onnx", tmp_path / "model", tmp_path / "mine.bin") == 2
    assert run("predict", tmp_path / "mine.onnx", pages, "--out", tmp_path / "out") == 0
    found = scores_of(pl.read_csv(tmp_path / "out" / "mine--acs--holdout.csv"))
    assert {i: found[i] for i in wanted} == pytest.approx(wanted, abs=1e-5)


def test_the_command_wants_files_or_a_cohort(
    pages: Path, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = trained
    model.save(tmp_path / "model")
    out = ("--out", tmp_path / "out")
    assert run("predict", tmp_path / "model", *out) == 2
    assert run("predict", tmp_path / "model", pages, "--cohort", tmp_path, *out) == 2
    assert run("predict", tmp_path / "model", pages, "--limit", "3", *out) == 2
    capsys.readouterr()
    assert run("predict", tmp_path / "model", pages, *out, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"records": N, "tasks": "acs", "failed": 0}
    assert not (tmp_path / "out").exists()
