"""Commands of a finished waveform store: store verify, store export."""

from __future__ import annotations

from typing import Annotated

import typer

from acsbench.cli.options import Debug, Json, Out, emit
from acsbench.errors import StoreError, UnknownNameError, did_you_mean

__all__ = ["export", "verify"]

Store = Annotated[str, typer.Argument(help="Folder that `process` wrote, or its URL.")]


def verify(store: Store, json: Json = False, debug: Debug = False) -> None:
    """Read every byte of a store again. Says what is not as it was written."""
    from acsbench.store import WaveformStore

    opened = WaveformStore.open(store)
    findings = opened.verify()
    emit({"store": store, "findings": findings}, "\n".join(findings) or "whole", as_json=json)
    if findings:
        raise StoreError(f"{store} is damaged. Process it again in another folder.")


def export(
    store: Store,
    out: Out,
    to: Annotated[str, typer.Option(help="zarr, wfdb or datasets (Hugging Face).")] = "zarr",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a store in another format. With a data card and Croissant metadata."""
    from acsbench.store import WaveformStore
    from acsbench.waveforms.export import EXPORTS

    if to not in EXPORTS:
        raise UnknownNameError(
            f"--to {to} is no known format.{did_you_mean(to, EXPORTS)} Known: {', '.join(EXPORTS)}."
        )
    written = EXPORTS[to](WaveformStore.open(store), out)
    emit({"written": str(written)}, str(written), as_json=json)
