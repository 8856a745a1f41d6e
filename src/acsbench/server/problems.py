"""Refusals as the API tells them: problem+json (RFC 9457) with a code for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse

from acsbench.errors import AcsbenchError

__all__ = ["CONTENT_TYPE", "Problem", "problem_body", "problem_response", "problem_title"]

CONTENT_TYPE = "application/problem+json"


class Problem(AcsbenchError):  # noqa: N818  the word of RFC 9457
    """A request that is answered with a refusal.

    Parameters
    ----------
    status : int
        HTTP status.
    code : str
        For programs; never changes its meaning.
    detail : str
        For people: what happened and the way out.
    extra : mapping, optional
        Further members of the answer.
    headers : mapping, optional
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


_TITLES = {
    400: "Bad request",
    401: "A valid token is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported type",
    422: "Not usable as it is",
    429: "Too many requests",
    500: "Something went wrong here",
    503: "Not available right now",
}


def problem_title(status: int) -> str:
    """What a status means, in words."""
    return _TITLES.get(status, "Error")


def problem_body(problem: Problem, *, request_id: str) -> dict[str, Any]:
    """The answer's members."""
    return {
        "type": f"urn:acsbench:problem:{problem.code}",
        "title": problem_title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        **problem.extra,
    }


def problem_response(problem: Problem, *, request_id: str) -> HttpResponse:
    """The answer to a refused request."""
    body = json.dumps(problem_body(problem, request_id=request_id), default=str)
    return HttpResponse(
        body, status=problem.status, content_type=CONTENT_TYPE, headers=problem.headers
    )
