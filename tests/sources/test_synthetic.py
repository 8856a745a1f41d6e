from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acsbench.cohort.build import CohortConfig, build_cohort
from acsbench.errors import ConfigError, InputError
from acsbench.evaluation.metrics import auroc
from acsbench.recording import Recording
from acsbench.signal.leads import limb_residual
from acsbench.sources.base import open_source
from acsbench.sources.nightingale import HoldoutSource, NightingaleSource, read_recording
from acsbench.sources.synthetic import write_hospital
from acsbench.sources.synthetic_ecg import GRID_MV
from acsbench.sources.synthetic_people import draw_people
from acsbench.tables import RACES
from acsbench.tasks import TASKS
from acsbench.waveforms.quality import check_quality

V1 = Path("ed-bwh-ecg/v1")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hospital(tmp_path_factory.mktemp("h") / "a", n_patients=40, seed=3, n_jobs=1)


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_same_seed_same_bytes_whatever_the_number_of_workers(
    hospital: Path, tmp_path: Path
) -> None:
    again = write_hospital(tmp_path / "b", n_patients=40, seed=3, n_jobs=2)
    assert all_bytes(again) == all_bytes(hospital)


def test_a_stopped_hospital_is_finished_with_the_same_bytes(hospital: Path, tmp_path: Path) -> None:
    import shutil

    half = tmp_path / "half"
    shutil.copytree(hospital, half)
    (half / "manifest.json").unlink()
    lost = sorted((half / V1 / "ecg-waveforms-npz").rglob("*.npz"))[::2]
    for path in lost:
        path.unlink()
    write_hospital(half, n_patients=40, seed=3, n_jobs=1)
    assert all_bytes(half) == all_bytes(hospital)


@pytest.mark.parametrize(
    ("name", "width"), [("patient.csv", 12), ("ed-encounter.csv", 28), ("ecg-metadata.csv", 39)]
)
def test_tables_have_the_published_number_of_columns(hospital: Path, name: str, width: int) -> None:
    assert pl.read_csv(hospital / V1 / name).width == width


