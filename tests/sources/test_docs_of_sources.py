"""The pages on sources say what the code does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acsbench import registry
from acsbench.cohort.build import build_cohort
from acsbench.experiment.config import read_experiment
from acsbench.recording import Recording
from acsbench.sources.base import open_source
from acsbench.sources.description import Description, SignalsPart, TablePart
from acsbench.sources.download import DATASETS
from acsbench.sources.formats import FORMATS
from acsbench.tasks import TASKS

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "sources.md").read_text(encoding="utf-8")
HOW_TO = (DOCS / "how-to" / "bring-your-own-hospital.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", HOW_TO, re.DOTALL)[number]


@pytest.mark.parametrize("name", sorted(registry.BUILT_INS["sources"]))
def test_every_source_and_each_of_its_options_is_documented(name: str) -> None:
    line = next(line for line in REFERENCE.splitlines() if line.startswith(f"| `{name}` |"))
    for option in registry.load("sources", name).model_fields:
        assert f"`{option}`" in line


def test_every_reason_in_the_code_is_explained() -> None:
    folder = Path(registry.__file__).parent / "sources"
    code = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    found = set(re.findall(r"RecordingError\(\s*\w*\.?\w+,\s*\"(\w+)\"", code))
    found |= set(re.findall(r"refuse\(\"(\w+)\"", code))
    assert len(found) > 10
    assert [reason for reason in sorted(found) if f"`{reason}`" not in REFERENCE] == []


def test_every_key_of_a_description_is_mentioned() -> None:
    for part in (Description, SignalsPart, TablePart):
        for key in part.model_fields:
            assert any(text in HOW_TO for text in (f"`{key}`", f"{key} =", f"[{key}]")), key


def test_formats_and_downloads_are_named() -> None:
    for name in FORMATS:
        assert name.split()[0] in REFERENCE
    for name in DATASETS:
        assert f"`{name}`" in REFERENCE


def test_the_how_to_works_as_written(
    tmp_path: Path, twelve_leads: np.ndarray, write_wfdb: Callable[..., Path]
) -> None:
    folder = tmp_path / "our_hospital"
    for name in ("e001", "e002", "e003"):
        write_wfdb(folder / "2021" / name, twelve_leads)
    (folder / "records.csv").write_text(block("csv"))
    (folder / "source.toml").write_text(block("toml"))
    source = open_source("folder", path=folder)
    tables = source.tables()
    assert tables.ecgs["age"].to_list() == [64, 64, 90]
    assert tables.ecgs["pci_10_days"].to_list() == [True, None, False]
    assert all(isinstance(one, Recording) for one in source.recordings(["e001", "e003"]))
    (tmp_path / "run.toml").write_text(block("toml", 1))
    config = read_experiment(tmp_path / "run.toml")
    task = TASKS[config.models[0].tasks[0]]
    (tmp_path / "split.csv").write_text("ecg_id,split\ne001,train\ne002,train\ne003,test\n")
    cohort = build_cohort(
        tables,
        config=config.cohort.model_copy(
            update={"scheme": "file", "split_file": tmp_path / "split.csv"}
        ),
    )
    assert task.labels(cohort)["label"].to_list() == [1, None, 0]
