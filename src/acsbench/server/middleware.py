"""What every request passes through: an id, a limit per address, a line in the log."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from acsbench.server.headers import security_headers
from acsbench.server.limiter import Limiter
from acsbench.server.logs import log
from acsbench.server.problems import CONTENT_TYPE, Problem, problem_response

__all__ = ["request_id", "with_request_id"]

Answer = HttpResponseBase
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
_UNLIMITED = ("/healthz", "/readyz")


def request_id(request: HttpRequest) -> str:
    """The id that answer, problem and log share."""
    found: str | None = getattr(request, "acsbench_id", None)
    if found is None:
        found = secrets.token_hex(8)
        request.acsbench_id = found  # type: ignore[attr-defined]  # where Django lets one put things
    return found


@sync_and_async_middleware
def with_request_id(
    get_response: Callable[[HttpRequest], Answer | Awaitable[Answer]],
) -> Callable[[HttpRequest], Answer | Awaitable[Answer]]:
    """Give each request its id, limit its address, set headers, and log how it ended."""
    limiter = Limiter(settings.BOARD.limits.per_address, "address")
    headers = security_headers(settings.BOARD)

    if iscoroutinefunction(get_response):

        async def handle_async(request: HttpRequest) -> Answer:
            started = time.monotonic()
            answer = await (_refused_shared if limiter.is_shared else _refused_here)(
                request, limiter
            )
            if answer is None:
                answer = await get_response(request)
            return _finished(request, answer, started, headers)

        return handle_async

    def handle(request: HttpRequest) -> Answer:
        started = time.monotonic()
        answer = _refused(request, limiter) or get_response(request)
        return _finished(request, answer, started, headers)  # type: ignore[arg-type]  # not a coroutine here

    return handle


async def _refused_here(request: HttpRequest, limiter: Limiter) -> Answer | None:
    return _refused(request, limiter)


def _refused(request: HttpRequest, limiter: Limiter) -> Answer | None:
    if request.path.endswith(_UNLIMITED):
        return None
    try:
        limiter.take(request.META.get("REMOTE_ADDR", ""))
    except Problem as problem:
        return problem_response(problem, request_id=request_id(request))
    return None


_refused_shared = sync_to_async(_refused)


def _finished(
    request: HttpRequest, answer: Answer, started: float, headers: Mapping[str, str]
) -> Answer:
    if _is_bare(request, answer):
        answer = _as_problem(request, answer)
    answer.headers["X-Request-ID"] = request_id(request)
    for name, value in headers.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Cache-Control", "no-store")
    log(
        "request",
        level=logging.WARNING if answer.status_code >= 500 else logging.INFO,
        request_id=request_id(request),
        method=request.method,
        path=request.path,
        status=answer.status_code,
        ms=round(1000 * (time.monotonic() - started), 1),
    )
    return answer


def _is_bare(request: HttpRequest, answer: Answer) -> bool:
    """Whether Django itself answered in the API's place; pages have their own refusals."""
    is_problem = answer.headers.get("Content-Type") == CONTENT_TYPE
    return request.path.startswith("/api/") and answer.status_code in _CODES and not is_problem


def _as_problem(request: HttpRequest, answer: Answer) -> Answer:
    """Answers that Django itself gives, in the form of all others."""
    status = answer.status_code
    detail = {404: "There is nothing at this address.", 405: "This address has other methods."}
    problem = Problem(status, _CODES[status], detail.get(status, "The request cannot be read."))
    if "Allow" in answer.headers:
        problem.headers["Allow"] = answer.headers["Allow"]
    return problem_response(problem, request_id=request_id(request))
