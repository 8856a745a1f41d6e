from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from wards import hospital, quality

from acsbench.cohort.audit import describe_splits
from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.errors import ConfigError, TableError
from acsbench.provenance import file_sha256
from acsbench.tables import Split, Tables


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
    tables = replace(tables, ecgs=pl.concat([tables.ecgs, again]))
    same = {"ev0100": "x", "ezcopy": "x", "ev0200": "y", "ev0210": "y"}
    cohort = build_cohort(tables, quality=quality(tables, same))
    left = dict(cohort.frame.select("ecg_id", "exclusion").iter_rows())
    assert left["ev0100"] is None
    assert left["ezcopy"] == "copy of an ECG of the visit"
    assert left["ev0200"] == left["ev0210"] == "one waveform under two patients"


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


def test_a_test_flag_that_is_none_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(TableError, match=r"no column 'cath_10_day'.*'cath_010_day'"):
        build_cohort(hospital(), config=CohortConfig(test_flag="cath_10_day"))
    with pytest.raises(TableError, match=r"'age' .*must be true, false or missing"):
        build_cohort(hospital(), config=CohortConfig(test_flag="age"))


def test_age_bands_have_their_borders_where_their_names_say() -> None:
    tables = hospital()
    ages = [49.9, 50.0, 64.9, 65.0, 79.9, 80.0, None]
    visits = tables.encounters
    assert visits is not None
    filled = (ages * len(visits))[: len(visits)]
    aged = replace(tables, encounters=visits.with_columns(age=pl.Series(filled)))
    frame = build_cohort(aged).frame
    bands = dict(frame.select("age", "age_band").drop_nulls("age").unique().iter_rows())
    assert bands == {
        49.9: "under 50",
        50.0: "50 to 64",
        64.9: "50 to 64",
        65.0: "65 to 79",
        79.9: "65 to 79",
        80.0: "80 and over",
    }
    assert frame.filter(pl.col("age").is_null())["age_band"].drop_nulls().is_empty()


def test_ecgs_of_a_visit_are_counted_in_the_order_of_their_days() -> None:
    tables = hospital()
    late = tables.ecgs.filter(pl.col("ecg_id") == "ev0100")
    early = late.with_columns(ecg_id=pl.lit("ezearly"))
    dated = pl.concat(
        [
            tables.ecgs.with_columns(ecg_date=pl.lit(date(2012, 5, 2))),
            early.with_columns(ecg_date=pl.lit(date(2012, 5, 1))),
        ]
    )
    frame = build_cohort(replace(tables, ecgs=dated)).frame
    order = dict(frame.select("ecg_id", "ecg_order").iter_rows())
    assert (order["ezearly"], order["ev0100"], order["ev0110"]) == (1, 2, 1)
    assert order["ev0000"] is None  # no visit, no order


def test_unreadable_and_blank_ecgs_leave_and_one_bad_lead_stays() -> None:
    tables = hospital()
    table = quality(tables)
    unreadable = table.filter(pl.col("ecg_id") == "ev0100").with_columns(
        lead=pl.lit("*"), reasons=pl.lit("truncated"), raw_sha256=pl.lit(None, pl.String)
    )
    blank = table.filter(pl.col("ecg_id") == "ev0200").with_columns(reasons=pl.lit("all_missing"))
    half = table.filter(pl.col("ecg_id") == "ev0300").with_columns(reasons=pl.lit("flat"))
    other_lead = half.with_columns(lead=pl.lit("II"), reasons=pl.lit(""))
    rest = table.filter(~pl.col("ecg_id").is_in(["ev0100", "ev0200", "ev0300"]))
    joined = pl.concat([rest, unreadable, blank, half, other_lead])
    left = dict(build_cohort(tables, quality=joined).frame.select("ecg_id", "exclusion").rows())
    assert left["ev0100"] == left["ev0200"] == "ECG unreadable or blank"
    assert left["ev0300"] is None
    kept = CohortConfig(excluded_reasons=("missing",))
    frame = build_cohort(tables, quality=joined, config=kept).frame
    assert dict(frame.select("ecg_id", "exclusion").rows())["ev0200"] is None


def test_two_blank_pages_are_no_copies_of_each_other() -> None:
    tables = hospital()
    table = quality(tables, {"ev0100": "blank", "ev0200": "blank"})
    blank = table.with_columns(
        reasons=pl.when(pl.col("raw_sha256") == "blank").then(pl.lit("all_missing"))
    )
    cohort = build_cohort(
        tables, quality=blank, config=CohortConfig(excluded_reasons=("all_missing",))
    )
    assert cohort.info["waveforms_of_two_patients"] == 0


def test_the_alarm_of_a_shared_waveform_counts_records_that_left_for_another_reason() -> None:
    tables = hospital()
    same = {"ev0001": "x", "ev0200": "x"}  # the first is excluded for modeling
    cohort = build_cohort(tables, quality=quality(tables, same))
    assert cohort.info["waveforms_of_two_patients"] == 1
    left = dict(cohort.frame.select("ecg_id", "exclusion").rows())
    assert left["ev0200"] == "one waveform under two patients"


