from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import SMALL, sets

from acsbench.errors import ConfigError, InputError, MissingDependencyError, StepError
from acsbench.models import trainee, training
from acsbench.models.base import make_model
from acsbench.models.batches import EpochBatches
from acsbench.models.config import ResNetConfig
from acsbench.provenance import read_manifest
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
    "in the first epoch": ("Trainee", "training_step", 2),
    "in mid-epoch": ("Trainee", "training_step", 13),
    "in the last step of an epoch": ("Trainee", "training_step", 11),
    "in validation": ("Trainee", "validation_step", 5),
    "at an epoch's end before anything is saved": ("_Keeper", "on_validation_end", 4),
    "between best and last": ("_Keeper", "on_validation_end", 5),
    "between two epochs": ("Trainee", "on_train_epoch_end", 2),
}


@pytest.mark.slow
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
        stop_once(
            patch, {"Trainee": trainee.Trainee, "_Keeper": training._Keeper}[owner], method, at=at
        )
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
    step = trainee.Trainee.training_step

    def counted(self: trainee.Trainee, batch: Any, batch_idx: int) -> torch.Tensor:
        steps.append(batch_idx)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(trainee.Trainee, "training_step", counted)
    return steps


@pytest.mark.parametrize("choose", ["best", "last"])
def test_the_epoch_that_is_kept_is_the_one_asked_for(
    store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choose: str
) -> None:
    # the first epoch is the best one
    values = iter([0.9, 0.6, 0.5])
    monkeypatch.setattr(trainee, "mean_auroc", lambda *_: next(values))
    train, val, _ = sets(store)
    parameters = {**SMALL, "epochs": 3, "choose": choose}
    model: Any = make_model("resnet18", **parameters, folder=tmp_path).fit(train, val)
    best, last = (weights(tmp_path, name) for name in ("best", "last"))
    key = next(key for key in best if not torch.equal(best[key], last[key]))
    kept = model.network.state_dict()[key.removeprefix("network.")]
    assert torch.equal(kept, {"best": best, "last": last}[choose][key])


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from planted import SMALL, make_store, sets
from acsbench.errors import MissingDependencyError
from acsbench.models import trainee, training
from acsbench.models.base import make_model
from acsbench.models.batches import EpochBatches
from acsbench.models.config import ResNetConfig

step = trainee.Trainee.training_step

def killed_in_the_third_epoch(self, batch, batch_idx):
    if (self.current_epoch, batch_idx) == (2, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, batch_idx)

