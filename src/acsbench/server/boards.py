"""Boards that have changed are ranked again by the worker, under a lease of their own."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from acsbench.leaderboard.ranks import Contender, rank_board
from acsbench.server.config import ServerConfig
from acsbench.server.judging import Judge
from acsbench.server.models import BoardState, Entry
from acsbench.server.published import published
from acsbench.server.standings import document, save_document

__all__ = ["refresh_next"]


def refresh_next(judge: Judge, config: ServerConfig) -> bool:
    """Rank one board that has changed; False when there is none."""
    state = _lease(config)
    if state is None:
        return False
    version = state.task_version
    rules = published(version, config)
    entries = list(
        Entry.objects.filter(task_version=version, until__isnull=True)
        .select_related("team", "submission")
        .order_by("id")
    )
    contenders = [
        Contender(
            key=entry.submission.public_id,
            scored=judge.with_intervals(entry.submission, rules),
            since=entry.since,
            is_baseline=entry.team.is_baseline,
        )
        for entry in entries
    ]
    board = rank_board(contenders, judge.vault(rules).truth, rules) if contenders else None
    save_document(state, document(version, number=state.wanted, board=board, entries=entries))
    _write(state)
    return True


def _lease(config: ServerConfig) -> BoardState | None:
    now = timezone.now()
    stale = BoardState.objects.filter(wanted__gt=F("version")).filter(
        Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    )
    if not stale.exists():
        return None
    with transaction.atomic():
        rows = stale.select_related("task_version__task", "task_version__superseded_by")
        if connection.features.has_select_for_update:
            rows = rows.select_for_update(skip_locked=True, of=("self",))
        state = rows.order_by("id").first()
        if state is None:
            return None
        state.attempt_no += 1
        state.lease_until = now + timedelta(seconds=config.lease_seconds)
        state.save(update_fields=["attempt_no", "lease_until"])
    return state


def _write(state: BoardState) -> None:
    """Write the document unless another worker has taken the board since."""
    BoardState.objects.filter(pk=state.pk, attempt_no=state.attempt_no).update(
        document=state.document,
        document_sha256=state.document_sha256,
        version=state.version,
        lease_until=None,
        updated_at=timezone.now(),
    )
