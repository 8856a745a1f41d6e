"""ACS-BenchWork again: every route runs, and the page says what the runs found."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path

import polars as pl
import pytest

from acsbench.cli import main
from acsbench.errors import ConfigError, StepError
from acsbench.evaluation.reproduction import delong_auroc
from acsbench.experiment.config import SourceStep
from acsbench.experiment.fits import Fit, FitOnce
from acsbench.experiment.paper import PAPER_MODELS, PaperConfig, experiment_of
from acsbench.predictions import Predictions
from acsbench.provenance import parse_config
from acsbench.report.names import FINDINGS
from acsbench.report.reproduction import published_figures
from acsbench.report.reproduction_tables import predictor_title
from acsbench.results import Results, format_estimate
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

HOSPITAL = SourceStep.model_validate({"name": "nightingale", "path": "anywhere"})


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    with pytest.raises(SystemExit) as end:
        main(["reproduce", "paper", *arguments, "--json"])
    return int(str(end.value.code)), json.loads(capsys.readouterr().out)


def test_both_sides_fit_the_same_networks_in_the_same_stages() -> None:
    sides = [experiment_of(PaperConfig(source=HOSPITAL), rules) for rules in ("original", "sound")]
    theirs, ours = ([(s.name, s.model, s.task, s.init_from) for s in side.models] for side in sides)
    assert theirs == ours
    assert {model for _, model, *_ in ours} == set(PAPER_MODELS)
    assert sides[0].cohort.scheme == "paper"
    assert sides[1].cohort.scheme == "patient"
    recipes = [{s.parameters.get("recipe") for s in side.models} - {None} for side in sides]
    assert recipes == [{"paper_3x4", "paper_12x10s"}, {"three_by_four", "hubert_100hz"}]


def test_full_scale_trains_as_published() -> None:
    steps = {
        s.name: s.parameters for s in experiment_of(PaperConfig(source=HOSPITAL), "original").models
    }
    for stage in ("s4-mace", "s4"):
        assert steps[stage]["epochs"] == 50
        assert steps[stage]["learning_rate"] == 1e-4
        assert steps[stage]["batch_size"] == 128
        assert "width" not in steps[stage]
    assert steps["resnet18"]["batch_size"] == 256


def test_published_weights_bring_their_sizes() -> None:
    config = PaperConfig(source=HOSPITAL, scale="docs", hubert="hf:somebody/weights")
    steps = {s.name: s.parameters for s in experiment_of(config, "sound").models}
    assert steps["hubert_ecg-mace"]["init"] == "hf:somebody/weights"
    assert "sizes" not in steps["hubert_ecg-mace"] | steps["hubert_ecg"]
    without = experiment_of(PaperConfig(source=HOSPITAL, scale="docs"), "sound")
    assert "sizes" in {s.name: s.parameters for s in without.models}["hubert_ecg-mace"]


def test_an_unknown_model_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no model 'resnet8'.*resnet"):
        parse_config(
            PaperConfig, {"source": {"name": "nightingale"}, "models": ["resnet8"]}, where="here"
        )


def test_published_figures_are_those_of_their_counts() -> None:
    """Shares were printed from counts; a mistyped figure would not agree with its counts."""
    published = published_figures()
    assert sum(published["venn"].values()) == published["n_records"]
    flagged = sum(n for region, n in published["venn"].items() if "model" in region)
    assert flagged == published["n_positive"]
    one = published["yield"]["s4"]
    assert one["pred_pos_without_feature"] == pytest.approx(
        published["venn"]["model"] / flagged, abs=5e-4
    )
    for model, figures in published["binary"].items():
        ppv = published["yield"][model]["ppv"]
        assert figures["ppv"][0] == pytest.approx(ppv, abs=5e-4)
        assert all(low <= value <= high for value, low, high in figures.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("paper") / "runs"


@pytest.mark.slow
def test_every_route_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _run(capsys, "--scale", "small", "--limit", "700", "--out", str(folder))
    assert (code, said["failures"]) == (0, [])
    for side in ("original", "sound"):
        summary = pl.read_csv(folder / side / "summary.csv")
        names = {f"{m}-mace" for m in PAPER_MODELS if m != "logistic"} | set(PAPER_MODELS)
        assert set(summary["model"]) == names
        assert (folder / side / "report.html").is_file()


@pytest.mark.slow
def test_the_page_shows_what_was_published_and_found(folder: Path) -> None:
    text = unescape((folder / "paper.html").read_text(encoding="utf-8"))
    for number in range(1, 11):
        assert f"E{number}: " in text
    assert "A generated hospital" in text
    assert "Limited to 700 ECGs" in text
    assert "0.703 (0.674-0.731)" in text  # S4, published
    theirs = Results.load(folder / "original").table("original_auroc")
    for row in theirs.filter(task="acs").iter_rows(named=True):
        assert format_estimate(row["value"], row["low"], row["high"]) in text
    shared = Cohort.load(folder / "original" / "cohort").info["shared_patients"]
    assert shared > 0
    assert f"{shared} patients stand in two splits" in text


@pytest.mark.slow
def test_findings_stand_in_one_order_in_every_panel(folder: Path) -> None:
    page = (folder / "paper.html").read_text(encoding="utf-8")
    order = [predictor_title(f"flag:{name}") for name in FINDINGS]
    legends = [
        [text for text in re.findall(r">\s*([^<>]+?)\s*</text>", svg) if text in order]
        for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    ]
    assert any(legends)
    for one in legends:
        assert one == [text for text in order if text in one]


@pytest.mark.slow
def test_the_original_reports_the_records_that_chose(folder: Path) -> None:
    """Val and test are one there, its interval is DeLong's; the sound side keeps to test."""
    cohort = Cohort.load(folder / "original" / "cohort")
    labels = TASKS["acs"].labels(cohort).drop_nulls("label").filter(pl.col("split") != "train")
    scored = Predictions.read(folder / "original" / "predictions" / "s4--acs--test.csv").frame
    rows = labels.join(scored, on="ecg_id")
    assert len(rows) == len(labels) == len(scored)
    assert set(rows["split"]) == {"val", "test"}
    value, interval = delong_auroc(rows["label"], rows["score"])
    found = (
        Results.load(folder / "original")
        .table("original_auroc")
        .row(by_predicate=(pl.col("model") == "s4") & (pl.col("task") == "acs"), named=True)
    )
    assert found["value"] == pytest.approx(value)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    ours = Cohort.load(folder / "sound" / "cohort")
    kept = Predictions.read(folder / "sound" / "predictions" / "s4--acs--test.csv").frame
    assert set(TASKS["acs"].select(ours, "test")["ecg_id"]) <= set(kept["ecg_id"])
    assert ours.info["shared_patients"] == 0


