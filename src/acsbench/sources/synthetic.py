"""A generated hospital in the Nightingale file layout, with a planted signal."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from acsbench.errors import InputError, MissingPathError, RecordingError, StoreError, first_few
from acsbench.parallel import map_units
from acsbench.provenance import (
    StepConfig,
    atomic_path,
    atomic_text,
    file_sha256,
    read_manifest,
    write_manifest,
)
from acsbench.recording import Recording
from acsbench.sources.nightingale import NightingaleSource, waveform_path
from acsbench.sources.synthetic_ecg import N_SAMPLES, Heart, draw_page
from acsbench.sources.synthetic_files import (
    ecg_id,
    ecg_tables,
    encounter_table,
    patient_table,
    truth_table,
)
from acsbench.sources.synthetic_people import People, draw_people
from acsbench.sources.synthetic_rates import BENIGN_SD_MV, DEFAULT_EFFECT_MV, RATES, RatesName
from acsbench.tables import Tables

__all__ = ["GENERATOR_VERSION", "SyntheticSource", "write_hospital"]

GENERATOR_VERSION = 2
"""Grows when the same seed gives other values; listed under Changes to results."""
_LAYOUT = Path("ed-bwh-ecg") / "v1"
_NPZ = "ecg-waveforms-npz"
_HOLDOUT_SHARE = 0.1
_HOLDOUT_STREAM = 1
_CHUNK = 64


class SyntheticSource(StepConfig):
    """The generated hospital: written to ``path`` when first asked for, then read like real data.

    Attributes
    ----------
    path : Path
        Folder of the hospital.
    n_patients : int
    seed : int
        Same options, same bytes.
    rates : "demo", "published" or "returning"
        ``demo`` tests 35 % of visits, so that a small hospital holds enough outcomes; under
        ``returning`` tested patients come back and mostly keep their lesion, which is what a split
        that divides patients leaks.
    effect_mv : float
        ST shift of a lesion of severity 1; 0 plants nothing.
    waveforms : bool
        False writes the tables only.
    """

    path: Path = Path("work/hospital")
    n_patients: int = Field(default=1500, ge=1)
    seed: int = Field(default=0, ge=0)
    rates: RatesName = "demo"
    effect_mv: float = Field(default=DEFAULT_EFFECT_MV, ge=0)
    waveforms: bool = True

    def tables(self) -> Tables:
        """Write the hospital if it is not there yet, and read its tables."""
        options = self.model_dump(exclude={"path"})
        write_hospital(self.path, **options)
        return replace(NightingaleSource(path=self.path).tables(), source="synthetic", min_count=0)

    def recordings(self, ids: Sequence[str]) -> Iterator[Recording | RecordingError]:
        """As of the real data."""
        return NightingaleSource(path=self.path).recordings(ids)


def write_hospital(
    folder: Path,
    *,
    n_patients: int = 1500,
    seed: int = 0,
    rates: RatesName = "demo",
    effect_mv: float = DEFAULT_EFFECT_MV,
    waveforms: bool = True,
    n_jobs: int | None = None,
) -> Path:
    """Write tables, waveforms, ``truth/`` and ``holdout/``; a stopped run goes on where it was.

    The older ``ecg-waveform.npy`` (long leads at 100 Hz) is not written: nothing reads it.

    Parameters
    ----------
    folder : Path
        New, empty, or an earlier attempt with the same options.
    n_patients, seed, rates, effect_mv, waveforms
        See `SyntheticSource`.
    n_jobs : int, optional
        Worker processes; no byte depends on it.

    Raises
    ------
    InputError
        When the folder holds something else.
    """
    config: dict[str, Any] = {
        "n_patients": n_patients,
        "seed": seed,
        "rates": rates,
        "effect_mv": effect_mv,
        "waveforms": waveforms,
        "generator_version": GENERATOR_VERSION,
    }
    if _is_there(folder, config):
        return folder
    atomic_text(folder / "hospital.json", json.dumps(config) + "\n")
    people = draw_people(n_patients, seed=seed, rates=rates, effect_mv=effect_mv)
    n_holdout = max(round(_HOLDOUT_SHARE * n_patients), 1)
    others = draw_people(
        n_holdout, seed=seed, rates=rates, effect_mv=effect_mv, stream=_HOLDOUT_STREAM
    )
    names = _write_tables(folder, people, seed) + _write_holdout_tables(folder, others, seed)
    if waveforms:
        _write_waveforms(folder / _LAYOUT / _NPZ, people, seed, 0, n_jobs)
        _write_waveforms(folder / "holdout" / _NPZ, others, seed, _HOLDOUT_STREAM, n_jobs)
    constants = {
        "generator_version": GENERATOR_VERSION,
        "benign_sd_mv": BENIGN_SD_MV,
        "rates": asdict(RATES[rates]),
    }
    atomic_text(folder / "truth" / "constants.json", json.dumps(constants, indent=1) + "\n")
    write_manifest(
        folder,
        step="synthetic",
        config=config,
        inputs={},
        outputs=[*names, "hospital.json", "truth/constants.json"],
        patient_level=names,
        info={"note": "A generated hospital: no row is a real patient.", "rates": rates},
    )
    return folder


def _is_there(folder: Path, config: dict[str, Any]) -> bool:
    """Whether the hospital is finished; refuse a folder that holds anything else."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return False
    started = folder / "hospital.json"
    if not started.is_file():
        found = sorted(p.name for p in folder.iterdir())
        raise InputError(
            f"{folder} is not empty and no generated hospital ({first_few(found, n=3)}). Choose "
            "another folder (source.path)."
        )
    theirs = json.loads(started.read_text(encoding="utf-8"))
    if theirs != config:
        differs = [
            f"{k} = {theirs.get(k)}, asked {v}" for k, v in config.items() if theirs.get(k) != v
        ]
        raise InputError(
            f"{folder} holds a hospital made with other options ({first_few(differs)}). Choose "
            "another folder (source.path), or remove this one."
        )
    try:
        manifest = read_manifest(folder)
    except (MissingPathError, StoreError):
        return False
    for name, checksum in manifest.outputs.items():
        if not (folder / name).is_file() or file_sha256(folder / name) != checksum:
            raise InputError(
                f"{folder / name} was changed since it was generated. Remove {folder}."
            )
    return True


