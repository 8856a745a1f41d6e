"""Where each address leads."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from acsbench.server.api import api

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api.urls),
    path("", include("acsbench.server.pages.urls")),
]

handler400 = "acsbench.server.pages.errors.bad_request"
handler403 = "acsbench.server.pages.errors.forbidden"
handler404 = "acsbench.server.pages.errors.not_found"
handler500 = "acsbench.server.pages.errors.fault"
