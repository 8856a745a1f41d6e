"""What the judge really emits becomes a whole page: the two agree on names and columns."""

from __future__ import annotations

import re

import polars as pl
import pytest
from synthetic_results import FINDINGS, GROUPS, Sample

from acsbench.evaluation.evaluate import EvaluateConfig, evaluate
from acsbench.predictions import Predictions
from acsbench.report.page import write_report
from acsbench.results import Results

MODELS = ("s4", "resnet18")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("judged") / "report.html"
    return write_report(judged(), path, title="Judged").read_text(encoding="utf-8")


def judged() -> Results:
    rows: list[pl.DataFrame] = []
    scored: dict[str, list[Predictions]] = {"val": [], "test": []}
    for seed, split in enumerate(scored):
        sample = Sample(n=400, models=MODELS, task="acs", seed=seed)
        ids = [f"{split}{i:05}" for i in range(400)]
        tested = [i % 4 > 0 for i in range(400)]
        rows.append(
            pl.DataFrame(
                {
                    "ecg_id": ids,
                    "patient_id": [f"{split}p{i // 2}" for i in range(400)],
                    "label": [
                        int(label) if known else None
                        for label, known in zip(sample.labels, tested, strict=True)
                    ],
                    "is_tested": tested,
                    "split": [split] * 400,
                    **{name.removeprefix("flag:"): sample.scores[name] for name in FINDINGS},
                    **{column: list(values) for column, values in sample.groups.items()},
                }
            )
        )
        for model in MODELS:
            frame = pl.DataFrame(
                {"ecg_id": ids, "task": ["acs"] * 400, "score": sample.scores[model]}
            )
            scored[split].append(Predictions(frame, model))
    return evaluate(
        scored["test"],
        pl.concat(rows),
        "acs",
        val=scored["val"],
        config=EvaluateConfig(n_resamples=100, subgroups=tuple(GROUPS)),
    )


def test_every_section_of_the_judge_is_on_the_page(page: str) -> None:
    keys = re.findall(r'<section id="acs-([^"]+)"', page)
    wanted = ["verdict", "roc", "calibration", "decision", "budget", "operating", "pairs"]
    assert keys[:7] == wanted
    assert {"subgroups", "robustness", "findings", "testing", "original"} <= set(keys)


def test_findings_have_one_name_everywhere(page: str) -> None:
    page = page.split("</header>")[1]  # remarks name the columns of the labels
    assert "ST elevation" in page
    assert not re.search(r"has_(?:st|depress|twave)", page)
    assert "flag:" not in page


def test_no_cell_is_a_word_of_the_program(page: str) -> None:
    cells = re.findall(r"<td>(.*?)</td>", page)
    assert len(cells) > 200
    assert not {"None", "nan", "True", "False", "null"} & set(cells)
    assert not [cell for cell in cells if re.search(r"\bnan\b|None|inf\b", cell)]
