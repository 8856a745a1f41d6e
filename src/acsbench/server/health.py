"""Whether a board can do its work right now."""

from __future__ import annotations

import os

from django.db import DatabaseError, connection
from django.utils import timezone
from pydantic import BaseModel

from acsbench.server.config import ServerConfig
from acsbench.server.models import WorkerBeat
from acsbench.server.queue import waiting
from acsbench.server.stores import blobs

__all__ = ["Readiness", "readiness"]

_WORKER_IS_GONE_S = 30.0
_TOO_OLD_S = 60.0


class Readiness(BaseModel):
    """What was looked at.

    Attributes
    ----------
    database, files, worker : bool
        Database answers; files can be written; a worker gave a sign of life lately.
    oldest_waiting_s : float
        Age of the oldest submission without a score; beyond a minute somebody should look.
    """

    database: bool
    files: bool
    worker: bool
    oldest_waiting_s: float

    @property
    def is_ready(self) -> bool:
        """Whether uploads can be accepted; a late worker does not stop them."""
        return self.database and self.files


def readiness(config: ServerConfig) -> Readiness:
    """Look at everything."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        worker, age = _worker_is_seen(), oldest_waiting_s()
        database = True
    except DatabaseError:
        database, worker, age = False, False, 0.0
    files = os.access(config.incoming, os.W_OK) and blobs(config).is_usable()
    return Readiness(database=database, files=files, worker=worker, oldest_waiting_s=round(age, 1))


def oldest_waiting_s() -> float:
    """Age of the oldest submission without a score, in seconds; 0 if none waits."""
    first = waiting().values_list("created_at", flat=True).first()
    return max(0.0, (timezone.now() - first).total_seconds()) if first else 0.0


def _worker_is_seen() -> bool:
    last = WorkerBeat.objects.order_by("-at").values_list("at", flat=True).first()
    return last is not None and (timezone.now() - last).total_seconds() < _WORKER_IS_GONE_S
