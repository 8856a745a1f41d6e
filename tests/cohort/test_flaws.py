"""The original's flaws in the tables: its rules fail on the generated hospital, ours hold.

Numbers are those of the list of known flaws in the description of the data set.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from wards import quality

from acsbench.cohort.audit import audit_split
from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.cohort.split import split_by_file, split_patients, write_split_file
from acsbench.dataset import load_dataset
from acsbench.errors import TableError
from acsbench.sources.base import open_source
from acsbench.tables import Cohort, Split, Tables
from acsbench.tasks import TASKS

ACS, MACE = TASKS["acs"], TASKS["mace"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("hospital") / "h"
    source = open_source("synthetic", path=folder, n_patients=900, seed=5, waveforms=False)
    return source.tables()


@pytest.fixture(scope="module")
def cohort(tables: Tables) -> Cohort:
    return build_cohort(tables)


@pytest.fixture(scope="module")
def papers(tables: Tables) -> Cohort:
    return build_cohort(tables, config=CohortConfig(scheme="paper"))


def findings(table: pl.DataFrame) -> dict[str, str]:
    return dict(zip(table["check"], table["verdict"], strict=True))


def test_flaw_1_patients_of_both_groups_train_mace_and_are_judged_in_acs(
    cohort: Cohort, papers: Cohort
) -> None:
    crossing = "patient in one split over two tasks"
    theirs, ours = audit_split(papers), audit_split(cohort)
    assert findings(theirs)[crossing] == "fail"
    assert theirs.filter(pl.col("check") == crossing)["n_found"].item() > 5
    assert set(ours["verdict"]) <= {"pass", "not checked"}


def test_flaw_2_choice_and_report_have_splits_of_their_own(cohort: Cohort) -> None:
    data = {s: load_dataset(cohort, None, ACS, s) for s in ("train", "val", "test")}
    ids = {name: set(one.ecg_ids) for name, one in data.items()}
    assert all(ids.values())
    assert not (ids["val"] & ids["test"])


def test_flaw_3_a_split_by_row_order_moves_when_a_row_is_added() -> None:
    patients = [f"p{i:03d}" for i in range(200)]

    def by_order(rows: list[str]) -> dict[str, bool]:
        places = np.random.default_rng(0).permutation(len(rows))
        return {row: place < 0.7 * len(rows) for row, place in zip(rows, places, strict=True)}

    def by_hash(rows: list[str]) -> dict[str, Split]:
        return split_patients(rows, fractions={Split.TRAIN: 0.7, Split.TEST: 0.3}, seed=0)

    before, after = by_order(patients), by_order(["new", *patients])
    assert sum(before[p] != after[p] for p in patients) > 20
    assert by_hash(patients) == {p: by_hash(["new", *patients])[p] for p in patients}


def test_flaw_4_a_split_of_another_name_is_not_silently_empty(cohort: Cohort) -> None:
    renamed = cohort.frame.with_columns(split=pl.col("split").replace("val", "valid"))
    assert renamed.filter(pl.col("split") == "val").is_empty()  # what the original's loader saw
    with pytest.raises(ValueError, match="valid"):
        load_dataset(cohort, None, MACE, "valid")
    with pytest.raises(TableError, match="split"):
        build_cohort_from(renamed)


def build_cohort_from(frame: pl.DataFrame) -> None:
    from acsbench.tables import COHORT, check

    check(frame, COHORT)


def test_flaw_5_ids_are_never_edited(tables: Tables, cohort: Cohort) -> None:
    assert set(cohort.frame["ecg_id"]) == set(tables.ecgs["ecg_id"])
    edited = tables.ecgs["ecg_id"] + ".npy"
    assert not set(edited) & set(tables.ecgs["ecg_id"])  # the original's join finds nobody


def test_flaw_6_copies_leave_and_none_stands_in_two_splits(tables: Tables) -> None:
    visits = tables.ecgs.filter(pl.col("encounter_id").is_not_null())
    several = visits.group_by("encounter_id").agg(pl.col("ecg_id").sort())
    pairs = several.filter(pl.col("ecg_id").list.len() > 1)["ecg_id"].to_list()[:20]
    people = tables.ecgs.unique("patient_id", maintain_order=True)["ecg_id"].to_list()
    strangers = list(zip(people[100:110], people[110:120], strict=True))
    same = {ecg: f"copy{n}" for n, pair in enumerate([*pairs, *strangers]) for ecg in pair[:2]}
    table = quality(tables, same)
    kept_all = build_cohort(tables)  # the original finds copies and keeps them
    crossing = audit_split(kept_all, quality=table)
    assert findings(crossing)["waveform in one split"] == "fail"
    ours = build_cohort(tables, quality=table)
    assert findings(audit_split(ours, quality=table))["waveform in one split"] == "pass"
    exclusion = dict(ours.frame.select("ecg_id", "exclusion").iter_rows())
    reasons = {exclusion[ecg] for pair in strangers for ecg in pair}
    assert "one waveform under two patients" in reasons
    hashes = ours.frame.filter("is_included").select(
        "encounter_id", pl.col("ecg_id").replace_strict(same, default=None).alias("copy")
    )
    assert not hashes.drop_nulls().is_duplicated().any()


@pytest.mark.parametrize(("copies", "n_left"), [("visit", 2), ("patient", 1), ("keep", 3)])
def test_flaw_6_the_rule_for_copies_is_a_choice(copies: str, n_left: int) -> None:
    from wards import hospital

    tables = hospital()
    again = tables.ecgs.filter(pl.col("ecg_id") == "ev0100").with_columns(ecg_id=pl.lit("ez"))
    tables = replace(tables, ecgs=pl.concat([tables.ecgs, again]))
    same = dict.fromkeys(("ev0100", "ez", "ev0101"), "x")  # one visit twice, another once
    config = CohortConfig.model_validate({"copies": copies})
    frame = build_cohort(tables, quality=quality(tables, same), config=config).frame
    assert frame.filter(pl.col("ecg_id").is_in(list(same)) & pl.col("is_included")).height == n_left


def test_flaw_7_blank_ecgs_and_unwanted_codes_leave_in_named_steps(tables: Tables) -> None:
    ids = tables.ecgs["ecg_id"].sort().to_list()
    reasons = dict.fromkeys(ids[:30], "all_missing") | dict.fromkeys(ids[30:60], "arm_reversal")
    table = quality(tables).with_columns(
        reasons=pl.col("ecg_id").replace_strict(reasons, default="")
    )
    config = CohortConfig(excluded_any=("arm_reversal", "noise"))
    cohort = build_cohort(tables, quality=table, config=config)
    flow = cohort.flow.filter(pl.col("kind") == "dropped")
    counts = dict(zip(flow["step"], flow["n_records"], strict=True))
    assert counts["ECG unreadable or blank"] > 0
    assert counts["quality: arm_reversal"] > 0
    assert counts["quality: noise"] == 0
    assert not set(cohort.frame.filter("is_included")["ecg_id"]) & set(ids[:60])
    assert set(build_cohort(tables).frame.filter("is_included")["ecg_id"]) & set(ids[:60])


def test_flaw_8_missing_flags_are_a_branch_of_their_own(tables: Tables) -> None:
    visits = tables.encounters
    assert visits is not None
    some = pl.int_range(pl.len()) % 10 == 0
    flag = pl.when(~some).then("cath_010_day").alias("cath_010_day")
    holes = replace(tables, encounters=visits.with_columns(flag))
    cohort = build_cohort(holes)
    frame = cohort.frame.filter("is_included")
    theirs = frame.filter("is_tested").height + frame.filter("is_untested").height
    branch = cohort.flow.filter(pl.col("step") == "test flag missing")["n_records"].item()
    assert theirs < len(frame)
    assert theirs + branch == len(frame)


def test_flaw_9_a_missing_outcome_is_neither_0_nor_1(tables: Tables) -> None:
    visits = tables.encounters
    assert visits is not None
    some = pl.int_range(pl.len()) % 10 == 0
    outcome = pl.when(~some).then(ACS.outcome).alias(ACS.outcome)
    cohort = build_cohort(replace(tables, encounters=visits.with_columns(outcome)))
    tested = cohort.frame.filter(pl.col("is_included") & pl.col("is_tested"))
    theirs = (~tested[ACS.outcome].fill_null(value=False)).sum()
    splits = ("train", "val", "test")
    ours = sum(int((load_dataset(cohort, None, ACS, s).labels == 0).sum()) for s in splits)
    assert tested[ACS.outcome].null_count() > 0
    assert ours == theirs - tested[ACS.outcome].null_count()


def dated(tables: Tables) -> Tables:
    """ECGs of tested visits on the day before, on, and after the catheterization, in turn."""
    visits = tables.encounters
    assert visits is not None
    about = visits.select("encounter_id", "start_datetime", "days_to_cath")
    joined = tables.ecgs.drop("ecg_date").join(about, on="encounter_id", how="left")
    cath = pl.col("start_datetime").dt.date() + pl.duration(days=pl.col("days_to_cath").floor())
    shift = pl.duration(days=pl.int_range(pl.len()) % 3 - 1)
    day = pl.coalesce(cath + shift, pl.col("start_datetime").dt.date())
    return replace(
        tables, ecgs=joined.with_columns(ecg_date=day).drop("start_datetime", "days_to_cath")
    )


def test_flaw_10_ecgs_after_the_procedure_leave_when_asked(tables: Tables) -> None:
    known = dated(tables)
    config = CohortConfig(timing=("before_procedure",))
    cohort = build_cohort(known, config=config)
    flow = cohort.flow.filter(pl.col("kind") == "dropped")
    counts = dict(zip(flow["step"], flow["n_records"], strict=True))
    assert counts["ECG on the day of the procedure"] > 0
    assert counts["ECG after the procedure"] > 0
    visits = known.encounters
    assert visits is not None
    starts = visits.select("encounter_id", "start_datetime", "days_to_cath")
    left = known.ecgs.join(starts, on="encounter_id").filter(pl.col("days_to_cath").is_not_null())
    early = {
        ecg
        for ecg, day, start, days in left.select(
            "ecg_id", "ecg_date", "start_datetime", "days_to_cath"
        ).iter_rows()
        if day < start.date() + timedelta(days=int(days))
    }
    tested = cohort.frame.filter(pl.col("is_included") & pl.col("is_tested"))
    assert set(tested["ecg_id"]) <= early
    assert not set(build_cohort(known).frame.filter("is_tested")["ecg_id"]) <= early


def test_flaw_11_one_ecg_may_stand_for_a_visit(tables: Tables, cohort: Cohort) -> None:
    first = build_cohort(tables, config=CohortConfig(timing=("first_of_visit",)))
    per_visit = first.frame.filter("is_included").group_by("encounter_id").len()["len"]
    assert per_visit.max() == 1
    assert cohort.frame.filter("is_included").group_by("encounter_id").len()["len"].max() > 1
    assert set(per_visit) == {1}


def test_flaw_19_every_model_meets_the_same_rows(cohort: Cohort) -> None:
    features = cohort.frame.filter("is_included").select(cohort.features)
    assert features.drop_nulls().height < features.height  # the original scores these rows only
    data = load_dataset(cohort, None, ACS, "test")
    assert len(data.features) == len(data) == len(ACS.select(cohort, "test"))


def test_a_split_is_written_read_and_shared(tables: Tables, cohort: Cohort, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    write_split_file(cohort.frame, path)
    assert path.read_text().splitlines()[0] == "patient_id,split"
    again = build_cohort(tables, config=CohortConfig(scheme="file", split_file=path), seed=99)
    assert again.split_fingerprint == cohort.split_fingerprint
    write_split_file(again.frame, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_a_divided_split_is_written_by_ecg_and_refused_on_reading(
    papers: Cohort, tmp_path: Path
) -> None:
    write_split_file(papers.frame, tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().startswith("ecg_id,split")
    with pytest.raises(TableError, match="in two splits"):
        split_by_file(papers.frame, tmp_path / "p.csv")


def test_an_audit_believes_the_tables_and_not_the_cohorts_word(cohort: Cohort) -> None:
    moved = cohort.frame.with_columns(
        split=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("train")).otherwise("split")
    )
    broken = replace(cohort, frame=moved)  # its info still says that nobody is shared
    table = audit_split(broken)
    assert broken.info["shared_patients"] == 0
    assert findings(table)["patient in one split"] == "fail"
    row = table.filter(pl.col("check") == "patient in one split").row(0, named=True)
    assert row["n_found"] > 0
    assert row["examples"].startswith("pat")


def test_who_is_judged_here_must_not_have_trained_another_stage(
    tables: Tables, cohort: Cohort
) -> None:
    other_seed = build_cohort(tables, seed=1)
    table = audit_split(cohort, other_stages={"same": cohort, "other": other_seed})
    verdicts = dict(table.select("scope", "verdict").iter_rows())
    assert verdicts["same"] == "pass"
    assert verdicts["other"] == "fail"
