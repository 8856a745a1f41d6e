"""Scoring everything again: to prove that nothing has changed, or under a new task version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import transaction

from acsbench.errors import AcsbenchError
from acsbench.leaderboard.release import feedback
from acsbench.leaderboard.scoring import same
from acsbench.server.config import ServerConfig
from acsbench.server.judging import Judge
from acsbench.server.models import Entry, Result, State, Submission, TaskVersion
from acsbench.server.published import published
from acsbench.server.standings import ask_for_refresh

__all__ = ["Rescored", "check_results", "rescore_new_versions"]


@dataclass
class Rescored:
    """What came of it.

    Attributes
    ----------
    n : int
        Results looked at or made.
    differences : list of str
        One line per result that is not what it was, or could not be made; without numbers.
    """

    n: int = 0
    differences: list[str] = field(default_factory=list)


def check_results(config: ServerConfig, master: bytes) -> Rescored:
    """Compute every result again and compare it with what is stored."""
    judge = Judge(config, master)
    done = Rescored()
    results = Result.objects.select_related("submission", "task_version__task").order_by("id")
    for result in results:
        done.n += 1
        name = f"{result.submission.public_id} under {result.task_version.name}"
        done.differences += [f"{name}: {what}" for what in _compare(judge, result, config)]
    return done


def _compare(judge: Judge, result: Result, config: ServerConfig) -> Iterator[str]:
    rules = published(result.task_version, config)
    try:
        stored = judge.store.get(result.submission.public_id, rules.name)
        again = judge.score(result.submission, rules)
        if stored.resamples:
            again = judge.with_resamples(again, rules)
    except AcsbenchError as error:
        yield str(error)
        return
    yield from same(stored, again)


def rescore_new_versions(config: ServerConfig, master: bytes) -> Rescored:
    """Score accepted files of superseded versions under the present one; old results stay.

    Entries follow their submissions onto the new board.
    """
    judge = Judge(config, master)
    done = Rescored()
    for version in TaskVersion.objects.filter(state="open").select_related("task"):
        older = (
            Submission.objects.filter(
                task_version__task=version.task, task_version__number__lt=version.number
            )
            .exclude(state__in=[State.FAILED, State.QUEUED, State.SCORING])
            .exclude(results__task_version=version)
            .select_related("team", "task_version__task")
            .order_by("id")
        )
        for submission in older:
            _rescore(judge, submission, version, done)
    return done


def _rescore(judge: Judge, submission: Submission, version: TaskVersion, done: Rescored) -> None:
    rules = published(version, judge.config)
    try:
        scored = judge.score(submission, rules)
    except AcsbenchError as error:
        done.differences.append(str(error))
        return
    best = judge.best_of(submission.team, version, rules)
    told = feedback(scored, best, judge.vault(rules).truth, rules)
    judge.store.put(submission.public_id, rules.name, scored)
    done.n += 1
    with transaction.atomic():
        judge.record(submission, version, scored, told)
        entry = Entry.objects.filter(
            submission=submission, task_version=submission.task_version, until__isnull=True
        ).first()
        if entry is not None:
            Entry.objects.create(
                team=submission.team,
                task_version=version,
                submission=submission,
                since=entry.since,
                leak_bits=entry.leak_bits,
            )
            ask_for_refresh(version)
