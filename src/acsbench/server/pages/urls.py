"""Addresses of the pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from acsbench.server.pages.assets import serve_asset
from acsbench.server.pages.board_page import board
from acsbench.server.pages.gate import open_page

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = [
    path("assets/<str:name>", open_page(serve_asset)),
    path("tasks/<slug:slug>/board/", open_page(board)),
]
