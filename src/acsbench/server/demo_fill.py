"""Fill a new board by the road that everybody takes: accounts, uploads, the worker, picks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

from django.db import connection
from django.db.models import F

from acsbench.errors import StepError
from acsbench.leaderboard.findings import Refused
from acsbench.server import operate
from acsbench.server.accept import Accepted, Sender, Upload, accept
from acsbench.server.config import ServerConfig
from acsbench.server.demo_plan import DemoFile, DemoPlan
from acsbench.server.entries import pick
from acsbench.server.keys import master_key
from acsbench.server.models import Account, BoardState, State, Submission, TaskVersion, Team
from acsbench.server.policy import Actor
from acsbench.server.published import published

__all__ = ["fill_board", "open_board"]

_PATIENCE_S = 300.0
_SCOPES = ("read", "submit")
_DAYS = 365


def open_board(plan: DemoPlan, config: ServerConfig) -> dict[str, dict[str, str]]:
    """Load the tasks, and make people and teams.

    Returns
    -------
    dict of str to dict
        Token and password of each account, by its email.
    """
    master = master_key(config)
    loaded = [operate.load_task(*one, config, master) for one in plan.tasks.items()]
    return _make_people(plan, [version.task.slug for version in loaded])


def fill_board(plan: DemoPlan, config: ServerConfig) -> None:
    """Send every file to a board whose worker runs, and pick it as entry when it is scored.

    Raises
    ------
    StepError
        When a file is refused or not scored.
    """
    versions = {one.task.slug: one for one in TaskVersion.objects.select_related("task")}
    sent = [_send(file, versions[file.task], config).submission for file in plan.files]
    for submission in sent:
        _pick(submission, config)
    behind = BoardState.objects.filter(wanted__gt=F("version"))
    _wait(lambda: not behind.exists(), "The boards of the demo are not ranked.")
    connection.close()  # of this thread


def _make_people(plan: DemoPlan, tasks: Sequence[str]) -> dict[str, dict[str, str]]:
    people = {}
    for email in dict.fromkeys([plan.host, *(file.member for file in plan.files)]):
        account = operate.new_account(email, name=email.partition("@")[0].capitalize())
        password = secrets.token_urlsafe(12)
        account.set_password(password)
        account.save(update_fields=["password"])
        token = operate.new_token(email, scopes=_SCOPES, days=_DAYS).text
        people[email] = {"token": token, "password": password}
    for task in tasks:
        operate.give_role(plan.host, task, "host")
    for file in plan.files:
        if not Team.objects.filter(name=file.team).exists():
            operate.new_team(file.team, is_baseline=file.is_baseline)
        if not file.is_baseline:
            operate.add_member(file.team, file.member, file.task)
    return people


def _send(file: DemoFile, version: TaskVersion, config: ServerConfig) -> Accepted:
    attestation = published(version, config).task.attestation
    sender = Sender(
        Account.objects.get(email=file.member), Team.objects.get(name=file.team), version
    )
    upload = Upload(
        data=file.write(), card=file.card, attestation=attestation.version if attestation else None
    )
    sent = accept(upload, sender, config)
    if isinstance(sent, Refused):
        raise StepError(f"The demo's file of '{file.team}' was refused: {', '.join(sent.codes)}.")
    return sent


def _pick(submission: Submission, config: ServerConfig) -> None:
    row = Submission.objects.filter(pk=submission.pk)
    waiting = row.filter(state__in=[State.QUEUED, State.SCORING])
    _wait(lambda: not waiting.exists(), f"'{submission.team.name}' of the demo is not scored.")
    if row.get().state != State.SCORED:
        raise StepError(f"The demo's file of '{submission.team.name}' could not be scored.")
    version = submission.task_version
    pick(submission, version, published(version, config), Actor(submission.account))


def _wait(is_done: Callable[[], bool], otherwise: str) -> None:
    ends_at = time.monotonic() + _PATIENCE_S
    while not is_done():
        if time.monotonic() > ends_at:
            raise StepError(f"{otherwise} Look for what the worker says above.")
        time.sleep(0.05)
