"""Logs as JSON lines on stderr. No score, no label and no row of a file enters them."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

__all__ = ["JsonLines", "log", "log_as_json"]

_log = logging.getLogger("acsbench.server")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, and the fields given with it."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_as_json(level: int = logging.INFO) -> None:
    """Send everything that is logged in this process to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def log(event: str, *, level: int = logging.INFO, exc_info: bool = False, **fields: object) -> None:
    """Log one event with its fields."""
    _log.log(level, event, extra={"fields": fields}, exc_info=exc_info)
