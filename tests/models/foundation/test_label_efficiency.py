"""A study of few labels, from pre-trained folders to table and figure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tiny_pretraining import SETTINGS, TINY_S4
from twelve_leads import cohort, sets

from acsbench.errors import ConfigError, MissingPathError
from acsbench.evaluation.replicates import Area, estimate_over_fits
from acsbench.experiment.label_config import counted_fits, plan_fits, study_of
from acsbench.experiment.label_efficiency import label_efficiency_text, run_label_efficiency
from acsbench.experiment.label_fits import LabelFitOnce, draw_rows, patients_of
from acsbench.experiment.label_table import _same_as
from acsbench.experiment.pretraining import pretrain_step
from acsbench.store import WaveformStore

SMALL = {"batch_size": 8, "threads": 1, "recipe": "hubert_100hz"}


@pytest.fixture(scope="module")
def pretrained(store: WaveformStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    for seed in (0, 1):
        settings = {**SETTINGS["cpc"], "epochs": 1, "seed": seed}
        pretrain_step("cpc", settings, store, folder / f"cpc-{seed}", cohort=cohort())
    return folder


def study(pretrained: Path, **changes: Any) -> Any:
    told = {
        "parameters": SMALL,
        "shares": (0.25, 1.0),
        "epochs": (2, 1),
        "draws": 3,
        "seeds": (0, 1),
        **changes,
    }
    return study_of("acs", [f"cpc={pretrained}/cpc-{{seed}}"], **told)


@pytest.mark.slow
def test_a_study_ends_in_a_table_and_a_figure_and_is_not_repeated(
    pretrained: Path, store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, rounds = study(pretrained), {"0": cohort()}
    # the controls are the same network
    sizes = {one.name: one.parameters["sizes"]["width"] for one in config.methods}
    assert set(sizes.values()) == {TINY_S4["sizes"]["width"]}
    done = run_label_efficiency(config, rounds, store, tmp_path)
    assert not len(done.failures)
    table = done.table
    assert table["method"].unique(maintain_order=True).to_list() == [
        "scratch",
        "cpc-frozen",
        "cpc-full",
        "random-frozen",
    ]
    assert table.filter(share=0.25)["n_fits"].to_list() == [3] * 4
    assert table.filter(share=1.0)["n_fits"].to_list() == [2] * 4
    assert table.filter(share=1.0)["n_labels"].to_list() == [32] * 4
    assert table.filter(share=0.25)["n_labels"].to_list() == [8] * 4
    scratch = table.filter(method="scratch")
    assert scratch["difference"].null_count() == 2
    others = table.filter(pl.col("method") != "scratch")
    assert (others["difference_low"] <= others["difference_high"]).all()
    assert table["auroc"].is_between(0, 1).all()
    # what was planted is linear in random features already
    assert float(table.filter(method="random-frozen", share=1.0)["auroc"][0]) > 0.9
    assert done.figure.startswith("<svg")
    assert "cpc-frozen" in done.figure
    assert "scratch" in label_efficiency_text(table)
    monkeypatch.setattr(LabelFitOnce, "_fit", None)
    again = run_label_efficiency(config, rounds, store, tmp_path)
    assert again.table.equals(table)


@pytest.mark.slow
def test_a_stopped_study_keeps_what_it_fitted(
    pretrained: Path, store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = study(pretrained, modes=("frozen",), draws=2)
    fits = plan_fits(config, ["0"])
    once = LabelFitOnce(rounds={"0": cohort()}, store=store.folder, task="acs", folder=tmp_path)
    file, reason = once(fits[0])
    assert reason is None
    before = file.read_bytes()
    file.write_bytes(before[:100])
    assert once(fits[0]) == (file, None)
    assert file.read_bytes() != before[:100]
    kept = file.stat().st_mtime_ns
    run_label_efficiency(config, {"0": cohort()}, store, tmp_path)
    assert file.stat().st_mtime_ns == kept


def test_a_start_of_another_split_fails_its_fits_and_no_others(
    pretrained: Path, store: WaveformStore, tmp_path: Path
) -> None:
    config = study(pretrained, modes=("frozen",), draws=1, seeds=(0,))
    done = run_label_efficiency(config, {"0": cohort(swap=True)}, store, tmp_path)
    assert len(done.failures) == 2
    assert done.failures["reason"].str.contains("another split").all()
    assert set(done.table["method"]) == {"scratch", "random-frozen"}


def test_draws_are_of_patients_and_smaller_ones_are_part_of_larger(
    store: WaveformStore,
) -> None:
    train, _, _ = sets(store)
    twice = cohort()
    names = [f"p{i // 4}" for i in range(60)]
    twice = replace(twice, frame=twice.frame.with_columns(pl.Series("patient_id", names)))
    who = patients_of(train, twice)
    few, more = (draw_rows(train, twice, share=share, seed=3) for share in (0.2, 0.6))
    assert set(few) < set(more)
    for rows in (few, more):
        assert not set(who[rows]) & set(np.delete(who, rows))
        assert len(np.unique(train.labels[rows])) == 2
    other = draw_rows(train, twice, share=0.2, seed=4)
    assert set(other) != set(few)
    assert len(draw_rows(train, twice, share=1.0, seed=3)) == len(train)


def test_fits_widen_the_interval_beyond_that_of_patients() -> None:
    rng = np.random.default_rng(0)
    influence = rng.normal(0, 0.002, 100)
    same = [Area(0.7, influence)] * 6
    spread = [Area(value, influence) for value in (0.66, 0.67, 0.70, 0.71, 0.73, 0.74)]
    groups = (0, 0, 1, 1, 2, 2)
    narrow, wide = (estimate_over_fits(one, groups) for one in (same, spread))
    assert narrow.high - narrow.low == pytest.approx(2 * same[0].reach, rel=1e-3)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert (wide.n_fits, wide.n_groups) == (6, 3)
    nothing = estimate_over_fits([Area(0.0, influence)], [0])
    assert nothing.p_value == pytest.approx(1.0)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Three seeds, two draws each, patients and seeds both random."""
    rng = np.random.default_rng(1)
    n, hits = 50, 0
    for _ in range(2000):
        patients = rng.normal(0, 0.01, n)
        seeds = rng.normal(0, 0.05, 3)
        areas = [
            Area(0.8 + patients.sum() + seeds[s] + rng.normal(0, 0.02), patients)
            for s in (0, 1, 2, 0, 1, 2)
        ]
        found = estimate_over_fits(areas, (0, 1, 2, 0, 1, 2))
        hits += found.low <= 0.8 <= found.high
    assert 0.925 < hits / 2000 < 0.985


def test_the_same_share_is_read_off_the_baseline() -> None:
    table = pl.DataFrame(
        {
            "method": ["scratch", "scratch", "cpc", "cpc"],
            "share": [0.1, 1.0, 0.1, 1.0],
            "auroc": [0.6, 0.8, 0.7, 0.9],
        }
    )
    found = _same_as(table, "scratch").to_list()
    assert found[:3] == pytest.approx([0.1, 1.0, 10**-0.5])
    assert found[3] is None


def test_bad_studies_are_told(pretrained: Path, store: WaveformStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="NAME=DIR"):
        study_of("acs", ["cpc"], parameters={})
    with pytest.raises(ConfigError, match="frozen, full"):
        study(pretrained, modes=("half",))
    with pytest.raises(ConfigError, match="above 0 and rise"):
        study(pretrained, shares=(1.0, 0.2))
    with pytest.raises(ConfigError, match="one number for each"):
        study(pretrained, epochs=(1,))
    with pytest.raises(MissingPathError, match="acsbench pretrain"):
        run_label_efficiency(study(tmp_path), {"0": cohort()}, store, tmp_path / "out")
    assert counted_fits(study(pretrained))["fits in all"] == 4 * 5
