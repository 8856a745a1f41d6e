"""The API under ``/api/v1``: its parts, how errors are told, and the OpenAPI document."""

from __future__ import annotations

import logging
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema

from acsbench.errors import InputError
from acsbench.server.api import account, exports, hosts, service, submissions, tasks, webhooks
from acsbench.server.api.schemas import ProblemOut
from acsbench.server.logs import log
from acsbench.server.middleware import request_id
from acsbench.server.problems import CONTENT_TYPE, Problem, problem_response

__all__ = ["api"]


class _Api(NinjaAPI):
    """Every operation may refuse in the same form; the document says so once for all."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        document["components"]["schemas"]["ProblemOut"] = ProblemOut.model_json_schema()
        reference = {"$ref": "#/components/schemas/ProblemOut"}
        refusal = {
            "description": "Refused: what happened and the way out",
            "content": {CONTENT_TYPE: {"schema": reference}},
        }
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"]["default"] = refusal
        return document


api = _Api(
    title="acsbench board",
    version="1",
    description="A board scored on hidden labels. Scores are decimal strings.",
    docs_url=None,
    urls_namespace="api",
)
for _router in (
    tasks.router,
    exports.router,
    submissions.router,
    account.router,
    hosts.router,
    webhooks.router,
    service.router,
):
    api.add_router("", _router)


@api.exception_handler(Problem)
def _problem(request: HttpRequest, problem: Problem) -> HttpResponse:
    return problem_response(problem, request_id=request_id(request))


@api.exception_handler(AuthenticationError)
def _unauthorized(request: HttpRequest, _: AuthenticationError) -> HttpResponse:
    problem = Problem(
        401,
        "unauthorized",
        "Send `Authorization: Bearer acsb_...` with a token that is neither expired nor revoked.",
        headers={"WWW-Authenticate": "Bearer"},
    )
    return _problem(request, problem)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    findings = [
        {"where": ".".join(str(part) for part in one["loc"]), "message": one["msg"]}
        for one in error.errors
    ]
    detail = "; ".join(f"{one['where']}: {one['message']}" for one in findings)
    problem = Problem(422, "invalid_request", detail, extra={"findings": findings})
    return _problem(request, problem)


@api.exception_handler(InputError)
def _bad_input(request: HttpRequest, error: InputError) -> HttpResponse:
    return _problem(request, Problem(422, "invalid_request", str(error)))


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return _problem(request, Problem(error.status_code, "bad_request", str(error)))


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, _: Http404) -> HttpResponse:
    return _problem(request, Problem(404, "not_found", "There is nothing at this address."))


@api.exception_handler(Exception)
def _unexpected(request: HttpRequest, _: Exception) -> HttpResponse:
    """Log the trace; tell the public an id alone."""
    log("error", level=logging.ERROR, exc_info=True, request_id=request_id(request))
    problem = Problem(
        500, "internal_error", "This is a fault of the server. Tell the host the request id."
    )
    return _problem(request, problem)
