from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.cohort.split import split_by_file, split_patients
from acsbench.errors import ConfigError, TableError
from acsbench.tables import Split, Tables

FRACTIONS = {Split.TRAIN: 0.6, Split.VAL: 0.15, Split.TEST: 0.25}


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


@given(st.sets(st.text(min_size=1), min_size=1, max_size=50), st.integers(0, 5))
def test_a_patients_split_does_not_depend_on_who_else_is_there(
    patients: set[str], seed: int
) -> None:
    together = split_patients(sorted(patients), fractions=FRACTIONS, seed=seed)
    for patient in patients:
        alone = split_patients([patient], fractions=FRACTIONS, seed=seed)
        assert alone[patient] == together[patient]


def test_splits_have_the_shares_that_were_asked() -> None:
    found = split_patients([f"p{i}" for i in range(20_000)], fractions=FRACTIONS, seed=0)
    for split, share in FRACTIONS.items():
        mine = sum(one is split for one in found.values()) / len(found)
        assert mine == pytest.approx(share, abs=0.015)


def test_every_patient_is_in_one_split_over_both_populations() -> None:
    cohort = build_cohort(hospital())
    assert cohort.frame.group_by("patient_id").agg(pl.col("split").n_unique())["split"].max() == 1
    assert cohort.info["shared_patients"] == 0


def test_splitting_like_the_paper_divides_patients_and_says_how_many() -> None:
    cohort = build_cohort(hospital(), config=CohortConfig(scheme="paper"))
    included = cohort.frame.filter("is_included")
    counts = included.group_by("patient_id").agg(pl.col("split").n_unique())
    assert cohort.info["shared_patients"] == counts.filter(pl.col("split") > 1).height > 0


def test_the_flow_adds_up_and_dropped_records_keep_their_row() -> None:
    tables = hospital()
    cohort = build_cohort(tables, quality=quality(tables))
    flow = cohort.flow
    dropped = flow.filter(pl.col("kind") == "dropped")["n_records"].sum()
    kept = flow.filter(pl.col("kind") == "kept")["n_records"][-1]
    assert flow["n_records"][0] == dropped + kept == len(tables.ecgs) == len(cohort)
    assert cohort.frame.filter(~pl.col("is_included"))["exclusion"].to_list() == [
        "ECG without a visit",
        "excluded for modeling",
    ]


def test_a_missing_test_flag_is_neither_tested_nor_untested() -> None:
    cohort = build_cohort(hospital())
    row = cohort.frame.filter(pl.col("ecg_id") == "ev0010").row(0, named=True)
    assert (row["is_tested"], row["is_untested"]) == (False, False)
    branch = cohort.flow.filter(pl.col("step") == "test flag missing")
    assert branch["n_records"].to_list() == [1]


def test_a_missing_outcome_stays_missing() -> None:
    cohort = build_cohort(hospital())
    row = cohort.frame.filter(pl.col("ecg_id") == "ev0021").row(0, named=True)
    assert row["stent_or_cabg_010_day"] is None


def test_without_quality_the_flow_says_so() -> None:
    assert "quality not checked" in build_cohort(hospital()).flow["step"].to_list()
    tables = hospital()
    checked = build_cohort(tables, quality=quality(tables))
    assert "quality not checked" not in checked.flow["step"].to_list()


def test_a_waveform_of_two_patients_leaves_whole_and_a_copy_leaves_one() -> None:
    tables = hospital()
    again = tables.ecgs.filter(pl.col("ecg_id") == "ev0100").with_columns(ecg_id=pl.lit("ezcopy"))
    from dataclasses import replace

    tables = replace(tables, ecgs=pl.concat([tables.ecgs, again]))
    same = {"ev0100": "x", "ezcopy": "x", "ev0200": "y", "ev0210": "y"}
    cohort = build_cohort(tables, quality=quality(tables, same))
    left = dict(cohort.frame.select("ecg_id", "exclusion").iter_rows())
    assert left["ev0100"] is None
    assert left["ezcopy"] == "copy of an ECG of the visit"
    assert left["ev0200"] == left["ev0210"] == "one waveform under two patients"


def test_upstreams_valid_is_read_as_val(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ecg_id": ["a", "b"], "patient_id": ["p", "q"]})
    (tmp_path / "s.csv").write_text("patient_id,split\np,train\nq,valid\n")
    assert split_by_file(frame, tmp_path / "s.csv")["b"] is Split.VAL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient_id,split\np,train\nq,dev\n", "unknown splits dev"),
        ("patient_id,split\np,train\n", "names no split for 1"),
        ("patient_id,part\np,train\n", "needs 'split'"),
        ("patient_id,split\np,train\np,val\nq,val\n", "stands in two splits"),
    ],
)
def test_a_bad_split_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    frame = pl.DataFrame({"ecg_id": ["a", "b"], "patient_id": ["p", "q"]})
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        split_by_file(frame, tmp_path / "s.csv")


def test_an_empty_split_and_a_source_without_folds_are_refused() -> None:
    everybody_trains = CohortConfig.model_validate({"fractions": {"train": 1, "val": 0, "test": 0}})
    with pytest.raises(TableError, match="val and test is empty under the scheme 'patient'"):
        build_cohort(hospital(), config=everybody_trains)
    with pytest.raises(ConfigError, match="has no folds"):
        build_cohort(hospital(), config=CohortConfig(scheme="folds"))


def test_a_cohort_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    cohort = build_cohort(hospital())
    cohort.save(tmp_path)
    again = type(cohort).load(tmp_path)
    assert again.frame.equals(cohort.frame)
    assert again.split_fingerprint == cohort.split_fingerprint
    assert again.features == cohort.features