@pytest.mark.slow
def test_nothing_is_fitted_twice_and_a_failure_stops_nobody(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = folder / "original" / "fits" / "resnet6" / "acs"
    shutil.rmtree(lost)
    weights = sorted(folder.glob("*/fits/**/model.safetensors"))
    before = {path: path.stat().st_mtime_ns for path in weights}
    assert len(before) == 2 * 2 * (len(PAPER_MODELS) - 1) - 1
    fit = FitOnce._fit

    def fails(self: FitOnce, one: Fit) -> None:
        if lost in one.folder.parents:
            raise StepError("the disk is gone")
        fit(self, one)

    monkeypatch.setattr(FitOnce, "_fit", fails)
    code, said = _run(capsys, "--scale", "small", "--limit", "700", "--out", str(folder))
    assert code == 1
    assert said["failures"] == [
        {
            "rules": "original",
            "model": "resnet6",
            "task": "acs",
            "seed": 0,
            "reason": "the disk is gone",
        }
    ]
    assert {path: path.stat().st_mtime_ns for path in weights} == before
    text = unescape((folder / "paper.html").read_text(encoding="utf-8"))
    assert "What did not run" in text
    # published, and by sound rules, but not by the original's
    cells = re.search(r"ResNet-6</th><td>(.*?)</td><td>(.*?)</td>", text)
    assert cells is not None
    assert cells[2] == "\N{EN DASH}"
    assert "0.625 (0.594-0.655)" in cells[1]
