"""From a view and a template to an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

__all__ = ["ASSETS", "asset", "draw", "page", "served"]

ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


@lru_cache(maxsize=len(ASSETS))
def asset(name: str) -> bytes:
    """A style sheet, script or picture of the pages."""
    return (files("acsbench.server.pages") / "assets" / name).read_bytes()


@lru_cache(maxsize=1)
def _query() -> str:
    """Changes with the assets, so that browsers may keep them for ever."""
    together = b"".join(asset(name) for name in ASSETS)
    return f"?v={hashlib.sha256(together).hexdigest()[:12]}"


def draw(
    template: str,
    context: Mapping[str, Any],
    *,
    request: HttpRequest | None = None,
    frozen: bool = False,
    assets: str = "",
) -> str:
    """Fill a template.

    Parameters
    ----------
    frozen : bool
        For files that need no server: no navigation, no forms.
    assets : str
        Where style sheet and script of a frozen page lie, relative to it: ``""`` or ``"../"``.
    """
    where = served(request) | ({"assets": assets, "css_query": ""} if frozen else {})
    return render_to_string(template, {**where, "frozen": frozen, **context}, request)


def served(_: HttpRequest | None) -> dict[str, str]:
    """Where pages of the server find style sheet and script; for pages of others too."""
    return {"assets": "/assets/", "css_query": _query(), "notice": settings.BOARD.notice}


def page(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """Answer with a page that nobody keeps a copy of."""
    return HttpResponse(draw(template, context, request=request), status=status)
