"""Learning without labels, from a store to a model that starts from what was learnt."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tiny_pretraining import SETTINGS, TINY_HUBERT, TINY_S4
from twelve_leads import cohort, hub_folder, make_store, sets

from acsbench.errors import ConfigError, InputError, UnknownNameError
from acsbench.experiment.pretraining import plan_pretraining, pretrain_step
from acsbench.models.base import load_model, make_model
from acsbench.models.folder import read_weights
from acsbench.models.pretrained import load_pretrained
from acsbench.models.pretraining import trainee
from acsbench.models.pretraining.config import METHODS
from acsbench.models.pretraining.people import unlabelled
from acsbench.provenance import read_manifest
from acsbench.store import WaveformStore
from acsbench.tables import Cohort

NETWORK = {"cpc": "ecg_cpc", "masked": "ecg_cpc", "hubert": "hubert_ecg"}
FINE = {"epochs": 1, "batch_size": 8, "threads": 1, "recipe": "hubert_100hz"}


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "curve.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def learnt(store: WaveformStore, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished pre-training of each method."""
    folder = tmp_path_factory.mktemp("learnt")
    for method in METHODS:
        pretrain_step(
            method, SETTINGS[method], store, folder / method, cohort=cohort(), probe_task="acs"
        )
    return {method: folder / method for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_learns_and_leaves_a_start_for_a_model(
    learnt: dict[str, Path], store: WaveformStore, method: str
) -> None:
    rows = curve(learnt[method])
    assert len(rows) == SETTINGS[method]["epochs"]
    losses = [float(row["val_loss"]) for row in rows]
    assert losses[-1] < losses[0]
    assert 0 <= float(rows[-1]["probe_auroc"]) <= 1
    loaded = load_pretrained(learnt[method])
    assert loaded.shape is not None
    assert loaded.shape.n_outputs is None
    assert loaded.signature["split_fingerprint"] == cohort().split_fingerprint
    assert loaded.tasks == ()
    assert f"Pre-trained by {method}" in loaded.remarks[0]
    train, val, test = sets(store)
    for start in ("init_from", "init"):
        model = make_model(NETWORK[method], **FINE, **{start: str(learnt[method])})
        scores = model.fit(train, val).predict_proba(test)
        assert scores.shape == (len(test), 2)
        assert any("Pre-trained by" in one for one in model.remarks)


@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_start_keeps_the_pretrained_weights(
    learnt: dict[str, Path], store: WaveformStore, tmp_path: Path, method: str
) -> None:
    train, val, _ = sets(store)
    model = make_model(NETWORK[method], **FINE, mode="frozen", init_from=learnt[method])
    model.fit(train, val).save(tmp_path)
    theirs, ours = read_weights(learnt[method]), read_weights(tmp_path)
    assert theirs
    assert all(torch.equal(value, ours[key]) for key, value in theirs.items())
    assert load_model(tmp_path).predict_proba(val).shape == (len(val), 2)


def test_a_model_without_head_scores_nobody(learnt: dict[str, Path], store: WaveformStore) -> None:
    _, val, _ = sets(store)
    with pytest.raises(InputError, match="has no head yet"):
        load_pretrained(learnt["cpc"]).predict_proba(val)


def test_what_is_done_is_not_done_again(
    learnt: dict[str, Path], store: WaveformStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acsbench.experiment.pretraining.pretrain", None)
    settings = SETTINGS["cpc"]
    pretrain_step("cpc", settings, store, learnt["cpc"], cohort=cohort(), probe_task="acs")


@pytest.mark.parametrize("start", ["init_from", "init"])
def test_a_start_of_another_split_is_refused_or_marked(
    learnt: dict[str, Path], store: WaveformStore, start: str
) -> None:
    from acsbench.dataset import load_dataset
    from acsbench.tasks import ACS

    other = cohort(swap=True)
    train, val = (load_dataset(other, store, ACS, split) for split in ("train", "val"))
    with pytest.raises(InputError, match="trained under another split"):
        make_model("ecg_cpc", **FINE, **{start: str(learnt["cpc"])}).fit(train, val)
    marked = make_model("ecg_cpc", **FINE, **{start: str(learnt["cpc"])}, allow_other_split=True)
    marked.fit(train, val)
    assert any("another split" in one for one in marked.remarks)


def test_without_a_cohort_everybody_is_learnt_from_and_the_result_is_refused(
    store: WaveformStore, tmp_path: Path
) -> None:
    done = pretrain_step("masked", {**TINY_S4, "epochs": 1}, store, tmp_path)
    assert done["ECGs to learn from"] + done["ECGs to validate on"] == 60
    train, val, _ = sets(store)
    with pytest.raises(InputError, match="trained without a cohort"):
        make_model("ecg_cpc", **FINE, init_from=tmp_path).fit(train, val)


def with_patients(splits: list[str | None], patients: list[str]) -> Cohort:
    made = cohort()
    frame = made.frame[: len(splits)].with_columns(
        pl.Series("split", splits), pl.Series("patient_id", patients)
    )
    return replace(made, frame=frame)


def test_patients_of_val_test_and_holdout_never_enter(store: WaveformStore) -> None:
    """Also under schemes that split a patient's records apart."""
    splits = ["train", "train", "train", "train", "val", "val", "test", "holdout", None]
    patients = ["a", "b", "c", "d", "b", "e", "c", "d", "f"]
    splits += ["train", "train"]
    patients += ["g", "h"]
    people = unlabelled(store, with_patients(splits, patients), val_share=0.1, seed=0)
    assert people.train.ecg_ids == ("e00", "e09", "e10")
    assert people.val.ecg_ids == ("e04", "e05")
    assert not people.remarks


def test_without_val_patients_are_taken_out_of_train(store: WaveformStore) -> None:
    patients = [f"p{i // 2}" for i in range(20)]
    people = unlabelled(store, with_patients(["train"] * 20, patients), val_share=0.2, seed=1)
    who = dict(zip([f"e{i:02d}" for i in range(20)], patients, strict=True))
    mine, theirs = ({who[one] for one in d.ecg_ids} for d in (people.train, people.val))
    assert len(theirs) == 2
    assert not mine & theirs
    assert "taken out of train" in people.remarks[0]


def test_labels_are_never_read(store: WaveformStore, tmp_path: Path) -> None:
    """Other labels, or none, and the same weights."""
    known = cohort()
    outcomes = ("stent_or_cabg_010_day", "macetrop_pos_or_death_030")
    bare = replace(known, frame=known.frame.drop(outcomes))
    for name, one in (("known", known), ("bare", bare)):
        pretrain_step("cpc", {**SETTINGS["cpc"], "epochs": 1}, store, tmp_path / name, cohort=one)
    first, second = (read_weights(tmp_path / name) for name in ("known", "bare"))
    assert all(torch.equal(first[key], second[key]) for key in first)


class Stop(KeyboardInterrupt):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", [2, 6])
def test_an_interrupted_pretraining_ends_with_the_same_curve_and_weights(
    learnt: dict[str, Path],
    store: WaveformStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    step: int,
) -> None:
    whole = trainee.Pretrainee.training_step
    calls = iter(range(1000))

    @wraps(whole)
    def interrupted(self: Any, *given: Any) -> torch.Tensor:
        if next(calls) == step:
            raise Stop
        return whole(self, *given)

    def again() -> None:
        pretrain_step(method, SETTINGS[method], store, tmp_path, cohort=cohort(), probe_task="acs")

    with monkeypatch.context() as patch:
        patch.setattr(trainee.Pretrainee, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            again()
    again()
    assert curve(tmp_path) == curve(learnt[method])
    mine, theirs = read_weights(tmp_path), read_weights(learnt[method])
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from tiny_pretraining import SETTINGS
from twelve_leads import cohort, make_store
from acsbench.experiment.pretraining import pretrain_step
from acsbench.models.pretraining import trainee

step = trainee.Pretrainee.training_step

def killed_in_the_third_epoch(self, batch, batch_idx):
    if (self.current_epoch, batch_idx) == (2, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, batch_idx)

trainee.Pretrainee.training_step = killed_in_the_third_epoch
store = make_store(Path(sys.argv[3]))
pretrain_step("cpc", SETTINGS["cpc"], store, Path(sys.argv[4]), cohort=cohort(), probe_task="acs")
"""


@pytest.mark.slow
def test_a_killed_pretraining_resumes_to_the_same_loss_curve(
    learnt: dict[str, Path], tmp_path: Path
) -> None:
    here = Path(__file__).parent
    arguments = [here, here.parent, tmp_path / "store", tmp_path / "run"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    opened = WaveformStore.open(tmp_path / "store")
    pretrain_step(
        "cpc", SETTINGS["cpc"], opened, tmp_path / "run", cohort=cohort(), probe_task="acs"
    )
    assert curve(tmp_path / "run") == curve(learnt["cpc"])


def test_the_iteration_is_read_from_the_model_and_not_from_its_name(
    learnt: dict[str, Path], store: WaveformStore, tmp_path: Path
) -> None:
    """Trap 38."""
    import shutil

    first = tmp_path / "renamed"
    shutil.copytree(learnt["hubert"], first)
    assert read_manifest(first).config["iteration"] == 1
    for number, start in ((2, first), (3, tmp_path / "2")):
        settings = {**TINY_HUBERT, "epochs": 1, "init_from": start}
        pretrain_step("hubert", settings, store, tmp_path / str(number), cohort=cohort())
        found = read_manifest(tmp_path / str(number)).config
        assert (found["iteration"], found["targets"]) == (number, "layer")
    with pytest.raises(ConfigError, match="2 comes next"):
        plan_pretraining("hubert", {"init_from": first, "iteration": 3}, store, cohort())
    with pytest.raises(ConfigError, match="give init_from"):
        plan_pretraining("hubert", {"iteration": 2}, store, cohort())


def test_published_weights_can_be_gone_on_from(store: WaveformStore, tmp_path: Path) -> None:
    start = hub_folder(tmp_path / "hub")
    settings = {**TINY_HUBERT, "init_from": start, "epochs": 1}
    del settings["sizes"]
    with pytest.raises(InputError, match="does not say which iteration"):
        plan_pretraining("hubert", settings, store, cohort())
    pretrain_step("hubert", {**settings, "iteration": 2}, store, tmp_path / "more", cohort=cohort())
    model = load_pretrained(tmp_path / "more")
    assert any("nothing is known" in one for one in model.remarks)


def test_gaps_of_a_lead_are_neither_hidden_nor_asked_for(tmp_path: Path) -> None:
    gappy = make_store(tmp_path / "store", missing=True)
    for method in ("hubert", "masked"):
        pretrain_step(
            method, {**SETTINGS[method], "epochs": 1}, gappy, tmp_path / method, cohort=cohort()
        )
        assert np.isfinite(float(curve(tmp_path / method)[0]["val_loss"]))


def test_bad_input_is_told(store: WaveformStore) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cpc'"):
        plan_pretraining("cpcc", {}, store, None)
    with pytest.raises(ConfigError, match="n_step"):
        plan_pretraining("cpc", {"n_step": 3}, store, None)
    nobody = with_patients(["test"] * 4, list("abcd"))
    with pytest.raises(InputError, match="too few"):
        plan_pretraining("cpc", {}, store, nobody)
    with pytest.raises(ConfigError, match="find_unused"):
        plan_pretraining("hubert", {"devices": 2}, store, None)


def test_steps_beyond_the_window_are_told(store: WaveformStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="look beyond it"):
        pretrain_step("cpc", {**TINY_S4, "n_steps": 200}, store, tmp_path, cohort=cohort())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cpc", "hubert"])
def test_two_processes_pretrain_together(store: WaveformStore, tmp_path: Path, method: str) -> None:
    script = Path(__file__).with_name("pretrain_together.py")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [str(script), method, str(store.folder), str(tmp_path / "two")]
    done = subprocess.run(
        [sys.executable, *launcher, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    losses = [float(row["val_loss"]) for row in curve(tmp_path / "two")]
    assert len(losses) == SETTINGS[method]["epochs"]
    assert losses[-1] < losses[0]
    # finished by the first process alone, and whole
    written = {file.name for file in (tmp_path / "two").iterdir() if file.is_file()}
    assert set(read_manifest(tmp_path / "two").outputs) == written - {"manifest.json"}
    train, val, test = sets(store)
    model = make_model(NETWORK[method], **FINE, init_from=str(tmp_path / "two"))
    assert model.fit(train, val).predict_proba(test).shape == (len(test), 2)
