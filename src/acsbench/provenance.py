"""What a folder holds and what it was made from: configs, manifests, atomic files.

A step writes one folder with one ``manifest.json``. The manifest names the step, its resolved
config, the fingerprints of its inputs and the checksums of its outputs. It holds no time, host
or worker count, so equal inputs give equal manifests.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from acsbench.errors import ConfigError, MissingPathError, StepError, StoreError, did_you_mean

__all__ = [
    "MANIFEST_NAME",
    "Manifest",
    "StepConfig",
    "atomic_path",
    "atomic_text",
    "file_sha256",
    "free_bytes",
    "holds",
    "json_sha256",
    "parse_config",
    "read_manifest",
    "write_manifest",
]

MANIFEST_NAME = "manifest.json"
_RECORDED_PACKAGES = ("acsbench", "numpy", "scipy", "polars", "scikit-learn", "torch", "lightning")


class StepConfig(BaseModel):
    """Base of every step's config: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def parse_config(cls: type[ConfigT], values: Mapping[str, Any], *, where: str) -> ConfigT:
    """Validate ``values`` as a config, reporting every finding at once.

    Parameters
    ----------
    cls : type of BaseModel
        The config class.
    values : mapping
        What the user wrote.
    where : str
        The file or option it came from, for the message.

    Raises
    ------
    ConfigError
        Naming each key, the rule it breaks, and the nearest known key.
    """
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        findings = [_explain(cls, finding) for finding in error.errors()]
        raise ConfigError(
            "\n".join([f"{where} is not a valid configuration:", *findings])
        ) from None


def _explain(cls: type[BaseModel], finding: Any) -> str:
    path = [str(part) for part in finding["loc"]]
    key = ".".join(path)
    if finding["type"] == "missing":  # its input is whatever stands around it
        return f"  {key}: is missing."
    if finding["type"] != "extra_forbidden":
        return f"  {key} = {finding['input']!r}: {finding['msg']}"
    known = _known_keys(cls, path[:-1])
    hint = did_you_mean(path[-1], known)
    return f"  {key}: no such key.{hint} Known here: {', '.join(sorted(known)) or 'none'}."


def _known_keys(cls: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        info = cls.model_fields.get(part)
        nested = _nested_model(info.annotation) if info else None
        if nested is not None:
            cls = nested
    return list(cls.model_fields)


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _nested_model(inner)
        if found is not None:
            return found
    return None


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it into place when the block succeeds.

    A reader therefore sees the old file or the whole new one, never half of it.

    Raises
    ------
    StepError
        When the disk is full or the folder cannot be written, saying which.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _disk_error(error, path) from error
    except BaseException:  # an interrupt too leaves no half file
        temporary.unlink(missing_ok=True)
        raise


def _disk_error(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StepError(
            f"No space left on the disk that holds {path.parent} ({error.strerror}). Nothing half "
            "written was kept; free some space and start again: finished work is not repeated."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return StepError(
            f"Cannot write {path}: {error.strerror}. Choose another folder with --out."
        )
    return error


def atomic_text(path: Path, text: str) -> None:
    """Write a text file by temporary file and rename."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_sha256(value: Any) -> str:
    """SHA-256 of a value's canonical JSON (sorted keys, no spaces), as hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a folder holds and what it was made from.

    Attributes
    ----------
    step : str
        Which step wrote the folder: ``"cohort"``, ``"process"``, ``"train"``, ...
    config : dict
        The step's resolved config.
    inputs : dict of str to str
        Name of each input and its fingerprint.
    outputs : dict of str to str
        Relative path of each file written and its SHA-256.
    patient_level : list of str
        The outputs that hold one row per patient, visit or ECG: not to be shared or committed.
    info : dict
        Counts and remarks for people; not part of the fingerprint.
    versions : dict
        Python, platform and packages; not part of the fingerprint, except acsbench's own.
    """

    step: str
    config: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)
    patient_level: list[str] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over step, config, inputs and outputs: what a later step names as its input."""
        return json_sha256([self.step, self.config, self.inputs, self.outputs])


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": sys.platform}
    for package in _RECORDED_PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def write_manifest(
    folder: Path,
    *,
    step: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    outputs: Iterable[str],
    patient_level: Iterable[str] = (),
    info: Mapping[str, Any] | None = None,
) -> Manifest:
    """Hash the outputs and write ``manifest.json``, last of all files of a step.

    Parameters
    ----------
    folder : Path
        The step's folder.
    step, config, inputs, patient_level, info
        See :class:`Manifest`.
    outputs : iterable of str
        Paths relative to ``folder``.
    """
    manifest = Manifest(
        step=step,
        config=json.loads(json.dumps(dict(config), default=str)),
        inputs=dict(inputs),
        outputs={name: file_sha256(folder / name) for name in sorted(outputs)},
        patient_level=sorted(patient_level),
        info=dict(info or {}),
        versions=_versions(),
    )
    body = {**asdict(manifest), "fingerprint": manifest.fingerprint}
    atomic_text(folder / MANIFEST_NAME, json.dumps(body, indent=1, default=str) + "\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a step's folder.

    Raises
    ------
    MissingPathError
        When the folder has none: it is not the output of a finished step.
    StoreError
        When the file is damaged.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise MissingPathError(
            f"{folder} has no {MANIFEST_NAME}: it is not the output of a finished step. "
            "Give the folder that a step wrote, or run that step again."
        )
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        body.pop("fingerprint", None)
        return Manifest(**body)
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path} is damaged ({error}). Remove it and run the step again."
        ) from None


def holds(
    folder: Path, *, step: str, config: Mapping[str, Any], inputs: Mapping[str, str]
) -> Manifest | None:
    """Return the folder's manifest if it still answers for this step, config and inputs.

    Every output must still exist with the checksum that was written down; otherwise, and when
    another version of acsbench wrote it, the answer is None and the step has to run again.
    """
    try:
        manifest = read_manifest(folder)
    except (MissingPathError, StoreError):
        return None
    wanted = json.loads(json.dumps(dict(config), default=str))
    same = (manifest.step, manifest.config, manifest.inputs) == (step, wanted, dict(inputs))
    if not same or manifest.versions.get("acsbench") != _versions().get("acsbench"):
        return None
    for name, checksum in manifest.outputs.items():
        path = folder / name
        if not path.is_file() or file_sha256(path) != checksum:
            return None
    return manifest


def free_bytes(folder: Path) -> int:
    """Bytes free on the disk that holds (or will hold) a folder."""
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
