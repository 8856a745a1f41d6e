"""Two entries of one board, side by side."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from acsbench.server.models import Entry
from acsbench.server.pages.axis import axis_of, minus
from acsbench.server.pages.board import BoardRow, BoardView, board_view
from acsbench.server.pages.rendering import page
from acsbench.server.problems import Problem
from acsbench.server.standings import find_pair

__all__ = ["compare"]

_NUMBERS = ("difference", "low", "high")
_SAYS = {
    "higher": "{a} is higher than {b}.",
    "lower": "{a} is lower than {b}.",
    "tied": "{a} and {b} are not told apart.",
}


def compare(request: HttpRequest) -> HttpResponse:
    """The pair that ``a`` and ``b`` name, with a form to choose another."""
    a, b = (request.GET.get(key, "")[:24] for key in ("a", "b"))
    entry = (
        Entry.objects.filter(submission__public_id=a, until__isnull=True)
        .select_related("task_version__task", "task_version__board_state")
        .first()
    )
    if entry is None:
        raise Problem(404, "not_entries", "Only two entries of the same board can be compared.")
    board = board_view(entry.task_version)
    context: dict[str, Any] = {
        "board": board,
        "a": a,
        "b": b,
        "task_slug": board.slug,
        "here": "tasks",
    }
    if a == b:
        return page(request, "compare.html", context)
    pair = find_pair(a, b)
    if pair is None:
        raise Problem(404, "not_entries", "Only two entries of the same board can be compared.")
    return page(request, "compare.html", context | _drawn(board, pair))


def _drawn(board: BoardView, pair: dict[str, Any]) -> dict[str, Any]:
    rows = {row.submission: row for row in board.rows}
    first, second = rows[pair["a"]], rows[pair["b"]]
    axis = axis_of(["0", pair["difference"], pair["low"], pair["high"]])
    word = pair["word"] or "tied"
    return {
        "pair": {key: minus(pair[key]) if pair[key] else None for key in _NUMBERS},
        "reason": pair["reason"],
        "first": first,
        "second": second,
        "verdict": _SAYS[word].format(a=_who(first), b=_who(second)),
        "axis": axis,
        "zero": axis.x("0"),
        "x": axis.x(pair["difference"]),
        "x_low": axis.x(pair["low"]),
        "x_high": axis.x(pair["high"]),
        "metrics": [
            (one.title, mine, theirs)
            for one, mine, theirs in zip(board.others, first.others, second.others, strict=True)
        ],
    }


def _who(row: BoardRow) -> str:
    return f"{row.team} ({row.model})"
