"""Refusals and faults as pages: what happened, the way out, an id to name, never a trace."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse

from acsbench.server.logs import log
from acsbench.server.middleware import request_id
from acsbench.server.pages.rendering import draw
from acsbench.server.problems import Problem, problem_response, problem_title

__all__ = ["bad_request", "fault", "forbidden", "foreign_form", "not_found", "refusal_page"]


def refusal_page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Show a refusal."""
    context = {
        "title": problem_title(problem.status),
        "detail": problem.detail,
        "request_id": request_id(request),
        "status": problem.status,
    }
    return HttpResponse(draw("error.html", context), status=problem.status, headers=problem.headers)


def _either(request: HttpRequest, problem: Problem) -> HttpResponse:
    """In the form that the address has its answers in."""
    if request.path.startswith("/api/"):
        return problem_response(problem, request_id=request_id(request))
    return refusal_page(request, problem)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  Django passes it
    """Nothing has this address."""
    return _either(request, Problem(404, "not_found", "There is nothing at this address."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  Django passes it
    """It cannot be read at all."""
    return _either(request, Problem(400, "bad_request", "The request cannot be read."))


def forbidden(request: HttpRequest, exception: object = None) -> HttpResponse:  # noqa: ARG001  Django passes it
    """A sign-in of a while ago does not suffice, and there is no password to ask for again."""
    detail = (
        "This needs a sign-in of the last few minutes. Sign out, and sign in again: by your "
        "provider, or by a new link of the host."
    )
    return _either(request, Problem(403, "forbidden", detail))


def foreign_form(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001  Django passes it
    """A form came without the token of its page."""
    detail = (
        "The form was not sent from a page of this board, or its page was open for too long. "
        "Go back, load the page again, and send the form once more. Nothing was changed."
    )
    return _either(request, Problem(403, "forbidden", detail))


def fault(request: HttpRequest) -> HttpResponse:
    """Log the trace; tell the public an id alone."""
    log("error", level=logging.ERROR, exc_info=True, request_id=request_id(request))
    detail = "This is a fault of the server. Tell the host the request id."
    return _either(request, Problem(500, "internal_error", detail))
