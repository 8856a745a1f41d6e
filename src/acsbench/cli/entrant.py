"""Commands of entrants of a board: send a file, look at the board."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from acsbench.cli.options import Debug, Json, emit, pairs
from acsbench.errors import InputError, MissingPathError

__all__ = ["show", "submit"]

Server = Annotated[
    str | None, typer.Option(envvar="ACSBENCH_SERVER", help="Address of the board, https://HOST.")
]
Token = Annotated[
    Path | None, typer.Option("--token-file", help="File with the token, else ACSBENCH_TOKEN.")
]


def submit(
    file: Annotated[Path, typer.Argument(help="CSV, or CSV with gzip: ecg_id, score.")],
    task: Annotated[str, typer.Option(help="Name of the task, or https://HOST/tasks/NAME.")],
    card: Annotated[
        Path | None, typer.Option(help="Model card (TOML); by default that of before.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it is scored.")] = False,
    pick: Annotated[
        bool, typer.Option("--pick", help="Stay, then show it on the board as your entry.")
    ] = False,
    attest: Annotated[
        str | None, typer.Option(help="Version of the task's attestation that you accept.")
    ] = None,
    comment: Annotated[str, typer.Option(help="A note to yourself and the host.")] = "",
    team: Annotated[str | None, typer.Option(help="A host's baseline to send for.")] = None,
    receipt: Annotated[Path | None, typer.Option(help="Write the signed receipt here.")] = None,
    server: Server = None,
    token_file: Token = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Send predictions to a board. Exit code 2 for findings in the file, 4 without a place."""
    import json as json_module

    from acsbench.leaderboard.findings import as_text
    from acsbench.provenance import atomic_text
    from acsbench.server.card import read_card
    from acsbench.server.client import BoardClient, RefusedFileError, split_task

    if not file.is_file():
        raise MissingPathError(f"There is no file {file}.")
    address, slug = split_task(task, server)
    client = BoardClient(address, token=_token(token_file))
    try:
        sent = client.submit(
            file,
            slug,
            card=read_card(card) if card else None,
            attestation=attest,
            comment=comment,
            team=team,
        )
    except RefusedFileError as refused:
        emit({"findings": refused.findings}, as_text(_findings(refused.findings)), as_json=json)
        return 2
    if receipt is not None:
        atomic_text(receipt, json_module.dumps(sent["receipt"], indent=1) + "\n")
    state = sent["submission"]
    if wait or pick:
        state = client.wait(state["id"], tell=_tell)
    if pick and state["state"] == "scored":
        client.pick(slug, state["id"])
        state = client.submission(state["id"])
    emit({**sent, "submission": state}, _submitted(state, sent["quota"]), as_json=json)
    return 1 if state["state"] == "failed" else 0


def _findings(told: list[dict[str, Any]]) -> list[Any]:
    from acsbench.leaderboard.findings import Finding, Place

    return [
        Finding(
            code=one["code"],
            message=one["message"],
            count=one["count"],
            places=tuple(Place(**place) for place in one["places"]),
        )
        for one in told
    ]


def _tell(state: Mapping[str, Any]) -> None:
    place = f", place {state['queue_position']}" if state.get("queue_position") else ""
    print(f"{state['state']}{place}", file=sys.stderr)


def _submitted(state: Mapping[str, Any], quota: Mapping[str, Any]) -> str:
    facts = {
        "submission": state["id"],
        "state": f"{state['state']} {state['reason']}".strip(),
        **{f"feedback ({one['task_version']})": one["text"] for one in state["feedback"]},
        "on the board": "yes, as your entry" if state["is_entry"] else None,
        "left today": quota["remaining_24h"],
        "left in all": quota["remaining_total"],
    }
    return pairs({key: value for key, value in facts.items() if value is not None})


def show(
    task: Annotated[str, typer.Argument(help="Name of the task, or https://HOST/tasks/NAME.")],
    server: Server = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a board: ranks with their intervals, who is tied, and every value with its interval."""
    from acsbench.server.client import BoardClient, split_task

    address, slug = split_task(task, server)
    board = BoardClient(address).board(slug)
    emit(board, _board_text(board), as_json=json)


def _board_text(board: Mapping[str, Any]) -> str:
    rows = f"{board['task_version']}: {board['n_rows']:,} rows"
    if not board["entries"]:
        return f"{rows}. No entry yet."
    of = f"{board['n_patients']:,} patients, {board['n_positive']:,} events"
    head = f"{rows}, {of}. {_tied(board['n_entries'], board['n_tied_with_leader'])}"
    return "\n".join([head, *(_board_line(row, board["primary"]) for row in board["entries"])])


def _tied(n: int, n_tied: int) -> str:
    if n == 1:
        return "One entry so far."
    if n_tied <= 1:
        return f"The first of {n} entries is told apart from every other."
    others = "one other" if n_tied == 2 else f"{n_tied - 1} others"
    return f"The first of {n} entries and {others} (=) cannot be told apart."


def _board_line(row: Mapping[str, Any], primary: str) -> str:
    from acsbench.leaderboard.metric_names import metric_title

    value: dict[str, Any] = next((one for one in row["panel"] if one["metric"] == primary), {})
    span = f"[{value.get('low')}, {value.get('high')}]"
    low, high = row["rank_low"], row["rank_high"]
    rank = "-" if low is None else f"{low}" if low == high else f"{low}-{high}"
    tied = "=" if row["tied_with_leader"] else " "
    name = f"{row['team']['name']}: {row['model']}" + (" (baseline)" if row["is_baseline"] else "")
    return f"{rank:>7} {tied} {metric_title(primary)} {value.get('value')} {span}  {name}"


def _token(file: Path | None) -> str:
    if file is not None and not file.is_file():
        raise MissingPathError(f"There is no token file {file}.")
    text = file.read_text(encoding="utf-8") if file else os.environ.get("ACSBENCH_TOKEN", "")
    if not text.strip():
        raise InputError(
            "A token is needed: put it into the environment variable ACSBENCH_TOKEN, or into a "
            "file and give --token-file. The host of the board issues it."
        )
    return text.strip()