def _write_tables(folder: Path, people: People, seed: int) -> list[str]:
    metadata, links, index = ecg_tables(people, seed)
    tables = {
        _LAYOUT / "patient.csv": patient_table(people, seed),
        _LAYOUT / "ed-encounter.csv": encounter_table(people, seed),
        _LAYOUT / "ecg-metadata.csv": metadata,
        _LAYOUT / "ecg-ed-enc.csv": links,
        _LAYOUT / "ecg-npy-index.csv": index,
        Path("truth") / "truth.csv": truth_table(people, seed, stream=0),
    }
    return _write_all(folder, tables)


def _write_holdout_tables(folder: Path, people: People, seed: int) -> list[str]:
    """Ids and tasks to the holdout; what happened to its patients goes to ``truth/``."""
    truth = truth_table(people, seed, stream=_HOLDOUT_STREAM)
    wanted = truth.filter(pl.col("included")).select(
        "ecg_id",
        pl.when(pl.col("tested")).then(pl.lit("acs")).otherwise(pl.lit("mace")).alias("task"),
    )
    tables = {
        Path("holdout") / "holdout-ids.csv": wanted.sort("ecg_id"),
        Path("truth") / "holdout-truth.csv": truth,
    }
    return _write_all(folder, tables)


def _write_all(folder: Path, tables: dict[Path, pl.DataFrame]) -> list[str]:
    for name, table in tables.items():
        with atomic_path(folder / name) as temporary:
            table.write_csv(temporary)
    return [str(name) for name in tables]


def _write_waveforms(
    folder: Path, people: People, seed: int, stream: int, n_jobs: int | None
) -> None:
    n = len(people.ecgs)
    todo = [i for i in range(n) if not waveform_path(folder, ecg_id(i, seed, stream)).is_file()]
    chunks = [todo[start : start + _CHUNK] for start in range(0, len(todo), _CHUNK)]
    map_units(_Writer(folder, people, seed, stream), chunks, n_jobs=n_jobs, label="drawing ECGs")


def _write_npz(stream: IO[bytes], page: NDArray[np.float32]) -> None:
    """As `numpy.savez_compressed`, at the level that halves the time to draw a hospital."""
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("waveform.npy", "w") as file,
    ):
        np.lib.format.write_array(file, page, allow_pickle=False)


@dataclass(frozen=True)
class _Writer:
    folder: Path
    people: People
    seed: int
    stream: int

    def __call__(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            path = waveform_path(self.folder, ecg_id(number, self.seed, self.stream))
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                _write_npz(stream, self._page(number))

    def _page(self, number: int) -> NDArray[np.float32]:
        ecg = self.people.ecgs.row(number, named=True)
        if ecg["is_blank"]:
            return np.full((15, N_SAMPLES), np.nan, np.float32)
        visit = self.people.visits.row(ecg["visit"], named=True)
        patient = self.people.patients.row(visit["patient"], named=True)
        # a copy draws from the number of the ECG it copies, so its bytes are the same
        original = self.people.ecgs.row(ecg["waveform"], named=True)
        heart = Heart(
            rate=ecg["rate"],
            scale=patient["scale"],
            t_share=patient["t_share"],
            turn_frontal=patient["turn_frontal"],
            turn_horizontal=patient["turn_horizontal"],
            st_mv=np.array([visit["st_0"], visit["st_1"], visit["st_2"]]),
            has_afib=original["has_afib"],
        )
        rng = np.random.default_rng([self.seed, self.stream, 7, ecg["waveform"]])
        return draw_page(heart, rng, lost_lead=ecg["lost_lead"])
