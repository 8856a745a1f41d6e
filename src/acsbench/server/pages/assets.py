"""Style sheet, script and icon: from the package, kept by browsers for ever."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from acsbench.server.pages.rendering import ASSETS, asset
from acsbench.server.problems import Problem

__all__ = ["serve_asset"]


def serve_asset(_: HttpRequest, name: str) -> HttpResponse:
    """One of the pages' own files; the pages name it with a hash."""
    if name not in ASSETS:
        raise Problem(404, "not_found", "There is nothing at this address.")
    return HttpResponse(
        asset(name),
        content_type=f"{ASSETS[name]}; charset=utf-8",
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )
