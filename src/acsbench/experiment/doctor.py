"""The doctor: whether this machine is ready, and which extras are missing."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from acsbench.parallel import default_jobs
from acsbench.provenance import atomic_text, free_bytes

__all__ = ["Finding", "examine"]

_EXTRAS = {
    "train": ("lightning", "safetensors", "torch"),
    "foundation": ("transformers",),
    "formats": ("ecgdatakit", "pydicom", "wfdb"),
    "hub": ("huggingface_hub",),
    "dask": ("distributed",),
    "cloud": ("fsspec",),
    "s3": ("boto3",),
    "board": ("cryptography",),
    "server": ("django", "allauth", "ninja", "uvicorn", "psycopg"),
    "export": ("datasets", "onnx", "onnxruntime", "onnxscript", "wfdb", "zarr"),
}
_CORE = ("numpy", "scipy", "polars", "scikit-learn", "pydantic", "matplotlib", "joblib", "jinja2")
_ROOM_GB = 2


class Finding(NamedTuple):
    """One line of the doctor's.

    Attributes
    ----------
    what : str
    is_fine : bool
        False where something that was asked for cannot work.
    detail : str
        What was found, and the way out.
    """

    what: str
    is_fine: bool
    detail: str


def examine(folder: Path) -> list[Finding]:
    """Check Python, the core libraries, each extra, the cores, and the room in ``folder``."""
    findings = [Finding("Python", True, platform.python_version())]
    findings += [_package(name) for name in _CORE]
    for extra, packages in _EXTRAS.items():
        missing = [name for name in packages if find_spec(name) is None]
        detail = (
            f"not installed; pip install 'acsbench[{extra}]' brings it" if missing else "installed"
        )
        findings.append(Finding(f"extra '{extra}' ({', '.join(packages)})", True, detail))
    findings.append(Finding("cores", True, str(default_jobs())))
    free_gb = free_bytes(folder) / 1e9
    findings.append(
        Finding(
            "disk", free_gb >= _ROOM_GB, f"{free_gb:.1f} GB free; a first run takes {_ROOM_GB} GB"
        )
    )
    findings.append(_writable(folder))
    return findings


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed; install acsbench again with pip")


def _writable(folder: Path) -> Finding:
    probe = folder / ".acsbench-doctor"
    try:
        atomic_text(probe, "")
        probe.unlink()
    except (OSError, RuntimeError) as error:
        return Finding("output folder", False, str(error))
    return Finding("output folder", True, "writable")
