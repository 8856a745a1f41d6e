"""Entries: how a submission comes onto the board and leaves it."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from acsbench.leaderboard.release import entry_bits
from acsbench.server import audit
from acsbench.server.models import Entry, State, Submission, TaskVersion
from acsbench.server.policy import Actor
from acsbench.server.problems import Problem
from acsbench.server.published import Published
from acsbench.server.quota import lock_quota, picks_left
from acsbench.server.standings import ask_for_refresh

__all__ = ["pick", "take_off"]


def pick(
    submission: Submission, version: TaskVersion, rules: Published, actor: Actor
) -> tuple[Entry, int]:
    """Show a scored submission, in place of the team's entry before.

    Returns
    -------
    Entry, int
        The entry, and the version of the board that will have it.

    Raises
    ------
    Problem
        409 when it is not scored, 429 when the team has picked too often.
    """
    team = submission.team
    with transaction.atomic():
        lock_quota(team, version)
        submission.refresh_from_db(fields=["state"])
        if submission.state != State.SCORED:
            raise Problem(
                409,
                "not_scored",
                f"Only a scored submission can be picked; this is {submission.state}.",
            )
        if not submission.results.filter(task_version=version).exists():
            raise Problem(409, "other_version", f"It has no result under {version.name}.")
        open_ = Entry.objects.filter(team=team, task_version=version, until__isnull=True)
        now = open_.filter(submission=submission).first()
        if now is not None:
            return now, ask_for_refresh(version)
        limit = rules.task.limits.picks_per_30d
        if not team.is_baseline and not picks_left(team, version, rules.task.limits):
            raise Problem(429, "picks_spent", f"{limit} picks within 30 days are the limit.")
        open_.update(until=timezone.now())
        entry = Entry.objects.create(
            team=team, task_version=version, submission=submission, leak_bits=entry_bits(rules)
        )
        _tell(submission, "entry.picked", actor, reason="")
        return entry, ask_for_refresh(version)


def take_off(submission: Submission, state: State, *, reason: str, actor: Actor) -> None:
    """Withdraw or disqualify a scored submission: it stays on record and leaves every board.

    Raises
    ------
    Problem
        409 when it is not scored.
    """
    with transaction.atomic():
        moved = Submission.objects.filter(pk=submission.pk, state=State.SCORED).update(
            state=state, state_reason=reason
        )
        submission.refresh_from_db(fields=["state", "state_reason"])
        if not moved:
            raise _not_scored(submission)
        shown = Entry.objects.filter(submission=submission, until__isnull=True)
        for entry in shown.select_related("task_version"):
            ask_for_refresh(entry.task_version)
        shown.update(until=timezone.now())
        _tell(submission, f"submission.{state}", actor, reason=reason)


def _not_scored(submission: Submission) -> Problem:
    return Problem(409, "not_scored", f"It has to be scored for that; it is {submission.state}.")


def _tell(submission: Submission, action: str, actor: Actor, *, reason: str) -> None:
    audit.record(
        actor=actor.name,
        action=action,
        object=f"submission:{submission.public_id}",
        detail={"team": submission.team.slug, **({"reason": reason} if reason else {})},
    )
