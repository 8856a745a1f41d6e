"""Close a task version for good, and keep what its board shows then."""

from __future__ import annotations

import re

from django.db import transaction
from django.utils import timezone

from acsbench.errors import InputError, StepError
from acsbench.leaderboard.details import entry_details
from acsbench.leaderboard.ranks import Contender, rank_board
from acsbench.leaderboard.scoring import Part, Scored, provenance, score
from acsbench.server import audit
from acsbench.server.config import ServerConfig
from acsbench.server.judging import Judge
from acsbench.server.models import BoardState, Entry, Freeze, TaskVersion
from acsbench.server.published import Published, current_version, published
from acsbench.server.queue import waiting
from acsbench.server.standings import document, save_document

__all__ = ["close_board", "set_doi"]

_DOI = re.compile(r"10\.\d{4,9}/\S+")


def close_board(slug: str, config: ServerConfig, master: bytes) -> Freeze:
    """Close the current version of a task, rank its board for the last time, and keep that.

    A version that is closed already gives the same as the first time. Under the policy ``split``
    the rows that gave no feedback decide.

    Raises
    ------
    StepError
        When submissions still wait for their score.
    """
    version = current_version(slug)
    kept = Freeze.objects.filter(task_version=version).first()
    if kept is not None:
        return kept
    rules = published(version, config)
    judge = Judge(config, master)
    with transaction.atomic():
        TaskVersion.objects.filter(pk=version.pk).update(state=TaskVersion.State.CLOSED)
        n_waiting = waiting().filter(task_version=version).count()
        if n_waiting:
            raise StepError(
                f"{n_waiting:,} submissions of {version.name} wait for their score. Let `acsbench "
                "serve` run until none is left, then freeze again; nothing was closed."
            )
        return _keep(version, rules, judge)


def _keep(version: TaskVersion, rules: Published, judge: Judge) -> Freeze:
    entries = list(
        Entry.objects.filter(task_version=version, until__isnull=True)
        .select_related("team", "submission")
        .order_by("id")
    )
    scored = {entry.submission.public_id: _final(entry, rules, judge) for entry in entries}
    truth = judge.vault(rules).truth
    contenders = [
        Contender(
            key=entry.submission.public_id,
            scored=scored[entry.submission.public_id],
            since=entry.since,
            is_baseline=entry.team.is_baseline,
        )
        for entry in entries
    ]
    board = rank_board(contenders, truth, rules) if contenders else None
    state = BoardState.objects.select_for_update().get(task_version=version)
    number = state.wanted + 1
    now = timezone.now().replace(second=0, microsecond=0)
    save_document(state, document(version, number=number, board=board, entries=entries))
    state.wanted, state.updated_at = number, now
    state.save()
    told = audit.record(
        actor="operator",
        action="task.frozen",
        object=f"task:{version.name}",
        detail={"board_version": str(number), "document_sha256": state.document_sha256},
    )
    return Freeze.objects.create(
        task_version=version,
        document=state.document,
        details={key: entry_details(one, truth, rules) for key, one in scored.items()},
        provenance=provenance(rules),
        audit_seq=told.seq,
        audit_hash=told.hash,
        frozen_at=now,
    )


def _final(entry: Entry, rules: Published, judge: Judge) -> Scored:
    """An entry on the rows that decide, with its resamples."""
    part: Part = "rest" if rules.task.release.policy == "split" else "all"
    scored = judge.with_intervals(entry.submission, rules)
    if scored.part == part:
        return scored
    again = score(scored.scores, judge.vault(rules).truth, rules, part=part)
    return judge.with_resamples(again, rules)


def set_doi(freeze: Freeze, doi: str) -> None:
    """Note under which DOI the frozen board was deposited.

    Raises
    ------
    InputError
        When it is no DOI.
    """
    doi = doi.removeprefix("https://doi.org/").removeprefix("doi:")
    if not _DOI.fullmatch(doi) or len(doi) > 200:
        raise InputError(f"{doi[:80]!r} is no DOI; one looks like 10.5281/zenodo.1234567.")
    if freeze.doi == doi:
        return
    with transaction.atomic():
        freeze.doi = doi
        freeze.save(update_fields=["doi"])
        audit.record(
            actor="operator",
            action="task.doi",
            object=f"task:{freeze.task_version.name}",
            detail={"doi": doi},
        )
