"""The study of what flaws cost: each part gives its rows, and each figure can be wrong."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module(f"benchmarks.flaws.{request.param}")


def tables_of(told: str) -> list[dict[str, list[float]]]:
    """Tables of a print-out: the leading number of each cell, by the row's name."""
    found: list[dict[str, list[float]]] = []
    for line in told.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells and cells[0] == "---":
            found.append({})
        elif cells and found and not cells[0].endswith("hospitals"):
            found[-1][cells[0]] = [float(cell.split()[0]) for cell in cells[1:]]
    return found


@pytest.mark.parametrize("part", ["rules"], indirect=True)
def test_rules_and_copies_have_a_row_for_each_figure(
    part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(part, "EFFECTS_MV", (0.18,))
    part.main(tmp_path, 12)
    rules, copied = tables_of(capsys.readouterr().out)
    assert len(rules) == 12
    assert rules["AUROC of recalling, split by patient"] == [0.5]
    assert rules["AUROC of recalling, split by ECG"][0] > 0.7
    held = "95 % intervals that hold it, counting"
    assert rules[f"{held} ECGs"] < rules[f"{held} patients"]
    assert rules["specificity, cut from test"][0] >= 0.9
    gained = "AUROC gained by recalling waveforms, split by"
    assert copied[f"1% copied: {gained} patient"] == [0.0]
    assert copied[f"20% copied: {gained} patient"] == [0.0]
    assert copied[f"20% copied: {gained} ECG"][0] > copied[f"1% copied: {gained} ECG"][0] > 0


@pytest.mark.parametrize("part", ["rules"], indirect=True)
def test_a_cut_keeps_its_specificity_and_recalling_knows_whom_it_saw(part: Any) -> None:
    labels, scores = np.array([0.0] * 10 + [1.0] * 2), np.array([*range(10), 8.5, 20.0])
    cut = part.cut_at(labels, scores)
    assert part.at_cut(labels, scores, cut) == (0.5, 1.0)
    seen = pl.DataFrame({"patient_id": ["a", "b", "c"], "label": [True, False, False]})
    asked = pl.DataFrame({"patient_id": ["a", "b", "new"], "label": [True, False, False]})
    assert part.recalled(asked, seen) == 1.0
    strangers = asked.with_columns(pl.Series("patient_id", ["x", "y", "z"]))
    assert part.recalled(strangers, seen) == 0.5


@pytest.mark.parametrize("part", ["copies"], indirect=True)
def test_a_copy_is_recalled_by_its_waveform_and_a_new_one_is_read(part: Any) -> None:
    rows = pl.DataFrame(
        {
            "ecg_id": ["a", "b", "c", "d"],
            "patient_id": ["p", "q", "r", "s"],
            "label": [True, False, True, False],
            "score": [-1.0, 1.0, 0.5, 0.0],
        }
    )
    whole = part.doubled(rows, 0.5, np.random.default_rng(0))
    assert len(whole) == 6
    assert whole["waveform"].n_unique() == 4
    original = rows.with_columns(pl.col("ecg_id").alias("waveform"))
    gain, share = part.gain(original, original.filter(pl.col("ecg_id").is_in(["a", "b"])))
    assert share == 0.5
    assert gain == 1.0 - 0.25


@pytest.mark.parametrize("part", ["transfer"], indirect=True)
def test_only_a_split_that_divides_patients_shows_them_before(
    part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(part, "EFFECTS_MV", (0.0,))
    part.main(tmp_path, 6)
    (rows,) = tables_of(capsys.readouterr().out)
    assert rows["paper: of them trained MACE"][0] > 5
    assert rows["patient: of them trained MACE"] == [0.0]
    assert rows["patient: AUROC of recalling alone"] == [0.5]
    assert rows["paper: AUROC gained by recalling as well"][0] > 0
    assert rows["patient: AUROC gained by recalling as well"] == [0.0]


@pytest.mark.parametrize("part", ["st_level"], indirect=True)
def test_the_original_shrinks_st_and_t_by_heart_rate_and_ours_does_not(part: Any) -> None:
    left = {rate: part.kept(rate, 0.36, 2) for rate in (50, 90)}
    means = {rate: {name: np.mean(one) for name, one in of.items()} for rate, of in left.items()}
    for at_rate in means.values():
        assert at_rate["original, ST in V3"] < 0.9
        assert at_rate["ours, ST in V3"] == pytest.approx(1, abs=0.05)
        assert at_rate["ours, T in V3"] == pytest.approx(1, abs=0.1)
        assert at_rate["original, ST in V1"] == pytest.approx(1, abs=0.02)
    assert means[50]["original, T in V3"] < means[90]["original, T in V3"] - 0.1
    found = part.areas(0, 6, (95, 70))
    assert len(found) == len(part.EFFECTS_MV) * len(part.WAVES) * len(part.ROUTES)
    assert found[0.36, "ST", "page"] > found[0.0, "ST", "page"]


@pytest.mark.parametrize("part", ["picture"], indirect=True)
def test_the_picture_is_the_same_each_time(part: Any, tmp_path: Path) -> None:
    shares = {rate: {name: [1.0, 0.8] for name in part.COLOURS} for rate in (50, 90)}
    for name in ("a.svg", "b.svg"):
        part.write_lines(tmp_path / name, shares)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
