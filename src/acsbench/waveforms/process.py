"""process_waveforms: recordings to a store; parallel, resumable, failures counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acsbench.errors import AllFailedError, InputError, RecordingError, StepError, first_few
from acsbench.parallel import Workers, iter_units
from acsbench.provenance import MANIFEST_NAME, atomic_text, free_bytes, json_sha256
from acsbench.recording import Recording, Waveform
from acsbench.store import (
    SHARD_SIZE,
    Failures,
    WaveformStore,
    finish_store,
    is_store_file,
    remove_leftovers,
    shard_failures,
    write_failures,
    write_shard,
)
from acsbench.tables import Cohort
from acsbench.waveforms.quality import HasRecordings
from acsbench.waveforms.recipes import NamedRecipe, get_recipe

__all__ = ["process_waveforms"]

_BYTES_PER_SAMPLE = 2


def process_waveforms(
    source: HasRecordings,
    cohort: Cohort,
    *,
    recipe: str = "three_by_four",
    parameters: Mapping[str, Any] | None = None,
    folder: Path | str,
    max_failed_share: float = 0.05,
    n_jobs: int | None = None,
    workers: Workers | None = None,
) -> WaveformStore:
    """Run a recipe over every included ECG of a cohort and keep the waveforms in a store.

    A shard that was finished before is not made again, unless it holds a failed record that can
    now be read; a finished store is opened as it is. Each shard is written by the worker that
    made it.

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
        Above this share of records without a waveform the step fails, as early as it is sure.
    n_jobs : int, optional
        Worker processes on this machine. No byte of the store depends on it.
    workers : Workers, optional
        Says where to work, in the place of ``n_jobs``: on a Dask cluster, say.

    Raises
    ------
    InputError
        When the folder holds something else.
    StepError
        When too many records fail, or the disk is full or cannot be written. The folder then
        holds no manifest, and what was finished is not made again.
    """
    folder = Path(folder)
    made = get_recipe(recipe, **(parameters or {}))
    ids = sorted(cohort.frame.filter("is_included")["ecg_id"])
    inputs = {"ids": json_sha256(ids), "source": source.tables().fingerprint}
    finished = _finished(folder, made, inputs)
    if finished is not None:
        _refuse_too_many_failures(finished.failures(), len(ids), max_failed_share, folder)
        return finished
    example = _example(source, made, ids)
    job = json_sha256([made.describe(), inputs])
    shards = [ids[start : start + SHARD_SIZE] for start in range(0, len(ids), SHARD_SIZE)]
    work = _MakeShard(source, made, folder, job, (example.signal.shape[0], example.signal.shape[1]))
    _prepare(folder, work, len(ids))
    failures: Failures = {}
    todo: list[tuple[int, list[str]]] = []
    for number, part in enumerate(shards):
        known = shard_failures(folder, number, job)
        if known is None or work.can_mend(list(known)):
            todo.append((number, part))
        else:
            failures |= known
    for found in iter_units(work, todo, workers=workers or Workers(n_jobs=n_jobs), label=made.name):
        failures |= found
        _refuse_too_many_failures(failures, len(ids), max_failed_share, folder)
    _refuse_too_many_failures(failures, len(ids), max_failed_share, folder)
    return finish_store(
        folder, n_shards=len(shards), recipe=made.describe(), inputs=inputs, example=example
    )


def _prepare(folder: Path, work: _MakeShard, n_records: int) -> None:
    """Find out now, not after hours, that a folder cannot be written or is too small."""
    trial = folder / ".can-write"
    atomic_text(trial, "")
    trial.unlink()
    remove_leftovers(folder)
    leads, samples = work.shape
    written = sum(path.stat().st_size for path in folder.glob("signal-*.npy"))
    needed = _BYTES_PER_SAMPLE * n_records * leads * samples - written
    free = free_bytes(folder)
    if needed > free:
        raise StepError(
            f"{n_records:,} waveforms of {leads} x {samples} samples need {needed / 1e6:,.0f} MB "
            f"in {folder}, where {free / 1e6:,.0f} MB are free. Free some space, or choose "
            "another folder with --out."
        )


def _finished(folder: Path, made: NamedRecipe, inputs: Mapping[str, str]) -> WaveformStore | None:
    """Open the store if this job finished it; refuse a folder that holds something else."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    if not (folder / MANIFEST_NAME).is_file():
        strange = [p.name for p in folder.iterdir() if not is_store_file(p.name)]
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


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    # tuples and numbers as a manifest reads them back
    return dict(json.loads(json.dumps(value, default=str)))


def _example(source: HasRecordings, made: NamedRecipe, ids: Sequence[str]) -> Waveform:
    """First waveform that can be made: tells shape, leads and units of all."""
    failures: Failures = {}
    for found in source.recordings(ids):
        try:
            if isinstance(found, Recording):
                return made(found)
            error = found
        except RecordingError as its_error:
            error = its_error
        failures[error.ecg_id] = {"reason": error.reason, "detail": error.detail}
    reasons = Counter(why["reason"] for why in failures.values())
    raise AllFailedError(
        f"Not one of {len(ids):,} ECGs could be processed: {dict(reasons)}.", failures
    )


@dataclass(frozen=True)
class _MakeShard:
    source: HasRecordings
    recipe: NamedRecipe
    folder: Path
    job: str
    shape: tuple[int, int]

    def __call__(self, unit: tuple[int, Sequence[str]]) -> Failures:
        number, ids = unit
        return write_shard(self.folder, number, self._outcomes(ids), shape=self.shape, job=self.job)

    def _outcomes(self, ids: Sequence[str]) -> Iterator[tuple[str, Waveform | RecordingError]]:
        for ecg_id, found in zip(ids, self.source.recordings(ids), strict=True):
            yield ecg_id, self._one(found)

    def _one(self, found: Recording | RecordingError) -> Waveform | RecordingError:
        if isinstance(found, RecordingError):
            return found
        try:
            return self.recipe(found)
        except RecordingError as error:
            return error

    def can_mend(self, failed: Sequence[str]) -> bool:
        """Whether a record that failed in an earlier attempt gives a waveform now."""
        return any(isinstance(one, Waveform) for _, one in self._outcomes(failed))


def _refuse_too_many_failures(
    failures: Failures, n_records: int, max_failed_share: float, folder: Path
) -> None:
    if len(failures) <= max_failed_share * n_records:
        return
    is_finished = (folder / MANIFEST_NAME).is_file()
    lines = folder / "failures.csv" if is_finished else write_failures(folder, failures)
    counts = dict(Counter(why["reason"] for why in failures.values()).most_common())
    raise StepError(
        f"{len(failures):,} of {n_records:,} ECGs have no waveform: {counts} (first: "
        f"{first_few(sorted(failures), n=3)}; all in {lines}). The limit is a share of "
        f"{max_failed_share:g}: mend the source"
        f"{' and choose another folder' if is_finished else ''}, or raise max_failed_share. What "
        "was processed is kept."
    )
