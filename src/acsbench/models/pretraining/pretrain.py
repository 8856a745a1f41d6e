"""Pre-training without labels: from a store to a backbone that other trainings start from."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from acsbench.errors import ConfigError, InputError
from acsbench.models.covariates import Covariates
from acsbench.models.folder import is_saved
from acsbench.models.foundation.classifier import FoundationClassifier
from acsbench.models.foundation.feed import WindowFeed
from acsbench.models.foundation.network import FoundationNetwork
from acsbench.models.inference import torch_threads
from acsbench.models.pretrained import fetch, find_weights, read_checkpoint
from acsbench.models.pretraining.clusters import ClusterPrediction
from acsbench.models.pretraining.config import CURVE_NAME, HubertConfig, PretrainConfig
from acsbench.models.pretraining.objective import Objective
from acsbench.models.pretraining.people import Unlabelled
from acsbench.models.pretraining.probe import Probe
from acsbench.models.pretraining.targets import ClusterStages
from acsbench.provenance import (
    MANIFEST_NAME,
    atomic_path,
    atomic_text,
    json_sha256,
    read_manifest,
)
from acsbench.store import WaveformStore

__all__ = ["EXTRAS_NAME", "Pretrained", "pretrain", "resolve_iteration"]

EXTRAS_NAME = "objective.safetensors"
"""Beside a backbone: the weights that pre-training alone needs."""


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """What a pre-training leaves.

    Attributes
    ----------
    model : FoundationClassifier
        Without head: what ``init_from``, ``init`` and `load_pretrained` take, once it is saved.
    extras : dict of str to Tensor
        Weights that pre-training alone needs.
    curve : str
        CSV of losses by epoch.
    """

    model: FoundationClassifier
    extras: Mapping[str, Tensor]
    curve: str

    def save(self, folder: Path) -> list[str]:
        """Write model, extras and curve; return the names of the files."""
        self.model.save(folder)
        if self.extras:
            with atomic_path(folder / EXTRAS_NAME) as temporary:
                held = {key: value.contiguous() for key, value in self.extras.items()}
                save_file(held, temporary, metadata={"format": "pt"})
        atomic_text(folder / CURVE_NAME, self.curve)
        files = (file.name for file in folder.iterdir() if file.is_file())
        return sorted(name for name in files if name != MANIFEST_NAME)


def pretrain(
    config: PretrainConfig,
    store: WaveformStore,
    people: Unlabelled,
    *,
    folder: Path | None = None,
    probe: Probe | None = None,
) -> Pretrained:
    """Learn from records without labels.

    Parameters
    ----------
    config : PretrainConfig
    store : WaveformStore
    people : Unlabelled
        Of `unlabelled`.
    folder : Path, optional
        Keeps checkpoints, codebooks and cluster labels; by default a temporary one.
    probe : Probe, optional
        Logged beside the losses; chooses nothing.

    Raises
    ------
    StoreError, InputError, ConfigError
        When the store or ``init_from`` does not fit.
    KeyboardInterrupt
        A later call takes up after the last finished epoch, or stage, and ends with the same
        weights and the same curve.
    """
    config = resolve_iteration(config)
    model = FoundationClassifier(
        config.network,
        recipe=config.recipe or store.recipe,
        mode="full",
        frozen_stages=(),
        train_windows="first" if isinstance(config, HubertConfig) else "random",
        n_windows=config.n_windows,
        seed=config.seed,
        threads=config.threads,
        init_from=config.init_from,
        allow_other_split=config.allow_other_split,
        **config.backbone_parameters(),
    )
    with (
        torch_threads(config.threads),
        torch.random.fork_rng(devices=[]),
        tempfile.TemporaryDirectory() as temporary,
    ):
        torch.manual_seed(config.seed)
        network, started_from = model.begin(people.train)
        assert isinstance(network, FoundationNetwork)
        place = Path(temporary) if folder is None else folder
        started = model.remarks if config.init_from is not None else ()
        targets = ""
        if isinstance(config, HubertConfig):
            inputs = {
                "store": store.manifest.fingerprint,
                "split": people.train.split_fingerprint,
                "start": started_from,
            }
            stages = ClusterStages(config=config, network=network, inputs=inputs, folder=place)
            people, targets = stages.run(people)
        objective = config.objective(network)
        if isinstance(objective, ClusterPrediction) and config.init_from is not None:
            objective.take_up(_extras_of(config.init_from))
        job = json_sha256(
            [_what_decides(config), model.signature, people.val.ecg_ids, started_from, targets]
        )
        training = place / "training" / job[:16]
        objective, curve = _train(objective, config, people, probe, training)
    model.network = objective.network
    model.remarks = (_told(config, people), *people.remarks, *started)
    return Pretrained(model=model, extras=objective.extras(), curve=curve)


def _train(
    objective: Objective,
    config: PretrainConfig,
    people: Unlabelled,
    probe: Probe | None,
    folder: Path,
) -> tuple[Objective, str]:
    from acsbench.models.pretraining.trainee import Pretrainee  # noqa: PLC0415  seconds
    from acsbench.models.training import fit_network  # noqa: PLC0415  seconds

    trained = fit_network(
        Pretrainee(objective, config, probe=probe),
        people.train,
        people.val,
        feed=WindowFeed(objective.network.adapter),
        covariates=Covariates(),
        folder=folder,
    )
    assert isinstance(trained, Objective)
    return trained, (folder / CURVE_NAME).read_text(encoding="utf-8")


def _what_decides(config: PretrainConfig) -> dict[str, Any]:
    """Settings that change what is learnt, and not where or how fast."""
    where = {"threads", "devices", "nodes", "loggers", "init_from", "recipe"}
    return {"network": config.network, **config.model_dump(mode="json", exclude=where)}


def _told(config: PretrainConfig, people: Unlabelled) -> str:
    iteration = f", iteration {config.iteration}" if isinstance(config, HubertConfig) else ""
    return (
        f"Pre-trained by {config.method}{iteration} on {len(people.train):,} ECGs of train without "
        "labels."
    )


def resolve_iteration(config: PretrainConfig) -> PretrainConfig:
    """Say which iteration of HuBERT a config is, from what the model it starts from says of itself.

    Raises
    ------
    ConfigError
        When the config says another one.
    InputError
        When the model does not say, as a published file does not.
    """
    if not isinstance(config, HubertConfig):
        return config
    iteration = config.iteration
    if config.init_from is not None:
        before = _iteration_of(config.init_from)
        if before is None and iteration is None:
            raise InputError(
                f"{config.init_from} does not say which iteration it is of: set iteration."
            )
        if before is not None and iteration not in (None, before, before + 1):
            raise ConfigError(
                f"iteration = {iteration} from {config.init_from}, which is of iteration {before}: "
                f"{before + 1} comes next, and {before} goes on with it."
            )
        iteration = iteration or (before or 0) + 1
    elif iteration not in (None, 1):
        raise ConfigError(f"iteration = {iteration} starts from the one before: give init_from.")
    iteration = iteration or 1
    targets = config.targets or ("layer" if iteration > 1 else "time_freq")
    return config.model_copy(update={"iteration": iteration, "targets": targets})


def _iteration_of(place: Path | str) -> int | None:
    folder = Path(place)
    if not (folder / MANIFEST_NAME).is_file():
        return None
    found = read_manifest(folder).config.get("iteration")
    return None if found is None else int(found)


def _extras_of(place: Path | str) -> dict[str, Tensor]:
    """Weights of pre-training alone, of a folder of ours or a published file."""
    folder = Path(place)
    if is_saved(folder):
        file = folder / EXTRAS_NAME
        return read_checkpoint(file)[0] if file.is_file() else {}
    state, _ = read_checkpoint(find_weights(fetch(place)))
    names = ("masked_spec_embed", "final_proj.", "label_embedding.")
    return {key: value for key, value in state.items() if key.startswith(names)}
