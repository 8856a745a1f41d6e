from __future__ import annotations

import signal
import subprocess
import sys
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import SMALL, sets

from acsbench.models import training
from acsbench.models.base import make_model
from acsbench.store import WaveformStore

LONGER = {**SMALL, "epochs": 5}


def test_a_network_learns_a_planted_signal_and_repeats_itself(store: WaveformStore) -> None:
    train, val, test = sets(store)
    first, second = (
        make_model("resnet18", **{**SMALL, "epochs": 6, "learning_rate": 0.01}).fit(train, val)
        for _ in range(2)
    )
    scores = first.predict_proba(test)
    np.testing.assert_array_equal(scores, second.predict_proba(test))
    labels = test.labels.astype(bool)
    assert scores[labels, 1].min() > scores[~labels, 1].max()


class Stop(KeyboardInterrupt):
    pass


def stop_once(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, *, at: int) -> None:
    """Interrupt the ``at``-th call of a method, before it does anything."""
    whole = getattr(owner, method)
    calls = iter(range(10_000))

    @wraps(whole)
    def interrupted(self: object, *args: object) -> object:
        if next(calls) == at:
            raise Stop
        return whole(self, *args)

    monkeypatch.setattr(owner, method, interrupted)


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    file = next(folder.rglob(f"{name}.ckpt"))
    state: dict[str, torch.Tensor] = torch.load(file, weights_only=True)["state_dict"]
    return state


def assert_same_training(one: Path, other: Path) -> None:
    """The best epoch may lie before a stop, so the last weights are compared as well."""
    for name in ("best", "last"):
        mine, theirs = weights(one, name), weights(other, name)
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


@pytest.fixture(scope="module")
def whole(store: WaveformStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was never stopped: 5 epochs of 4 batches."""
    folder = tmp_path_factory.mktemp("whole")
    train, val, _ = sets(store)
    make_model("resnet18", **LONGER, folder=folder).fit(train, val)
    return folder


STOPS = {
    "in the first epoch": ("_Trainee", "training_step", 2),
    "in mid-epoch": ("_Trainee", "training_step", 13),
    "in the last step of an epoch": ("_Trainee", "training_step", 11),
    "in validation": ("_Trainee", "validation_step", 5),
    "at an epoch's end before anything is saved": ("_Keeper", "on_validation_end", 4),
    "between best and last": ("_Keeper", "on_validation_end", 5),
    "between two epochs": ("_Trainee", "on_train_epoch_end", 2),
}


@pytest.mark.parametrize("where", STOPS)
def test_an_interrupted_training_takes_up_and_ends_with_the_same_weights(
    store: WaveformStore,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    owner, method, at = STOPS[where]
    train, val, _ = sets(store)
    with monkeypatch.context() as patch:
        stop_once(patch, getattr(training, owner), method, at=at)
        with pytest.raises(KeyboardInterrupt):
            make_model("resnet18", **LONGER, folder=tmp_path / "x").fit(train, val)
    (tmp_path / "x").rename(tmp_path / "moved")
    steps = count_steps(monkeypatch)
    make_model("resnet18", **LONGER, folder=tmp_path / "moved").fit(train, val)
    assert_same_training(tmp_path / "moved", whole)
    if at > 3:
        assert len(steps) < 5 * 4, "finished epochs were repeated"


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    steps: list[int] = []
    step = training._Trainee.training_step

    def counted(self: training._Trainee, batch: Any, batch_idx: int) -> torch.Tensor:
        steps.append(batch_idx)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(training._Trainee, "training_step", counted)
    return steps


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from planted import SMALL, make_store, sets
from acsbench.models import training
from acsbench.models.base import make_model

step = training._Trainee.training_step

def killed_in_the_third_epoch(self, batch, batch_idx):
    if (self.current_epoch, batch_idx) == (2, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, batch_idx)

training._Trainee.training_step = killed_in_the_third_epoch
train, val, _ = sets(make_store(Path(sys.argv[2])))
make_model("resnet18", **{**SMALL, "epochs": 5}, folder=Path(sys.argv[3])).fit(train, val)
"""


def test_a_training_killed_with_its_process_ends_with_the_same_weights(
    store: WaveformStore, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [Path(__file__).parent, tmp_path / "store", tmp_path / "run"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    train, val, _ = sets(store)
    steps = count_steps(monkeypatch)
    make_model("resnet18", **LONGER, folder=tmp_path / "run").fit(train, val)
    assert_same_training(tmp_path / "run", whole)
    assert len(steps) == 3 * 4, "the killed epoch is repeated, those before it are not"


@pytest.mark.parametrize("broken", [("last",), ("last", "best")])
def test_a_half_written_checkpoint_costs_epochs_but_not_the_result(
    store: WaveformStore,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: tuple[str, ...],
) -> None:
    train, val, _ = sets(store)
    with monkeypatch.context() as patch:
        stop_once(patch, training._Trainee, "training_step", at=13)
        with pytest.raises(KeyboardInterrupt):
            make_model("resnet18", **LONGER, folder=tmp_path).fit(train, val)
    for name in broken:
        file = next(tmp_path.rglob(f"{name}.ckpt"))
        file.write_bytes(file.read_bytes()[:2000])
    make_model("resnet18", **LONGER, folder=tmp_path).fit(train, val)
    assert_same_training(tmp_path, whole)


def test_a_training_that_stopped_early_is_not_taken_further(
    store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # no epoch is better than the first, so patience runs out at once
    monkeypatch.setattr(training, "mean_auroc", lambda *_: 0.5)
    train, val, _ = sets(store)
    parameters = {**LONGER, "patience": 1}
    with monkeypatch.context() as patch:
        stop_once(patch, training._Trainee, "on_train_epoch_end", at=1)
        with pytest.raises(KeyboardInterrupt):
            make_model("resnet18", **parameters, folder=tmp_path).fit(train, val)
    steps = count_steps(monkeypatch)
    for _ in range(2):
        make_model("resnet18", **parameters, folder=tmp_path).fit(train, val)
    assert steps == []


def test_ten_steps_are_enough_for_a_warm_up(store: WaveformStore) -> None:
    train, val, _ = sets(store)
    make_model("resnet18", **{**SMALL, "batch_size": 16, "epochs": 5}).fit(train, val)
