"""A task version by its address: the current one, or the one asked for."""

from __future__ import annotations

from django.http import HttpRequest

from acsbench.server.models import TaskVersion
from acsbench.server.problems import Problem
from acsbench.server.published import current_version

__all__ = ["version_of"]


def version_of(request: HttpRequest, slug: str) -> TaskVersion:
    """The version that ``?version=`` names; without it the current one.

    Raises
    ------
    Problem
        404 when there is none.
    """
    number = request.GET.get("version", "")
    if not number:
        return current_version(slug)
    found = None
    if number.isdecimal() and len(number) <= 6:
        rows = TaskVersion.objects.select_related("task", "superseded_by__task")
        found = rows.filter(task__slug=slug, number=int(number)).exclude(state="draft").first()
    if found is None:
        raise Problem(
            404, "unknown_task", f"There is no version {number[:12]} of task “{slug[:40]}” here."
        )
    return found
