"""Commands of hosts of a board: serve it, look after it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acsbench.cli.options import Debug, Json, emit, pairs
from acsbench.errors import InputError, MissingPathError

if TYPE_CHECKING:
    from acsbench.server.config import ServerConfig

__all__ = ["group", "serve"]

Data = Annotated[Path, typer.Option("--data", help="Data folder of the board.")]
Email = Annotated[str, typer.Argument(help="Email address of the account.")]
_DATA = Path("board-data")
_DEMO_DATA = Path("board-demo")
_LOAD_NEXT = "Next: acsbench server load TASK --labels LABELS, then acsbench serve"
_PEOPLE_NEXT = "Next: acsbench server account EMAIL, then acsbench server team NAME --task TASK"


def serve(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Data folder; by default board-data, or board-demo."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="A board of generated data, with baselines and teams.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Host a board. Sets itself up, migrates, and runs until SIGTERM."""
    data = data or (_DEMO_DATA if demo else _DATA)
    if demo:
        from acsbench.experiment.demo_board import start_demo

        start_demo(data)
    changed = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    config = _board(data).model_copy(update=changed)
    from acsbench.server.logs import log_as_json
    from acsbench.server.serve import Supervisor, listen

    listener = listen(config)  # before anything is changed: the address may be taken
    _set_up(config)
    tell = partial(_tell_demo, config=config) if demo else _tell_address
    log_as_json()
    Supervisor(config, listener).run(tell=partial(tell, as_json=json))


def _tell_address(started: Mapping[str, Any], *, as_json: bool) -> None:
    emit(started, f"The board answers at {started['address']} (Ctrl-C ends it).", as_json=as_json)
    sys.stdout.flush()


def _set_up(config: ServerConfig) -> None:
    """Folders, keys and database in their present form."""
    from acsbench.server.database import migrate
    from acsbench.server.setup import create_folders

    create_folders(config)
    copy = migrate(config)
    if copy is not None:
        print(f"The database was brought up to date; a copy of before is {copy}.", file=sys.stderr)


def _tell_demo(started: Mapping[str, Any], *, config: ServerConfig, as_json: bool) -> None:
    """Fill a demo board that runs, unless it is full, and tell how to use it."""
    from acsbench.experiment import demo_board

    if not demo_board.is_demo(config.data):
        print(f"Making a demo board in {config.data}: a few seconds.", file=sys.stderr)
        demo_board.make_demo(config)
    demo = demo_board.open_demo(config.data)
    facts = {**started, "notice": demo_board.NOTICE, "demo": demo.as_dict()}
    emit(facts, demo.welcome(started["address"]), as_json=as_json)
    sys.stdout.flush()


def _board(data: Path, *, must_exist: bool = False) -> ServerConfig:
    """Set Django up on a data folder."""
    if must_exist and not (data / "keys").is_dir():
        raise MissingPathError(f"{data} is no board; `acsbench server init` makes one.")
    from acsbench.server.start import start_django

    return start_django(data)


group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look after a board.")


@group.command()
def init(data: Data = _DATA, json: Json = False, debug: Debug = False) -> None:
    """Make the data folder, its keys and its database; what is there stays."""
    config = _board(data)
    from acsbench.server.database import migrate
    from acsbench.server.setup import create_folders

    made = create_folders(config)
    migrate(config)
    text = "\n".join([f"{config.data} is ready.", *(f"made {one}" for one in made), _LOAD_NEXT])
    emit({"data": str(config.data), "made": made}, text, as_json=json)


