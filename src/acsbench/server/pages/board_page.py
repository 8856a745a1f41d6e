"""The address of a board: drawn once for each version of it, then served as bytes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from acsbench.server.models import BoardState, TaskVersion
from acsbench.server.pages.board import board_view
from acsbench.server.pages.rendered import RenderedPages, answer
from acsbench.server.pages.rendering import draw
from acsbench.server.problems import Problem

__all__ = ["PAGES", "board", "board_html"]

PAGES = RenderedPages()
"""Of this process; a key is ``(task version, hash of the published document, show, sort)``."""


def board(request: HttpRequest, slug: str) -> HttpResponse:
    """The board of a task: the current version, or the one asked for."""
    number = request.GET.get("version", "")
    show, sort = request.GET.get("show", "all"), request.GET.get("sort", "rank")
    pk, sha256 = _published(slug, number)
    asked = (show[:20], sort[:40])

    def drawn() -> str:
        version = TaskVersion.objects.select_related("task", "board_state").get(pk=pk)
        return board_html(version, show=show, sort=sort, asked=number)

    return answer(request, PAGES.get((pk, sha256, number, *asked), drawn))


def _published(slug: str, number: str) -> tuple[int, str]:
    """Task version and hash of its board, by one read over indexes."""
    rows = BoardState.objects.filter(task_version__task__slug=slug)
    if number:
        if not number.isdecimal() or len(number) > 6:
            raise _unknown(slug, number)
        rows = rows.filter(task_version__number=int(number)).exclude(task_version__state="draft")
    else:
        rows = rows.filter(task_version__state__in=["open", "closed"])
    found = rows.values_list("task_version_id", "document_sha256").first()
    if found is None:
        raise _unknown(slug, number)
    return found


def _unknown(slug: str, number: str) -> Problem:
    which = f"version {number[:12]} of task" if number else "task"
    return Problem(404, "unknown_task", f"There is no {which} “{slug[:40]}” here.")


def board_html(
    version: TaskVersion, *, show: str = "all", sort: str = "rank", asked: str = ""
) -> str:
    """Draw the page of a board, the same for everybody."""
    return draw(
        "board.html",
        {
            "board": board_view(version, show=show, sort=sort),
            "task_slug": version.task.slug,
            "tab": "board",
            "here": "tasks",
            "version_query": f"version={version.number}&" if asked else "",
        },
    )
