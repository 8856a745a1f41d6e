"""Fitting a network with the Lightning Trainer."""

from __future__ import annotations

import contextlib
import logging
import pickle
import signal
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import loggers
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler

from acsbench.dataset import WaveformDataset
from acsbench.errors import ConfigError, InputError, MissingDependencyError
from acsbench.models.batches import EpochBatches, Feed, Records, as_it_is
from acsbench.models.config import TrainingConfig
from acsbench.models.covariates import Covariates
from acsbench.models.trainee import BaseTrainee, Trainee

__all__ = ["fit_network", "make_trainer"]

_LAST, _BEST = "last.ckpt", "best.ckpt"


class _Keeper(ModelCheckpoint):
    """Saves when an epoch's validation ends, which is where Lightning's own resume is exact.

    Saved at the end of the training epoch instead, Lightning counts that epoch twice on resume.
    """

    def __init__(self, folder: Path, name: str, **options: Any) -> None:
        super().__init__(
            folder,
            filename=Path(name).stem,
            save_on_train_epoch_end=False,
            enable_version_counter=False,
            **options,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state, also when the folder has been moved since it was saved."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        super().load_state_dict(
            {
                **state_dict,
                **{key: here(state_dict[key]) for key in paths},
                "best_k_models": {here(p): s for p, s in state_dict["best_k_models"].items()},
                "dirpath": self.dirpath,
            }
        )


def fit_network(
    trainee: BaseTrainee,
    train: WaveformDataset,
    val: WaveformDataset,
    *,
    feed: Feed,
    covariates: Covariates,
    folder: Path,
) -> nn.Module:
    """Train a network, keep the weights of the epoch that the config chooses.

    A training that was stopped, however rudely, takes up after its last finished epoch and ends
    with the same weights as one that was never stopped.

    Parameters
    ----------
    trainee : BaseTrainee
        The network with its config, and what it learns: labels, or something that needs none.
    train, val : WaveformDataset
    feed : Feed
    covariates : Covariates
    folder : Path
        For checkpoints and logs; of this training alone.

    Raises
    ------
    KeyboardInterrupt
    """
    network, config = trainee.network, trainee.config
    with _quiet():
        trainer = make_trainer(config, folder, monitor=trainee.monitor, better=trainee.better)
        epoch = partial(getattr, trainer, "current_epoch")
        on_train = _train_loader(
            trainer,
            Records(train, feed.for_training(train, epoch=epoch), covariates=covariates),
            config,
        )
        on_val = _val_loader(
            trainer, Records(val, feed.for_scoring(val), covariates=covariates), config
        )
        trainee.n_steps = max(len(on_train), 1) * config.epochs
        with _interruptible():
            trainer.fit(
                trainee, on_train, on_val, ckpt_path=_resume_from(folder), weights_only=True
            )
    chosen = _best_of(trainer) if config.choose == "best" else folder / _LAST
    state = torch.load(chosen, map_location="cpu", weights_only=True)["state_dict"]
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items()})
    return network.cpu().eval()


def make_trainer(
    config: TrainingConfig,
    folder: Path,
    *,
    monitor: str = Trainee.monitor,
    better: Literal["min", "max"] = Trainee.better,
) -> lightning.Trainer:
    """Make the Trainer that a config asks for, with its checkpoints and logs in ``folder``.

    ``monitor`` is the logged value that chooses the best epoch and stops the training, ``better``
    whether it should be small or large.

    Raises
    ------
    MissingDependencyError
        For a logger that is not installed.
    ConfigError
        For machines, a strategy or a precision that Lightning does not know or have here.
    """
    shows_progress = sys.stderr.isatty()
    callbacks: list[Any] = [
        EarlyStopping(
            monitor, mode=better, patience=config.patience, check_on_train_epoch_end=False
        ),
        _Keeper(folder, _BEST, monitor=monitor, mode=better),
        _Keeper(folder, _LAST),
    ]
    if shows_progress:
        callbacks.append(TQDMProgressBar(leave=False))
    written = [loggers.CSVLogger(folder, name="log"), *(_logger(n, folder) for n in config.loggers)]
    try:
        return lightning.Trainer(
            max_epochs=config.epochs,
            accelerator="auto",
            devices=config.devices,
            num_nodes=config.nodes,
            strategy=config.strategy,
            precision=config.precision,
            gradient_clip_val=config.clip_norm,
            callbacks=callbacks,
            logger=written,
            enable_progress_bar=shows_progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )
    except (ValueError, MisconfigurationException) as error:
        raise ConfigError(
            f"Lightning refuses devices = {config.devices}, nodes = {config.nodes}, strategy = "
            f"'{config.strategy}', precision = '{config.precision}' here: {error}"
        ) from None


def _logger(name: str, folder: Path) -> Any:
    try:
        if name == "tensorboard":
            return loggers.TensorBoardLogger(folder, name="tensorboard")
        if name == "mlflow":
            return loggers.MLFlowLogger("acsbench", tracking_uri=f"file:{folder / 'mlflow'}")
        return loggers.WandbLogger(save_dir=folder, project="acsbench")
    except ImportError:
        raise MissingDependencyError(
            f"Logger '{name}' is not installed: pip install {name}. The CSV log is always written."
        ) from None


def _train_loader(
    trainer: lightning.Trainer, records: Records, config: TrainingConfig
) -> DataLoader[Any]:
    batches = EpochBatches(
        len(records),
        batch_size=config.batch_size,
        seed=config.seed,
        epoch=partial(getattr, trainer, "current_epoch"),
        rank=trainer.global_rank,
        n_ranks=trainer.world_size,
    )
    if not len(batches):
        raise InputError(
            f"{len(records)} training records are too few for {trainer.world_size} processes: each "
            "needs two in a batch. Use fewer devices."
        )
    return DataLoader(records, batch_sampler=batches, collate_fn=as_it_is)


def _val_loader(
    trainer: lightning.Trainer, records: Records, config: TrainingConfig
) -> DataLoader[Any]:
    sampler: DistributedSampler[Any] | None = None
    if trainer.world_size > 1:
        # some records come twice, so that every rank has as many; they are counted once
        sampler = DistributedSampler(
            records, trainer.world_size, trainer.global_rank, shuffle=False
        )
    return DataLoader(records, config.batch_size, sampler=sampler, collate_fn=as_it_is)


def _best_of(trainer: lightning.Trainer) -> str:
    keeper = trainer.checkpoint_callback
    assert isinstance(keeper, ModelCheckpoint)
    return keeper.best_model_path


def _resume_from(folder: Path) -> Path | None:
    """Return the newest checkpoint that can be read; a damaged one costs epochs, never the run.

    Without the best weights so far there is nothing to resume: a later epoch need not beat them.
    """
    if not _is_whole(folder / _BEST):
        return None
    return folder / (_LAST if _is_whole(folder / _LAST) else _BEST)


def _is_whole(file: Path) -> bool:
    try:
        torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.PickleError):
        return False
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice on workers, loggers and folders from the user."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch")
        warnings.filterwarnings("ignore", message=r".*lr_scheduler\.step.*")
        yield


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Make Ctrl-C a KeyboardInterrupt again: Lightning exits and leaves the signal ignored."""
    try:
        yield
    except SystemExit:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None
