"""What entrants use to talk to a board: the standard library alone, no Django."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from acsbench.errors import AcsbenchError, BoardError, InputError, NetworkError, QuotaError
from acsbench.server.card import ModelCard

__all__ = ["BoardClient", "RefusedFileError", "split_task"]

_TIMEOUT_S = 60.0
_TRIES = 5
_TRY_AGAIN = ("upload_in_progress", "rate_limited", "too_many_streams")
_FINAL = ("scored", "failed", "withdrawn", "disqualified")


class RefusedFileError(BoardError):
    """The board found something in the file; `findings` as the check tells them."""

    def __init__(self, detail: str, findings: list[dict[str, Any]]) -> None:
        super().__init__(detail)
        self.findings = findings


def split_task(task: str, server: str | None) -> tuple[str, str]:
    """Address of the board and name of the task, from ``acs`` or ``https://host/tasks/acs``.

    Raises
    ------
    InputError
        When it is a bare name and no server is given.
    """
    if "://" in task:
        address, _, slug = task.rstrip("/").rpartition("/tasks/")
        if not address or not slug or "/" in slug:
            raise InputError(f"{task} is no address of a task: https://HOST/tasks/NAME.")
        return address.removesuffix("/api/v1"), slug
    if not server:
        raise InputError(
            f"Which board has the task '{task}'? Give --server https://HOST, set "
            "ACSBENCH_SERVER, or write the task as https://HOST/tasks/NAME."
        )
    return server.rstrip("/"), task


class BoardClient:
    """One board, as one account.

    Parameters
    ----------
    address : str
        ``https://host``.
    token : str, optional
        Needed for everything but reading.
    pause_s : float
        Wait before another try when the board does not answer.
    """

    def __init__(self, address: str, *, token: str | None = None, pause_s: float = 0.5) -> None:
        if urlsplit(address).scheme not in ("http", "https"):
            raise InputError(f"{address} is no address of a board: it begins with https://.")
        self.address = address
        self._token = token
        self._pause_s = pause_s

    def submit(
        self,
        file: Path,
        task: str,
        *,
        card: ModelCard | None = None,
        attestation: str | None = None,
        comment: str = "",
        team: str | None = None,
    ) -> dict[str, Any]:
        """Send a file; safe to repeat, since every try carries the same key.

        Returns
        -------
        dict
            ``receipt``, ``submission``, ``quota`` and ``warnings``.

        Raises
        ------
        RefusedFileError, QuotaError, NetworkError, BoardError
        """
        query = {"team": team, "attestation": attestation}
        fields = {"comment": comment}
        if card is not None:
            fields["card"] = card.model_dump_json()
        boundary = uuid.uuid4().hex
        return self._call(
            "POST",
            f"/tasks/{quote(task)}/submissions",
            query={key: value for key, value in query.items() if value},
            body=_form(file, fields, boundary),
            headers={
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Idempotency-Key": uuid.uuid4().hex,
            },
        )

    def wait(
        self, submission: str, *, tell: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> dict[str, Any]:
        """Follow a submission until it is scored or has failed, and return its last state."""
        while True:
            last: dict[str, Any] = {}
            try:
                for last in self._events(submission):
                    tell(last)
            except (OSError, http.client.HTTPException):
                time.sleep(self._pause_s)  # the server restarts: the submission is safe, ask again
            if last.get("state") in _FINAL:
                return last
            last = self.submission(submission)
            if last["state"] in _FINAL:
                return last

    def submission(self, public_id: str) -> dict[str, Any]:
        """State and feedback of a submission."""
        return self._call("GET", f"/submissions/{quote(public_id)}")

    def receipt(self, public_id: str) -> dict[str, Any]:
        """Signed proof of acceptance, and of what was released."""
        return self._call("GET", f"/submissions/{quote(public_id)}/receipt")

    def pick(self, task: str, submission: str) -> dict[str, Any]:
        """Show a scored submission on the board."""
        return self._call(
            "PUT",
            f"/tasks/{quote(task)}/entry",
            body=json.dumps({"submission": submission}).encode(),
            headers={"Content-Type": "application/json"},
        )

    def board(self, task: str) -> dict[str, Any]:
        """The public board."""
        return self._call("GET", f"/tasks/{quote(task)}/board")

    def get_task(self, task: str) -> dict[str, Any]:
        """Definition and limits of a task."""
        return self._call("GET", f"/tasks/{quote(task)}")

    def ready(self) -> bool:
        """Whether the board takes files and a worker is there to score them."""
        request = self._request("GET", "/readyz")
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  http(s), as checked
                return bool(json.load(answer)["worker"])
        except OSError:
            return False

    def keys(self) -> dict[str, Any]:
        """Public keys that verify receipts."""
        return self._call("GET", "/keys")

    def _events(self, submission: str) -> Iterator[dict[str, Any]]:
        request = self._request("GET", f"/submissions/{quote(submission)}/events")
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  http(s), as checked
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line[len(b"data: ") :])

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        request = self._request(method, path, query=query, body=body, headers=headers)
        for left in reversed(range(_TRIES)):
            try:
                with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  http(s), as checked
                    return dict(json.load(answer))
            except HTTPError as refusal:
                problem = _problem_of(refusal)
                if not left or problem.get("code") not in _TRY_AGAIN:
                    raise _error_of(problem) from None
                time.sleep(float(refusal.headers.get("Retry-After", 1)))
            except (URLError, OSError, http.client.HTTPException, ValueError) as error:
                if not left:
                    reason = _plain(getattr(error, "reason", error))
                    raise NetworkError(
                        f"{self.address} does not answer as a board: {reason}. "
                        "Nothing is lost: the same command again is safe."
                    ) from None
                time.sleep(self._pause_s)
        raise AssertionError("the last try returns or raises")

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Request:
        sent = {"Accept": "application/json", **(headers or {})}
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        url = f"{self.address}/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        return Request(url, data=body, headers=sent, method=method)  # noqa: S310  http(s), as checked


def _problem_of(refusal: HTTPError) -> dict[str, Any]:
    with refusal:
        try:
            problem = json.loads(refusal.read())
        except ValueError:
            problem = None
    if isinstance(problem, dict):
        return problem
    return {"status": refusal.code, "detail": f"the answer was {refusal.code} {refusal.reason}"}


def _error_of(problem: dict[str, Any]) -> AcsbenchError:
    detail = str(problem.get("detail", ""))
    if "findings" in problem and str(problem.get("code", "")).startswith("E"):
        return RefusedFileError(detail, problem["findings"])
    if problem.get("status") == 429:
        return QuotaError(detail)
    if problem.get("status", 0) >= 500:
        return NetworkError(f"{detail} (request {problem.get('request_id', 'unknown')})")
    return BoardError(detail)


def _form(file: Path, fields: Mapping[str, str], boundary: str) -> bytes:
    """A multipart form of text fields and one file."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    name = quote(file.name)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    kind = "Content-Type: application/octet-stream\r\n\r\n"
    return b"".join(
        [
            *parts,
            head.encode(),
            kind.encode(),
            file.read_bytes(),
            f"\r\n--{boundary}--\r\n".encode(),
        ]
    )


def _plain(reason: object) -> object:
    """What went wrong, without the number that the system gives it."""
    return reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