def test_a_copy_in_another_visit_stays_and_is_counted() -> None:
    tables = hospital()
    cohort = build_cohort(tables, quality=quality(tables, {"ev0100": "x", "ev0101": "x"}))
    left = dict(cohort.frame.select("ecg_id", "exclusion").rows())
    assert left["ev0100"] is left["ev0101"] is None
    assert cohort.info["waveforms_in_two_visits"] == 1


def test_ecgs_that_the_quality_table_does_not_name_are_counted_as_unchecked() -> None:
    tables = hospital()
    part = quality(tables).head(50)
    flow = build_cohort(tables, quality=part).flow
    unchecked = flow.filter(pl.col("step") == "quality not checked")
    assert unchecked["n_records"].to_list() == [120 - 50]


def test_nobody_left_is_an_error_that_names_the_steps() -> None:
    tables = hospital()
    visits = tables.encounters
    assert visits is not None
    frail = replace(tables, encounters=visits.with_columns(exclude_modeling=pl.lit(value=True)))
    with pytest.raises(TableError, match=r"Nobody is left.*excluded for modeling': 119"):
        build_cohort(frail)


def test_a_source_without_visits_has_a_cohort_of_one_step_fewer() -> None:
    tables = hospital()
    alone = replace(
        tables,
        encounters=None,
        ecgs=tables.ecgs.drop("encounter_id").with_columns(reading=pl.lit(value=True)),
        outcomes=("reading",),
        features=(),
    )
    cohort = build_cohort(alone)
    assert cohort.frame["is_included"].all()
    assert not cohort.frame["is_tested"].any()
    assert "tested" not in cohort.flow["step"].to_list()


def test_folds_of_the_publisher_make_the_split() -> None:
    tables = hospital()
    fold = pl.col("patient_id").str.slice(1).cast(pl.Int64) % 10 + 1
    folded = replace(tables, ecgs=tables.ecgs.with_columns(fold=fold), fold_column="fold")
    frame = build_cohort(folded, config=CohortConfig(scheme="folds")).frame
    who = dict(frame.group_by("split").agg(pl.col("patient_id").n_unique()).iter_rows())
    assert who == {"train": 48, "val": 6, "test": 6}
    moved = CohortConfig.model_validate({"scheme": "folds", "folds": {"train": [1, 2], "val": [3]}})
    with pytest.raises(TableError, match=r"folds without a split: 4, 5"):
        build_cohort(folded, config=moved)


def test_a_fold_that_divides_a_patient_is_refused() -> None:
    tables = hospital()
    by_visit = pl.when(pl.col("ecg_id").str.ends_with("1")).then(9).otherwise(1)
    folded = replace(tables, ecgs=tables.ecgs.with_columns(fold=by_visit), fold_column="fold")
    with pytest.raises(TableError, match=r"put 60 patients in two splits \(first: p000, p001"):
        build_cohort(folded, config=CohortConfig(scheme="folds"))


def test_a_split_file_decides_and_its_checksum_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    lines = [f"p{i:03d},{('train', 'val', 'test')[i % 3]}" for i in range(60)]
    path.write_text("\n".join(["patient_id,split", *lines]) + "\n")
    config = CohortConfig(scheme="file", split_file=path)
    cohort = build_cohort(hospital(), config=config)
    assert dict(cohort.frame.select("patient_id", "split").iter_rows())["p002"] == "test"
    assert cohort.info["split_file_sha256"] == file_sha256(path)
    with pytest.raises(ValueError, match="go together"):
        CohortConfig(scheme="file")


def test_fractions_that_are_no_shares_and_schemes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"add up to 1\.1"):
        CohortConfig.model_validate({"fractions": {"train": 0.7}})
    with pytest.raises(ValueError, match="Did you mean 'patient'"):
        CohortConfig.model_validate({"scheme": "patients"})


def test_a_holdout_is_included_whole_and_has_neither_patients_nor_labels() -> None:
    ecgs = pl.DataFrame({"ecg_id": ["b", "a"], "holdout_acs": [True, False]})
    people = pl.DataFrame(schema={"patient_id": pl.String, "sex": pl.String})
    cohort = build_cohort(Tables(source="holdout", fingerprint="1", ecgs=ecgs, patients=people))
    assert cohort.frame["ecg_id"].to_list() == ["a", "b"]
    assert cohort.frame["split"].unique().to_list() == [str(Split.HOLDOUT)]
    assert cohort.frame["is_included"].all()
    assert cohort.frame["patient_id"].null_count() == 2
    assert not cohort.outcomes
    assert cohort.scheme == "holdout"


def test_the_balance_of_the_splits_adds_up_to_the_cohort() -> None:
    cohort = build_cohort(hospital())
    table = describe_splits(cohort)
    included = cohort.frame.filter("is_included")
    assert table["split"].to_list() == ["train", "val", "test"]
    assert table["n_records"].sum() == len(included)
    assert table["n_patients"].sum() == included["patient_id"].n_unique()
    outcome = "stent_or_cabg_010_day"
    assert table[f"n_{outcome}"].sum() == included[outcome].sum()
