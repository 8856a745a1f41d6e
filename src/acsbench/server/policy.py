"""Who may do what: the one function that every route and every page asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from acsbench.server.models import (
    Account,
    ApiToken,
    Membership,
    Submission,
    Task,
    TaskRole,
    Team,
    Webhook,
)

__all__ = ["VISITOR", "Action", "Actor", "may", "team_of"]


class Action(StrEnum):
    """What can be asked for, beyond what everybody may read."""

    CHECK = "check a file"
    MAKE_TEAM = "make a team of one's own"
    SUBMIT = "submit for a team"
    READ_SUBMISSION = "read a submission"
    PICK_ENTRY = "pick an entry"
    WITHDRAW = "withdraw a submission"
    REVOKE_TOKEN = "revoke a token"  # noqa: S105  no password
    EDIT_TASK = "edit the text of a task"
    VERIFY = "mark a submission as verified"
    DISQUALIFY = "disqualify a submission"
    GRANT = "grant more places"
    ALLOW_LEAK = "let feedback go on beyond the leak budget"
    READ_UNDISCLOSED = "see undisclosed scores"
    ADD_WEBHOOK = "add a webhook"
    DELETE_WEBHOOK = "delete a webhook"


@dataclass(frozen=True)
class Actor:
    """Who asks: nobody, or an account by one of its tokens."""

    account: Account | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    token: ApiToken | None = None

    @property
    def name(self) -> str:
        """As the audit chain knows them: never an email."""
        return f"account:{self.account.public_id}" if self.account else "visitor"


VISITOR = Actor()
Target = Task | Submission | Team | ApiToken | Webhook


def may(actor: Actor, action: Action, target: Target, *, task: Task | None = None) -> bool:
    """Whether an actor may do something to an object.

    Parameters
    ----------
    actor : Actor
    action : Action
    target : Task, Submission, Team, ApiToken or Webhook
        What it is done to.
    task : Task, optional
        The task a team acts on; a submission and a task know theirs.
    """
    account = actor.account
    scope, holds = _RULES[action]
    if account is None or not account.is_active or scope not in actor.scopes:
        return False
    return holds(account, target, task or _task_of(target))


def team_of(account: Account, task: Task) -> Team | None:
    """The team an account is in, for a task."""
    membership = (
        Membership.objects.select_related("team")
        .filter(account=account, task=task, left_at__isnull=True)
        .first()
    )
    return membership.team if membership else None


def _task_of(target: Target) -> Task | None:
    if isinstance(target, Submission):
        return target.task_version.task
    return target if isinstance(target, Task) else None


def _roles(account: Account, task: Task) -> set[str]:
    return set(TaskRole.objects.filter(account=account, task=task).values_list("role", flat=True))


def _is_of_team(account: Account, target: Target, task: Task | None) -> bool:
    """Members act for their team; a host or steward for a baseline."""
    team = target.team if isinstance(target, Submission) else target
    if task is None or not isinstance(team, Team):
        return False
    if team.is_baseline:
        return bool(_roles(account, task))
    return Membership.objects.filter(
        account=account, task=task, team=team, left_at__isnull=True
    ).exists()


def _is_host(account: Account, _: Target, task: Task | None) -> bool:
    return task is not None and bool(_roles(account, task))


def _is_steward(account: Account, _: Target, task: Task | None) -> bool:
    """Whoever competes must not see what others scored."""
    if task is None or team_of(account, task) is not None:
        return False
    return "steward" in _roles(account, task)


def _takes_part(account: Account, _: Target, task: Task | None) -> bool:
    return task is not None and (team_of(account, task) is not None or bool(_roles(account, task)))


def _is_free(account: Account, _: Target, task: Task | None) -> bool:
    """Whoever looks after a task competes with another account, if at all."""
    return task is not None and not _takes_part(account, _, task)


def _owns(account: Account, target: Target, _: Task | None) -> bool:
    return isinstance(target, ApiToken | Webhook) and target.account_id == account.pk


_RULES: dict[Action, tuple[str, Callable[[Account, Target, Task | None], bool]]] = {
    Action.CHECK: ("submit", _takes_part),
    Action.MAKE_TEAM: ("submit", _is_free),
    Action.SUBMIT: ("submit", _is_of_team),
    Action.READ_SUBMISSION: ("read", _is_of_team),
    Action.PICK_ENTRY: ("submit", _is_of_team),
    Action.WITHDRAW: ("submit", _is_of_team),
    Action.REVOKE_TOKEN: ("read", _owns),
    Action.EDIT_TASK: ("submit", _is_host),
    Action.VERIFY: ("submit", _is_host),
    Action.DISQUALIFY: ("submit", _is_host),
    Action.GRANT: ("submit", _is_host),
    Action.ALLOW_LEAK: ("submit", _is_host),
    Action.READ_UNDISCLOSED: ("read", _is_steward),
    Action.ADD_WEBHOOK: ("submit", _takes_part),
    Action.DELETE_WEBHOOK: ("submit", _owns),
}
"""Scope of the token, and what must hold between account and object."""
