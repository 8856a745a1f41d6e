"""A board as a table: CSV for spreadsheets, Parquet for programs, Croissant for catalogues.

All of it comes from the published document, so no export tells more than the board itself.
"""

from __future__ import annotations

import hashlib
import io
import json
from functools import lru_cache
from typing import Any

import polars as pl

from acsbench.server.standings import BoardOut, EntryRow

__all__ = ["EXPORTS", "board_croissant", "board_table", "export_board", "safe_cell"]

EXPORTS = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
"""Media type of each form."""
_RANKS = ("rank", "rank_low", "rank_high", "tie_group")
_FLAGS = ("tied_with_leader", "is_baseline")
_TEXTS = (
    "team",
    "affiliation",
    "model",
    "kind",
    "verification",
    "submission",
    "scored_at",
    "since",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_DESCRIPTIONS = {
    "rank": "Rank by the shown value; equal values share one",
    "rank_low": "Best rank that the paired tests leave open",
    "rank_high": "Worst rank that the paired tests leave open",
    "tie_group": "Entries that are not told apart from the first of their group",
    "tied_with_leader": "Whether the entry is not told apart from the first",
    "is_baseline": "Whether it is a baseline of the host",
    "verification": "How far somebody else has confirmed it",
}


def safe_cell(text: str | None) -> str | None:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text is not None and text.startswith(_FORMULA_STARTS) else text


def board_table(board: BoardOut) -> pl.DataFrame:
    """One row an entry; each metric with the ends of its interval, as the decimal strings shown."""
    metrics = [str(one["metric"]) for one in board.entries[0].panel] if board.entries else []
    columns: dict[str, type[pl.DataType]] = {
        **dict.fromkeys(_RANKS, pl.Int64),
        **dict.fromkeys(_TEXTS[:4], pl.String),
        **dict.fromkeys(_FLAGS, pl.Boolean),
        **dict.fromkeys(_TEXTS[4:], pl.String),
        **{name: pl.String for one in metrics for name in (one, f"{one}_low", f"{one}_high")},
    }
    return pl.DataFrame([_row(one) for one in board.entries], schema=columns)


def _row(entry: EntryRow) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for one in entry.panel:
        figures |= {f"{one['metric']}{end}": one[key] for end, key in _ENDS}
    return {
        **{name: getattr(entry, name) for name in (*_RANKS, *_FLAGS)},
        **{name: getattr(entry, name) for name in _TEXTS if name not in ("team", "affiliation")},
        "team": entry.team.name,
        "affiliation": entry.team.affiliation,
        **figures,
    }


_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


@lru_cache(maxsize=64)
def export_board(document: str, form: str) -> bytes:
    """A published board in one form; the same document gives the same bytes."""
    if form == "json":
        return document.encode()
    table = board_table(BoardOut.model_validate_json(document))
    return _csv(table) if form == "csv" else _parquet(table)


def _csv(table: pl.DataFrame) -> bytes:
    texts = [
        pl.col(name).map_elements(safe_cell, return_dtype=pl.String)
        for name in _TEXTS
        if len(table)
    ]
    return table.with_columns(texts).write_csv().encode()


def _parquet(table: pl.DataFrame) -> bytes:
    """Numbers as numbers: 0.703 as shown, no digit more."""
    figures = [
        name for name, kind in table.schema.items() if kind == pl.String and name not in _TEXTS
    ]
    stream = io.BytesIO()
    table.with_columns(pl.col(figures).cast(pl.Float64)).write_parquet(stream)
    return stream.getvalue()


def board_croissant(
    document: str,
    *,
    title: str,
    question: str,
    url: str,
    date: str,
    version: str,
    licence: str,
) -> dict[str, Any]:
    """Metadata of a board's table in Croissant 1.0 (https://docs.mlcommons.org/croissant/).

    Parameters
    ----------
    document : str
        The published board.
    title, question : str
        Of the task.
    url : str
        Where ``board.csv`` is; relative beside it.
    date : str
        When it was published, as ``2027-01-31``.
    version : str
        Of the table, as ``1.12.0``: task version, board version.
    licence : str
        Address of the terms that the host gives it under; empty where none were said.
    """
    board = BoardOut.model_validate_json(document)
    content = export_board(document, "csv")
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"board-{board.task_version}",
        "description": f"Board of '{title}': entries with intervals and rank intervals. {question}",
        "url": url,
        **({"license": licence} if licence else {}),
        "datePublished": date,
        "version": version,
        "citeAs": f"{title} ({board.task_version}), board {board.version}. acsbench.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "board.csv",
                "name": "board.csv",
                "contentUrl": url,
                "contentSize": f"{len(content)} B",
                "encodingFormat": EXPORTS["csv"],
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "entries",
                "name": "entries",
                "description": "One record an entry",
                "field": [_field(name, kind) for name, kind in board_table(board).schema.items()],
            }
        ],
    }


def _field(name: str, kind: pl.DataType) -> dict[str, Any]:
    is_figure = kind == pl.String and name not in _TEXTS
    types = {pl.Int64: "sc:Integer", pl.Boolean: "sc:Boolean"}
    described = _DESCRIPTIONS.get(name, f"{name.removesuffix('_low').removesuffix('_high')}")
    return {
        "@type": "cr:Field",
        "@id": f"entries/{name}",
        "name": name,
        "description": described,
        "dataType": "sc:Float" if is_figure else types.get(type(kind), "sc:Text"),
        "source": {"fileObject": {"@id": "board.csv"}, "extract": {"column": name}},
    }


_CONTEXT: dict[str, Any] = json.loads("""{
"@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
"conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
"rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
"dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
"examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
"fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet",
"format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset",
"jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField",
"path": "cr:path", "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex",
"repeated": "cr:repeated", "replace": "cr:replace", "sc": "https://schema.org/",
"separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
"transform": "cr:transform"
}""")
