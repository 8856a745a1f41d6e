"""process_waveforms: recordings to a store; parallel, resumable, failures counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acsbench.errors import InputError, RecordingError, StepError, first_few
from acsbench.parallel import default_jobs, map_units
from acsbench.provenance import json_sha256
from acsbench.recording import Recording, Waveform
from acsbench.store import (
    SHARD_SIZE,
    WaveformStore,
    finish_store,
    shard_is_done,
    write_shard,
)
from acsbench.tables import Cohort
from acsbench.waveforms.quality import HasRecordings
from acsbench.waveforms.recipes import NamedRecipe, get_recipe

__all__ = ["process_waveforms"]

_CHUNK = 128
"""Records per call of a worker; small enough that two cores end together."""


def process_waveforms(
    source: HasRecordings,
    cohort: Cohort,
    *,
    recipe: str = "three_by_four",
    parameters: Mapping[str, Any] | None = None,
    folder: Path | str,
    max_failed_share: float = 0.05,
    n_jobs: int | None = None,
) -> WaveformStore:
    """Run a recipe over every included ECG of a cohort and keep the waveforms in a store.

    A shard that was finished before is not made again, and a finished store is opened as it is.

    Parameters
    ----------
    source : Source
    cohort : Cohort
        Its included records, of every split and population, are processed.
    recipe : str
        See ``acsbench list recipes``.
    parameters : mapping, optional
        The recipe's own parameters.
    folder : Path
        Empty, new, or an earlier attempt at the same job.
    max_failed_share : float
        Above this share of records without a waveform the step fails.
    n_jobs : int, optional
        Worker processes. No byte of the store depends on it.

    Raises
    ------
    InputError
        When the folder holds something else.
    StepError
        When too many records fail.
    """
    folder = Path(folder)
    made = get_recipe(recipe, **(parameters or {}))
    ids = sorted(cohort.frame.filter("is_included")["ecg_id"])
    inputs = {"ids": json_sha256(ids), "source": source.tables().fingerprint}
    job = json_sha256([made.describe(), inputs])
    finished = _finished(folder, made, inputs)
    if finished is not None:
        return finished
    example = _example(source, made, ids)
    shards = [ids[start : start + SHARD_SIZE] for start in range(0, len(ids), SHARD_SIZE)]
    work = _MakeShard(source, made, folder, job, example.signal.shape)
    todo = [(n, part) for n, part in enumerate(shards) if not shard_is_done(folder, n, job)]
    for number, part in todo:
        work.run(number, part, n_jobs=n_jobs or default_jobs())
    store = finish_store(
        folder,
        n_shards=len(shards),
        recipe=made.describe(),
        inputs=inputs,
        example=example,
    )
    _refuse_too_many_failures(store, max_failed_share)
    return store


def _finished(folder: Path, made: NamedRecipe, inputs: Mapping[str, str]) -> WaveformStore | None:
    """Open the store if this job finished it; refuse a folder that holds something else."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    if not (folder / "manifest.json").is_file():
        strange = [p.name for p in folder.iterdir() if not _is_ours(p.name)]
        if strange:
            raise InputError(
                f"{folder} holds other files ({first_few(strange, n=3)}). Choose an empty folder."
            )
        return None
    store = WaveformStore.open(folder)
    if store.manifest.config["recipe"] != _as_json(made.describe()):
        raise InputError(
            f"{folder} holds a store of recipe {store.manifest.config['recipe']}, not "
            f"{made.describe()}. Choose another folder."
        )
    if store.manifest.inputs != dict(inputs):
        raise InputError(
            f"{folder} holds a store of other ECGs or of another state of the source. "
            "Choose another folder, or remove this one."
        )
    return store


def _is_ours(name: str) -> bool:
    return name.startswith((".", "signal-", "mask-", "part-", "index.parquet", "failures.csv"))


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    import json  # noqa: PLC0415  tuples and numbers as a manifest reads them back

    return dict(json.loads(json.dumps(value, default=str)))


def _example(source: HasRecordings, made: NamedRecipe, ids: Sequence[str]) -> Waveform:
    """First waveform that can be made: tells shape, leads and units of all."""
    reasons: Counter[str] = Counter()
    for found in source.recordings(ids):
        try:
            if isinstance(found, Recording):
                return made(found)
            reasons[found.reason] += 1
        except RecordingError as error:
            reasons[error.reason] += 1
    raise StepError(f"Not one of {len(ids):,} ECGs could be processed: {dict(reasons)}.")


@dataclass(frozen=True)
class _MakeShard:
    source: HasRecordings
    recipe: NamedRecipe
    folder: Path
    job: str
    shape: tuple[int, ...]

    def __call__(self, ids: Sequence[str]) -> list[tuple[str, Waveform | RecordingError]]:
        return [
            (ecg_id, self._one(found))
            for ecg_id, found in zip(ids, self.source.recordings(ids), strict=True)
        ]

    def _one(self, found: Recording | RecordingError) -> Waveform | RecordingError:
        if isinstance(found, RecordingError):
            return found
        try:
            return self.recipe(found)
        except RecordingError as error:
            return error

    def run(self, number: int, ids: Sequence[str], *, n_jobs: int) -> None:
        """Make one shard, its records divided among workers, and write it."""
        chunks = [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
        label = f"{self.recipe.name} shard {number}"
        parts = map_units(self, chunks, n_jobs=n_jobs, label=label)
        records = [record for part in parts for record in part]
        shape = (self.shape[0], self.shape[1])
        write_shard(self.folder, number, records, shape=shape, job=self.job)


def _refuse_too_many_failures(store: WaveformStore, max_failed_share: float) -> None:
    failed = store.failed()
    if len(failed) > max_failed_share * len(store):
        counts = dict(Counter(failed.values()).most_common())
        raise StepError(
            f"{len(failed):,} of {len(store):,} ECGs have no waveform: {counts} (first: "
            f"{first_few(sorted(failed), n=3)}; all in {store.folder / 'failures.csv'}). The "
            f"limit is a share of {max_failed_share:g}: mend the source, or raise max_failed_share."
        )
