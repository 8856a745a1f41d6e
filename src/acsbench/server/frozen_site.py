"""A frozen board as a folder of files: pages that open from the disk, tables, proofs.

Everything is made from what `freezing` kept, so that the same freeze gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from acsbench.errors import InputError
from acsbench.provenance import atomic_path
from acsbench.server.config import ServerConfig
from acsbench.server.exports import board_croissant, export_board
from acsbench.server.models import Freeze, Submission
from acsbench.server.pages.board import board_view
from acsbench.server.pages.rendering import ASSETS, asset, draw
from acsbench.server.standings import BoardOut
from acsbench.server.stores import blobs, published_keys

__all__ = ["frozen_files", "write_site"]

SUMS = "SHA256SUMS"


def write_site(freeze: Freeze, folder: Path, config: ServerConfig) -> int:
    """Write the site; `SHA256SUMS` comes last, so that a folder which has it is whole.

    Returns
    -------
    int
        Files written.

    Raises
    ------
    InputError
        When the folder holds something else than an earlier freeze.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / SUMS).is_file():
        raise InputError(f"{folder} is not empty and no frozen board. Choose another folder.")
    files = frozen_files(freeze, config)
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(files.items())
    )
    for name, content in [*files.items(), (SUMS, sums.encode())]:
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
    return len(files) + 1


def frozen_files(freeze: Freeze, config: ServerConfig) -> dict[str, bytes]:
    """Content of every file but the checksums, by name."""
    version = freeze.task_version
    definition = version.definition["definition"]
    board = BoardOut.model_validate_json(freeze.document)
    submissions = {
        one.public_id: one
        for one in Submission.objects.filter(public_id__in=[e.submission for e in board.entries])
    }
    return {
        **_pages(freeze, board, submissions),
        **{f"board.{form}": export_board(freeze.document, form) for form in _FORMS},
        "croissant.json": _json(
            board_croissant(
                freeze.document,
                title=definition["title"],
                question=definition["question"],
                url="board.csv",
                date=freeze.frozen_at.date().isoformat(),
                version=f"{version.number}.{board.version}.0",
                licence=config.licence,
            )
        ),
        "details.json": _json(freeze.details),
        "task.json": _json(version.definition),
        "ids.csv": blobs(config).get(version.ids_blob),
        "freeze.json": _json(_facts(freeze, board)),
        "public-keys.json": _json(published_keys(config)),
        "CITATION.cff": _citation(freeze, board).encode(),
        **{f"cards/{key}.json": _json(one.card) for key, one in submissions.items()},
    }


_FORMS = ("csv", "json", "parquet")


def _pages(freeze: Freeze, board: BoardOut, submissions: dict[str, Submission]) -> dict[str, bytes]:
    """The board and its details as pages, with their style sheet beside them."""
    version = freeze.task_version
    state = version.board_state
    state.document, state.updated_at = freeze.document, freeze.frozen_at  # as it was, not saved
    entries = [
        {
            "row": row,
            "card": submissions[row.submission].card,
            "details": freeze.details.get(row.submission, {}),
        }
        for row in board.entries
    ]
    context = {
        "board": board_view(version),
        "freeze": freeze,
        "doi": freeze.doi,
        "facts": _facts(freeze, board),
        "entries": entries,
    }
    return {
        "index.html": draw("frozen_board.html", context, frozen=True).encode(),
        "details.html": draw("frozen_details.html", context, frozen=True).encode(),
        **{name: asset(name) for name in ASSETS if not name.endswith(".js")},
    }


def _facts(freeze: Freeze, board: BoardOut) -> dict[str, Any]:
    version = freeze.task_version
    return {
        "task_version": version.name,
        "board_version": board.version,
        "frozen_at": freeze.frozen_at.strftime("%Y-%m-%dT%H:%MZ"),
        "label_commitment": version.label_commitment,
        "ids_sha256": version.ids_sha256,
        "audit_head": {"seq": freeze.audit_seq, "hash": freeze.audit_hash},
        "made_by": freeze.provenance,
        "doi": freeze.doi,
    }


def _citation(freeze: Freeze, board: BoardOut) -> str:
    """CITATION.cff 1.2; JSON strings are YAML strings."""
    version = freeze.task_version
    title = f"{version.definition['definition']['title']}: board of {version.name}"
    teams = list(dict.fromkeys(row.team.name for row in board.entries if not row.is_baseline))
    authors = "".join(f"  - name: {json.dumps(name)}\n" for name in teams or ["The entrants"])
    doi = f"doi: {json.dumps(freeze.doi)}\n" if freeze.doi else ""
    return (
        'cff-version: 1.2.0\nmessage: "If you use this board, please cite it as below."\n'
        f"type: dataset\ntitle: {json.dumps(title)}\nauthors:\n{authors}"
        f"version: {json.dumps(f'{version.number}.{board.version}.0')}\n"
        f"date-released: {freeze.frozen_at.date().isoformat()}\n{doi}"
    )


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
