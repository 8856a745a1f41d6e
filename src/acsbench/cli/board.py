"""Commands of boards that need no server: check a file, verify a receipt, make a task."""

from __future__ import annotations

import json as json_module
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from acsbench.cli.options import CohortFolder, Debug, DryRun, Jobs, Json, Out, emit, pairs
from acsbench.errors import BoardError, ConfigError, MissingPathError

if TYPE_CHECKING:
    from acsbench.leaderboard.definition import TaskVersion

__all__ = ["check", "group", "make_task", "verify"]


def check(
    file: Annotated[Path, typer.Argument(help="CSV of ecg_id,score, plain or gzip.")],
    task: Annotated[
        str, typer.Option(help="The task's folder, its task.toml, or https://HOST/tasks/NAME.")
    ],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check a file of scores as a board does. Needs no account, and no labels."""
    from acsbench.leaderboard.check import check_file
    from acsbench.leaderboard.findings import Refused, as_text

    version = _task_version(task)
    found = check_file(file, version)
    if isinstance(found, Refused):
        emit(found.problem(), as_text(found.findings), as_json=json)
        raise typer.Exit(2)
    result = {
        "file": str(file),
        "task_version": version.name,
        "rows": version.n_rows,
        "sha256": found.sha256,
        "warnings": [warning.as_dict() for warning in found.warnings],
    }
    fine = f"Fine: {version.n_rows:,} rows for task {version.name}, SHA-256 {found.sha256}."
    notices = as_text(found.warnings)
    emit(result, f"{notices}\n{fine}" if notices else fine, as_json=json)


def _task_version(place: str) -> TaskVersion:
    from acsbench.leaderboard.definition import read_task
    from acsbench.leaderboard.fetch import fetch_task, is_url

    return fetch_task(place) if is_url(place) else read_task(Path(place))


def verify(
    receipt: Annotated[Path, typer.Argument(help="Receipt or score record, as the board gave it.")],
    keys: Annotated[str, typer.Option(help="The board's keys: a file, or https://HOST.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Verify a receipt. Offline, once the keys are at hand."""
    from acsbench.leaderboard.fetch import fetch_json, is_url
    from acsbench.leaderboard.receipts import verify as verify_record

    record = _read_json(receipt)
    is_host = is_url(keys) and not keys.rstrip("/").endswith("/keys")
    place = f"{keys.rstrip('/')}/api/v1/keys" if is_host else keys
    verify_record(record, fetch_json(place) if is_url(place) else _read_json(Path(place)))
    shown = {name: value for name, value in record.items() if isinstance(value, str)}
    emit({"verified": True, **record}, f"Verified.\n{pairs(shown)}", as_json=json)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingPathError(f"There is no file {path}.")
    try:
        body = json_module.loads(path.read_bytes())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BoardError(f"{path} holds no JSON object.")
    return body


def make_task(
    cohort: CohortFolder,
    out: Out,
    task: Annotated[
        list[str] | None, typer.Option(help="Task to ask for; repeatable. By default acs.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split whose patients are asked for.")] = "test",
    policy: Annotated[str, typer.Option(help="ladder, split or full: what is shown.")] = "ladder",
    min_per_class: Annotated[
        int, typer.Option(min=2, help="Labels of either class; below 50 for tests and demos.")
    ] = 50,
    opens: Annotated[
        str | None, typer.Option(help="When it opens, as 2027-01-01T00:00Z. By default now.")
    ] = None,
    json: Json = False,
    dry_run: DryRun = False,
    jobs: Jobs = None,
    debug: Debug = False,
) -> None:
    """Make a board's tasks of a cohort: entrants' ids and waveforms, and the host's labels."""
    from acsbench.leaderboard.definition import Release
    from acsbench.parallel import Workers
    from acsbench.provenance import parse_config

    asked = {"policy": policy, "min_per_class": min_per_class}
    release = parse_config(Release, asked, where="The command line")
    opening, names = _time(opens), tuple(dict.fromkeys(task or ["acs"]))
    if dry_run:
        return _plan(cohort, names, split, out, json=json)
    from acsbench.experiment.board_task import make_task as make

    made = make(
        cohort,
        out,
        tasks=names,
        split=split,
        opens=opening,
        release=release,
        workers=Workers(n_jobs=jobs),
    )
    result = {
        "entrants": str(made.entrants),
        **{f"task {name}": f"{made.tasks[name]} ({n:,} rows)" for name, n in made.n_rows.items()},
        **{f"labels of {name}": str(path) for name, path in made.labels.items()},
        "unreadable": len(made.unreadable),
    }
    note = f"\nKeep {made.entrants.parent / 'host'} to yourself; the rest may be published."
    return emit(result, pairs(result) + note, as_json=json)


def _plan(cohort: Path, names: tuple[str, ...], split: str, out: Path, *, json: bool) -> None:
    from acsbench.experiment.board_version import split_labels
    from acsbench.tables import Cohort

    built = Cohort.load(cohort)
    plan = {f"rows of {n}": len(split_labels(built, n, split)) for n in names}
    emit({**plan, "out": str(out)}, pairs({**plan, "out": out}), as_json=json)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--opens {text} is no time; write it as 2027-01-01T00:00Z.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class _Board(TyperGroup):
    """``board acs`` is short for ``board show acs``: no task is called like a command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0].replace("_", "-")
        known = self.list_commands(ctx)
        if name in known:
            return super().resolve_command(ctx, [name, *args[1:]])
        return super().resolve_command(ctx, ["show", *args] if "show" in known else args)


group = typer.Typer(
    cls=_Board,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Boards of hidden labels: `board NAME` shows one.",
)
group.command("make-task")(make_task)
