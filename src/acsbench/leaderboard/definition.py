"""A board's task: its public definition, and the fixed ids that a file has to score."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import AwareDatetime, Field, field_validator, model_validator

from acsbench.errors import BoardError, MissingPathError, did_you_mean, first_few
from acsbench.evaluation.board_metrics import METRICS
from acsbench.leaderboard.fast_check import IdIndex
from acsbench.provenance import StepConfig, atomic_path, atomic_text, parse_config

__all__ = [
    "IDS_FILE",
    "TASK_FILE",
    "Attestation",
    "BoardTask",
    "Limits",
    "Release",
    "TaskVersion",
    "parse_ids",
    "parse_task",
    "read_task",
    "write_task",
]

TASK_FILE, IDS_FILE = "task.toml", "ids.csv"
_HEADER = "ecg_id"
_BYTES_BASE, _BYTES_A_ROW = 4096, 200
_RESERVED = ("show", "make-task")
"""Words of the command line that stand where a task's name does."""
_AN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


class Limits(StepConfig):
    """Places of a team: sliding windows of 24 h, and the whole of a task version."""

    valid_per_24h: int = Field(default=2, ge=1)
    valid_total: int = Field(default=20, ge=1)
    invalid_per_24h: int = Field(default=30, ge=1)
    picks_per_30d: int = Field(default=3, ge=1)


class Release(StepConfig):
    """What is shown, when, and how rounded.

    Attributes
    ----------
    policy : "ladder", "split" or "full"
    ladder_k : float
        Paired standard errors by which a submission has to beat the team's best to be shown.
    split_share : float
        Share of the patients that give feedback under ``split``.
    decimals, subgroup_decimals : int
    subgroup_min_pos, subgroup_min_neg, subgroup_min_patients : int
        What a subgroup needs, and its complement too.
    min_per_class : int
        Labels of either class that a task needs; smaller only for tests and demos.
    n_resamples : int
        Resamples of patients behind an interval.
    """

    policy: Literal["ladder", "split", "full"] = "ladder"
    ladder_k: float = Field(default=1.0, ge=0)
    split_share: float = Field(default=0.3, gt=0, lt=1)
    decimals: int = Field(default=3, ge=1, le=6)
    subgroup_decimals: int = Field(default=2, ge=1, le=6)
    subgroup_min_pos: int = Field(default=20, ge=1)
    subgroup_min_neg: int = Field(default=20, ge=1)
    subgroup_min_patients: int = Field(default=20, ge=1)
    min_per_class: int = Field(default=50, ge=2)
    n_resamples: int = Field(default=2000, ge=100)


class Attestation(StepConfig):
    """What an entrant has to agree to; ``text`` names a file beside the definition."""

    version: str = Field(min_length=1)
    text: str = "attestation.md"


class BoardTask(StepConfig):
    """One question with hidden labels, as its TOML file says it.

    Attributes
    ----------
    slug, title, question : str
    version : int
        Grows with every change of ids, labels, patients or metrics.
    unit : "record"
        One row an ECG; intervals resample patients.
    primary : str
        The metric that ranks.
    panel : tuple of str
        Every metric of an entry; see `evaluation.board_metrics`.
    opens : datetime
        With its time zone.
    limits, release, attestation
    """

    slug: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")
    title: str = Field(min_length=1, max_length=200)
    question: str = ""
    version: int = Field(default=1, ge=1)
    unit: Literal["record"] = "record"
    primary: str = "auroc"
    panel: tuple[str, ...] = Field(
        default=("auroc", "auprc", "sens_at_spec_90_roc", "ppv_at_budget_10"), min_length=1
    )
    opens: AwareDatetime
    limits: Limits = Limits()
    release: Release = Release()
    attestation: Attestation | None = None

    @field_validator("slug")
    @classmethod
    def _slug_is_free(cls, slug: str) -> str:
        if slug in _RESERVED:
            raise ValueError(f"'{slug}' is a word of the command line")
        return slug

    @model_validator(mode="after")
    def _metrics_are_known(self) -> Self:
        for name in (self.primary, *self.panel):
            if name not in METRICS:
                raise ValueError(
                    f"a board has no metric '{name}'.{did_you_mean(name, METRICS)} "
                    f"Known: {', '.join(METRICS)}"
                )
        if len(set(self.panel)) < len(self.panel):
            raise ValueError("the panel names a metric twice")
        if self.primary not in self.panel:
            raise ValueError(f"the primary metric '{self.primary}' is not in the panel")
        if not METRICS[self.primary].higher_is_better:
            raise ValueError(f"'{self.primary}' is better when lower: it cannot rank a board")
        return self


