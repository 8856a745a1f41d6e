"""The public side of a board's task, fetched from its server."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from typing import Any

from acsbench.errors import BoardError, NetworkError
from acsbench.leaderboard.definition import TaskVersion, parse_task

__all__ = ["fetch_json", "fetch_task", "is_url"]

_TASK_URL = re.compile(r"(?P<host>https?://[^?#]+?)(?:/api/v1)?/tasks/(?P<slug>[a-z0-9_-]+)/?")
_MAX_BYTES = 32 * 1024 * 1024


def is_url(text: str) -> bool:
    """Whether a text names something on the network."""
    return text.startswith(("https://", "http://"))


def fetch_task(url: str, *, timeout_s: float = 30) -> TaskVersion:
    """Fetch a task's definition and id list, and check that they belong together.

    Parameters
    ----------
    url : str
        ``https://HOST/tasks/acs``, with ``/api/v1`` before it or without.
    timeout_s : float

    Raises
    ------
    NetworkError
        When the server cannot be reached, or answers with an error.
    BoardError, ConfigError
        When what it sends is no task.
    """
    found = _TASK_URL.fullmatch(url)
    if found is None:
        raise BoardError(f"{url} names no task; one is like https://HOST/tasks/acs.")
    api = f"{found['host']}/api/v1/tasks/{found['slug']}"
    public = fetch_json(api, timeout_s=timeout_s)
    return parse_task(public, _fetch(f"{api}/ids.csv", timeout_s))


def fetch_json(url: str, *, timeout_s: float = 30) -> dict[str, Any]:
    """Fetch a JSON object. Errors as `fetch_task`."""
    content = _fetch(url, timeout_s)
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BoardError(f"{url} does not answer with JSON, as a board does.")
    return body


def _fetch(url: str, timeout_s: float) -> bytes:
    if not is_url(url):  # urllib would open a file too
        raise BoardError(f"{url} begins with neither https:// nor http://.")
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310  just checked
            content: bytes = answer.read(_MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise NetworkError(f"{url} answered {error.code} {error.reason}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NetworkError(f"{url} cannot be reached: {reason}.") from None
    if len(content) > _MAX_BYTES:
        raise NetworkError(f"{url} answers with more than {_MAX_BYTES:,} bytes.")
    return content
