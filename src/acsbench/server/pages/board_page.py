"""The address of a board: drawn once for each version of it, then served as bytes."""

from __future__ import annotations

from functools import lru_cache

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from acsbench.server.models import BoardState, TaskVersion
from acsbench.server.pages.board import board_view
from acsbench.server.pages.confirm import Confirm
from acsbench.server.pages.rendered import RenderedPages, answer
from acsbench.server.pages.rendering import draw
from acsbench.server.problems import Problem

__all__ = ["PAGES", "board", "board_html", "confirm"]

PAGES = RenderedPages()
"""Of this process; a key is ``(task version, hash of the published document, show, sort)``."""


async def board(request: HttpRequest, slug: str) -> HttpResponse:
    """The board of a task: the current version, or the one asked for.

    A page that was drawn before needs no thread, and no connection of Django's.
    """
    asked = (request.GET.get("show", "all")[:20], request.GET.get("sort", "rank")[:40])
    published = None if request.GET.get("version") else confirm().published(slug)
    kept = None if published is None else PAGES.peek((*published, "", *asked))
    if kept is not None:
        return answer(request, kept)
    return await sync_to_async(_drawn)(request, slug)


@lru_cache(maxsize=1)
def confirm() -> Confirm:
    """What this process confirms published boards by."""
    return Confirm(settings.BOARD.sqlite_file)


def _drawn(request: HttpRequest, slug: str) -> HttpResponse:
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