trainee.Trainee.training_step = killed_in_the_third_epoch
train, val, _ = sets(make_store(Path(sys.argv[2])))
make_model("resnet18", **{**SMALL, "epochs": 5}, folder=Path(sys.argv[3])).fit(train, val)
"""


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("broken", [("last",), ("best",), ("last", "best")])
def test_a_half_written_checkpoint_costs_epochs_but_not_the_result(
    store: WaveformStore,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: tuple[str, ...],
) -> None:
    train, val, _ = sets(store)
    with monkeypatch.context() as patch:
        stop_once(patch, trainee.Trainee, "training_step", at=13)
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
    monkeypatch.setattr(trainee, "mean_auroc", lambda *_: 0.5)
    train, val, _ = sets(store)
    parameters = {**LONGER, "patience": 1}
    with monkeypatch.context() as patch:
        stop_once(patch, trainee.Trainee, "on_train_epoch_end", at=1)
        with pytest.raises(KeyboardInterrupt):
            make_model("resnet18", **parameters, folder=tmp_path).fit(train, val)
    steps = count_steps(monkeypatch)
    for _ in range(2):
        make_model("resnet18", **parameters, folder=tmp_path).fit(train, val)
    assert steps == []


def test_a_training_that_diverges_says_so_and_how_to_help_it(
    store: WaveformStore, tmp_path: Path
) -> None:
    train, val, _ = sets(store)
    wild = {**SMALL, "learning_rate": 1e30, "schedule": "constant"}
    with pytest.raises(StepError, match=r"diverged in epoch 1.*Lower learning_rate"):
        make_model("resnet18", **wild, folder=tmp_path).fit(train, val)


def test_the_number_of_threads_is_the_trainings_alone(store: WaveformStore) -> None:
    train, val, test = sets(store)
    before = torch.get_num_threads()
    other = before + 1
    seen: list[int] = []
    model = make_model("resnet18", **{**SMALL, "epochs": 1, "threads": other}).fit(train, val)
    network: Any = model.network
    network.initial_conv.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    model.predict_proba(test)
    assert set(seen) == {other}
    assert torch.get_num_threads() == before


def test_too_few_records_for_the_ranks_are_refused(store: WaveformStore) -> None:
    train, _, _ = sets(store)
    config = ResNetConfig(network="resnet18", batch_size=64)

    class Many:
        current_epoch, global_rank, world_size = 0, 0, 20

    with pytest.raises(InputError, match="32 training records are too few for 20 processes"):
        training._train_loader(Many(), train, config)


def test_what_lightning_refuses_is_bad_input(tmp_path: Path) -> None:
    config = ResNetConfig(network="resnet18", strategy="dpd")
    with pytest.raises(ConfigError, match=r"refuses .*strategy = 'dpd'"), training._quiet():
        training.make_trainer(config, tmp_path)
    with pytest.raises(ConfigError, match="devices"):
        make_model("resnet18", devices=0)


def test_ten_steps_are_enough_for_a_warm_up(store: WaveformStore) -> None:
    train, val, _ = sets(store)
    make_model("resnet18", **{**SMALL, "batch_size": 16, "epochs": 5}).fit(train, val)


def test_the_plateau_schedule_is_taken_up_too(
    store: WaveformStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = partial(
        torch.optim.lr_scheduler.ReduceLROnPlateau, factor=0.5, patience=1, threshold=0.5
    )
    monkeypatch.setattr(torch.optim.lr_scheduler, "ReduceLROnPlateau", eager)
    train, val, _ = sets(store)
    parameters = {**LONGER, "schedule": "plateau"}
    make_model("resnet18", **parameters, folder=tmp_path / "whole").fit(train, val)
    with monkeypatch.context() as patch:
        stop_once(patch, trainee.Trainee, "training_step", at=13)
        with pytest.raises(KeyboardInterrupt):
            make_model("resnet18", **parameters, folder=tmp_path / "x").fit(train, val)
    make_model("resnet18", **parameters, folder=tmp_path / "x").fit(train, val)
    assert_same_training(tmp_path / "x", tmp_path / "whole")
    optimiser = torch.load(next((tmp_path / "x").rglob("last.ckpt")), weights_only=True)
    assert optimiser["optimizer_states"][0]["param_groups"][0]["lr"] < 1e-3


def test_what_the_config_says_of_machines_reaches_the_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(training.lightning, "Trainer", lambda **options: seen.update(options))
    config = ResNetConfig(
        network="resnet18", devices=2, nodes=3, strategy="fsdp", precision="bf16-mixed", clip_norm=2
    )
    training.make_trainer(config, tmp_path)
    wanted = {
        "devices": 2,
        "num_nodes": 3,
        "strategy": "fsdp",
        "precision": "bf16-mixed",
        "gradient_clip_val": 2,
        "use_distributed_sampler": False,
    }
    assert {key: seen[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("variables", "environment"),
    [
        (
            {
                "SLURM_NTASKS": "2",
                "SLURM_NTASKS_PER_NODE": "1",
                "SLURM_JOB_ID": "1",
                "SLURM_PROCID": "1",
                "SLURM_LOCALID": "0",
                "SLURM_NODEID": "1",
                "SLURM_STEP_NUM_TASKS": "2",
                "SLURM_NODELIST": "a,b",
            },
            "SLURMEnvironment",
        ),
        (
            {
                "TORCHELASTIC_RUN_ID": "1",
                "RANK": "1",
                "LOCAL_RANK": "0",
                "WORLD_SIZE": "2",
                "GROUP_RANK": "1",
                "MASTER_ADDR": "a",
                "MASTER_PORT": "1",
            },
            "TorchElasticEnvironment",
        ),
    ],
)
def test_ranks_are_those_of_slurm_and_torchrun(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    environment: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config = ResNetConfig(network="resnet18", devices=1, nodes=2, strategy="ddp")
    with training._quiet():
        trainer = training.make_trainer(config, tmp_path)
    assert type(trainer.strategy.cluster_environment).__name__ == environment
    assert (trainer.global_rank, trainer.world_size) == (1, 2)


def test_a_logger_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr(training.loggers, "WandbLogger", missing)
    config = ResNetConfig(network="resnet18", loggers=("wandb",))
    with pytest.raises(MissingDependencyError, match="pip install wandb"):
        training.make_trainer(config, tmp_path)


def test_ranks_share_a_batch_and_leave_out_a_tail_too_short_for_them() -> None:
    def of(rank: int, n_ranks: int) -> list[list[int]]:
        batches = EpochBatches(
            19, batch_size=8, seed=0, epoch=lambda: 1, rank=rank, n_ranks=n_ranks
        )
        assert len(list(batches)) == len(batches)
        return list(batches)

    whole = of(0, 1)
    assert [len(batch) for batch in whole] == [8, 8, 3]
    first, second = of(0, 2), of(1, 2)
    assert len(first) == len(second) == 2
    for mine, theirs, both in zip(first, second, whole, strict=False):
        assert sorted(mine + theirs) == sorted(both)


def test_the_loss_counts_known_labels_alone_and_smooths_them() -> None:
    logits = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    labels = torch.tensor([[1.0, torch.nan], [0.0, 1.0]])
    summed, n_known = trainee.binary_loss(logits, labels, smoothing=0.1)
    targets = torch.tensor([0.9, 0.1, 0.9])
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor([1.0, 0.5, 3.0]), targets, reduction="sum"
    )
    assert n_known == 3
    torch.testing.assert_close(summed, wanted)


@pytest.mark.slow
def test_two_processes_train_as_one_on_the_same_batches(
    store: WaveformStore, tmp_path: Path
) -> None:
    def run(name: str, *launcher: str) -> dict[str, torch.Tensor]:
        script = Path(__file__).with_name("train_s4.py")
        command = [sys.executable, *launcher, str(script), str(store.folder), str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return weights(tmp_path / name, "last")

    alone = run("one")
    together = run("two", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    for key, value in alone.items():
        torch.testing.assert_close(together[key], value, atol=1e-5, rtol=1e-5)
    # the step is finished by the first process alone, and whole
    written = {p.name for p in (tmp_path / "two").iterdir() if p.is_file()}
    assert written == {"README.md", "config.json", "manifest.json", "model.safetensors"}
    assert set(read_manifest(tmp_path / "two").outputs) == written - {"manifest.json"}
