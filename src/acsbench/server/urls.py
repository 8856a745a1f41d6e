"""Where each address leads."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from acsbench.server.api import api

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = [path("api/v1/", api.urls)]
