"""Task versions as the judge knows them, read once from what the database and the blobs hold."""

from __future__ import annotations

from functools import lru_cache

from acsbench.leaderboard.definition import TaskVersion as Published
from acsbench.leaderboard.definition import parse_task
from acsbench.server.config import ServerConfig
from acsbench.server.models import Task, TaskVersion
from acsbench.server.problems import Problem
from acsbench.server.stores import blobs

__all__ = ["Published", "current_version", "other_ids", "published"]


def published(version: TaskVersion, config: ServerConfig) -> Published:
    """Definition and ids of a task version. It is fixed once it is open, so it is kept."""
    return _published(version.pk, version.ids_blob, config)


@lru_cache(maxsize=32)
def _published(pk: int, ids_blob: str, config: ServerConfig) -> Published:
    definition = TaskVersion.objects.values_list("definition", flat=True).get(pk=pk)
    return parse_task(definition, blobs(config).get(ids_blob))


def current_version(slug: str) -> TaskVersion:
    """The version of a task that takes submissions, or took them last.

    Raises
    ------
    Problem
        404, when there is no such task.
    """
    version = (
        TaskVersion.objects.select_related("task")
        .filter(task__slug=slug, state__in=["open", "closed"])
        .order_by("-number")
        .first()
    )
    if version is None:
        raise Problem(404, "unknown_task", f"There is no task '{slug[:40]}' here.")
    return version


def other_ids(version: TaskVersion, config: ServerConfig) -> dict[str, tuple[str, ...]]:
    """Ids of the other open tasks: a file for one of them is worth a hint."""
    others = Task.objects.exclude(pk=version.task_id).filter(versions__state="open")
    return {
        slug: published(current_version(slug), config).ids
        for slug in others.values_list("slug", flat=True)
    }