def test_a_page_prints_each_lead_in_its_quarter_on_the_drawing_grid(hospital: Path) -> None:
    files = sorted((hospital / V1 / "ecg-waveforms-npz").rglob("*.npz"))
    pages = [read_recording(path) for path in files[:20]]
    full = next(p for p in pages if np.isfinite(p.signal).any(axis=1).all())
    assert full.signal.shape == (15, 5000)
    support = np.isfinite(full.signal)
    for row in range(12):
        assert np.flatnonzero(support[row]).tolist() == list(
            range(row // 3 * 1250, row // 3 * 1250 + 1250)
        )
    assert support[12:].all()
    steps = full.signal[support] / 0.005
    assert np.abs(steps - np.rint(steps)).max() < 1e-3


def test_the_written_limb_leads_keep_einthovens_and_goldbergers_laws(hospital: Path) -> None:
    files = sorted((hospital / V1 / "ecg-waveforms-npz").rglob("*.npz"))
    pages = [
        page for page in map(read_recording, files) if np.isfinite(page.signal[:6]).any(1).all()
    ]
    assert len(pages) > 40
    for page in pages:
        one, two, three, right, left, foot = page.signal[:6]
        # three values rounded to the grid: whole steps, none or one, 0.5 at the root mean square
        assert np.nanmax(np.abs(two - one - three)) < 1.01 * GRID_MV
        assert np.nanmax(np.abs(right + left + foot)) < 1.01 * GRID_MV
        assert limb_residual(one, two, three) < 0.6 * GRID_MV
        assert limb_residual(right, -left, foot) < 0.6 * GRID_MV


def test_a_long_lead_and_its_short_twin_are_the_same_trace(hospital: Path) -> None:
    files = sorted((hospital / V1 / "ecg-waveforms-npz").rglob("*.npz"))
    for page in map(read_recording, files[:20]):
        for name in ("V1", "II", "V5"):
            difference = page.lead(name) - page.lead(f"long_{name}")
            assert np.nansum(np.abs(difference)) == 0


def test_the_source_reads_back_through_the_reader_of_the_real_data(hospital: Path) -> None:
    tables = NightingaleSource(path=hospital).tables()
    assert tables.min_count == 10
    assert tables.encounters is not None
    assert tables.ecgs["encounter_id"].null_count() > 0
    found = list(NightingaleSource(path=hospital).recordings(tables.ecgs["ecg_id"].to_list()[:5]))
    assert all(isinstance(one, Recording) for one in found)


@pytest.mark.parametrize(("effect", "low", "high"), [(None, 0.80, 0.85), (0.0, 0.5, 0.5)])
def test_the_best_possible_score_has_the_planted_auroc(
    effect: float | None, low: float, high: float
) -> None:
    from acsbench.sources.synthetic_rates import DEFAULT_EFFECT_MV

    size = DEFAULT_EFFECT_MV if effect is None else effect
    visits = draw_people(20_000, seed=1, rates="demo", effect_mv=size).visits
    tested = visits.filter(pl.col("tested") & ~pl.col("excluded"))
    assert low <= auroc(tested["treated"].cast(pl.Int64), tested["true_risk"]) <= high


def test_lesions_stay_with_a_patient_who_returns_and_their_shares_stay_as_they_are() -> None:
    agreement = {}
    for rates in ("demo", "returning"):
        visits = draw_people(10_000, seed=1, rates=rates, effect_mv=0.0).visits
        tested = visits.filter(pl.col("tested") & ~pl.col("excluded"))
        untested = visits.filter(~pl.col("tested") & ~pl.col("excluded"))
        assert tested["lesion"].mean() == pytest.approx(0.407, abs=0.02)
        assert untested["lesion"].mean() == pytest.approx(0.20, abs=0.02)
        pairs = tested.join(untested, on="patient")
        has, lacks = (pairs.filter(pl.col("lesion_right") == one) for one in (True, False))
        agreement[rates] = has["lesion"].mean() - lacks["lesion"].mean()
        assert auroc(tested["treated"].cast(pl.Int64), tested["true_risk"]) == 0.5
    assert abs(agreement["demo"]) < 0.15
    assert agreement["returning"] > 0.5


# Table 1 of the published benchmark, at the level of ECGs
TABLE_ONE = {
    "all": {"age": 58.28, "is_female": 0.548, "stent_or_cabg_010_day": 0.0164,
            "macetrop_pos_or_death_030": 0.161, "has_st_eleva": 0.0155, "has_depress": 0.0173,
            "has_twave_inver": 0.0759, "has_twave_abnormal": 0.261, "has_afib": 0.0827,
            "has_rhythm_disturbance": 0.228},
    "total": {"age": 54.91, "is_female": 0.561, "stent_or_cabg_010_day": 0.0207,
              "macetrop_pos_or_death_030": 0.108, "has_st_eleva": 0.0158, "has_depress": 0.0144,
              "has_twave_inver": 0.0663, "has_twave_abnormal": 0.239, "has_afib": 0.0684,
              "has_rhythm_disturbance": 0.201, "black": 0.233, "hispanic": 0.165, "white": 0.522},
    "tested": {"age": 63.51, "is_female": 0.381, "stent_or_cabg_010_day": 0.387,
               "macetrop_pos_or_death_030": 0.540, "has_st_eleva": 0.0693, "has_depress": 0.0466,
               "has_twave_inver": 0.123, "has_twave_abnormal": 0.326, "has_afib": 0.0981,
               "has_rhythm_disturbance": 0.327, "black": 0.145, "hispanic": 0.0968, "white": 0.692},
    "untested": {"age": 54.43, "is_female": 0.571, "stent_or_cabg_010_day": 0.0,
                 "macetrop_pos_or_death_030": 0.0838, "has_st_eleva": 0.0127,
                 "has_depress": 0.0126, "has_twave_inver": 0.0632, "has_twave_abnormal": 0.234,
                 "has_afib": 0.0667, "has_rhythm_disturbance": 0.194, "black": 0.238,
                 "hispanic": 0.169, "white": 0.513},
}  # fmt: skip
# distinct visits, patients and ECGs
COUNTS = {
    "all": (71_460, 44_713, 112_900),
    "total": (51_158, 35_595, 73_392),
    "tested": (1_952, 1_758, 3_925),
    "untested": (49_206, 34_465, 69_467),
}
PLANTED_LOSS = 0.025  # ECGs without a visit, visits without the flag: in no published count


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The populations of a hospital of the published size."""
    folder = tmp_path_factory.mktemp("published") / "h"
    source = open_source(
        "synthetic", path=folder, n_patients=44_713, rates="published", waveforms=False
    )
    frame = build_cohort(source.tables()).frame
    frame = frame.with_columns((pl.col("race") == race).alias(race) for race in RACES)
    total = frame.filter("is_included")
    tested, untested = total.filter("is_tested"), total.filter("is_untested")
    return {"all": frame, "total": total, "tested": tested, "untested": untested}


@pytest.mark.parametrize("population", TABLE_ONE)
def test_published_rates_follow_the_published_table_one(
    published: dict[str, pl.DataFrame], population: str
) -> None:
    rows = published[population]
    for column, expected in TABLE_ONE[population].items():
        values = rows[column].cast(pl.Float64)
        # both the published and our figure have sampling error; patients are the independent unit
        error = (2 / rows["patient_id"].n_unique()) ** 0.5 * values.std()
        assert values.mean() == pytest.approx(expected, abs=4 * error), column


@pytest.mark.parametrize("population", COUNTS)
def test_published_counts_are_those_of_a_hospital_of_that_size(
    published: dict[str, pl.DataFrame], population: str
) -> None:
    keys = ("encounter_id", "patient_id", "ecg_id")
    for key, expected in zip(keys, COUNTS[population], strict=True):
        found = published[population][key].n_unique()
        # a Poisson count's error, theirs and ours
        assert found == pytest.approx(
            expected, abs=4 * (2 * expected) ** 0.5 + PLANTED_LOSS * expected
        ), key


def test_as_many_patients_stand_in_both_populations_as_published(
    published: dict[str, pl.DataFrame],
) -> None:
    both = set(published["tested"]["patient_id"]) & set(published["untested"]["patient_id"])
    assert len(both) == pytest.approx(628, abs=4 * 628**0.5)


def test_the_classical_flags_are_as_weak_as_published(published: dict[str, pl.DataFrame]) -> None:
    label = pl.col("stent_or_cabg_010_day")
    rows = published["tested"].filter(label.is_not_null())
    for flag, expected in (
        ("has_st_eleva", 0.535),
        ("has_depress", 0.510),
        ("has_twave_inver", 0.507),
        ("has_twave_abnormal", 0.471),
    ):
        found = auroc(rows[label.meta.output_name()].cast(pl.Int64), rows[flag].cast(pl.Int64))
        assert found == pytest.approx(expected, abs=0.03)  # half of a published interval


def test_the_demo_holds_enough_positives_in_test(tmp_path: Path) -> None:
    source = open_source("synthetic", path=tmp_path / "h", waveforms=False)
    cohort = build_cohort(source.tables())
    test = TASKS["acs"].select(cohort, "test")
    assert test["stent_or_cabg_010_day"].sum() >= 60
    assert cohort.info["shared_patients"] == 0


def test_the_paper_scheme_leaks_and_the_patient_scheme_does_not(tmp_path: Path) -> None:
    tables = open_source("synthetic", path=tmp_path / "h", waveforms=False).tables()
    assert build_cohort(tables).info["shared_patients"] == 0
    leaky = build_cohort(tables, config=CohortConfig(scheme="paper"))
    assert leaky.info["shared_patients"] > 0


def test_copies_and_blank_pages_are_found_and_leave(hospital: Path) -> None:
    source = NightingaleSource(path=hospital)
    big = check_quality(source, n_jobs=1)
    cohort = build_cohort(source.tables(), quality=big)
    kept = cohort.frame.filter("is_included")
    hashes = big.unique("ecg_id").join(kept, on="ecg_id")
    assert hashes.group_by("raw_sha256", "encounter_id").len()["len"].max() == 1


def test_a_holdout_has_ids_and_tasks_and_nothing_else(hospital: Path) -> None:
    source = HoldoutSource(path=hospital / "holdout")
    cohort = build_cohort(source.tables())
    assert cohort.frame["patient_id"].null_count() == len(cohort)
    assert set(cohort.frame["split"]) == {"holdout"}
    assert len(TASKS["acs"].select(cohort, "holdout")) > 0
    with pytest.raises(InputError, match="holdout"):
        TASKS["acs"].labels(cohort)
    inside = NightingaleSource(path=hospital).tables().ecgs["ecg_id"]
    assert not set(inside) & set(cohort.frame["ecg_id"])


def test_a_folder_of_something_else_is_never_overwritten(tmp_path: Path, hospital: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="no generated hospital"):
        write_hospital(tmp_path, n_patients=5)
    with pytest.raises(InputError, match="seed = 3, asked 4"):
        write_hospital(hospital, n_patients=40, seed=4)


def test_an_unknown_option_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'n_patients'"):
        open_source("synthetic", n_patient=4)
