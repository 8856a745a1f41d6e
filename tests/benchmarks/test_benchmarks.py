"""The benchmark scripts run, at a size that says nothing, and take up where they were stopped."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

ROOT = Path(__file__).parents[2]
CLASSES = ("NORM", "MI", "STTC", "CD", "HYP")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module(f"benchmarks.{request.param}")


@pytest.fixture
def ptbxl(tmp_path: Path) -> Path:
    """Ten records in each of eight folds, of noise, laid out as the published set."""
    rng, n = np.random.default_rng(0), 80
    folder = tmp_path / "ptbxl"
    folder.mkdir()
    x = rng.normal(0, 1000, (n, 1000, 12)).astype(np.int16)
    np.savez(folder / "signals.npz", x=x, scale=0.001)
    folds = np.repeat(np.arange(1, 9), 10)
    labels = {c: (np.arange(n) + k) % 3 == 0 for k, c in enumerate(CLASSES)}
    pl.DataFrame(
        {
            "ecg_id": 3 * np.arange(n)[::-1],
            "patient_id": [None if i % 2 else i for i in range(n)],
            "strat_fold": folds,
            "age": 50.0,
            "sex": 1,
            **{c: one.astype(int) for c, one in labels.items()},
        }
    ).write_csv(folder / "manifest.csv")
    return folder


@pytest.mark.parametrize("script", ["ptbxl_folds"], indirect=True)
def test_rounds_score_every_fold_once_and_never_train_on_it(script: Any) -> None:
    for rounds in (script.QUARTERS, script.HALVES):
        assert sorted(f for one in rounds for f in one.test) == list(range(1, 9))
        for one in rounds:
            assert all(one.split_of(fold) == "test" for fold in one.test)
            assert one.split_of(one.val) == "val"


@pytest.mark.parametrize("script", ["ptbxl_folds"], indirect=True)
def test_a_record_of_the_store_is_the_published_one(
    script: Any, ptbxl: Path, tmp_path: Path
) -> None:
    x = np.load(ptbxl / "signals.npz")["x"]
    leads = script.build_store(ptbxl, tmp_path / "leads").read("00237").signal
    np.testing.assert_allclose(leads, x[0].T / 1000, atol=1e-3)
    pages = script.build_store(ptbxl, tmp_path / "pages", recipe="three_by_four")
    assert pages.lead_names[0] == "I+aVR+V1+V4"
    page = pages.read("00237").signal
    np.testing.assert_allclose(page[0, 250:500], x[0, 250:500, 3] / 1000, atol=1e-3)


@pytest.mark.parametrize("script", ["areas"], indirect=True)
def test_a_difference_of_areas_is_the_paired_clustered_test(script: Any) -> None:
    from acsbench.evaluation.intervals import clustered_delong

    rng = np.random.default_rng(1)
    labels, patients = (np.arange(200) % 3 == 0).astype(float), np.arange(200) // 2
    scores = labels[:, None] + rng.normal(size=(200, 2)) * (1, 2)
    first, second = (script.area(labels[:, None], scores[:, [k]], patients) for k in (0, 1))
    value, reach = script.difference([first], [second])
    known = clustered_delong(labels, scores, patients)
    variance = known.covariance[0, 0] + known.covariance[1, 1] - 2 * known.covariance[0, 1]
    assert value == pytest.approx(known.auroc[0] - known.auroc[1])
    # DeLong's variance has n - 1 in its denominators
    assert reach == pytest.approx(1.96 * np.sqrt(variance), rel=0.03)


@pytest.mark.parametrize("script", ["models"], indirect=True)
@pytest.mark.parametrize("by_product", [False, True])
def test_both_restatements_of_the_reference_give_the_logits_of_s4(
    script: Any, *, by_product: bool
) -> None:
    ours = script.S4Model(n_channels=3, length=512, width=8, n_states=8, n_layers=2).eval()
    reference = script.ReferenceS4(ours, length=512, by_product=by_product).eval()
    x = torch.randn(2, 3, 500)
    with torch.inference_mode():
        torch.testing.assert_close(reference(x), ours(x), atol=1e-4, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["real_ecgs"], indirect=True)
def test_real_ecgs_makes_its_table_again_from_its_files(
    script: Any,
    ptbxl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = {"width": 4, "epochs": 1, "recipe": "recorded_12", "threads": 1}
    monkeypatch.setattr(
        script,
        "MODELS",
        {
            "boosting": ("boosting", {}),
            "extra_trees": ("extra_trees", {"n_estimators": 5}),
            "resnet": ("resnet18", small),
            "s4": ("s4", {**small, "n_states": 4, "augment": {"crop_s": 2.5}}),
        },
    )
    monkeypatch.setattr(script, "MAX_TREES", 3)
    monkeypatch.setattr(script, "MEANS", {"mean": ("resnet", "s4")})
    script.main(ptbxl, tmp_path / "out", list(script.MODELS))
    first = capsys.readouterr().out.split("80 ECGs")
    assert "| mean |" in first[1]
    script.main(ptbxl, tmp_path / "out", list(script.MODELS))
    assert capsys.readouterr().out == f"80 ECGs{first[1]}"


@pytest.mark.slow
@pytest.mark.parametrize("script", ["ablation"], indirect=True)
def test_the_ablation_makes_its_table_again_from_its_files(
    script: Any,
    ptbxl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "SEEDS", (0, 1))
    chosen = ("ours", "joined page, no crops", "whole records, no crops")
    small = {"width": 4, "n_states": 4, "epochs": 1}
    variants = {
        name: script.Variant({**script.VARIANTS[name].parameters, **small}, "ours")
        for name in chosen
    }
    monkeypatch.setattr(script, "VARIANTS", variants)
    script.main(ptbxl, tmp_path / "out", list(chosen), n_rounds=1)
    first = capsys.readouterr().out.split("ECGs out")
    assert "raw: mean log loss" in first[1]
    script.main(ptbxl, tmp_path / "out", list(chosen), n_rounds=1)
    assert capsys.readouterr().out.split("ECGs out")[1] == first[1]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["transfer"], indirect=True)
def test_transfer_makes_its_table_again_from_its_files(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "SEEDS", (0, 1))
    monkeypatch.setattr(script, "N_PATIENTS", 300)
    monkeypatch.setitem(script.NETWORK, "epochs", 1)
    script.main(tmp_path / "out", (0.0,))
    first = capsys.readouterr().out.split("| effect")
    assert "patients who trained MACE" in first[1]
    script.main(tmp_path / "out", (0.0,))
    assert capsys.readouterr().out.split("| effect")[1] == first[1]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["foundation"], indirect=True)
def test_the_ratios_of_foundation_models_are_told(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, n in {"N_TRAIN": 16, "N_VAL": 8, "N_TEST": 8, "EPOCHS": 1}.items():
        monkeypatch.setattr(script, name, n)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 8}
    monkeypatch.setitem(script.COMMON, "sizes", {**script.SIZES, **small})
    script.main()
    told = capsys.readouterr().out
    for what in ("frozen features", "ONNX float32", "ONNX int8", "bfloat16"):
        assert what in told


@pytest.mark.slow
@pytest.mark.parametrize("script", ["foundation_real"], indirect=True)
def test_foundation_models_on_real_ecgs_are_trained_once(
    script: Any,
    ptbxl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "EPOCHS", {"frozen": 1, "full": 1})
    script.main(ptbxl, tmp_path / "out", list(script.MODELS))
    first = capsys.readouterr().out
    assert first.count("\n| ") == 1 + 2 * len(script.MODELS)
    monkeypatch.setattr(script, "make_model", pytest.fail)
    script.main(ptbxl, tmp_path / "out", list(script.MODELS))
    assert capsys.readouterr().out == first


@pytest.mark.slow
@pytest.mark.parametrize("script", ["label_efficiency"], indirect=True)
def test_the_study_of_few_labels_makes_its_table_again_from_its_files(
    script: Any,
    ptbxl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = {"width": 4, "kernels": (3,), "strides": (4,), "n_layers": 1, "n_states": 4}
    monkeypatch.setitem(script.COMMON, "sizes", small)
    monkeypatch.setitem(script.FINE_TUNE, "sizes", small)
    for settings in script.PRETRAIN.values():
        monkeypatch.setitem(settings, "epochs", 1)
    monkeypatch.setattr(script, "EPOCHS", (1, 1, 1))
    monkeypatch.setattr(script, "DRAWS", {"acs": 1, "ptbxl_mi": 1})
    monkeypatch.setattr(script, "SEEDS", (0,))
    monkeypatch.setattr(
        script, "REVISED", {**script.REVISED, "width": 4, "n_states": 4, "epochs": 1}
    )
    script.main(["ptbxl", str(ptbxl), str(tmp_path)])
    first = pl.read_csv(tmp_path / "ptbxl" / "table.csv")
    assert len(first) == 5 * 3
    assert "CPU s" in capsys.readouterr().out
    script.main(["ptbxl", str(ptbxl), str(tmp_path)])
    assert "CPU s" not in capsys.readouterr().out
    assert pl.read_csv(tmp_path / "ptbxl" / "table.csv").equals(first)
    script.main(["ensemble", str(ptbxl), str(tmp_path)])
    assert "| together |" in capsys.readouterr().out
