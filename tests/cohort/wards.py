"""A hospital written by hand, for tests of the stage."""

from __future__ import annotations

import polars as pl

from acsbench.tables import Tables


def hospital(n: int = 60) -> Tables:
    """Two visits a patient, the first tested; an ECG each; flaws in the first few rows."""
    patients = [f"p{i:03d}" for i in range(n)]
    visits = [(f"v{i:03d}{k}", p, k) for i, p in enumerate(patients) for k in (0, 1)]
    tested: list[bool | None] = [k == 0 for _, _, k in visits]
    outcome: list[bool | None] = [i % 4 == 0 for i, _ in enumerate(visits)]
    tested[2], outcome[5] = None, None
    encounters = pl.DataFrame(
        {
            "encounter_id": [v for v, _, _ in visits],
            "patient_id": [p for _, p, _ in visits],
            "age": [40.0 + i % 50 for i in range(len(visits))],
            "exclude_modeling": [i == 1 for i in range(len(visits))],
            "cath_010_day": tested,
            "stent_or_cabg_010_day": outcome,
            "macetrop_pos_or_death_030": outcome,
        }
    )
    ecgs = pl.DataFrame(
        {
            "ecg_id": [f"e{v}" for v, _, _ in visits],
            "patient_id": [p for _, p, _ in visits],
            "encounter_id": [None if i == 0 else v for i, (v, _, _) in enumerate(visits)],
        }
    )
    people = pl.DataFrame({"patient_id": patients, "sex": ["Female", "Male"] * (n // 2)})
    return Tables(
        source="hand",
        fingerprint="1",
        ecgs=ecgs,
        patients=people,
        encounters=encounters,
        outcomes=("stent_or_cabg_010_day", "macetrop_pos_or_death_030"),
        subgroups=("sex", "age_band"),
        features=("age", "is_female"),
    )


def quality(tables: Tables, hashes: dict[str, str] | None = None) -> pl.DataFrame:
    ids = tables.ecgs["ecg_id"].to_list()
    return pl.DataFrame(
        {
            "ecg_id": ids,
            "lead": ["I"] * len(ids),
            "finite_share": [1.0] * len(ids),
            "longest_flat_s": [0.0] * len(ids),
            "amplitude_range": [1.0] * len(ids),
            "duration_s": [10.0] * len(ids),
            "reasons": [""] * len(ids),
            "raw_sha256": [(hashes or {}).get(i, i) for i in ids],
        }
    )
