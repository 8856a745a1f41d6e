"""Tasks and their boards: what anybody may read."""

from __future__ import annotations

from typing import Annotated, Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from acsbench.server.api.paging import Cursor, Limit, page
from acsbench.server.api.schemas import PairOut, TaskList, TaskOut
from acsbench.server.models import Task, TaskVersion
from acsbench.server.problems import Problem
from acsbench.server.published import current_version
from acsbench.server.standings import find_pair
from acsbench.server.stores import blobs

__all__ = ["Number", "router", "task_out", "version_of"]

router = Router(tags=["tasks"])


def task_out(version: TaskVersion) -> dict[str, Any]:
    """The public face of a task version."""
    task = version.task
    return {
        **version.definition,
        "slug": task.slug,
        "title": version.definition["definition"]["title"],
        "text": task.text,
        "state": version.state,
        "label_commitment": version.label_commitment,
        "superseded_by": version.superseded_by.name if version.superseded_by else None,
        "versions": [one.name for one in task.versions.exclude(state="draft").order_by("number")],
    }


def version_of(slug: str, number: int | None) -> TaskVersion:
    """The version asked for, or the current one.

    Raises
    ------
    Problem
        404, when there is none.
    """
    if number is None:
        return current_version(slug)
    found = (
        TaskVersion.objects.select_related("task")
        .filter(task__slug=slug, number=number)
        .exclude(state="draft")
        .first()
    )
    if found is None:
        raise Problem(404, "unknown_task", f"There is no version {number} of task '{slug[:40]}'.")
    return found


Number = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
PublicId = Annotated[str, Query(max_length=24)]
_CSV = {"description": "OK", "content": {"text/csv": {"schema": {"type": "string"}}}}


@router.get("/tasks", response=TaskList, summary="Tasks of this board")
def list_tasks(request: HttpRequest, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
    """List the tasks that are or were open."""
    rows = Task.objects.filter(versions__state__in=["open", "closed"]).distinct()
    tasks, following = page(rows, by="slug", cursor=cursor, limit=limit)
    items = [task_out(current_version(task.slug)) for task in tasks]
    return {"items": items, "next_cursor": following}


@router.get("/tasks/{slug}", response=TaskOut, summary="One task")
def get_task(request: HttpRequest, slug: str, version: Number = None) -> dict[str, Any]:
    """Definition, limits, state and label commitment of a task."""
    return task_out(version_of(slug, version))


@router.get(
    "/tasks/{slug}/ids.csv",
    summary="The ids that a file has to score",
    openapi_extra={
        "responses": {
            200: {"description": "OK", "content": {"text/csv": {"schema": {"type": "string"}}}}
        }
    },
)
def get_ids(request: HttpRequest, slug: str, version: Number = None) -> HttpResponse:
    """Give the public id list."""
    row = version_of(slug, version)
    answer = HttpResponse(blobs(settings.BOARD).get(row.ids_blob), content_type="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{row.name}-ids.csv"'
    return answer


@router.get("/compare", response=PairOut, summary="Two entries")
def compare(request: HttpRequest, a: PublicId, b: PublicId) -> dict[str, Any]:
    """Difference of two entries of one board, its interval, and the word for it."""
    pair = find_pair(a, b)
    if pair is None:
        raise Problem(404, "not_entries", "Only two entries of the same board can be compared.")
    return pair
