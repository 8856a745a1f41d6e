"""The first page: which tasks there are."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from acsbench.leaderboard.metric_names import metric_title
from acsbench.server.models import BoardState
from acsbench.server.pages.rendering import page
from acsbench.server.standings import BoardTable

__all__ = ["home"]


@dataclass(frozen=True)
class TaskLine:
    """A task on the first page."""

    slug: str
    title: str
    question: str
    is_open: bool
    n_rows: str
    n_entries: int
    n_tied: int
    leading: str
    primary: str


def home(request: HttpRequest) -> HttpResponse:
    """List the tasks."""
    states = (
        BoardState.objects.filter(task_version__state__in=["open", "closed"])
        .select_related("task_version__task")
        .order_by("task_version__task__slug")
    )
    return page(request, "home.html", {"tasks": [_line(one) for one in states], "here": "tasks"})


def _line(state: BoardState) -> TaskLine:
    version = state.task_version
    board = BoardTable.model_validate_json(state.document)
    definition = version.definition["definition"]
    first = board.entries[0] if board.entries else None
    own = next((m for m in first.panel if m["metric"] == board.primary), None) if first else None
    leading = f"{own['low']} to {own['high']}" if own and own["low"] else ""
    return TaskLine(
        slug=version.task.slug,
        title=definition["title"],
        question=definition.get("question", ""),
        is_open=version.state == "open",
        n_rows=f"{version.n_rows:,}",
        n_entries=board.n_entries,
        n_tied=board.n_tied_with_leader,
        leading=leading,
        primary=metric_title(board.primary),
    )
