"""Lists by cursor: a page begins after the row that the cursor names."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from ninja import Query
from pydantic import Field

from acsbench.server.problems import Problem

__all__ = ["Cursor", "Limit", "page"]

Row = TypeVar("Row", bound=Model)
Cursor = Annotated[str | None, Query(max_length=64, description="`next_cursor` of a page before")]
Limit = Annotated[int, Field(ge=1, le=100)]


def page(
    rows: QuerySet[Row], *, by: str, cursor: str | None, limit: int
) -> tuple[list[Row], str | None]:
    """One page of rows, youngest first, and the cursor of the next.

    Parameters
    ----------
    rows : QuerySet
        All that the asker may see.
    by : str
        Column that names a row to strangers; cursors are its values.
    cursor, limit

    Raises
    ------
    Problem
        422, when no row of these has this name.
    """
    if cursor is not None:
        start: Any = rows.filter(**{by: cursor}).first()
        if start is None:
            raise Problem(422, "unknown_cursor", "No such cursor. Take `next_cursor` of a page.")
        rows = rows.filter(pk__lt=start.pk)
    found = list(rows.order_by("-pk")[: limit + 1])
    more = len(found) > limit
    return found[:limit], str(getattr(found[limit - 1], by)) if more else None
