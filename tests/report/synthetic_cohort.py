"""A small cohort with ids that a test can look for."""

from __future__ import annotations

from typing import Any

import polars as pl

from acsbench.tables import Cohort


def make_cohort(*, n: int = 40, min_count: int = 10, **columns: Any) -> Cohort:
    """Two ECGs a patient, every second patient tested, ids that a test can look for."""
    tested = [i // 2 % 2 == 0 for i in range(n)]
    frame = pl.DataFrame(
        {
            "ecg_id": [f"ECGSECRET{i:03}" for i in range(n)],
            "patient_id": [f"PATSECRET{i // 2:03}" for i in range(n)],
            "encounter_id": [f"VISITSECRET{i // 2:03}" for i in range(n)],
            "split": ["train" if i < n // 2 else "test" for i in range(n)],
            "is_included": [True] * n,
            "exclusion": [None] * n,
            "is_tested": tested,
            "is_untested": [not t for t in tested],
            "ecg_order": [i % 2 + 1 for i in range(n)],
            "stent_or_cabg_010_day": [i % 8 == 0 if tested[i] else None for i in range(n)],
            "age": [40.0 + i for i in range(n)],
            "sex": ["Female" if i % 8 < 4 else "Male" for i in range(n)],
        }
        | columns,
        schema_overrides={"exclusion": pl.String},
    )
    flow = pl.DataFrame(
        {
            "order": [0, 1, 2, 3, 4, 5],
            "step": ["all", "ECG unreadable", "remaining", "tested", "untested", "missing"],
            "kind": ["start", "dropped", "kept", "branch", "branch", "branch"],
            "n_encounters": [1023, 3, 1020, 800, 220, 0],
            "n_patients": [900, 3, 897, 700, 197, 0],
            "n_records": [2040, 5, 2035, 1600, 435, 0],
        }
    )
    return Cohort(
        frame=frame,
        flow=flow,
        source="synthetic",
        scheme="patient",
        outcomes=("stent_or_cabg_010_day",),
        min_count=min_count,
    )
