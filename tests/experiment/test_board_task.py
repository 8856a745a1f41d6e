"""From a cohort to a board's task, and back through the holdout that entrants get."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from acsbench.cohort.build import build_cohort
from acsbench.errors import InputError, VaultError
from acsbench.experiment.board_task import make_task
from acsbench.experiment.config import SourceStep
from acsbench.experiment.steps import open_step
from acsbench.leaderboard.definition import Release, read_task
from acsbench.leaderboard.truth_table import read_truth
from acsbench.leaderboard.vault import open_vault, seal
from acsbench.parallel import Workers
from acsbench.provenance import write_manifest
from acsbench.sources.base import open_source
from acsbench.tables import Cohort

ONE = Workers(n_jobs=1)
N_PATIENTS = 100
SMALL = Release(min_per_class=2)


@pytest.fixture(scope="module")
def cohort_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    step = SourceStep(name="synthetic", path=str(folder / "hospital"), n_patients=N_PATIENTS)
    opened = open_step(step)
    built = build_cohort(opened.tables)  # whose waveforms nobody needs to check here
    write_manifest(
        folder / "cohort",
        step="cohort",
        config={"source": opened.step.model_dump(mode="json"), "seed": 0, "limit": None},
        inputs={},
        outputs=built.save(folder / "cohort"),
    )
    return folder / "cohort"


@pytest.fixture(scope="module")
def made(cohort_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("board") / "out"
    return make_task(cohort_folder, out, tasks=("acs", "mace"), release=SMALL, workers=ONE)


def test_entrants_get_ids_and_waveforms_and_nothing_else(made):
    files = {p.relative_to(made.entrants) for p in made.entrants.rglob("*") if p.is_file()}
    ids = pl.read_csv(made.entrants / "holdout-ids.csv")
    assert ids.columns == ["ecg_id", "task"]
    assert len(files) == 1 + ids["ecg_id"].n_unique()
    for path in files - {next(p for p in files if p.suffix == ".csv")}:
        assert path.parts[0] == "ecg-waveforms-npz"
        assert path.stem.startswith(path.parts[1])
        with np.load(made.entrants / path) as content:
            assert content.files == ["waveform"]


def test_the_folder_is_a_holdout_that_can_be_read_and_predicted(made, cohort_folder):
    source = open_source("holdout", path=made.entrants)
    holdout = build_cohort(source.tables())
    assert holdout.scheme == "holdout"
    ids = read_task(made.tasks["acs"]).ids
    assert set(holdout.frame.filter("holdout_acs")["ecg_id"]) == set(ids)
    # the waveform behind a new id is that of the cohort's record
    names = dict(pl.read_csv(made.labels["acs"].parent / "ids.csv").rows())
    hospital = open_source(
        "synthetic", path=cohort_folder.parent / "hospital", n_patients=N_PATIENTS
    )
    (theirs,) = hospital.recordings([names[ids[0]]])
    (mine,) = source.recordings([ids[0]])
    np.testing.assert_array_equal(mine.signal, theirs.signal.astype(np.float32))


def test_labels_are_those_of_the_cohort_s_split_and_fit_the_vault(made, cohort_folder):
    cohort = Cohort.load(cohort_folder)
    for slug, outcome in (("acs", "stent_or_cabg_010_day"), ("mace", "macetrop_pos_or_death_030")):
        version = read_task(made.tasks[slug])
        truth = read_truth(made.labels[slug], version)
        names = dict(pl.read_csv(made.labels[slug].parent / "ids.csv").rows())
        mine = truth.with_columns(cohort_ecg_id=pl.col("ecg_id").replace_strict(names))
        joined = mine.join(cohort.frame, left_on="cohort_ecg_id", right_on="ecg_id")
        assert len(joined) == version.n_rows == made.n_rows[slug]
        assert (joined["label"] == joined[outcome].cast(pl.Int8)).all()
        assert (joined["patient_id"] == joined["patient_id_right"]).all()
        assert set(joined["split"]) == {"test"}
        assert truth.columns == ["ecg_id", "patient_id", "label", "sex", "race", "age_band"]
        master = bytes(32)
        vault = open_vault(seal(truth, version, master).data, version, master)
        assert vault.truth.n_positive == truth["label"].sum()


def test_the_host_s_files_are_the_host_s_alone(made):
    host = made.labels["acs"].parent
    assert host.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in host.iterdir())


def test_new_ids_say_nothing_of_the_old_ones(made):
    table = pl.read_csv(made.labels["acs"].parent / "ids.csv")
    assert not set(table["ecg_id"]) & set(table["cohort_ecg_id"])
    by_new = table.sort("ecg_id")["cohort_ecg_id"].rank().to_numpy()
    assert abs(np.corrcoef(by_new, np.arange(len(by_new)))[0, 1]) < 0.5


def test_a_run_goes_on_with_the_same_ids_and_refuses_another_task_s_folder(
    made, cohort_folder, tmp_path
):
    out = made.entrants.parent
    before = {p: p.stat().st_mtime_ns for p in made.entrants.rglob("*.npz")}
    next(iter(before)).unlink()
    again = make_task(cohort_folder, out, tasks=("acs", "mace"), release=SMALL, workers=ONE)
    after = {p: p.stat().st_mtime_ns for p in made.entrants.rglob("*.npz")}
    assert set(after) == set(before)
    assert sum(after[p] != before[p] for p in after) == 1
    assert read_task(again.tasks["acs"]).ids == read_task(made.tasks["acs"]).ids
    with pytest.raises(InputError, match="Choose another --out"):
        make_task(cohort_folder, out, tasks=("acs",), release=SMALL, workers=ONE)


def test_a_patient_on_both_sides_of_the_cut_is_refused(cohort_folder, tmp_path):
    cohort = Cohort.load(cohort_folder)
    included = cohort.frame.filter("is_included")
    one = included.filter(pl.col("split") == "train")["patient_id"][0]
    other = included.filter(pl.col("split") == "test")["patient_id"][0]
    moved = cohort.frame.with_columns(pl.col("patient_id").replace({other: one}))
    folder = tmp_path / "cohort"
    folder.mkdir()
    for name in ("flow.csv", "cohort.json", "manifest.json"):
        (folder / name).write_bytes((cohort_folder / name).read_bytes())
    moved.write_parquet(folder / "cohort.parquet")
    with pytest.raises(InputError, match=r"1 patients of split 'test' are also in another"):
        make_task(folder, tmp_path / "out", release=SMALL, workers=ONE)
    assert not (tmp_path / "out").exists()


def test_too_few_labels_for_a_board_are_refused(cohort_folder, tmp_path):
    with pytest.raises(VaultError, match="Fewer than 50 rows are positive"):
        make_task(cohort_folder, tmp_path / "out", workers=ONE)


def test_a_source_that_is_gone_is_refused(cohort_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("acsbench.experiment.board_task.reopen_source", lambda _: _Opened(_Gone()))
    with pytest.raises(InputError, match=r"ECGs cannot be read .*Is the source where it was"):
        make_task(cohort_folder, tmp_path / "out", release=SMALL, workers=ONE)


class _Opened:
    def __init__(self, source):
        self.source = source


class _Gone:
    def recordings(self, ids):
        from acsbench.errors import RecordingError

        return (RecordingError(i, "missing_file", "no file") for i in ids)
