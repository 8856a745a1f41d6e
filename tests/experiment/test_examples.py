from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.experiment.examples import choose_examples, draw_original_examples
from acsbench.predictions import Predictions
from acsbench.recording import Recording
from acsbench.tables import Cohort
from acsbench.tasks import TASKS

IDS = [f"e{i}" for i in range(12)]


class Shelf:
    def recordings(self, ids: Sequence[str]) -> Iterator[Recording]:
        for ecg_id in ids:
            yield Recording(
                ecg_id=ecg_id,
                signal=np.zeros((1, 10)),
                lead_names=("II",),
                sampling_rate=10,
                units="mV",
            )


@pytest.mark.parametrize(("flags", "n_groups"), [((), 2), (("has_st_eleva",), 4)])
def test_examples_are_the_middle_of_each_group_with_or_without_findings(
    flags: tuple[str, ...], n_groups: int
) -> None:
    frame = pl.DataFrame(
        {
            "ecg_id": IDS,
            "patient_id": IDS,
            "split": ["test"] * 12,
            "is_included": [True] * 12,
            "is_tested": [True] * 12,
            "stent_or_cabg_010_day": [i < 6 for i in range(12)],
            "has_st_eleva": [None if i == 0 else i % 2 == 0 for i in range(12)],
        }
    )
    cohort = Cohort(frame=frame, flow=pl.DataFrame(), source="hand", scheme="patient", flags=flags)
    scores = pl.DataFrame({"ecg_id": IDS, "task": "acs", "score": [i / 12 for i in range(12)]})
    found = choose_examples(Predictions(scores, "m"), TASKS["acs"], cohort, Shelf(), n=4)
    assert len({one.group for one in found}) == len(found) == n_groups
    if not flags:
        assert [one.recording.ecg_id for one in found] == ["e3", "e9"]


def test_the_original_groups_are_drawn_a_sheet_each_without_ids(tmp_path: Path) -> None:
    n = 60
    ids = [f"e{i:02}" for i in range(n)]
    frame = pl.DataFrame(
        {
            "ecg_id": ids,
            "patient_id": ids,
            "split": ["test"] * n,
            "is_included": [True] * n,
            "is_tested": [True] * n,
            "stent_or_cabg_010_day": [i % 2 == 0 for i in range(n)],
            "has_st_eleva": [i % 4 < 2 for i in range(n)],
            **{
                name: [False] * n
                for name in ("has_depress", "has_twave_inver", "has_twave_abnormal")
            },
        }
    )
    cohort = Cohort(frame=frame, flow=pl.DataFrame(), source="hand", scheme="patient")
    files = draw_original_examples(TASKS["acs"], cohort, Shelf(), tmp_path)
    assert [file.name for file in files] == [
        f"original-examples-{event}-{name}-features.png"
        for event in ("event", "no-event")
        for name in ("with", "without")
    ]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    few = Cohort(frame=frame[:20], flow=pl.DataFrame(), source="hand", scheme="patient")
    assert draw_original_examples(TASKS["acs"], few, Shelf(), tmp_path) == []
