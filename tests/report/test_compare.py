"""Two runs side by side: settings and estimates that differ, and what not to conclude."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from synthetic_results import synthetic_results

from acsbench.errors import InputError
from acsbench.provenance import write_manifest
from acsbench.report.compare import compare_runs
from acsbench.results import Results


def run(folder: Path, results: Results, *, split: str = "abc", **config: Any) -> Path:
    written = results.save(folder)
    write_manifest(
        folder,
        step="run",
        config={"seed": 0, "models": [{"name": "s4", "model": "s4"}]} | config,
        inputs={"split": split, "tables": "t"},
        outputs=written,
    )
    return folder


@pytest.fixture(scope="module")
def other() -> Results:
    return synthetic_results(n_models=2, n=400, seed=1)


def test_a_run_beside_itself_differs_in_nothing(tmp_path: Path, small: Results) -> None:
    one = run(tmp_path / "a", small)
    two = run(tmp_path / "b", small)
    found = compare_runs(one, two)
    assert found.settings.is_empty()
    assert found.estimates["difference"].drop_nulls().abs().max() == 0
    assert found.estimates["overlap"].drop_nulls().all()
    assert len(found.remarks) == 1


def test_differences_are_second_minus_first(tmp_path: Path, small: Results, other: Results) -> None:
    found = compare_runs(run(tmp_path / "a", small), run(tmp_path / "b", other))
    row = found.estimates.filter(
        (pl.col("model") == "s4") & (pl.col("metric") == "auroc") & (pl.col("subgroup") == "")
    ).row(0, named=True)
    first, second = (one.value("s4", "auroc") for one in (small, other))
    assert first is not None
    assert second is not None
    assert row["difference"] == pytest.approx(second - first)
    assert f"{second - first:+.3f}" in str(found)


def test_settings_that_differ_are_named(tmp_path: Path, small: Results) -> None:
    one = run(tmp_path / "a", small)
    two = run(tmp_path / "b", small, seed=1, models=[{"name": "s4", "model": "s4", "epochs": 2}])
    found = compare_runs(one, two).settings
    assert set(found["setting"]) == {"seed", "models.0.epochs"}
    assert found.filter(pl.col("setting") == "seed").row(0) == ("seed", "0", "1")


def test_other_splits_and_models_are_remarked(tmp_path: Path, small: Results) -> None:
    one = run(tmp_path / "a", small)
    fewer = replace(small, frame=small.frame.filter(pl.col("model") != "resnet18"))
    two = run(tmp_path / "b", fewer, split="xyz")
    remarks = " ".join(compare_runs(one, two).remarks)
    assert "The split differ" not in remarks
    assert "Only in the first: resnet18." in remarks
    assert "not judged on the same records" in remarks


def test_evaluations_without_a_manifest_can_be_compared(tmp_path: Path, small: Results) -> None:
    small.save(tmp_path / "a")
    small.save(tmp_path / "b")
    assert compare_runs(tmp_path / "a", tmp_path / "b").settings.is_empty()


def test_a_folder_without_results_says_which_folder_it_wants(
    tmp_path: Path, small: Results
) -> None:
    one = run(tmp_path / "a", small)
    with pytest.raises(InputError, match="Give the folder of a run"):
        compare_runs(one, tmp_path / "nothing")


def test_runs_with_nothing_in_common_are_refused(tmp_path: Path, small: Results) -> None:
    one = run(tmp_path / "a", small)
    strange = replace(small, frame=small.frame.with_columns(task=pl.lit("other")))
    with pytest.raises(InputError, match="no estimate in common"):
        compare_runs(one, run(tmp_path / "b", strange))
