"""What an operator does from the shell: load a task, make accounts, teams, roles and tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from acsbench.errors import InputError, did_you_mean
from acsbench.leaderboard.definition import TaskVersion as Published
from acsbench.leaderboard.definition import read_task
from acsbench.leaderboard.durable_files import write_durably
from acsbench.leaderboard.truth_table import read_truth
from acsbench.leaderboard.vault import seal
from acsbench.server import audit
from acsbench.server.config import ServerConfig
from acsbench.server.models import (
    Account,
    BoardState,
    Membership,
    Task,
    TaskRole,
    TaskVersion,
    Team,
)
from acsbench.server.names import team_name, team_slug
from acsbench.server.standings import ask_for_refresh, document, save_document
from acsbench.server.stores import blobs
from acsbench.server.tokens import NewToken, issue

__all__ = [
    "add_member",
    "give_role",
    "load_task",
    "new_account",
    "new_team",
    "new_token",
    "team_of_members",
]

_OPERATOR = "operator"


def load_task(folder: Path, labels: Path, config: ServerConfig, master: bytes) -> TaskVersion:
    """Load a task with its hidden labels and open it; an older version is superseded.

    Raises
    ------
    InputError
        When this version is there already, or is older than the one that is open.
    VaultError
        When the labels do not fit: every finding is named.
    """
    rules = read_task(folder)
    _refuse_old_number(rules)
    sealed = seal(read_truth(labels, rules), rules, master)
    write_durably(config.vaults / f"{rules.name}.vault", sealed.data)
    ids = rules.ids_csv()
    ids_blob = hashlib.sha256(ids).hexdigest()
    blobs(config).put(ids, sha256=ids_blob)
    with transaction.atomic():
        task, _ = Task.objects.get_or_create(slug=rules.task.slug)
        before = list(TaskVersion.objects.filter(task=task).exclude(state="superseded"))
        TaskVersion.objects.filter(pk__in=[one.pk for one in before]).update(state="superseded")
        version = TaskVersion.objects.create(
            task=task,
            number=rules.task.version,
            definition=rules.public(),
            ids_sha256=rules.ids_sha256,
            ids_blob=ids_blob,
            n_rows=rules.n_rows,
            label_commitment=sealed.commitment,
            state="open",
        )
        state = BoardState(task_version=version, wanted=1)
        save_document(state, document(version, number=0, board=None, entries=[]))
        state.save()
        for old in before:
            TaskVersion.objects.filter(pk=old.pk).update(superseded_by=version)
            ask_for_refresh(old)
        audit.record(
            actor=_OPERATOR,
            action="task.opened",
            object=f"task:{rules.name}",
            detail={"ids_sha256": rules.ids_sha256, "label_commitment": sealed.commitment},
        )
    return version


def _refuse_old_number(rules: Published) -> None:
    newest = TaskVersion.objects.filter(task__slug=rules.task.slug).order_by("-number").first()
    if newest is not None and newest.number >= rules.task.version:
        raise InputError(
            f"Task '{rules.task.slug}' has version {newest.number} already, and an open version is "
            f"fixed. Set `version = {newest.number + 1}` in its task.toml."
        )


def new_account(email: str, *, name: str = "") -> Account:
    """Make an account.

    Raises
    ------
    InputError
        When the address is taken or is none.
    """
    if "@" not in email.strip("@") or not email.isprintable() or " " in email:
        raise InputError(f"{email!r} is no email address.")
    try:
        with transaction.atomic():
            account = Account(email=email, name=name)
            account.set_unusable_password()
            account.save()
            audit.record(
                actor=_OPERATOR,
                action="account.made",
                object=f"account:{account.public_id}",
                detail={},
            )
    except IntegrityError:
        raise InputError(f"There is an account for {email} already.") from None
    return account


def new_team(
    name: str, *, is_baseline: bool = False, affiliation: str = "", actor: str = _OPERATOR
) -> Team:
    """Make a team, or a host's baseline.

    Raises
    ------
    InputError
        When the name is not allowed or taken.
    """
    name = team_name(name)
    try:
        with transaction.atomic():
            team = Team.objects.create(
                name=name, slug=team_slug(name), is_baseline=is_baseline, affiliation=affiliation
            )
            audit.record(actor=actor, action="team.made", object=f"team:{team.slug}", detail={})
    except IntegrityError:
        raise InputError(f"There is a team '{team_slug(name)}' already.") from None
    return team


def team_of_members(
    name: str, task: str, emails: Iterable[str], *, is_baseline: bool = False
) -> Team:
    """Make a team with everybody in it, or, when one of them cannot be, no team at all.

    Raises
    ------
    InputError
        As `new_team` and `add_member`.
    """
    _find_task(task)
    with transaction.atomic():
        team = new_team(name, is_baseline=is_baseline)
        for email in emails:
            add_member(team.slug, email, task)
    return team


def add_member(team: str, email: str, task: str, *, actor: str = _OPERATOR) -> Membership:
    """Put an account into a team for a task.

    Raises
    ------
    InputError
        When one of them is not there, or the account is in a team of the task.
    """
    where = _find_task(task)
    who = find_account(email)
    found = Team.objects.filter(Q(slug=team_slug(team)) | Q(name=team)).first()
    if found is None:
        slugs = Team.objects.values_list("slug", flat=True)
        raise InputError(f"There is no team '{team}'.{did_you_mean(team, slugs)}")
    try:
        with transaction.atomic():
            membership = Membership.objects.create(team=found, account=who, task=where)
            audit.record(
                actor=actor,
                action="team.joined",
                object=f"team:{found.slug}",
                detail={"account": who.public_id, "task": task},
            )
    except IntegrityError:
        raise InputError(
            f"{email} is in a team for task '{task}' already: one person, one team."
        ) from None
    return membership


def give_role(email: str, task: str, role: str) -> TaskRole:
    """Make an account host or steward of a task."""
    if role not in ("host", "steward"):
        raise InputError(f"A role is host or steward, not '{role}'.")
    account, where = find_account(email), _find_task(task)
    with transaction.atomic():
        found, is_new = TaskRole.objects.get_or_create(account=account, task=where, role=role)
        if is_new:
            audit.record(
                actor=_OPERATOR,
                action="role.given",
                object=f"account:{account.public_id}",
                detail={"task": task, "role": role},
            )
    return found


def new_token(email: str, *, scopes: Sequence[str], days: float) -> NewToken:
    """Make a token for an account; its text is shown this once."""
    account = find_account(email)
    with transaction.atomic():
        made = issue(account, scopes=scopes, expires_at=timezone.now() + timedelta(days=days))
        audit.record(
            actor=_OPERATOR,
            action="token.issued",
            object=f"token:{made.row.public_id}",
            detail={"account": account.public_id, "scopes": " ".join(made.row.scopes)},
        )
    return made


def find_account(email: str) -> Account:
    """The account with this address, in any case."""
    found = Account.objects.filter(email__iexact=email).first()
    if found is None:
        raise InputError(f"There is no account for {email}: `acsbench server account {email}`.")
    return found


def _find_task(slug: str) -> Task:
    found = Task.objects.filter(slug=slug).first()
    if found is None:
        slugs = list(Task.objects.values_list("slug", flat=True))
        raise InputError(
            f"There is no task '{slug}'.{did_you_mean(slug, slugs)} "
            f"Known: {', '.join(slugs) or 'none; load one with `acsbench server load`'}."
        )
    return found
