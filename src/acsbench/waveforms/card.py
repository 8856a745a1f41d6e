"""What an exported store says of itself: a data card for people, Croissant for machines.

Croissant is the metadata format of MLCommons (http://mlcommons.org/croissant/1.0).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import polars as pl

from acsbench.provenance import atomic_text, file_sha256
from acsbench.store import SCALE, WaveformStore

__all__ = ["croissant", "data_card", "write_card"]

Files = Literal["zarr", "wfdb", "datasets"]
_TYPES = {"zarr": "application/vnd.zarr", "wfdb": "application/octet-stream"}


def write_card(store: WaveformStore, folder: Path, *, files: Files) -> None:
    """Write ``README.md`` and ``croissant.json`` beside exported waveforms.

    Parameters
    ----------
    store : WaveformStore
    folder : Path
        Holds the export.
    files : "zarr", "wfdb" or "datasets"
        Its format.
    """
    atomic_text(folder / "README.md", data_card(store))
    body = croissant(store, folder, files=files)
    atomic_text(folder / "croissant.json", json.dumps(body, indent=1) + "\n")


def data_card(store: WaveformStore) -> str:
    """Markdown for people: what is in it, how it was made, what it must not be used for."""
    recipe = store.manifest.config["recipe"]
    leads, samples = store.shape
    failed = store.index.filter(pl.col("status") != "ok")["reason"].value_counts(sort=True)
    usable = len(store) - failed["count"].sum()
    size = f"each {leads} leads x {samples:,} samples at {store.sampling_rate:g} Hz"
    licence = (
        "The licence and the data-use agreement of the source apply to every file here. The rows "
        "are patient-level: do not publish or commit them where the source forbids it. Waveforms "
        "alone carry no diagnosis; they are not for the care of patients."
    )
    made_by = f"acsbench {store.manifest.versions.get('acsbench', '')}"
    lines = [
        "# ECG waveforms",
        "",
        f"{usable:,} ECGs, {size}, in {store.units} after multiplying by {SCALE}.",
        "",
        f"- Leads: {', '.join(store.lead_names)}",
        f"- Recipe: {recipe['name']}, version {recipe['version']}",
        *(f"  - {name} = {value}" for name, value in recipe["parameters"].items()),
        "- Mask: 0 not recorded, 1 recorded, 2 synthetic (built from the lead's own beats)",
        "- Left out: " + (", ".join(f"{n:,} {why}" for why, n in failed.iter_rows()) or "no ECG"),
        "",
        licence,
        "",
        f"Made by {made_by}; fingerprint {store.manifest.fingerprint}.",
    ]
    return "\n".join(lines) + "\n"


def croissant(store: WaveformStore, folder: Path, *, files: Files) -> dict[str, Any]:
    """Croissant 1.0 metadata of an export.

    Parameters
    ----------
    store, folder, files
        As for `write_card`.

    Returns
    -------
    dict
        JSON-LD. The licence is the source's, which a store does not know: it says so.
    """
    # what describes the export is not part of it
    own = ("README.md", "croissant.json")
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in own)
    objects = [_file_object(path, folder, files) for path in paths]
    leads, samples = store.shape
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"acsbench-{store.recipe}",
        "description": f"{len(store):,} ECGs as {leads} leads x {samples:,} samples at "
        f"{store.sampling_rate:g} Hz in {store.units}, made by the recipe {store.recipe}.",
        "license": "as the source: see README.md",
        "url": f"urn:acsbench:{store.manifest.fingerprint}",
        "version": "1.0.0",
        "distribution": objects,
    }


def _file_object(path: Path, folder: Path, files: Files) -> dict[str, Any]:
    name = path.relative_to(folder).as_posix()
    is_text = path.suffix in (".csv", ".json")
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": {".csv": "text/csv", ".json": "application/json"}[path.suffix]
        if is_text
        else _TYPES.get(files, "application/vnd.apache.arrow.file"),
        "sha256": file_sha256(path),
    }


_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