@group.command()
def load(
    task: Annotated[Path, typer.Argument(help="Folder with task.toml and ids.csv.")],
    labels: Annotated[Path, typer.Option(help="Hidden labels: ecg_id, patient_id, label, ...")],
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Load a task with its hidden labels into the vault, and open it."""
    config = _board(data, must_exist=True)
    from acsbench.server.keys import master_key
    from acsbench.server.operate import load_task
    from acsbench.server.rescore import rescore_new_versions
    from acsbench.server.setup import give_to_users

    master = master_key(config)
    version = load_task(task, labels, config, master)
    again = rescore_new_versions(config, master)
    give_to_users(config)
    facts = {
        "task version": version.name,
        "rows": version.n_rows,
        "label commitment": version.label_commitment,
        "rescored": again.n,
    }
    emit(facts, f"{pairs(facts)}\n{_PEOPLE_NEXT}", as_json=json)


@group.command()
def account(
    email: Email,
    name: Annotated[str, typer.Option(help="Name of the person.")] = "",
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make an account."""
    _board(data, must_exist=True)
    from acsbench.server.operate import new_account

    made = new_account(email, name=name)
    emit({"account": made.public_id}, f"account {made.public_id}", as_json=json)


@group.command("sign-in")
def sign_in(
    email: Email,
    at: Annotated[
        str, typer.Option(help="Address of the board; else public_url, or host and port.")
    ] = "",
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a link that signs an account in, once, within a day: send it to its owner."""
    config = _board(data, must_exist=True)
    from acsbench.server.operate import find_account
    from acsbench.server.sign_in.links import sign_in_link

    link = sign_in_link(find_account(email), (at or config.address).rstrip("/"))
    emit({"link": link}, link, as_json=json)


@group.command()
def team(
    name: Annotated[str, typer.Argument(help="Name of the team.")],
    task: Annotated[str, typer.Option(help="Task the members take part in.")],
    member: Annotated[list[str] | None, typer.Option(help="Email; repeatable.")] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="A host's, without quota.")] = False,
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a team with its members."""
    _board(data, must_exist=True)
    from acsbench.server.operate import team_of_members

    made = team_of_members(name, task, member or [], is_baseline=baseline)
    emit({"team": made.slug}, f"team {made.slug}", as_json=json)


@group.command()
def member(
    team: Annotated[str, typer.Argument(help="The team as it stands in addresses.")],
    email: Email,
    task: Annotated[str, typer.Option(help="Name of the task.")],
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Put an account into a team, for a task."""
    _board(data, must_exist=True)
    from acsbench.server.operate import add_member

    add_member(team, email, task)
    emit({"team": team, "member": email}, f"{email} is in {team}", as_json=json)


@group.command()
def role(
    email: Email,
    role: Annotated[str, typer.Argument(help="host or steward.")],
    task: Annotated[str, typer.Option(help="Name of the task.")],
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make an account host or steward of a task."""
    _board(data, must_exist=True)
    from acsbench.server.operate import give_role

    give_role(email, task, role)
    emit({"account": email, "role": role}, f"{email} is {role} of {task}", as_json=json)


@group.command()
def token(
    email: Email,
    scope: Annotated[list[str] | None, typer.Option(help="read, submit; repeatable.")] = None,
    days: Annotated[float, typer.Option(min=0.01, max=365, help="Ends after so many.")] = 90,
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Issue a token for an account; it is shown this once."""
    _board(data, must_exist=True)
    from acsbench.server.operate import new_token

    made = new_token(email, scopes=scope or ["read", "submit"], days=days)
    emit({"id": made.row.public_id, "token": made.text}, made.text, as_json=json)


@group.command()
def doctor(data: Data = _DATA, json: Json = False, debug: Debug = False) -> int:
    """Say whether a board is well: configuration, rights, keys, rules, backlog."""
    config = _board(data, must_exist=True)
    from acsbench.server.doctor import examine

    findings = examine(config)
    text = "\n".join(f"{'ok ' if one.is_fine else 'BAD'} {one.text}" for one in findings)
    emit({"findings": [one._asdict() for one in findings]}, text, as_json=json)
    return 0 if all(one.is_fine for one in findings) else 1


@group.command()
def backup(
    target: Annotated[Path, typer.Argument(help="Folder; one of before is brought up to date.")],
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Copy a board while it runs. Keys stay apart: copy the folder `keys` to another place."""
    config = _board(data, must_exist=True)
    from acsbench.server.backup import back_up

    done = back_up(config, target)
    emit(done, f"{done['files']:,} files, {done['copied']:,} copied now", as_json=json)


@group.command()
def restore(
    source: Annotated[Path, typer.Argument(help="Folder that `backup` wrote.")],
    keys: Annotated[Path | None, typer.Option(help="Folder with the keys.")] = None,
    database: Annotated[
        str, typer.Option(help="Empty PostgreSQL database, in place of the one in board.toml.")
    ] = "",
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Put a backup into a new data folder, and verify chain, files and receipts."""
    from acsbench.server.putting_back import put_back

    n_files = put_back(source, data, keys=keys, database=database)
    config = _board(data)
    from acsbench.server.backup import fill_stores
    from acsbench.server.database import migrate
    from acsbench.server.integrity import find_damage
    from acsbench.server.setup import create_folders

    create_folders(config)
    fill_stores(config)
    migrate(config)
    return _verified(find_damage(config), json, files=n_files)


@group.command()
def audit(
    what: Annotated[str, typer.Argument(help="verify")] = "verify",
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Verify the audit chain, every file and every receipt."""
    if what != "verify":
        raise InputError(f"audit knows 'verify', not '{what}'.")
    config = _board(data, must_exist=True)
    from acsbench.server.integrity import find_damage

    return _verified(find_damage(config), json)


def _verified(damage: list[str], json: bool, **facts: int) -> int:
    text = "\n".join(damage) or "Chain, files, receipts and score records are as they were written."
    emit({**facts, "damage": damage}, text, as_json=json)
    return 1 if damage else 0


@group.command()
def freeze(
    task: Annotated[str, typer.Argument(help="Task whose current version is closed for good.")],
    target: Annotated[Path, typer.Argument(help="Folder of the site; one of before is renewed.")],
    doi: Annotated[str, typer.Option(help="DOI of the deposited site, to be shown.")] = "",
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Close a board and write it as files that need no server: pages, tables, cards, proofs."""
    config = _board(data, must_exist=True)
    from acsbench.server.freezing import close_board, set_doi
    from acsbench.server.frozen_site import write_site
    from acsbench.server.keys import master_key

    frozen = close_board(task, config, master_key(config))
    if doi:
        set_doi(frozen, doi)
    facts = {
        "task version": frozen.task_version.name,
        "frozen at": frozen.frozen_at.isoformat(),
        "files": write_site(frozen, target, config),
        "site": str(target / "index.html"),
        "doi": frozen.doi or "none yet: deposit the folder, then freeze again with --doi",
    }
    emit(facts, pairs(facts), as_json=json)


@group.command("migrate-store")
def migrate_store(
    to: Annotated[str, typer.Option(help="s3://BUCKET/PREFIX?endpoint=..., or postgresql://...")],
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Copy the files to an object store, or the rows to PostgreSQL, comparing every one."""
    config = _board(data, must_exist=True)
    from acsbench.server.moving import move_files, move_rows

    if to.startswith("s3://"):
        moved, key = move_files(config, to), "blobs"
    elif to.startswith(("postgresql://", "postgres://")):
        moved, key = move_rows(to), "database"
    else:
        raise InputError(f"--to {to} is neither s3://... nor postgresql://...")
    facts = {"moved": moved.n, "there before": moved.n_before}
    note = f'Every one compared. Now set `{key} = "{to}"` in {config.data / "board.toml"}.'
    emit(facts, f"{pairs(facts)}\n{note}", as_json=json)


@group.command()
def rescore(
    check: Annotated[
        bool, typer.Option("--check", help="Only compare; otherwise fill in new task versions.")
    ] = False,
    data: Data = _DATA,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Score everything again, and report differences without telling a number."""
    config = _board(data, must_exist=True)
    from acsbench.server.keys import master_key
    from acsbench.server.rescore import check_results, rescore_new_versions

    done = (check_results if check else rescore_new_versions)(config, master_key(config))
    text = "\n".join([f"{done.n:,} results", *(done.differences or ["no difference"])])
    emit({"results": done.n, "differences": done.differences}, text, as_json=json)
    return 1 if done.differences else 0
