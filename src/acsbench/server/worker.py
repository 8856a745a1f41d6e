"""The worker: a process of its own that alone holds the vault key, and scores."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from acsbench.server.boards import refresh_next
from acsbench.server.config import ServerConfig
from acsbench.server.judging import Judge
from acsbench.server.keys import master_key
from acsbench.server.logs import log
from acsbench.server.models import Result, Submission, TaskVersion, WorkerBeat
from acsbench.server.parent import told_to_stop
from acsbench.server.queue import Lease, LeaseLostError, lease_next, release, renew
from acsbench.server.stores import blobs

__all__ = ["Worker", "main", "sweep"]

_BEAT_EVERY_S = 5.0
_SWEEP_EVERY_S = 3600.0
_REST_S = 60.0


def main(config: ServerConfig) -> None:
    """Work until a signal comes or the parent is gone."""
    stop = told_to_stop()
    worker = Worker(config, master_key(config))
    log("worker.started", owner=worker.owner)
    while not stop.is_set():
        if not worker.step():
            stop.wait(config.poll_seconds)
    log("worker.stopped", owner=worker.owner)


class Worker:
    """One worker: what waits is scored, then changed boards are ranked, then files are reviewed."""

    def __init__(self, config: ServerConfig, master: bytes) -> None:
        self.config = config
        self.judge = Judge(config, master)
        self.owner = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(3)}"
        self._beaten = self._swept = self._rests_until = float("-inf")

    def step(self) -> bool:
        """Do one piece of work; False when there is none."""
        self._beat()
        did = self._score() or self._after_scoring()
        if not did:
            self._sweep()
        return did

    def _after_scoring(self) -> bool:
        """Rank a board or review a file; what fails there must never keep others from a score."""
        if time.monotonic() < self._rests_until:
            return False
        try:
            return refresh_next(self.judge, self.config) or self._review()
        except Exception:  # whatever it is: told, and tried again in a while
            log("board.failed", level=logging.ERROR, error=_where())
            self._rests_until = time.monotonic() + _REST_S
            return False

    def _score(self) -> bool:
        lease = lease_next(self.owner, self.config)
        if lease is None:
            return False
        public_id = lease.submission.public_id
        try:
            with _renewing(lease, self.config):
                self.judge.judge(lease)
        except LeaseLostError:
            log("lease.lost", level=logging.WARNING, submission=public_id)
        except Exception:  # whatever it is: the row is given back, and tried again
            reference = f"{public_id}-{lease.attempt_no}"
            log("scoring.failed", level=logging.ERROR, reference=reference, error=_where())
            release(lease)
        else:
            log("submission.scored", submission=public_id, attempt=lease.attempt_no)
        return True

    def _review(self) -> bool:
        result = (
            Result.objects.filter(is_reviewed=False)
            .select_related("submission__team", "task_version__task")
            .order_by("id")
            .first()
        )
        if result is None:
            return False
        self.judge.review(result)
        return True

    def _beat(self) -> None:
        """Say that the worker lives."""
        now = time.monotonic()
        if now - self._beaten > _BEAT_EVERY_S:
            self._beaten = now
            WorkerBeat.objects.filter(at__lt=timezone.now() - timedelta(hours=1)).delete()
            WorkerBeat.objects.update_or_create(owner=self.owner, defaults={"at": timezone.now()})

    def _sweep(self) -> None:
        """Sweep now and then, while nothing waits."""
        now = time.monotonic()
        if now - self._swept > _SWEEP_EVERY_S:
            self._swept = now
            sweep(self.config)


def sweep(config: ServerConfig) -> int:
    """Forget idempotency keys after their days, and remove files that were never accepted."""
    keep = timezone.now() - timedelta(days=config.key_days)
    Submission.objects.filter(created_at__lt=keep, idempotency_key__isnull=False).update(
        idempotency_key=None
    )
    before = time.time() - 3600 * config.orphan_hours
    return blobs(config).sweep(_known_hashes, before=before)


def _known_hashes() -> set[str]:
    files = Submission.objects.values_list("sha256", flat=True)
    ids = TaskVersion.objects.values_list("ids_blob", flat=True)
    return {*files.iterator(), *ids.iterator()}


@contextmanager
def _renewing(lease: Lease, config: ServerConfig) -> Iterator[None]:
    """Renew a lease from a thread of its own while the block works."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(config.renew_seconds):
            renew(lease, config)
        connection.close()

    thread = threading.Thread(target=keep, name="renewal", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _where() -> list[str]:
    """Kind and places of the error at hand; never its message, which could quote a value."""
    kind, _, trace = sys.exc_info()
    frames = traceback.extract_tb(trace)
    return [kind.__name__ if kind else "", *(f"{f.filename}:{f.lineno} {f.name}" for f in frames)]
