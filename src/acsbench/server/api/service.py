"""Is it alive, what has it counted, and what proves it: health, metrics, audit head, keys."""

from __future__ import annotations

import hmac
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from acsbench.server import audit
from acsbench.server.api.schemas import AuditHeadOut, KeysOut
from acsbench.server.health import Readiness, readiness
from acsbench.server.metrics import metrics_text
from acsbench.server.problems import Problem
from acsbench.server.stores import METRICS_TOKEN, published_keys

__all__ = ["router"]

router = Router(tags=["service"])
_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get("/healthz", response=dict[str, str], summary="Liveness")
def healthz(request: HttpRequest) -> dict[str, str]:
    """Answer as long as the web process lives."""
    return {"status": "ok"}


@router.get("/readyz", response={200: Readiness, 503: Readiness}, summary="Readiness")
def readyz(request: HttpRequest) -> Any:
    """Look at database, files and the worker's last sign of life."""
    found = readiness(settings.BOARD)
    return Status(200 if found.is_ready else 503, found)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    openapi_extra={
        "responses": {200: {"description": "OK", **_TEXT}},
        "security": [{"Bearer": []}],
    },
)
def metrics(request: HttpRequest) -> HttpResponse:
    """Counts for the operator, who has the token in ``keys/metrics.token``."""
    expected = (settings.BOARD.keys / METRICS_TOKEN).read_text(encoding="ascii").strip()
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Problem(
            401,
            "unauthorized",
            f"Metrics need the operator's token, `keys/{METRICS_TOKEN}` in the data folder.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return HttpResponse(metrics_text(), content_type="text/plain; version=0.0.4")


@router.get("/audit/head", response=AuditHeadOut, summary="Head of the audit chain")
def audit_head(request: HttpRequest) -> dict[str, Any]:
    """Give the last link; who notes it down can prove later that nothing before it has changed."""
    last = audit.head()
    if last is None:
        return {"seq": 0, "hash": "", "at": ""}
    return {"seq": last.seq, "hash": last.hash, "at": last.at}


@router.get("/keys", response=KeysOut, summary="Public keys")
def keys(request: HttpRequest) -> dict[str, Any]:
    """Give the keys that verify receipts."""
    return published_keys(settings.BOARD)
