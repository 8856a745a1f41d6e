"""Fill a new board by the road that everybody takes: accounts, uploads, the worker, picks."""

from __future__ import annotations

import secrets

from acsbench.errors import StepError
from acsbench.leaderboard.findings import Refused
from acsbench.server import operate
from acsbench.server.accept import Accepted, Sender, Upload, accept
from acsbench.server.config import ServerConfig
from acsbench.server.demo_plan import DemoFile, DemoPlan
from acsbench.server.entries import pick
from acsbench.server.keys import master_key
from acsbench.server.models import Account, State, TaskVersion, Team
from acsbench.server.policy import Actor
from acsbench.server.published import published
from acsbench.server.worker import Worker

__all__ = ["fill_board"]

_SCOPES = ("read", "submit")
_DAYS = 365


def fill_board(plan: DemoPlan, config: ServerConfig) -> dict[str, dict[str, str]]:
    """Load the tasks, make people and teams, send every file, score it, and pick it as entry.

    Returns
    -------
    dict of str to dict
        Token and password of each account, by its email.

    Raises
    ------
    StepError
        When a file is refused or not scored.
    """
    master = master_key(config)
    versions = [
        operate.load_task(folder, labels, config, master) for folder, labels in plan.tasks.items()
    ]
    by_slug = {version.task.slug: version for version in versions}
    people = _make_people(plan, tuple(by_slug))
    sent = [_send(file, by_slug[file.task], config) for file in plan.files]
    worker = Worker(config, master)
    while worker.step():
        pass
    for one in sent:
        _pick(one, config)
    while worker.step():
        pass
    return people


def _make_people(plan: DemoPlan, tasks: tuple[str, ...]) -> dict[str, dict[str, str]]:
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
        data=file.content, card=file.card, attestation=attestation.version if attestation else None
    )
    sent = accept(upload, sender, config)
    if isinstance(sent, Refused):
        raise StepError(f"The demo's file of '{file.team}' was refused: {', '.join(sent.codes)}.")
    return sent


def _pick(sent: Accepted, config: ServerConfig) -> None:
    submission = sent.submission
    submission.refresh_from_db(fields=["state"])
    if submission.state != State.SCORED:
        raise StepError(f"The demo's file of '{submission.team.name}' is {submission.state}.")
    version = submission.task_version
    pick(submission, version, published(version, config), Actor(submission.account))