@dataclass(frozen=True)
class TaskVersion:
    """A task with one fixed set of ids: everything about it that is public.

    Attributes
    ----------
    task : BoardTask
    ids : tuple of str
        The order of every score array.
    attestation_text : str
    """

    task: BoardTask
    ids: tuple[str, ...]
    attestation_text: str = ""

    @property
    def name(self) -> str:
        """``acs-v1``: what vaults, receipts and results name."""
        return f"{self.task.slug}-v{self.task.version}"

    @property
    def n_rows(self) -> int:
        """Rows that a file has."""
        return len(self.ids)

    @cached_property
    def ids_sha256(self) -> str:
        """SHA-256 of the ids, each followed by a line feed."""
        return hashlib.sha256("".join(f"{i}\n" for i in self.ids).encode()).hexdigest()

    @property
    def attestation_sha256(self) -> str:
        """SHA-256 of the text that entrants agree to."""
        return hashlib.sha256(self.attestation_text.encode()).hexdigest()

    @cached_property
    def seed(self) -> int:
        """Of the resamples: the same for every submission, so that comparisons are paired."""
        digest = hashlib.sha256(f"{self.name}\n{self.ids_sha256}".encode()).digest()
        return int.from_bytes(digest[:8]) >> 1

    @cached_property
    def index(self) -> IdIndex:
        """The ids, ready to be looked up."""
        return IdIndex(self.ids)

    @property
    def max_bytes(self) -> int:
        """Bytes that a file may have, decompressed."""
        return _BYTES_BASE + _BYTES_A_ROW * self.n_rows

    def ids_csv(self) -> bytes:
        """The public id list."""
        return "\n".join([_HEADER, *self.ids, ""]).encode()

    def public(self) -> dict[str, Any]:
        """Everything but the ids, as JSON holds it."""
        return {
            "name": self.name,
            "n_rows": self.n_rows,
            "ids_sha256": self.ids_sha256,
            "definition": self.task.model_dump(mode="json"),
            "attestation_text": self.attestation_text,
            "attestation_sha256": self.attestation_sha256,
        }


def parse_task(public: Mapping[str, Any], ids_csv: bytes) -> TaskVersion:
    """Read what `TaskVersion.public` and `TaskVersion.ids_csv` write.

    Raises
    ------
    BoardError, ConfigError
        Also when the ids are not those of the checksum.
    """
    definition = public.get("definition")
    if not isinstance(definition, Mapping):
        raise BoardError(f"No task: it has no 'definition', only {first_few(list(public))}.")
    # JSON has no tuples and no times; pydantic turns lists and text into them
    task = parse_config(BoardTask, definition, where="The task's definition")
    version = TaskVersion(
        task, parse_ids(ids_csv, where="The id list"), str(public.get("attestation_text", ""))
    )
    if version.ids_sha256 != public.get("ids_sha256"):
        raise BoardError(
            f"The id list of task '{task.slug}' has the SHA-256 {version.ids_sha256}, not "
            f"{public.get('ids_sha256')} as its definition says. Fetch both again."
        )
    return version


def read_task(path: Path) -> TaskVersion:
    """Read a task from its folder, or from its TOML file with the id list beside it.

    Raises
    ------
    MissingPathError, BoardError, ConfigError
    """
    file = path / TASK_FILE if path.is_dir() else path
    if not file.is_file():
        raise MissingPathError(f"There is no file {file}. A task is a folder with {TASK_FILE}.")
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BoardError(f"{file} is not TOML: {error}.") from None
    task = parse_config(BoardTask, values, where=str(file))
    text = ""
    if task.attestation is not None:
        text = _read(file.parent / task.attestation.text).decode()
    ids = file.parent / IDS_FILE
    return TaskVersion(task, parse_ids(_read(ids), where=str(ids)), text)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise MissingPathError(f"There is no file {path}; it belongs beside {TASK_FILE}.")
    return path.read_bytes()


def parse_ids(content: bytes, *, where: str) -> tuple[str, ...]:
    """Read an id list: a header ``ecg_id`` and one id a line.

    Raises
    ------
    BoardError
        On another header, doubled ids, or ids with spaces, commas or other odd characters.
    """
    try:
        header, *ids = content.decode("utf-8").splitlines() or [""]
    except UnicodeDecodeError as error:
        raise BoardError(f"{where} is not UTF-8 (byte {error.start}).") from None
    if header != _HEADER:
        raise BoardError(f"{where} begins with {header[:40]!r}, not with '{_HEADER}'.")
    odd = [f"line {n}: {i[:40]!r}" for n, i in enumerate(ids, start=2) if not _AN_ID.fullmatch(i)]
    if odd:
        raise BoardError(
            f"{where} holds {len(odd):,} ids that are no ids ({first_few(odd, n=3)}): letters, "
            "digits and ._:- only, at most 64."
        )
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        doubled = [i for i in ids if i in seen or seen.add(i)]  # type: ignore[func-returns-value]  # None is false
        raise BoardError(f"{where} names {len(doubled):,} ids twice ({first_few(doubled, n=3)}).")
    if not ids:
        raise BoardError(f"{where} holds no id.")
    return tuple(ids)


def write_task(version: TaskVersion, folder: Path) -> Path:
    """Write definition, id list and attestation, for `read_task`."""
    values = json.loads(version.task.model_dump_json(exclude_none=True))
    values["opens"] = datetime.fromisoformat(values["opens"])
    atomic_text(folder / TASK_FILE, tomli_w.dumps(values))
    with atomic_path(folder / IDS_FILE) as temporary:
        temporary.write_bytes(version.ids_csv())
    if version.task.attestation is not None:
        atomic_text(folder / version.task.attestation.text, version.attestation_text)
    return folder
