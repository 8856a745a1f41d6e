"""The step that pre-trains without labels; skipped when its manifest still holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acsbench.dataset import load_dataset
from acsbench.errors import InputError
from acsbench.experiment.steps import model_fingerprint
from acsbench.models.pretrained import load_pretrained
from acsbench.models.pretraining.config import PretrainConfig, config_of
from acsbench.models.pretraining.people import Unlabelled, unlabelled
from acsbench.models.pretraining.pretrain import pretrain, resolve_iteration
from acsbench.models.pretraining.probe import Probe
from acsbench.provenance import holds, parse_config, write_manifest
from acsbench.registry import canonical
from acsbench.store import WaveformStore
from acsbench.tables import Cohort, Split
from acsbench.tasks import TASKS

__all__ = ["PretrainPlan", "plan_pretraining", "pretrain_step"]


@dataclass(frozen=True, kw_only=True)
class PretrainPlan:
    """What a pre-training would learn from.

    Attributes
    ----------
    config : PretrainConfig
    people : Unlabelled
    """

    config: PretrainConfig
    people: Unlabelled

    def told(self) -> dict[str, Any]:
        """Counts, for people."""
        batches = len(self.people.train) // self.config.batch_size * self.config.epochs
        return {
            "method": self.config.method,
            "network": self.config.network,
            "ECGs to learn from": len(self.people.train),
            "ECGs to validate on": len(self.people.val),
            "steps": max(batches, self.config.epochs),
            **({"note": " ".join(self.people.remarks)} if self.people.remarks else {}),
        }


def plan_pretraining(
    method: str, parameters: Mapping[str, Any], store: WaveformStore, cohort: Cohort | None
) -> PretrainPlan:
    """Check a config and choose the records.

    Raises
    ------
    UnknownNameError, ConfigError, InputError
    """
    name = canonical(method)
    config = parse_config(
        config_of(name), {"method": name, **parameters}, where=f"Pre-training '{name}'"
    )
    config = resolve_iteration(config)
    people = unlabelled(store, cohort, val_share=config.val_share, seed=config.seed)
    return PretrainPlan(config=config, people=people)


def pretrain_step(
    method: str,
    parameters: Mapping[str, Any],
    store: WaveformStore,
    folder: Path,
    *,
    cohort: Cohort | None = None,
    probe_task: str | None = None,
) -> dict[str, Any]:
    """Pre-train a backbone and save it in ``folder``; what is there already is not done again.

    Parameters
    ----------
    method : "cpc", "masked" or "hubert"
    parameters : mapping
        Of the method's config.
    store : WaveformStore
    folder : Path
    cohort : Cohort, optional
        Says who is in train; without it every record is learnt from, and the result is refused as
        a start wherever patients are kept apart, unless that is allowed explicitly.
    probe_task : str, optional
        A task of the cohort whose AUROC on val, by a linear model on the frozen features, is
        logged now and then. It chooses nothing.

    Returns
    -------
    dict
        What was done, for people; ``rank`` of this process in a distributed training.
    """
    plan = plan_pretraining(method, parameters, store, cohort)
    config, people = plan.config, plan.people
    probe = _probe(config, store, cohort, probe_task)
    wanted = {**config.model_dump(mode="json"), "network": config.network, "probe": probe_task}
    inputs = {"store": store.manifest.fingerprint, "split": people.train.split_fingerprint}
    start = config.init_from
    if start is not None and Path(start).exists():
        inputs["init_from"] = model_fingerprint(Path(start))
    told = {"model": str(folder), **plan.told()}
    if holds(folder, step="pretrain", config=wanted, inputs=inputs):
        load_pretrained(folder)
        return {**told, "rank": 0}
    done = pretrain(config, store, people, folder=folder, probe=probe)
    if done.model.rank:
        return {**told, "rank": done.model.rank}
    files = done.save(folder)
    write_manifest(
        folder,
        step="pretrain",
        config=wanted,
        inputs=inputs,
        outputs=files,
        info={
            "n_train": len(people.train),
            "n_val": len(people.val),
            "remarks": list(done.model.remarks),
        },
    )
    return {**told, "rank": 0}


def _probe(
    config: PretrainConfig, store: WaveformStore, cohort: Cohort | None, task: str | None
) -> Probe | None:
    if task is None:
        return None
    if cohort is None:
        raise InputError("A probe needs labels: give the cohort that has them, or no task.")
    found = TASKS[canonical(task)]
    train, val = (load_dataset(cohort, store, found, s) for s in (Split.TRAIN, Split.VAL))
    return Probe(train, val, config.probe_records)
