"""Boards for other programs: tables, metadata, badges."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from ninja import Router

from acsbench.server.api.tasks import Number, version_of
from acsbench.server.badge import badge_svg
from acsbench.server.exports import EXPORTS, board_croissant, export_board
from acsbench.server.models import BoardState, Entry, TaskVersion
from acsbench.server.problems import Problem
from acsbench.server.standings import BoardOut
from acsbench.server.views import public_address

__all__ = ["router"]

router = Router(tags=["tasks"])


def _content(kind: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "binary" if "parquet" in kind else "text"}
    return {"responses": {200: {"description": "OK", "content": {kind: {"schema": schema}}}}}


_FORMS = {
    EXPORTS["csv"]: {"schema": {"type": "string"}},
    EXPORTS["parquet"]: {"schema": {"type": "string", "format": "binary"}},
}


def send_board(request: HttpRequest, version: TaskVersion, form: str) -> HttpResponse:
    """Answer with a board in one form, or with 304 to whoever has these bytes."""
    state = BoardState.objects.get(task_version=version)
    tag = f'"{state.document_sha256[:32]}-{form}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept"}
    if request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified(headers=headers)
    if form != "json":
        name = f"{version.name}-board-{state.version}.{form}"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    content = export_board(state.document, form)
    return HttpResponse(content, content_type=EXPORTS[form], headers=headers)


def _accepted(request: HttpRequest) -> str:
    """The first form that a client asks for by name; JSON for everybody else."""
    for part in request.headers.get("Accept", "").split(","):
        for form, kind in EXPORTS.items():
            if part.partition(";")[0].strip().lower() == kind:
                return form
    return "json"


@router.get(
    "/tasks/{slug}/board",
    response=BoardOut,
    summary="The board",
    openapi_extra={"responses": {200: {"content": _FORMS}}},
)
def get_board(request: HttpRequest, slug: str, version: Number = None) -> HttpResponse:
    """Entries with intervals, rank intervals and tie groups, and every pair in a word."""
    return send_board(request, version_of(slug, version), _accepted(request))


@router.get(
    "/tasks/{slug}/board.csv", summary="The board as CSV", openapi_extra=_content("text/csv")
)
def board_csv(request: HttpRequest, slug: str, version: Number = None) -> HttpResponse:
    """Give a row an entry; text that a spreadsheet could take for a formula is marked as text."""
    return send_board(request, version_of(slug, version), "csv")


@router.get(
    "/tasks/{slug}/board.parquet",
    summary="The board as Parquet",
    openapi_extra=_content(EXPORTS["parquet"]),
)
def board_parquet(request: HttpRequest, slug: str, version: Number = None) -> HttpResponse:
    """Give a row an entry, with numbers as numbers."""
    return send_board(request, version_of(slug, version), "parquet")


@router.get("/tasks/{slug}/board.json", response=BoardOut, summary="The board as JSON")
def board_json(request: HttpRequest, slug: str, version: Number = None) -> HttpResponse:
    """Give what `/board` gives, whatever is accepted."""
    return send_board(request, version_of(slug, version), "json")


@router.get(
    "/tasks/{slug}/croissant.json",
    response=dict[str, Any],
    summary="Metadata of the board's table (Croissant)",
)
def croissant(request: HttpRequest, slug: str, version: Number = None) -> dict[str, Any]:
    """Describe `board.csv` for catalogues of data sets."""
    row = version_of(slug, version)
    state = BoardState.objects.get(task_version=row)
    base = f"{public_address(request, settings.BOARD)}/api/v1/tasks/{row.task.slug}"
    definition = row.definition["definition"]
    return board_croissant(
        state.document,
        title=definition["title"],
        question=definition["question"],
        url=f"{base}/board.csv?version={row.number}",
        date=(state.updated_at or state.created_at).date().isoformat(),
        version=f"{row.number}.{state.version}.0",
        licence=settings.BOARD.licence,
    )


@router.get(
    "/badge/{public_id}.svg", summary="Badge of an entry", openapi_extra=_content("image/svg+xml")
)
def badge(request: HttpRequest, public_id: str) -> HttpResponse:
    """Draw rank interval and value of an entry; for a page of the team's own."""
    entry = (
        Entry.objects.select_related("task_version__board_state", "task_version__task")
        .filter(submission__public_id=public_id, until__isnull=True)
        .order_by("-id")
        .first()
    )
    shown = None
    if entry is not None:
        state = entry.task_version.board_state
        board = BoardOut.model_validate_json(state.document)
        shown = next((one for one in board.entries if one.submission == public_id), None)
    if shown is None:
        raise Problem(404, "not_an_entry", "Only an entry of a board has a badge.")
    picture = badge_svg(shown, task=board.task, primary=board.primary, n_entries=board.n_entries)
    return HttpResponse(
        picture,
        content_type="image/svg+xml",
        headers={
            "Cache-Control": "public, max-age=300",
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
    )
