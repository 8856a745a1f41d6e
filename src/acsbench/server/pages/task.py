"""A task explained: question, file, limits, what is shown, what has to be promised."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from acsbench.leaderboard.metric_names import metric_title
from acsbench.server.models import TaskVersion
from acsbench.server.pages.markdown import as_html
from acsbench.server.pages.rendering import page
from acsbench.server.pages.versions import version_of
from acsbench.server.published import Published, published

__all__ = ["RELEASES", "example_file", "task"]

_EXAMPLE = (0.031, 0.874, 0.102, 0.055, 0.49, 0.017, 0.26, 0.008, 0.93)
RELEASES = {
    "ladder": "Your first submission shows its value. A later one shows its own value only if it "
    "beats your best by more than {k:g} paired standard errors; otherwise the answer is “not "
    "distinguishable from your best”. So repeated uploads learn next to nothing of the labels.",
    "split": "A fixed part of the patients, {share:.0%}, gives feedback. The rest decides, and is "
    "shown when the board is frozen.",
    "full": "Every submission shows its value. This suits tests and teaching: with enough uploads "
    "the labels could be guessed.",
}


def task(request: HttpRequest, slug: str) -> HttpResponse:
    """Explain a task."""
    version = version_of(request, slug)
    rules = published(version, settings.BOARD)
    release = rules.task.release
    context = {
        "version": version,
        "rules": rules,
        "definition": rules.task,
        "text": as_html(version.task.text),
        "example": example_file(rules),
        "metrics": [metric_title(name) for name in rules.task.panel],
        "primary": metric_title(rules.task.primary),
        "release": RELEASES[release.policy].format(k=release.ladder_k, share=release.split_share),
        "max_kib": f"{rules.max_bytes / 1024:,.0f}",
        "opens": f"{rules.task.opens:%Y-%m-%d %H:%M} UTC",
        "versions": _versions(version),
        "task_slug": slug,
        "tab": "task",
        "here": "tasks",
    }
    return page(request, "task.html", context)


def example_file(rules: Published) -> str:
    """Ten lines of a file for this task."""
    rows = [f"{i},{score}" for i, score in zip(rules.ids, _EXAMPLE, strict=False)]
    return "\n".join(["ecg_id,score", *rows])


def _versions(version: TaskVersion) -> list[TaskVersion]:
    return list(version.task.versions.exclude(state="draft").order_by("-number"))
